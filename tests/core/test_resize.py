"""Another window: the newest norms stay, and the scale does not jump."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenith.core import init, resize, to_portable, update

norms = st.one_of(
    st.just(0.0), st.floats(2.0**-20, 2.0**20, width=32), st.floats(2.0**-100, 2.0**100, width=32)
)


def run(window, values):
    state = init(window)
    for value in values:
        state = update(state, value)
    return state


@given(st.integers(1, 20), st.integers(1, 40), st.lists(norms, max_size=60))
def test_the_scale_does_not_jump_and_the_newest_norms_stay(old, new, values):
    before = run(old, values)
    after = resize(before, new)
    kept = to_portable(before)["norms"][-new:]
    assert to_portable(after)["norms"][len(to_portable(after)["norms"]) - len(kept) :] == kept
    assert len(after.norms) == new
    assert after.skipped == before.skipped
    if float(after.total) > 0:  # a window of zeros alone has the scale 0, whatever went before
        assert float(after.scale) == pytest.approx(float(before.scale), rel=2**-21, abs=2**-120)


@given(st.integers(1, 20), st.lists(norms, max_size=60))
def test_the_same_window_changes_no_bit(window, values):
    state = run(window, values)
    assert to_portable(resize(state, window))["norms"] == to_portable(state)["norms"]
    assert resize(state, window).scale == pytest.approx(state.scale, rel=2**-22)


def test_a_window_that_grows_is_filled_with_its_mean_and_stays_full():
    before = run(4, [8.0, 8.0, 8.0, 8.0, 4.0, 2.0, 1.0, 1.0])
    after = resize(before, 6)
    assert after.norms.tolist() == [2.0, 2.0, 4.0, 2.0, 1.0, 1.0]
    assert float(after.scale) == float(before.scale) == 0.25
    assert float(update(after, 2.0).scale) == 0.25  # no return to eta_0


def test_a_window_that_is_not_full_stays_at_eta_0():
    for new in (3, 5, 9):
        after = resize(run(7, [3.0, 2.0, 1.0, 0.5]), new)
        assert float(after.scale) == 1.0
        assert float(after.peak) == (3.5 if new == 3 else 0.0)


def test_a_floor_on_the_scale_is_no_part_of_the_quotient():
    state = init(2)
    for norm in [4.0, 4.0, 1.0, 1.0]:
        state = update(state, norm, min_scale=0.5)
    after = resize(state, 4, min_scale=0.5)
    assert float(after.scale) == 0.5
    assert float(resize(state, 4).scale) == 0.25


@pytest.mark.parametrize(("window", "error"), [(0, ValueError), (-3, ValueError), (2.0, TypeError)])
def test_what_is_no_window_is_refused(window, error):
    with pytest.raises(error, match="window"):
        resize(init(3), window)


def test_norms_too_large_for_the_new_window_are_refused():
    largest = float(np.finfo(np.float32).max) / 4
    with pytest.raises(ValueError, match="norms"):
        resize(run(2, [largest, largest]), 1000)
