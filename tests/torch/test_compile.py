"""torch.compile of the model, of the step and of everything: the same learning rates."""

import pytest
import torch
from torch import nn
from torch.optim import SGD

from tests.torch.problem import batches, make_net
from zenith.torch import Zenith

STEPS, WINDOW = 30, 5
# Notices of the compiler about what it leaves to the interpreter, or will soon do otherwise.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Profiler record function"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def train(kind, compiled, *, backend="eager", settled_after=STEPS, steps=STEPS):
    """Learning rates; once `settled_after` steps are taken, whatever compiles anew is an error."""
    net = make_net()
    optimizer = SGD(net.parameters(), lr=kind(0.3), momentum=0.9)
    scheduler = Zenith(optimizer, window=WINDOW)
    model = torch.compile(net, backend=backend) if compiled == "model" else net

    def step():
        optimizer.step()

    if compiled == "step":
        step = torch.compile(step, backend=backend)

    def iteration(x, y):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        step()

    if compiled == "whole":
        iteration = torch.compile(iteration, backend=backend)

    lrs = []
    for t, batch in zip(range(steps), batches(), strict=False):
        stance = "default" if t < settled_after else "fail_on_recompile"
        with torch.compiler.set_stance(stance):
            iteration(*batch)
        lrs.append(float(optimizer.param_groups[0]["lr"]))
    assert len(scheduler.state_dict()["history"]["norms"]) == min(WINDOW, steps)
    return lrs


@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])
@pytest.mark.parametrize("compiled", ["model", "step", "whole"])
def test_what_is_compiled_changes_no_learning_rate(compiled, kind):
    expected = train(kind, None)
    assert min(expected) < 0.9 * 0.3
    assert train(kind, compiled) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("compiled", ["model", "step", "whole"])
def test_a_tensor_learning_rate_compiles_nothing_after_two_steps(compiled):
    train(torch.tensor, compiled, settled_after=2)


def test_a_float_learning_rate_compiles_the_step_anew_when_it_first_changes():
    with pytest.raises(RuntimeError, match="recompile"):
        train(float, "step", settled_after=WINDOW)
    torch.compiler.reset()
    train(float, "step", settled_after=2 * WINDOW + 2)  # and is a variable from then on
    torch.compiler.reset()
    train(float, "model", settled_after=2)  # the model knows nothing of it


def test_the_default_backend_too():
    assert train(torch.tensor, "step", backend="inductor", settled_after=2, steps=12) == (
        pytest.approx(train(torch.tensor, None, steps=12), rel=1e-6)
    )
