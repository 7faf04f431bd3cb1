"""The portable state: the identity there and back, and a ValueError for everything else."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenith.core import from_portable, init, to_portable, update

any_float32 = st.floats(width=32, allow_nan=True, allow_infinity=True)


def state_after(norms, window, **safeguards):
    state = init(window)
    for norm in norms:
        state = update(state, norm, **safeguards)
    return state


def assert_same_bits(one, other):
    for mine, given_ in zip(one, other, strict=True):
        mine, given_ = np.asarray(mine), np.asarray(given_)
        assert mine.dtype == given_.dtype
        assert mine.tobytes() == given_.tobytes()


@given(st.lists(any_float32, max_size=20), st.integers(1, 7), st.sampled_from([0.0, 0.1]))
def test_there_and_back_through_json_is_the_identity(norms, window, min_scale):
    state = state_after(norms, window, min_scale=min_scale)
    portable = json.loads(json.dumps(to_portable(state), allow_nan=False))
    assert_same_bits(from_portable(portable, window=window, min_scale=min_scale), state)
    assert to_portable(from_portable(portable)) == portable


def test_a_resumed_run_continues_bit_for_bit_wherever_it_is_cut():
    norms = np.random.default_rng(0).lognormal(size=60).astype(np.float32)
    whole = state_after(norms, 20)
    for cut in range(60):
        state = from_portable(to_portable(state_after(norms[:cut], 20)))
        for norm in norms[cut:]:
            state = update(state, norm)
        assert_same_bits(state, whole)


GOOD = to_portable(state_after([3.0, 2.0, 1.0], 2))
BAD = {
    "format": [0, 2, 1.0, True, None, "1"],
    "window": [0, -1, 2.0, True, None, "2", 3, 10**30],
    "norms": [
        [1.0, 2.0, 3.0],
        [math.nan, 1.0],
        [math.inf, 1.0],
        [-1.0, 1.0],
        [1e-40, 1.0],
        [0.1, 1.0],  # no float32
        [3e38, 1.0],  # above what the rule accepts
        [10**400, 1.0],
        ["1", 1.0],
        [True, 1.0],
        [[1.0], [2.0]],
        "12",
        b"12",
        1.0,
        None,
        {0: 1.0},
    ],
    "peak": [math.nan, math.inf, -5.0, 1.0, 5.1, 10**400, "5", None, True, [5.0]],
    "skipped": [-1, 1.0, None, True, 2**31],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in BAD.items() for value in values]
)
def test_a_bad_value_is_refused_by_the_name_of_its_key(key, value):
    with pytest.raises(ValueError, match=f"'{key}'.*Received"):
        from_portable(GOOD | {key: value}, window=2)


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_key_is_named(key):
    with pytest.raises(ValueError, match=f"Missing: \\['{key}'\\]"):
        from_portable({name: value for name, value in GOOD.items() if name != key})


def test_a_foreign_key_is_named():
    with pytest.raises(ValueError, match=r"Foreign: \['lr'\]"):
        from_portable(GOOD | {"lr": 0.1})


@pytest.mark.parametrize("portable", [None, [], "state", 3, [("format", 1)]])
def test_what_is_no_mapping_is_refused(portable):
    with pytest.raises(ValueError, match="must be a mapping"):
        from_portable(portable)


def test_a_peak_before_the_window_is_full_is_refused():
    with pytest.raises(ValueError, match="'peak' must be 0 until the window is full"):
        from_portable(GOOD | {"norms": [1.0]})


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "foreign"]), junk))
def test_whatever_a_file_holds_it_loads_exactly_or_is_a_value_error(entries):
    portable = GOOD | entries
    try:
        state = from_portable(portable)
    except ValueError:
        return
    assert to_portable(state) == portable
