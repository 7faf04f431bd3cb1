"""Two float32 in place of a float64."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zenith.core import add_pairs

numbers = st.floats(-(2.0**60), 2.0**60, width=32).filter(lambda x: x == 0 or abs(x) > 2.0**-60)


@given(numbers, numbers)
def test_the_sum_of_two_numbers_loses_nothing(x, y):
    zero = np.float32(0)
    high, low = add_pairs((np.float32(x), zero), (np.float32(y), zero))
    assert high == np.float32(x) + np.float32(y)
    assert Fraction(float(high)) + Fraction(float(low)) == Fraction(x) + Fraction(y)


@given(st.lists(st.floats(2.0**-9, 2.0**10, width=32), min_size=1, max_size=16), st.randoms())
def test_any_order_gives_the_same_sum_within_a_range_of_2_to_the_19(norms, random):
    def total(order):
        pair = np.float32(0), np.float32(0)
        for norm in order:
            pair = add_pairs(pair, (np.float32(norm), np.float32(0)))
        return pair[0]

    shuffled = random.sample(norms, len(norms))
    assert total(norms) == total(shuffled) == np.float32(sum(norms))
