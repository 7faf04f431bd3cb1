"""Performance profiles, against the definition and a case worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.evidence.profiles import performance_profiles

times = st.one_of(st.none(), st.floats(0.01, 100))


def test_a_case_worked_out_by_hand() -> None:
    # Ratios to the fastest: a 1, 1, 3; b 2, 1, 1; c -, 4, 2. Nobody solves the fourth problem.
    found = performance_profiles(
        {
            "a": [10.0, 5.0, 6.0, None],
            "b": [20.0, 5.0, 2.0, None],
            "c": [None, 20.0, 4.0, None],
        }
    )
    for profile in found.values():
        np.testing.assert_array_equal(profile.ratios, [1, 2, 3, 4])
    np.testing.assert_allclose(found["a"].shares, [2 / 3, 2 / 3, 1, 1])
    np.testing.assert_allclose(found["b"].shares, [2 / 3, 1, 1, 1])
    np.testing.assert_allclose(found["c"].shares, [0, 1 / 3, 1 / 3, 2 / 3])


@given(
    table=st.lists(st.lists(times, min_size=3, max_size=3), min_size=1, max_size=6),
    order=st.permutations(range(3)),
)
def test_every_share_is_the_number_of_problems_within_the_ratio(
    table: list[list[float | None]], order: list[int]
) -> None:
    by_method = {name: [row[i] for row in table] for i, name in enumerate("abc")}
    found = performance_profiles(by_method)
    solved = [row for row in table if any(t is not None for t in row)]
    for i, name in enumerate("abc"):
        for ratio, share in zip(*found[name], strict=True):
            within = sum(
                row[i] is not None and row[i] / min(t for t in row if t is not None) <= ratio  # type: ignore[operator]
                for row in solved
            )
            assert share == within / max(len(solved), 1)
    again = performance_profiles({"abc"[i]: by_method["abc"[i]] for i in order})
    for name in "abc":
        np.testing.assert_array_equal(again[name].shares, found[name].shares)


def test_times_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="one entry a problem"):
        performance_profiles({"a": [1.0], "b": [1.0, 2.0]})
    for time in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            performance_profiles({"a": [time]})
