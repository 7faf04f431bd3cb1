"""schedule=: every scheduler of torch, and a plain function, times the scale."""

import copy
import inspect

import pytest
import torch
from torch.optim import SGD, lr_scheduler, swa_utils

from tests.torch.problem import backward, batches, make_net
from zenith.torch import Zenith

SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 0.95**t),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda t: 0.97),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 5, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [4, 9, 9], 0.5),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 6),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, 1.0, 8),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 25, 2.0),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 20, 1e-3),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5, 2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.2, 4),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=40),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=2),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.LinearLR(o, 0.1, 1.0, 4), lr_scheduler.CosineAnnealingLR(o, 15)],
        [4],
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 6), lr_scheduler.ExponentialLR(o, 0.9)], o
    ),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.02, anneal_epochs=7),
}
as_tensor = pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])


def make_optimizer(net, kind=float):
    halves = [[*net.parameters()][:3], [*net.parameters()][3:]]
    return SGD(
        [{"params": half, "lr": kind(lr)} for half, lr in zip(halves, (0.1, 0.05), strict=True)],
        momentum=0.9,
    )


def step_arguments(name):
    return [1.0] if name == "ReduceLROnPlateau" else []


def floats(lrs):
    return [float(lr) for lr in lrs]


def test_no_scheduler_of_torch_is_left_out():
    public = {
        name
        for module in (lr_scheduler, swa_utils)
        for name in module.__all__
        if inspect.isclass(getattr(module, name))
        and issubclass(getattr(module, name), lr_scheduler.LRScheduler)
    }
    assert public - {"LRScheduler"} == set(SCHEDULERS)


@as_tensor
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_of_torch_gives_its_learning_rate_times_the_scale(name, kind):
    alone_net, net = make_net(), make_net()
    alone_optimizer, optimizer = make_optimizer(alone_net, kind), make_optimizer(net, kind)
    alone = SCHEDULERS[name](alone_optimizer)
    scheduler = Zenith(optimizer, window=5, schedule=SCHEDULERS[name](optimizer))
    data, alone_data = batches(), batches()
    scales, moved = [], set()
    for _ in range(30):
        backward(net, next(data))
        backward(alone_net, next(alone_data))
        optimizer.step()
        expected = [lr * scheduler.scale for lr in floats(alone.get_last_lr())]
        assert floats(group["lr"] for group in optimizer.param_groups) == pytest.approx(
            expected, rel=1e-6
        )
        alone_optimizer.step()
        alone.step(*step_arguments(name))
        scheduler.step(*step_arguments(name))
        # At once, as every logger reads it after step().
        expected = [lr * scheduler.scale for lr in floats(alone.get_last_lr())]
        assert floats(scheduler.get_last_lr()) == pytest.approx(expected, rel=1e-6)
        scales.append(scheduler.scale)
        moved.add(float(alone.get_last_lr()[0]))
    assert min(scales) < 0.98
    assert len(moved) > 1


@as_tensor
@pytest.mark.parametrize("name", SCHEDULERS)
def test_resume_with_any_scheduler_is_bit_exact(name, kind, tmp_path):
    def build(net):
        optimizer = make_optimizer(net, kind)
        return optimizer, Zenith(optimizer, window=5, schedule=SCHEDULERS[name](optimizer))

    def run(net, optimizer, scheduler, data, steps):
        lrs = []
        for _ in range(steps):
            backward(net, next(data))
            optimizer.step()
            lrs.append(floats(scheduler.get_last_lr()))
            scheduler.step(*step_arguments(name))
        return lrs

    net, data = make_net(), batches()
    optimizer, scheduler = build(net)
    run(net, optimizer, scheduler, data, 8)
    state = {"net": net, "optimizer": optimizer, "scheduler": scheduler}
    torch.save({k: v.state_dict() for k, v in state.items()}, tmp_path / "checkpoint")
    saved = torch.load(tmp_path / "checkpoint", weights_only=True)
    lrs = run(net, optimizer, scheduler, data, 12)

    twin, data = make_net(1), batches()
    twin_optimizer, twin_scheduler = build(twin)
    for _ in range(8):
        next(data)
    twin.load_state_dict(saved["net"])
    twin_optimizer.load_state_dict(saved["optimizer"])
    twin_scheduler.load_state_dict(saved["scheduler"])
    assert run(twin, twin_optimizer, twin_scheduler, data, 12) == lrs
    assert all(torch.equal(*pair) for pair in zip(net.parameters(), twin.parameters(), strict=True))


@as_tensor
def test_a_function_gets_the_number_of_steps_so_far(kind):
    net = make_net()
    optimizer = make_optimizer(net, kind)
    asked = []

    def warm_up(step):
        asked.append(step)
        return min(1.0, (step + 1) / 10)

    scheduler = Zenith(optimizer, window=5, schedule=warm_up)
    data = batches()
    for t in range(20):
        backward(net, next(data))
        optimizer.step()
        factor = min(1.0, (t + 1) / 10)
        assert floats(group["lr"] for group in optimizer.param_groups) == pytest.approx(
            [0.1 * factor * scheduler.scale, 0.05 * factor * scheduler.scale], rel=1e-6
        )
        scheduler.step()
    assert asked[1:] == [*range(20)]


@pytest.mark.parametrize("fused", [False, True])
@as_tensor
def test_a_step_that_the_scaler_skips_is_no_step_to_the_function(kind, fused):
    net = make_net()
    optimizer = SGD(net.parameters(), lr=kind(0.1), fused=fused)
    scheduler = Zenith(optimizer, window=5, schedule=lambda step: 1 / (1 + step))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    data, moves = batches(), 0
    for t in range(12):
        scaler.scale(backward(net, next(data)).detach())
        for p in net.parameters():
            p.grad *= scaler.get_scale() if t % 3 else float("inf")
        state = scheduler.state_dict()
        scaler.step(optimizer)
        scaler.update()
        if t % 3:
            lr = float(optimizer.param_groups[0]["lr"])
            assert lr == pytest.approx(0.1 * scheduler.scale / (1 + moves), rel=1e-6)
            moves += 1
        else:
            assert scheduler.state_dict() == state


def test_the_other_schedulers_own_step_is_reported_with_the_way_out():
    net = make_net()
    optimizer = make_optimizer(net)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, 10)
    scheduler = Zenith(optimizer, window=5, schedule=cosine)
    data = batches()
    backward(net, next(data))
    optimizer.step()
    cosine.step()
    with pytest.raises(RuntimeError, match=r"call step\(\) of Zenith in its stead"):
        scheduler.step()
    with pytest.raises(RuntimeError, match=r"call step\(\) of Zenith in its stead"):
        optimizer.step()


def test_a_schedule_that_raises_leaves_the_learning_rates_right():
    net = make_net()
    optimizer = make_optimizer(net)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
    scheduler = Zenith(optimizer, window=2, schedule=plateau)
    data = batches()
    for _ in range(9):
        backward(net, next(data))
        optimizer.step()
    before = scheduler.get_last_lr()
    with pytest.raises(TypeError, match="metrics"):
        scheduler.step()
    assert scheduler.get_last_lr() == before
    backward(net, next(data))
    optimizer.step()


@pytest.mark.parametrize("damage", [{}, {"_schedulers": 3}, {"_schedulers": [{}, {"x": 1}, {}]}])
def test_a_foreign_schedule_state_is_refused_and_nothing_changed(damage):
    net = make_net()
    optimizer = make_optimizer(net)
    scheduler = Zenith(optimizer, window=5, schedule=SCHEDULERS["SequentialLR"](optimizer))
    before = copy.deepcopy(scheduler.state_dict())
    with pytest.raises(ValueError, match=r"state_dict\['schedule'\].*SequentialLR"):
        scheduler.load_state_dict(before | {"schedule": damage, "updates": 99})
    assert scheduler.state_dict() == before
