"""Every way to step an optimizer, against Algorithm 1 in float64 on the same gradients."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from tests.oracle import algorithm_1
from tests.torch.problem import backward, batches, loss_of, make_net
from zenith.torch import Zenith

Step = Callable[[nn.Module, Optimizer, Zenith, object], None]


@dataclass
class Recorder:
    """What the optimizer receives at each real step, and the learning rates that it then used."""

    grads: list[list[Tensor]] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)  # where the rule is to see another gradient
    lrs: list[list[float]] = field(default_factory=list)


def record(net: nn.Module, recorder: Recorder, divisor: float = 1.0) -> bool:
    grads = [p.grad.double() / divisor for p in net.parameters()]
    finite = all(bool(grad.isfinite().all()) for grad in grads)
    if finite:
        recorder.grads.append(grads)
    return finite


def plain(net, optimizer, data, recorder, scheduler):
    backward(net, next(data))
    record(net, recorder)
    optimizer.step()


def with_closure(net, optimizer, data, recorder, scheduler):
    batch = next(data)

    def closure():
        loss = backward(net, batch)
        record(net, recorder)
        return loss

    optimizer.step(closure)


def accumulated(net, optimizer, data, recorder, scheduler):
    net.zero_grad()
    for _ in range(3):
        (loss_of(net, next(data)) / 3).backward()
        scheduler.step()  # as some trainers do on micro-batches
    record(net, recorder)
    optimizer.step()


def clipped_and_observed(net, optimizer, data, recorder, scheduler):
    backward(net, next(data))
    before = torch.stack([p.grad.double().norm() for p in net.parameters()]).norm()
    recorder.norms.append(float(before))
    returned = scheduler.observe(nn.utils.clip_grad_norm_(net.parameters(), 0.5))
    torch.testing.assert_close(returned.double(), before)
    record(net, recorder)
    optimizer.step()


def scaled(unscale_first: bool):
    # Doubles every fourth step, so it overflows again and again. Not at the first step: torch's
    # fused SGD then takes uninitialised memory for its momentum (2.13, without Zenith too).
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**17, growth_interval=4)

    def step(net, optimizer, data, recorder, scheduler):
        net.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = loss_of(net, next(data))
        scaler.scale(loss).backward()
        scale = scaler.get_scale()
        before = [p.detach().clone() for p in net.parameters()]
        if unscale_first:
            scaler.unscale_(optimizer)
        moves = record(net, recorder, 1.0 if unscale_first else scale)
        step.overflows += not moves
        scaler.step(optimizer)
        scaler.update()
        same = all(torch.equal(*pair) for pair in zip(before, net.parameters(), strict=True))
        assert moves != same

    step.overflows = 0
    return step


SGD_MOMENTUM = {"lr": 0.1, "momentum": 0.9}
CASES = {
    "plain": (SGD, {"lr": 0.1}, plain),
    "momentum": (SGD, SGD_MOMENTUM, plain),
    "nesterov": (SGD, SGD_MOMENTUM | {"nesterov": True}, plain),
    "weight decay": (SGD, SGD_MOMENTUM | {"weight_decay": 5e-4}, plain),
    "adamw": (AdamW, {"lr": 1e-3}, plain),
    "adamw fused": (AdamW, {"lr": 1e-3, "fused": True}, plain),
    "for-loop": (SGD, SGD_MOMENTUM | {"foreach": False}, plain),
    "foreach": (SGD, SGD_MOMENTUM | {"foreach": True}, plain),
    "fused": (SGD, SGD_MOMENTUM | {"fused": True}, plain),
    "closure": (SGD, SGD_MOMENTUM, with_closure),
    "accumulation": (SGD, SGD_MOMENTUM, accumulated),
    "clipping, observed": (SGD, SGD_MOMENTUM, clipped_and_observed),
    "scaler": (SGD, SGD_MOMENTUM, lambda: scaled(unscale_first=False)),
    "scaler, unscaled first": (SGD, SGD_MOMENTUM, lambda: scaled(unscale_first=True)),
    "scaler, fused": (SGD, SGD_MOMENTUM | {"fused": True}, lambda: scaled(unscale_first=False)),
    "scaler, fused, unscaled first": (
        SGD,
        SGD_MOMENTUM | {"fused": True},
        lambda: scaled(unscale_first=True),
    ),
}


@pytest.mark.parametrize("tensor_lr", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("window", [1, 2, 5, 50, 500])
@pytest.mark.parametrize("case", CASES)
def test_eta_and_weights_are_those_of_algorithm_1(case, window, tensor_lr):
    optimizer_class, options, step = CASES[case]
    if case.startswith("scaler"):
        step = step()
    if tensor_lr and options.get("foreach"):
        pytest.skip("torch refuses a Tensor lr with foreach=True unless it is capturable")
    net = make_net()
    reference = [p.detach().double().requires_grad_() for p in net.parameters()]

    eta_0 = [options["lr"], options["lr"] / 4]  # two groups

    def groups(params, kind):
        halves = params[:3], params[3:]
        return [{"params": half, "lr": kind(lr)} for half, lr in zip(halves, eta_0, strict=True)]

    rest = {key: value for key, value in options.items() if key != "lr"}
    kind = torch.tensor if tensor_lr else float
    optimizer = optimizer_class(groups([*net.parameters()], kind), **rest)
    scheduler = Zenith(optimizer, window=window)
    recorder, data = Recorder(), batches()
    steps = 700 if window == 500 else 320 if "scaler" not in case else 420
    for _ in range(steps):
        taken = len(recorder.grads)
        step(net, optimizer, data, recorder, scheduler)
        if len(recorder.grads) > taken:
            recorder.lrs.append([float(value) for value in scheduler.get_last_lr()])

    plain_options = rest | {"foreach": False, "fused": False}
    oracle = optimizer_class(groups(reference, float), **plain_options)
    iterate = algorithm_1(window)
    for t, grads in enumerate(recorder.grads):
        norm = float(torch.stack([grad.norm() for grad in grads]).norm())
        scale = iterate(recorder.norms[t] if recorder.norms else norm)
        exact = [lr * scale for lr in eta_0]
        assert recorder.lrs[t] == pytest.approx(exact, rel=1e-6)
        for group, eta in zip(oracle.param_groups, exact, strict=True):
            group["lr"] = eta
        for p, grad in zip(reference, grads, strict=True):
            p.grad = grad
        oracle.step()
    flat = torch.cat([p.detach().flatten() for p in reference])
    trained = torch.cat([p.detach().flatten() for p in net.parameters()]).double()
    assert float((trained - flat).norm() / flat.norm()) <= 1e-5
    assert len(recorder.grads) >= 300
    assert scheduler.skipped == 0
    assert min(recorder.lrs) < [0.99 * lr for lr in eta_0]  # a constant one would prove nothing
    if case.startswith("scaler"):
        assert step.overflows > 20


def test_the_comparison_can_tell_a_learning_rate_that_is_one_step_late():
    net = make_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    scheduler = Zenith(optimizer, window=5)
    recorder, data, late = Recorder(), batches(), []
    for _ in range(50):
        late.append(optimizer.param_groups[0]["lr"])
        plain(net, optimizer, data, recorder, scheduler)
    iterate = algorithm_1(5)
    exact = [
        0.1 * iterate(float(torch.stack([grad.norm() for grad in grads]).norm()))
        for grads in recorder.grads
    ]
    assert late != pytest.approx(exact, rel=1e-6)
    assert late[1:] == pytest.approx(exact[:-1], rel=1e-6)
