"""Medians, quartiles and the interval of a difference, against other ways of computing them."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy", reason="the statistics need SciPy: zenith-lr[experiments]")

from scipy.stats import bootstrap

from experiments.evidence.statistics import Difference, Spread

finite = st.floats(-1e6, 1e6)
samples = st.lists(finite, min_size=1, max_size=8)


@given(values=samples, data=st.data())
def test_the_order_of_the_seeds_does_not_matter(values: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(values))
    assert Spread.of(shuffled) == Spread.of(values)
    assert repr(Difference.of(shuffled)) == repr(Difference.of(values))  # NaN equals NaN in it


@given(values=st.lists(finite, min_size=2, max_size=8))
def test_the_quartiles_are_those_of_the_standard_library(values: list[float]) -> None:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    assert Spread.of(values) == pytest.approx((middle, low, high, len(values)), abs=1e-6)


def test_a_single_run_has_its_value_three_times() -> None:
    assert Spread.of([0.5]) == (0.5, 0.5, 0.5, 1)


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [-3.0, 1.0, 2.0, 9.0], [0.0, 0.0, 1.0, 5, 7]])
def test_the_interval_is_that_of_all_resamples(values: list[float]) -> None:
    # All n^n resamples instead of a random part of them.
    means = [statistics.fmean(drawn) for drawn in itertools.product(values, repeat=len(values))]
    low, high = np.quantile(means, [0.025, 0.975])
    found = Difference.of(values)
    steps = sorted(set(means))
    # The random part may land on the neighbouring one of the few values that a mean can take.
    near = max(b - a for a, b in itertools.pairwise(steps))
    assert found.low == pytest.approx(low, abs=near)
    assert found.high == pytest.approx(high, abs=near)
    assert found.mean == pytest.approx(statistics.fmean(values))


@given(values=st.lists(st.integers(-1000, 1000), min_size=8, max_size=12, unique=True))
def test_the_interval_is_that_of_scipy_with_other_random_numbers(values: list[int]) -> None:
    theirs = bootstrap(
        (np.array(values, float),), np.mean, n_resamples=4999, method="percentile", rng=1
    ).confidence_interval
    mine = Difference.of([float(value) for value in values])
    width = theirs.high - theirs.low
    assert mine.low == pytest.approx(theirs.low, abs=0.1 * width)
    assert mine.high == pytest.approx(theirs.high, abs=0.1 * width)


@given(values=st.lists(st.integers(-1000, 1000).map(lambda n: n / 100), min_size=2, max_size=3))
def test_with_three_seeds_the_interval_is_the_range(values: list[float]) -> None:
    found = Difference.of(values)
    assert (found.low, found.high) == pytest.approx((min(values), max(values)))
    agree = all(value > 0 for value in values) - all(value < 0 for value in values)
    assert found.sign == agree


def test_one_seed_decides_nothing() -> None:
    found = Difference.of([0.3])
    assert found.mean == 0.3
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.sign == 0
