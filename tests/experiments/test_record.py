"""The budget and the batches that every method and framework shares."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data import Data
from experiments.demo.models import initial_parameters
from experiments.demo.record import EVALUATIONS, Settings


def blank(train: int) -> Data:
    x, y = np.zeros((train, 2, 2, 1), np.float32), np.zeros(train, np.int64)
    return Data("blank", x, y, x[:1], y[:1])


sizes = st.integers(1, 60)


@given(train=sizes, batch=sizes, epochs=st.integers(1, 5), seed=st.integers(0, 2**31))
@settings(deadline=None)
def test_every_epoch_draws_each_image_at_most_once(
    train: int, batch: int, epochs: int, seed: int
) -> None:
    data, budget = blank(train), Settings(window=1, lr=0.1, epochs=epochs, batch=batch)
    batches = list(budget.batches(data, seed))
    assert len(batches) == budget.total_steps(data) == epochs * (train // batch)
    for epoch in range(epochs):
        part = batches[epoch * (train // batch) : (epoch + 1) * (train // batch)]
        drawn = np.concatenate([[], *part])
        assert len(np.unique(drawn)) == len(drawn) == train // batch * batch
    again = budget.batches(data, seed)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


@given(train=sizes, epochs=st.integers(1, 5))
@settings(deadline=None)
def test_the_last_step_is_evaluated_and_none_beyond_the_budget(train: int, epochs: int) -> None:
    data, budget = blank(train), Settings(window=1, lr=0.1, epochs=epochs, batch=1)
    total = budget.total_steps(data)
    steps = budget.evaluation_steps(data)
    assert max(steps) == total
    assert min(steps) >= 1
    assert len(steps) == min(EVALUATIONS, total)


def test_two_seeds_start_and_shuffle_differently() -> None:
    budget = Settings(window=1, lr=0.1, epochs=1, batch=50)
    first, second = (next(budget.batches(blank(50), seed)) for seed in (0, 1))
    assert not np.array_equal(first, second)
    first, second = (initial_parameters(1, 10, seed).linear for seed in (0, 1))
    assert not np.array_equal(first, second)
