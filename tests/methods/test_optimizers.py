"""The hand-written optimizers, taken away from here: groups, penalties, saving, clear errors."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch", reason="the methods need PyTorch")

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from experiments.methods._one_step_size import OneStepSize
from experiments.methods.dowg import DoWG
from experiments.methods.gen import GeN
from experiments.methods.l4 import L4
from experiments.methods.lqa import LQA
from experiments.methods.pal import PAL
from experiments.methods.qlabgrad import QLABGrad
from experiments.methods.sps import SPS
from zenith.torch import Zenith

Make = Callable[..., OneStepSize]
MAKES: dict[str, Make] = {
    "PAL": PAL,
    "LQA": LQA,
    "LQA, consistent": lambda params, **options: LQA(params, mode="consistent", **options),
    "GeN": GeN,
    "L4": L4,
    "L4Mom": lambda params, **options: L4(params, "mean", **options),
    "SPS": SPS,
    "SPS, smoothed": lambda params, **options: SPS(params, growth=2.0, **options),
    "QLABGrad": QLABGrad,
    "DoWG": DoWG,
}
PROBING = (PAL, LQA, GeN, QLABGrad)
every = pytest.mark.parametrize("name", MAKES)


class Fit:
    """Logistic regression in float64; a third parameter takes no part in it."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(20, 4, generator=generator, dtype=torch.float64).to(dtype)
        self.y = (self.x[:, 0] > 0).to(dtype)
        self.w = nn.Parameter(torch.tensor([0.3, -0.2, 0.1, 0.4], dtype=dtype))
        self.b = nn.Parameter(torch.tensor([0.2], dtype=dtype))
        self.idle = nn.Parameter(torch.ones(2, dtype=dtype))
        self.params = [self.w, self.b, self.idle]

    def loss(self, decay: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        margin = (self.x @ self.w + self.b) * (2 * self.y - 1)
        penalty = decay[0] / 2 * self.w @ self.w + decay[1] / 2 * self.b @ self.b
        return torch.log1p(torch.exp(-margin)).mean() + penalty

    def step(self, optimizer: OneStepSize, decay: tuple[float, float] = (0.0, 0.0)) -> Any:
        def closure() -> Tensor:
            for p in self.params:
                p.grad = None
            loss = self.loss(decay)
            loss.backward()
            return loss

        step: Any = optimizer.step
        if isinstance(optimizer, PROBING):
            return step(closure, lambda: self.loss(decay))
        return step(closure)


@every
def test_it_learns_and_returns_the_loss(name: str) -> None:
    fit = Fit()
    optimizer = MAKES[name](fit.params)
    losses = [float(fit.step(optimizer).detach()) for _ in range(60)]
    assert losses[-1] < losses[0]
    assert torch.equal(fit.idle, torch.ones(2, dtype=torch.float64))
    assert not optimizer.state.get(fit.idle)


@every
def test_weight_decay_is_the_penalty_written_into_the_loss_group_by_group(name: str) -> None:
    one, two = Fit(), Fit()
    groups = [
        {"params": [one.w], "weight_decay": 0.3},
        {"params": [one.b, one.idle]},
    ]
    optimizer = MAKES[name](groups, weight_decay=0.1)
    other = MAKES[name](two.params)
    for _ in range(10):
        one.step(optimizer)
        two.step(other, (0.3, 0.1))
        torch.testing.assert_close(one.w, two.w, rtol=1e-9, atol=0)
        torch.testing.assert_close(one.b, two.b, rtol=1e-9, atol=0)
    assert torch.equal(one.idle, torch.ones(2, dtype=torch.float64))


@every
def test_groups_change_nothing_but_their_penalty(name: str) -> None:
    one, two = Fit(), Fit()
    optimizer = MAKES[name]([{"params": [one.w]}, {"params": [one.b]}])
    other = MAKES[name](two.params)
    for _ in range(10):
        one.step(optimizer)
        two.step(other)
    torch.testing.assert_close(one.w, two.w, rtol=1e-12, atol=0)


@every
def test_a_group_that_comes_later_shares_what_is_remembered(name: str) -> None:
    fit = Fit()
    optimizer = MAKES[name]([fit.w])
    for _ in range(5):
        fit.step(optimizer)
    optimizer.add_param_group({"params": [fit.b]})
    first, second = ({k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups)
    assert first == second
    fit.step(optimizer)
    assert optimizer.param_groups[0]["step_size"] == optimizer.param_groups[1]["step_size"]


@every
def test_a_copy_and_a_pickle_go_on_bit_for_bit(name: str) -> None:
    fit = Fit()
    optimizer = MAKES[name](fit.params)
    for _ in range(5):
        fit.step(optimizer)
    pickled = pickle.dumps((fit, optimizer))
    for clone, twin in (copy.deepcopy((fit, optimizer)), pickle.loads(pickled)):  # noqa: S301
        original = copy.deepcopy((fit, optimizer))
        for _ in range(5):
            clone.step(twin)
            original[0].step(original[1])
        assert torch.equal(clone.w, original[0].w)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_works_too(name: str, dtype: torch.dtype) -> None:
    fit = Fit(dtype)
    optimizer = MAKES[name](fit.params)
    for _ in range(5):
        fit.step(optimizer)
    assert fit.w.dtype == dtype
    assert torch.isfinite(fit.w).all()


@every
def test_memory_of_any_layout_counts_alike(name: str) -> None:
    images = torch.randn(4, 3, 8, 8)
    ends: list[Tensor] = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        net = nn.Conv2d(3, 4, 3, bias=False).double().to(memory_format=layout)
        optimizer = MAKES[name](net.parameters())

        def loss(net: nn.Module = net) -> Tensor:
            return net(images.double()).square().mean()

        def closure(net: nn.Module = net, loss: Callable[[], Tensor] = loss) -> Tensor:
            net.zero_grad()
            value = loss()
            value.backward()
            return value

        step: Any = optimizer.step
        for _ in range(4):
            _ = step(closure, loss) if isinstance(optimizer, PROBING) else step(closure)
        ends.append(net.weight.detach().contiguous())
    torch.testing.assert_close(*ends, rtol=1e-9, atol=1e-12)


@every
def test_without_a_gradient_nothing_happens(name: str) -> None:
    fit = Fit()
    optimizer = MAKES[name]([fit.idle])
    step: Any = optimizer.step
    before = copy.deepcopy(optimizer.state_dict())
    assert float(fit.step(optimizer).detach()) > 0
    assert optimizer.state_dict() == before
    assert torch.equal(fit.idle, torch.ones(2, dtype=torch.float64))
    assert callable(step)


@every
def test_a_gradient_of_zero_moves_nothing_and_breaks_nothing(name: str) -> None:
    fit = Fit()
    optimizer = MAKES[name](fit.params)
    before = fit.w.detach().clone()
    step: Any = optimizer.step

    def closure() -> Tensor:
        for p in fit.params:
            p.grad = None
        value = fit.loss() * 0 + 1
        value.backward()
        return value

    _ = step(closure, lambda: 1.0) if isinstance(optimizer, PROBING) else step(closure)
    assert torch.equal(fit.w.detach(), before)
    fit.step(optimizer)
    assert torch.isfinite(fit.w).all()


@every
def test_no_scheduler_finds_a_learning_rate_that_it_could_set(name: str) -> None:
    optimizer = MAKES[name](Fit().params)
    with pytest.raises(KeyError, match="lr"):
        StepLR(optimizer, 1)
    with pytest.raises(ValueError, match="no 'lr'"):
        Zenith(optimizer)


@pytest.mark.parametrize("name", [name for name in MAKES if name != "DoWG"])
@pytest.mark.parametrize("closure", [None, 3.0, lambda: None, lambda: torch.ones(2)])
def test_a_closure_must_return_the_loss(name: str, closure: Any) -> None:
    fit = Fit()
    optimizer = MAKES[name](fit.params)
    step: Any = optimizer.step
    with pytest.raises(TypeError, match=r"closure .*Received: "):
        _ = step(closure, fit.loss) if isinstance(optimizer, PROBING) else step(closure)


@pytest.mark.parametrize("name", ["PAL", "LQA", "GeN", "QLABGrad"])
@pytest.mark.parametrize("probe", [None, lambda: None])
def test_a_probe_must_return_the_loss_and_the_weights_stay(name: str, probe: Any) -> None:
    fit = Fit()
    optimizer = MAKES[name](fit.params)
    before = fit.w.detach().clone()

    def closure() -> Tensor:
        loss = fit.loss()
        loss.backward()
        return loss

    step: Any = optimizer.step
    with pytest.raises(TypeError, match=r"probe.*Received: None"):
        step(closure, probe)
    assert torch.equal(fit.w.detach(), before)


@every
def test_the_gradients_may_be_there_already(name: str) -> None:
    one, two = Fit(), Fit()
    optimizer, other = MAKES[name](one.params), MAKES[name](two.params)
    loss = one.loss()
    loss.backward()
    step: Any = optimizer.step
    if isinstance(optimizer, PROBING):
        step(lambda: loss, one.loss)
    elif isinstance(optimizer, DoWG):
        step()
    else:
        step(lambda: float(loss.detach()))
    two.step(other)
    assert torch.equal(one.w, two.w)


@every
def test_what_one_step_size_has_no_meaning_for_is_refused(name: str) -> None:
    make = MAKES[name]
    w = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"may have 'params' and 'weight_decay'.*\['lr'\]"):
        make([{"params": [w], "lr": 0.1}])
    with pytest.raises(ValueError, match=r"weight_decay .*at least 0. Received: -1.0"):
        make([w], weight_decay=-1.0)
    with pytest.raises(ValueError, match=r"of a parameter group must be at least 0. Received: -1"):
        make([{"params": [w], "weight_decay": -1.0}])
    with pytest.raises(TypeError, match=r"must be real. Received: torch.complex64"):
        make([nn.Parameter(torch.ones(2, dtype=torch.complex64))])
    optimizer = make([w])
    w.grad = torch.sparse_coo_tensor([[0]], [1.0], (2,), check_invariants=True)
    step: Any = optimizer.step
    with pytest.raises(TypeError, match="must be dense"):
        _ = step(lambda: 1.0, lambda: 1.0) if isinstance(optimizer, PROBING) else step(lambda: 1.0)
    assert torch.equal(w.detach(), torch.ones(2))


@every
def test_a_state_of_another_optimizer_is_refused(name: str) -> None:
    fit = Fit()
    optimizer = MAKES[name](fit.params)
    fit.step(optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    foreign = torch.optim.SGD(fit.params, lr=0.1).state_dict()
    with pytest.raises(ValueError, match=r"state_dict must be one of .*Received: "):
        optimizer.load_state_dict(foreign)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (PAL, ["mu=0", "max_step=-1", "beta=1", "alpha=0", "mu=inf"]),
        (LQA, ["max_lr=0", "mode='exact'", "steps_per_epoch=0"]),
        (GeN, ["lr=nan", "every=0", "smoothing=1"]),
        (L4, ["direction='adam'", "alpha=-1", "gamma=2", "tau=0", "beta=1", "initial=2", "eps=0"]),
        (SPS, ["max_lr=inf", "c=0", "f_star=nan", "growth=1", "steps_per_epoch=0", "eps=-1"]),
        (QLABGrad, ["max_lr=0", "beta=-1"]),
        (DoWG, ["r_eps=0", "eps=nan"]),
    ],
)
def test_an_option_out_of_range_is_named(make: Make, options: list[str]) -> None:
    for option in options:
        name, _, value = option.partition("=")
        literal = eval(value, {"nan": float("nan"), "inf": float("inf")})  # noqa: S307 (from above)
        with pytest.raises(ValueError, match=rf"^{name} must be .*\. Received: "):
            make([nn.Parameter(torch.ones(1))], **{name: literal})
