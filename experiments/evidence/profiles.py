"""Performance profiles: how often a method is within a factor of the fastest (Dolan and More).

E. D. Dolan and J. J. More, Benchmarking optimization software with performance profiles,
Mathematical Programming 91 (2002), section 2.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Profile(NamedTuple):
    """The profile of one method: a staircase, right-continuous."""

    ratios: NDArray[np.float64]  # f64[K], rising, from 1: time over the shortest time of any method
    shares: NDArray[np.float64]  # f64[K], in [0, 1]: problems solved within that ratio


def performance_profiles(times: Mapping[str, Sequence[float | None]]) -> dict[str, Profile]:
    """The profile of each method over the same problems.

    Args:
      times: for each method one positive time a problem, problems in the same order for all;
        None where the method does not solve it. Problems that no method solves are left out.

    Returns:
      A profile for each method, all over the same ratios.

    Raises:
      ValueError: the methods do not have the same number of problems, or a time is not positive.
    """
    if len({len(each) for each in times.values()}) > 1:
        raise ValueError(
            "times must have one entry a problem for every method. "
            f"Received: { ({method: len(each) for method, each in times.items()}) }"
        )
    table = np.array(
        [[np.inf if t is None else t for t in each] for each in times.values()], np.float64
    ).reshape(len(times), -1)
    if not (table > 0).all():
        raise ValueError(f"times must be positive, or None. Received: {table[~(table > 0)][0]}")
    best = table.min(axis=0, initial=np.inf)
    solved = np.isfinite(best)
    ratios = table[:, solved] / best[solved]
    steps = np.unique(np.append(ratios[np.isfinite(ratios)], 1.0))
    counted = max(int(solved.sum()), 1)
    return {
        method: Profile(steps, np.array([(row <= step).sum() / counted for step in steps]))
        for method, row in zip(times, ratios, strict=True)
    }
