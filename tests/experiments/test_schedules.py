"""The schedules that know the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.demo.schedules import MULTIPLIERS, constant, cosine, step_decay

budgets = st.integers(1, 10**6)


@given(total=budgets)
def test_cosine_goes_from_one_over_a_half_to_zero(total: int) -> None:
    assert cosine(0, total) == 1
    assert cosine(total, 2 * total) == pytest.approx(0.5)
    assert cosine(total, total) == pytest.approx(0, abs=1e-15)


@given(quarter=budgets)
def test_step_decay_drops_at_a_half_and_at_three_quarters(quarter: int) -> None:
    total = 4 * quarter
    assert step_decay(0, total) == step_decay(2 * quarter - 1, total) == 1
    assert step_decay(2 * quarter, total) == step_decay(3 * quarter - 1, total) == 0.1
    assert step_decay(3 * quarter, total) == step_decay(total - 1, total) == pytest.approx(0.01)


@given(total=budgets, data=st.data())
def test_constant_is_one(total: int, data: st.DataObject) -> None:
    assert constant(data.draw(st.integers(0, total - 1)), total) == 1


@pytest.mark.parametrize("name", MULTIPLIERS)
@given(total=budgets, data=st.data())
def test_no_multiplier_rises_or_leaves_0_to_1(name: str, total: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, total - 1))
    now, later = MULTIPLIERS[name](step, total), MULTIPLIERS[name](step + 1, total)
    assert 0 <= later <= now <= 1
