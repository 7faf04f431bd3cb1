"""Sums beyond float32 where there is no float64."""

from typing import Any, TypeAlias

Pair: TypeAlias = tuple[Any, Any]  # a sum, and what was lost by rounding it, both f32[...]


def add_pairs(x: Pair, y: Pair) -> Pair:
    """Sum of two unevaluated sums of two float32 arrays, to about 2^-46.

    Knuth's two-sum: every operation is one float32 rounding, in the order written.
    """
    high = x[0] + y[0]
    part_of_y = high - x[0]
    error = (x[0] - (high - part_of_y)) + (y[0] - part_of_y)
    low = error + (x[1] + y[1])
    rounded = high + low
    return rounded, low - (rounded - high)
