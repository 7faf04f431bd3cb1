"""The rule on NumPy: exact sums, and the properties that the paper proves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import ExactRule, algorithm_1
from zenith.core import ZenithState, init, update

any_float32 = st.floats(width=32, allow_nan=True, allow_infinity=True)
valid_norm = st.just(0.0) | st.floats(2.0**-50, 2.0**50, width=32)
windows = st.integers(1, 7)


def replay(norms, window, state=None, **safeguards):
    states = [init(window) if state is None else state]
    for norm in norms:
        states.append(update(states[-1], norm, **safeguards))
    return states[1:]


def bits(state: ZenithState) -> list[bytes]:
    return [np.asarray(field).tobytes() for field in state]


def hard_norms(steps: int) -> np.ndarray:
    """Norms falling from 1e4 to 1e-6 with noise, spikes, zeros and everything that is refused."""
    rng = np.random.default_rng(2601)
    norms = np.geomspace(1e4, 1e-6, steps) * rng.lognormal(0, 0.5, steps)
    kinds = rng.random(steps)
    norms[kinds < 0.02] *= 1e3
    norms[(kinds > 0.02) & (kinds < 0.03)] = 0
    for index, odd in enumerate([np.nan, np.inf, -np.inf, -1.0, 1e-40, 3e38, -0.0]):
        low = 0.03 + 0.002 * index
        norms[(low < kinds) & (kinds < low + 0.002)] = odd
    return norms.astype(np.float32)


def test_every_field_has_the_bits_of_the_exact_sum_over_100_000_hard_norms():
    exact, state = ExactRule(500), init(500)
    for norm in hard_norms(100_000).tolist():
        exact.push(norm)
        state = update(state, norm)
        assert state.total == exact.total
        assert state.peak == exact.peak
        assert state.scale == exact.scale
    assert state.skipped == exact.skipped > 0
    assert state.scale < 1e-3


@pytest.mark.parametrize("window", [1, 2, 5, 50, 500])
def test_scale_is_that_of_algorithm_1_in_float64(window):
    rng = np.random.default_rng(window)
    norms = (np.geomspace(10, 0.1, 2000) * rng.lognormal(0, 0.3, 2000)).astype(np.float32).tolist()
    reference = [*map(algorithm_1(window), norms)]
    scales = [float(state.scale) for state in replay(norms, window)]
    np.testing.assert_allclose(scales, reference, rtol=3e-7)
    assert scales[: window - 1] == [1.0] * (window - 1)


@given(st.lists(any_float32, max_size=30), windows)
def test_total_is_exact_whatever_comes(norms, window):
    exact = ExactRule(window)
    for norm, state in zip(norms, replay(norms, window), strict=True):
        exact.push(norm)
        # float64 rounds once more where the window spans more than 2^20; then 1 ulp is allowed.
        assert abs(float(state.total) - float(exact.total)) <= float(np.spacing(exact.total))
        assert state.skipped == exact.skipped
        assert state.norms[window - int(state.count) :].tolist() == [*exact.norms]


@given(st.lists(any_float32, max_size=40), windows)
def test_scale_lies_in_0_1(norms, window):
    assert all(0 <= state.scale <= 1 for state in replay(norms, window))


@given(st.lists(any_float32, max_size=40), windows)
def test_peak_never_falls(norms, window):
    peaks = [float(state.peak) for state in replay(norms, window)]
    assert peaks == sorted(peaks)


@given(st.lists(valid_norm, max_size=40), windows, st.integers(-40, 40))
def test_a_power_of_two_times_all_norms_leaves_the_bits_of_the_scale(norms, window, exponent):
    scaled = [norm * 2.0**exponent for norm in norms]
    for plain, times in zip(replay(norms, window), replay(scaled, window), strict=True):
        assert plain.scale.tobytes() == times.scale.tobytes()


@given(st.data(), windows)
def test_only_the_last_w_norms_and_the_peak_matter(data, window):
    past = data.draw(st.lists(any_float32, max_size=20))
    last = data.draw(st.lists(valid_norm, min_size=window, max_size=window))
    future = data.draw(st.lists(any_float32, max_size=20))
    long = replay(past + last, window)[-1]
    short = replay(last, window)[-1]._replace(
        peak=long.peak, scale=long.scale, skipped=long.skipped
    )
    for one, other in zip(replay(future, window, long), replay(future, window, short), strict=True):
        assert bits(one) == bits(other)


@given(st.lists(any_float32, min_size=1, max_size=20), windows)
def test_update_leaves_its_argument_alone_and_keeps_shapes_and_dtypes(norms, window):
    before = replay(norms, window)[-1]
    copy = bits(before)
    after = update(before, 1.5)
    assert bits(before) == copy
    layout = [(np.shape(field), np.asarray(field).dtype) for field in init(window)]
    assert [(np.shape(field), np.asarray(field).dtype) for field in after] == layout
    assert sum(np.asarray(field).nbytes for field in after) == 4 * window + 20


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -1.0, 3e38, 1e300])
def test_a_norm_that_is_refused_moves_nothing_but_skipped(odd):
    state = replay([4.0, 2.0, 1.0], 2)[-1]
    after = update(state, odd)
    assert after.skipped == 1
    assert bits(after)[:-1] == bits(state)[:-1]


def test_scale_stays_1_while_every_norm_was_0():
    assert [float(state.scale) for state in replay([0.0] * 5 + [1.0, 0.5], 2)] == [1.0] * 7
    assert replay([0.0] * 5 + [1.0, 0.5, 0.5], 2)[-1].scale == np.float32(1.0 / 1.5)


@pytest.mark.parametrize("norm", [0.0, 1e-40, 2.0**-101, 2.0**-90])
def test_a_scale_that_would_be_subnormal_is_0(norm):
    assert replay([2.0**40, norm], 1)[-1].scale == 0


@pytest.mark.parametrize(("spike_factor", "later"), [(None, 500 / 999), (10.0, 500 / 509)])
def test_a_spike_of_500_halves_the_scale_for_good_unless_capped(spike_factor, later):
    norms = [1.0] * 500 + [500.0] + [1.0] * 600
    scale = replay(norms, 500, spike_factor=spike_factor)[-1].scale
    assert float(scale) == pytest.approx(later, rel=1e-6)


@given(st.lists(any_float32, max_size=40), windows, st.floats(1.01, 1e300))
def test_a_capped_norm_is_at_most_spike_factor_times_the_mean(norms, window, factor):
    state = init(window)
    for norm in norms:
        after = update(state, norm, spike_factor=factor)
        if after.skipped == state.skipped and state.count == window and state.total > 0:
            limit = factor * float(state.total) / window
            assert float(after.norms[-1]) <= max(min(norm, limit), 0) * (1 + 1e-6)
            if 2.0**-100 <= norm <= limit * (1 - 1e-6):
                assert after.norms[-1] == np.float32(norm)
        state = after


def test_a_window_of_zeros_caps_nothing():
    states = replay([0.0, 0.0, 1.0, 1.0, 1.0], 2, spike_factor=2.0)
    assert states[2].norms[-1] == 1
    assert states[-1].total == 2


@given(st.lists(any_float32, max_size=40), windows, st.floats(0, 0.99))
def test_min_scale_bounds_the_scale_and_touches_nothing_else(norms, window, floor):
    plain, floored = replay(norms, window), replay(norms, window, min_scale=floor)
    for one, other in zip(plain, floored, strict=True):
        assert other.scale == max(one.scale, np.float32(floor))
        assert bits(one._replace(scale=other.scale)) == bits(other)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0.2, 1.95))
def test_theorem_b5_on_quadratics_the_loss_never_rises_and_the_gradient_vanishes(
    seed, window, times_smoothness
):
    rng = np.random.default_rng(seed)
    curvature = rng.uniform(0.3, 3.0, 6)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    hessian = basis @ np.diag(curvature) @ basis.T
    eta_0 = times_smoothness / curvature.max()  # below 2 / M
    theta, state = rng.normal(size=6), init(window)
    first, loss = np.linalg.norm(hessian @ theta), math.inf
    for _ in range(4000):
        gradient = hessian @ theta
        previous, loss = loss, theta @ hessian @ theta / 2
        assert loss <= previous
        state = update(state, np.linalg.norm(gradient))
        theta = theta - eta_0 * float(state.scale) * gradient
    assert np.linalg.norm(hessian @ theta) < 0.02 * first


@pytest.mark.parametrize("window", [2.5, "3", None, True, np.float32(3)])
def test_a_window_that_is_no_int_is_a_type_error_that_shows_it(window):
    with pytest.raises(TypeError, match=r"window must be an int.*Received"):
        init(window)


@pytest.mark.parametrize("window", [0, -1, 2**24 + 1])
def test_a_window_out_of_range_is_a_value_error_that_shows_it(window):
    with pytest.raises(ValueError, match=f"window must be at least 1.*Received: {window}"):
        init(window)
