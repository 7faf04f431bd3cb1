"""The schedules: torch's, on the budget as the plan tells it, and the plateau."""

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the methods need PyTorch")

import torch
from torch import nn

from experiments.demo.schedules import MULTIPLIERS
from experiments.methods import METHODS, ModelBatch, Plan

FORMULAS: dict[str, Callable[[int, int], float]] = {
    **MULTIPLIERS,
    "linear": lambda t, total: 1 - t / total,
    "polynomial": lambda t, total: (1 - t / total) ** 0.9,
    "exponential": lambda t, total: 0.01 ** (t / total),
}


def learning_rates(name: str, plan: Plan, losses: list[float]) -> list[float]:
    w = nn.Parameter(torch.ones(1))
    model = nn.ParameterList([w])
    training = METHODS[name].start(model, plan)
    lrs: list[float] = []
    for loss in losses:
        training.step(ModelBatch(model, lambda loss=loss: w.sum() * 0 + loss))
        lrs.append(training.effective_lr())
    return lrs


@pytest.mark.parametrize("name", FORMULAS)
@given(total=st.integers(1, 60))
def test_a_schedule_follows_its_formula(name: str, total: int) -> None:
    lrs = learning_rates(name, Plan(lr=0.2, total_steps=total), [1.0] * total)
    expected = [0.2 * FORMULAS[name](t, total) for t in range(total)]
    assert lrs == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(total=st.integers(10, 60))
def test_one_cycle_climbs_to_eta_0_and_falls_to_next_to_nothing(total: int) -> None:
    lrs = learning_rates("one-cycle", Plan(lr=0.2, total_steps=total), [1.0] * total)
    top = lrs.index(max(lrs))
    assert lrs[0] == pytest.approx(0.2 / 25)
    assert max(lrs) <= 0.2
    assert lrs[: top + 1] == sorted(lrs[: top + 1])
    assert lrs[top:] == sorted(lrs[top:], reverse=True)
    assert lrs[-1] < 1e-5
    assert top / total == pytest.approx(0.3, abs=2 / total)


def test_one_cycle_leaves_the_momentum_alone() -> None:
    model = nn.Linear(1, 1)
    plan = Plan(momentum=0.9, total_steps=5)
    training = METHODS["one-cycle"].start(model, plan)
    for _ in range(5):
        training.step(ModelBatch(model, lambda: model(torch.ones(1, 1)).sum()))
        assert training.optimizer.param_groups[0]["momentum"] == 0.9


@given(per_epoch=st.integers(1, 4), stays=st.integers(0, 3))
def test_plateau_drops_after_ten_epochs_that_do_not_improve(per_epoch: int, stays: int) -> None:
    # The mean of an epoch counts: within one the loss falls, and by more in every epoch.
    epochs = [2.0 - 0.1 * e for e in range(stays)] + [1.0] * 14
    losses = [
        loss + jump * (1 if i == 0 else -1 / (per_epoch - 1)) if per_epoch > 1 else loss
        for loss, jump in zip(epochs, itertools.count(0.1, 0.05))
        for i in range(per_epoch)
    ]
    lrs = learning_rates("plateau", Plan(lr=0.2, steps_per_epoch=per_epoch), losses)
    first_low = (stays + 12) * per_epoch  # the best epoch, and eleven bad ones
    assert lrs[:first_low] == [0.2] * first_low
    assert lrs[first_low:] == pytest.approx([0.02] * (len(losses) - first_low))


def test_plateau_needs_to_know_an_epoch() -> None:
    with pytest.raises(ValueError, match=r"steps_per_epoch must be at least 1. Received: 0"):
        METHODS["plateau"].start(nn.Linear(1, 1), Plan(steps_per_epoch=0))


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.kind != "automatic"])
def test_momentum_and_weight_decay_are_those_of_the_plan(name: str) -> None:
    plan = Plan(momentum=0.7, weight_decay=0.01, total_steps=3)
    group = METHODS[name].start(nn.Linear(1, 1), plan).optimizer.param_groups[0]
    assert (group["momentum"], group["weight_decay"]) == (0.7, 0.01)
    assert math.isclose(METHODS[name].start(nn.Linear(1, 1), plan).effective_lr(), 0.1)
