"""What breaks at three in the morning: kills, broken files, broken gradients, meddling."""

import copy
import io
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD, lr_scheduler

from tests.torch.problem import backward, batches, loss_of, make_net
from tests.torch.train_until_killed import STEPS, train
from zenith.torch import Zenith

ROOT = Path(__file__).parents[2]
as_tensor = pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])


def make(kind=float, **options):
    net = make_net()
    optimizer = SGD(net.parameters(), lr=kind(0.1), momentum=0.9, **options)
    return net, optimizer, Zenith(optimizer, window=10)


def run_of(kind=float, steps=30):
    net, optimizer, scheduler = make(kind)
    for _, batch in zip(range(steps), batches(), strict=False):
        backward(net, batch)
        optimizer.step()
    return net, optimizer, scheduler


def same(mine, theirs) -> bool:
    if isinstance(mine, torch.Tensor):
        return torch.equal(mine, theirs)
    if isinstance(mine, dict):
        return mine.keys() == theirs.keys() and all(same(mine[k], theirs[k]) for k in mine)
    if isinstance(mine, list):
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    return mine == theirs


# Kills


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the trainings are forked")
@pytest.mark.parametrize("kind", ["float", "tensor"])
def test_a_training_killed_at_100_random_moments_ends_with_the_same_bits(kind, tmp_path):
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    train(undisturbed, {"float": float, "tensor": torch.tensor}[kind])
    expected = torch.load(undisturbed / "done", weights_only=True)
    assert expected[2]["history"]["peak"] > 0

    folder = tmp_path / "killed"
    folder.mkdir()
    script = Path(__file__).with_name("train_until_killed.py")
    subprocess.run(  # noqa: S603
        [sys.executable, str(script), str(folder), "100", "0", kind],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    runs = sorted(folder.iterdir())
    starts = [[int(t) for t in (run / "log").read_text().split()] for run in runs]
    assert sum(len(log) for log in starts) <= 100 + len(runs)
    resumed = {t for log in starts for t in log if t > 0}
    assert len(resumed) > 15  # at many a step
    assert max(resumed) > STEPS // 2
    for run in runs:
        assert same(torch.load(run / "done", weights_only=True), expected)


# Broken files


def file_of(scheduler) -> bytes:
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    return file.getvalue()


@as_tensor
def test_a_truncated_file_is_refused_and_nothing_changed(kind):
    _, _, scheduler = run_of(kind)
    file, state, lrs = file_of(scheduler), scheduler.state_dict(), scheduler.get_last_lr()
    for length in [*range(0, len(file), 61), len(file) - 1]:
        with pytest.raises((RuntimeError, EOFError, OSError, ValueError)):
            scheduler.load_state_dict(torch.load(io.BytesIO(file[:length]), weights_only=True))
        assert same(scheduler.state_dict(), state)
        assert scheduler.get_last_lr() == lrs


def leaves(tree, path=()):
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield from leaves(tree[key], (*path, key))
    yield path


WRONG = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.floats(), st.integers(), st.just([]),
    st.just({}), st.just(torch.ones(2)), st.lists(st.floats(), max_size=12),
)  # fmt: skip


@given(st.data())
def test_a_corrupted_state_is_refused_with_the_old_one_intact_or_is_whole(data):
    if not hasattr(run_of, "trained"):
        run_of.trained = run_of()
    _, optimizer, scheduler = run_of.trained
    good = scheduler.state_dict()
    broken = copy.deepcopy(good)
    path = data.draw(st.sampled_from([*leaves(broken)]))
    wrong, place = data.draw(WRONG), broken
    for key in path[:-1]:
        place = place[key]
    if not path:
        broken = wrong
    elif data.draw(st.booleans()) and isinstance(place, dict):
        del place[path[-1]]
    else:
        place[path[-1]] = wrong
    try:
        scheduler.load_state_dict(broken)
    except ValueError:
        assert same(scheduler.state_dict(), good)
    else:
        # A value that could have been: the state is one that a run can have.
        assert same(scheduler.state_dict(), broken)
        assert 0 <= optimizer.param_groups[0]["lr"] <= scheduler.base_lrs[0]
        scheduler.load_state_dict(good)


FOREIGN = {
    "StepLR": lambda optimizer: lr_scheduler.StepLR(optimizer, 3).state_dict(),
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 9).state_dict(),
    "one cycle": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 1, 9).state_dict(),
    "the optimizer": lambda optimizer: optimizer.state_dict(),
    "a model": lambda optimizer: make_net().state_dict(),
    "the portable state": lambda optimizer: run_of()[2].state_dict()["history"],
}


@as_tensor
@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_state_of_something_else_is_refused_and_nothing_changed(foreign, kind):
    _, _, scheduler = run_of(kind)
    state, lrs = scheduler.state_dict(), scheduler.get_last_lr()
    other = FOREIGN[foreign](SGD(make_net().parameters(), lr=0.1))
    with pytest.raises(ValueError, match="state_dict must have exactly the keys"):
        scheduler.load_state_dict(other)
    assert same(scheduler.state_dict(), state)
    assert scheduler.get_last_lr() == lrs


# Broken gradients


def good_steps(kind, **options):
    """The run that meets no fault: learning rates, and the state at the end."""
    net, optimizer, scheduler = make(kind, **options)
    lrs = []
    for _, batch in zip(range(60), batches(), strict=False):
        backward(net, batch)
        optimizer.step()
        lrs.append(float(optimizer.param_groups[0]["lr"]))
    assert min(lrs) < 0.1
    return lrs, [*net.parameters()], scheduler.state_dict()["history"]


@as_tensor
@pytest.mark.parametrize("seed", range(3))
def test_a_nan_or_infinite_gradient_moves_neither_window_nor_learning_rate(kind, seed):
    expected, weights, history = good_steps(kind)
    dice = random.Random(seed)
    net, optimizer, scheduler = make(kind)
    lrs, faults = [], 0
    for _, batch in zip(range(60), batches(), strict=False):
        while dice.random() < 0.4:
            # As a careful loop does: keep what was there, take it back when the step was a bad one.
            kept = copy.deepcopy((net.state_dict(), optimizer.state_dict()))
            backward(net, batch)
            grad = dice.choice([*net.parameters()]).grad.view(-1)
            grad[dice.randrange(len(grad))] = dice.choice([torch.nan, torch.inf, -torch.inf, 3e38])
            lr = float(optimizer.param_groups[0]["lr"])
            optimizer.step()
            assert float(optimizer.param_groups[0]["lr"]) == lr
            faults += 1
            net.load_state_dict(kept[0])
            optimizer.load_state_dict(kept[1])
        backward(net, batch)
        optimizer.step()
        lrs.append(float(optimizer.param_groups[0]["lr"]))
    assert faults > 20
    assert scheduler.skipped == faults
    assert lrs == expected
    assert scheduler.state_dict()["history"] == history | {"skipped": faults}
    assert same([*net.parameters()], weights)


@as_tensor
@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
def test_a_storm_of_loss_scale_overflows_leaves_no_trace(kind, fused):
    expected, weights, history = good_steps(kind, fused=fused)
    dice = random.Random(1)
    net, optimizer, scheduler = make(kind, fused=fused)
    # Scales are powers of 2: what is scaled and unscaled has the same bits, if nothing overflows.
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60, growth_interval=1)
    lrs, overflows = [], 0
    for t, batch in zip(range(60), batches(), strict=False):
        # Not before the first step: torch's fused SGD then takes uninitialised memory for its
        # momentum (2.13, without Zenith too).
        storm = 50 if t == 30 else dice.choice([0, 0, 1, 3]) if t else 0
        for _ in range(storm):
            net.zero_grad()
            (scaler.scale(loss_of(net, batch)) * torch.inf).backward()
            scaler.step(optimizer)
            scaler.update()
            overflows += 1
        net.zero_grad()
        scaler.scale(loss_of(net, batch)).backward()
        scaler.step(optimizer)
        scaler.update()
        lrs.append(float(optimizer.param_groups[0]["lr"]))
    assert overflows > 80
    assert lrs == expected
    assert scheduler.state_dict()["history"] == history  # no overflow is counted as skipped either
    assert same([*net.parameters()], weights)


# Meddling


def set_by_hand(optimizer):
    optimizer.param_groups[0]["lr"] = 0.05


def set_in_place(optimizer):
    lr = optimizer.param_groups[0]["lr"]
    if isinstance(lr, torch.Tensor):
        lr.fill_(0.05)
    else:
        optimizer.param_groups[0]["lr"] *= 0.5


def add_a_torch_scheduler(optimizer):
    lr_scheduler.LinearLR(optimizer, 0.5)


def step_on_a_plateau(optimizer):
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    plateau.step(1.0)
    plateau.step(2.0)


def load_another_optimizer(optimizer):
    other = SGD(make_net().parameters(), lr=0.01, momentum=0.9)
    optimizer.load_state_dict(other.state_dict())


MEDDLING = [
    set_by_hand,
    set_in_place,
    add_a_torch_scheduler,
    step_on_a_plateau,
    load_another_optimizer,
]


@as_tensor
@pytest.mark.parametrize("meddle", MEDDLING, ids=lambda function: function.__name__)
def test_a_learning_rate_changed_behind_its_back_stops_the_run_before_the_weights_move(
    meddle, kind
):
    net, optimizer, scheduler = run_of(kind)
    weights, history = copy.deepcopy([*net.parameters()]), scheduler.state_dict()["history"]
    meddle(optimizer)
    backward(net, next(batches()))
    for _ in range(2):  # and it does not give in
        with pytest.raises(RuntimeError, match=r"Zenith owns it.*schedule=other.*base_lrs"):
            optimizer.step()
    assert same([*net.parameters()], weights)
    assert scheduler.state_dict()["history"] == history
