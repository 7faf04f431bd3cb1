"""What every method promises, whoever wrote it: honest figures, exact resumes, clean errors."""

import io
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="the methods need PyTorch")

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.errors import RequestError
from experiments.methods import METHODS, Method, ModelBatch, Plan, Training
from tests.methods.networks import network, same

STEPS = 30
PLAN = Plan(lr=0.1, momentum=0.9, window=5, total_steps=STEPS, steps_per_epoch=2)
ON_THE_GRADIENT = [  # those whose step is along the gradient of the minibatch alone
    "zenith", "constant", "cosine", "step", "linear", "one-cycle", "polynomial", "exponential",
    "plateau", "cocob", "l4", "alig", "lqa", "lqa-consistent", "sps", "sps-smooth", "dadapt-sgd",
    "dog", "dog-averaged", "dowg", "qlabgrad", "qlabgrad-fixed", "gen",
]  # fmt: skip


_generator = torch.Generator().manual_seed(3)
X = torch.randn(STEPS, 12, 1, 6, 6, generator=_generator)
Y = torch.randint(0, 3, (STEPS, 12), generator=_generator)
X[:, :, 0, 0, 0] += 3 * Y  # something to learn


class Counting(ModelBatch):
    """One that counts its forward passes."""

    def __init__(self, model: nn.Module, t: int) -> None:
        super().__init__(model, lambda: self._count(cross_entropy(model(X[t]), Y[t])))
        self.forwards = 0

    def _count(self, loss: Tensor) -> Tensor:
        self.forwards += 1
        return loss


def start(name: str, model: nn.Module, plan: Plan = PLAN) -> Training:
    """The training, or a skip where its library is not installed."""
    try:
        return METHODS[name].start(model, plan)
    except RequestError as error:
        pytest.skip(str(error))


def save(model: nn.Module, training: Training) -> bytes:
    file = io.BytesIO()
    torch.save([model.state_dict(), training.state_dict(), torch.get_rng_state()], file)
    return file.getvalue()


def read(saved: bytes) -> list[Any]:
    # As whoever does not trust the file reads it.
    content: list[Any] = torch.load(io.BytesIO(saved), weights_only=True)
    return content


def load(saved: bytes, model: nn.Module, training: Training) -> None:
    weights, state, random = read(saved)
    model.load_state_dict(weights)
    training.load_state_dict(state)
    torch.set_rng_state(random)


@pytest.mark.parametrize("name", METHODS)
def test_a_run_resumes_bit_for_bit_at_every_step(name: str) -> None:
    model = network()
    training = start(name, model)
    saved: list[bytes] = []
    lrs: list[float] = []
    for t in range(STEPS):
        saved.append(save(model, training))
        training.step(Counting(model, t))
        lrs.append(training.effective_lr())
    end = read(save(model, training))

    exact = True
    for at in range(STEPS):
        # A process that begins anew knows neither weights nor random state.
        model = network()
        torch.manual_seed(at)
        training = start(name, model)
        load(saved[at], model, training)
        assert math.isnan(lrs[at - 1]) or training.effective_lr() == (lrs[at - 1] if at else 0.1)
        for t in range(at, STEPS):
            training.step(Counting(model, t))
            exact = exact and training.effective_lr() == lrs[t]
        exact = exact and same(read(save(model, training)), end)
    assert exact == METHODS[name].resumable


@pytest.mark.parametrize("name", METHODS)
def test_evaluating_changes_nothing(name: str) -> None:
    with_it, without = network(), network()
    evaluated, plain = start(name, with_it), start(name, without)
    for t in range(10):
        before = with_it.state_dict()
        weights = {key: value.clone() for key, value in before.items()}
        with evaluated.evaluating():
            assert all(torch.isfinite(p).all() for p in with_it.parameters())
        assert all(torch.equal(with_it.state_dict()[key], weights[key]) for key in weights)
        torch.manual_seed(t)
        evaluated.step(Counting(with_it, t))
        torch.manual_seed(t)
        plain.step(Counting(without, t))
    assert same(read(save(with_it, evaluated)), read(save(without, plain)))


@pytest.mark.parametrize("name", ["dog-averaged", "schedule-free"])
def test_who_averages_is_judged_by_the_average_and_trains_on_after_an_error(name: str) -> None:
    model = network()
    training = start(name, model)
    for t in range(5):
        training.step(Counting(model, t))
    own = [p.detach().clone() for p in model.parameters()]
    seen: list[bool] = []

    def evaluate() -> None:
        with training.evaluating():
            seen.extend(torch.equal(p, q) for p, q in zip(model.parameters(), own, strict=True))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate()
    assert not all(seen)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), own, strict=True))
    training.step(Counting(model, 5))


def test_the_average_of_dog_is_the_polynomial_one() -> None:
    model = network()
    training = start("dog-averaged", model)
    expected = [p.detach().double() for p in model.parameters()]
    for t in range(1, 21):
        training.step(Counting(model, t))
        share = 9 / (8 + t)
        expected = [
            (1 - share) * mean + share * p.detach()
            for mean, p in zip(expected, model.parameters(), strict=True)
        ]
    with training.evaluating():
        for p, mean in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.detach().double(), mean, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ON_THE_GRADIENT)
def test_the_effective_step_size_is_how_far_the_weights_moved(name: str) -> None:
    model = network().double()
    training = start(name, model, replace(PLAN, momentum=0.0))
    assert training.effective_lr() == 0.1
    for t in range(12):
        before = torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()])
        training.step(_double(model, t))
        after = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
        gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
        moved = float((after - before).norm() / gradient.norm())
        assert abs(training.effective_lr()) == pytest.approx(moved, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "direction"),
    [("pal", "direction"), ("l4-mom", "mean"), ("momo", "grad_avg")],
)
def test_or_how_far_along_the_direction_of_the_rule(name: str, direction: str) -> None:
    model = network().double()
    training = start(name, model)
    for t in range(12):
        before = torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()])
        training.step(_double(model, t))
        after = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
        state = training.optimizer.state
        along = torch.cat([state[p][direction].reshape(-1) for p in model.parameters()])
        if name == "l4-mom":  # the raw mean is kept; the rule's direction is without its bias
            along = along / (1 - 0.9 ** (t + 1))
        moved = float((after - before).norm() / along.norm())
        assert abs(training.effective_lr()) == pytest.approx(moved, rel=1e-6)


def _double(model: nn.Module, t: int) -> ModelBatch:
    return ModelBatch(model, lambda: cross_entropy(model(X[t].double()), Y[t]))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_needs_what_it_says_and_probes_as_often_as_it_says(name: str) -> None:
    model = network()
    training = start(name, model)
    batches = [Counting(model, t) for t in range(28)]
    for batch in batches:
        training.step(batch)
    assert sum(batch.forwards - 1 for batch in batches) == 28 * METHODS[name].probes
    assert (METHODS[name].probes > 0) == (METHODS[name].needs == "probes")


@pytest.mark.parametrize("name", METHODS)
def test_a_capped_method_never_steps_further_than_the_learning_rate(name: str) -> None:
    model = network()
    training = start(name, model, replace(PLAN, lr=1e-3))
    largest = 0.0
    for t in range(STEPS):
        training.step(Counting(model, t))
        largest = max(largest, abs(training.effective_lr()))
    if METHODS[name].capped:
        assert largest <= 1e-3 * (1 + 1e-12)
    elif METHODS[name].kind == "automatic":
        slow = {"dog", "dog-averaged", "dadapt-sgd", "dowg", "prodigy"}  # to start
        assert largest > 1e-3 or name in slow


@pytest.mark.parametrize("name", METHODS)
def test_a_state_of_another_method_is_refused_and_changes_nothing(name: str) -> None:
    model = network()
    training = start(name, model)
    training.step(Counting(model, 0))
    before = read(save(model, training))[:2]
    other_model = network()
    other = start("linear" if name == "cosine" else "cosine", other_model)
    for state in (other.state_dict(), {}, None, {**training.state_dict(), "more": 1}):
        with pytest.raises(ValueError, match=r"state must .*Received: "):
            training.load_state_dict(state)  # type: ignore[arg-type]
    assert same(read(save(model, training))[:2], before)


@pytest.mark.parametrize("name", METHODS)
def test_a_state_of_another_model_is_refused_and_changes_nothing(name: str) -> None:
    model = network()
    training = start(name, model)
    training.step(Counting(model, 0))
    before = read(save(model, training))[:2]
    small = start(name, nn.Linear(2, 1))
    with pytest.raises(ValueError, match="of the same model"):
        training.load_state_dict(small.state_dict())
    assert same(read(save(model, training))[:2], before)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("zenith", "scheduler"),
        ("cosine", "scheduler"),
        ("plateau", "epoch"),
        ("dog-averaged", "averager"),
        ("momo", "forgotten"),
    ],
)
def test_a_state_that_breaks_off_half_way_changes_nothing(name: str, part: str) -> None:
    model = network()
    training = start(name, model)
    training.step(Counting(model, 0))
    before = read(save(model, training))[:2]
    other_model = network()
    other = start(name, other_model)
    for t in range(1, 8):
        other.step(Counting(other_model, t))
    state = other.state_dict()
    with pytest.raises(ValueError, match=rf"state\['{part}'\] must have .*Received: "):
        training.load_state_dict({**state, part: {}})
    broken = dict.fromkeys(state[part], "broken")
    if name not in ("cosine", "momo"):  # whose library takes whatever values there are
        with pytest.raises(ValueError, match="of the same model"):
            training.load_state_dict({**state, part: broken})
    assert same(read(save(model, training))[:2], before)


@pytest.mark.parametrize("name", ["cocob", "momo"])
def test_a_clean_measurement_has_no_step_size_where_telling_it_costs(name: str) -> None:
    model = network()
    training = start(name, model, replace(PLAN, log_lr=False))
    training.step(Counting(model, 0))
    assert math.isnan(training.effective_lr())


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.knows_budget])
def test_who_knows_the_budget_must_be_told_it_and_stops_there(name: str) -> None:
    with pytest.raises(ValueError, match=r"total_steps must be at least 1 .*Received: 0"):
        METHODS[name].start(network(), replace(PLAN, total_steps=0))
    model = network()
    training = METHODS[name].start(model, replace(PLAN, total_steps=3))
    for t in range(3):
        training.step(Counting(model, t))
    with pytest.raises(RuntimeError, match="told 3 steps, and they are done"):
        training.step(Counting(model, 3))


@pytest.mark.parametrize("name", METHODS)
def test_weight_decay_pulls_towards_zero(name: str) -> None:
    ends: list[float] = []
    for decay in (0.0, 0.5):
        model = network()
        training = start(name, model, replace(PLAN, weight_decay=decay))
        for t in range(STEPS):
            training.step(Counting(model, t))
        ends.append(float(sum(p.detach().square().sum() for p in model.parameters())))
    assert ends[1] != ends[0]
    slow = {"dadapt-sgd", "dog", "dog-averaged", "dowg"}  # in 30 steps they have hardly moved
    assert name in slow or ends[1] < ends[0]


def test_methods_are_listed_without_their_libraries_and_say_what_is_missing() -> None:
    script = """
import sys
for missing in ("parameterfree", "dog", "dadaptation", "prodigyopt", "pytorch_optimizer",
                "schedulefree", "momo"):
    sys.modules[missing] = None
import torch
from experiments.errors import RequestError
from experiments.methods import METHODS, Plan
for name, method in METHODS.items():
    try:
        method.start(torch.nn.Linear(2, 1), Plan(total_steps=1))
    except RequestError as error:
        print(name, "|", error)
"""
    done = subprocess.run(  # noqa: S603 (our own lines, in an interpreter without the libraries)
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(" | ") for line in done.stdout.splitlines())
    by_library = {n for n, m in METHODS.items() if m.kind == "automatic" and m.source != "by hand"}
    assert set(said) == by_library
    for name, line in said.items():
        distribution = METHODS[name].source.split(" ")[0]
        assert f"pip install {distribution}" in line
        assert "zenith-lr[experiments]" in line


def test_names_and_labels_are_told_apart() -> None:
    methods: list[Method] = list(METHODS.values())
    assert all(name == method.name for name, method in METHODS.items())
    assert len({method.label for method in methods}) == len(methods)
    assert all(method.reference and method.source for method in methods)


def test_the_library_of_momo_alone_does_not_resume() -> None:
    """Why the adapter saves three attributes more; if this fails, it need no longer."""
    momo: Any = pytest.importorskip("momo", reason="momo-opt is not installed")
    ends: list[Tensor] = []
    for cut in (False, True):
        w = nn.Parameter(torch.ones(3))
        optimizer = momo.Momo([w])
        for t in range(6):
            if cut and t == 3:
                state = optimizer.state_dict()
                optimizer = momo.Momo([w])
                optimizer.load_state_dict(state)
            w.grad = torch.tensor([1.0, float(t), -1.0])
            optimizer.step(loss=torch.tensor(2.0 + t))
        ends.append(w.detach())
    assert not torch.equal(*ends)
