"""What is said of a number over the seeds: median, quartiles, and an interval of a difference."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
_RESAMPLES = 9_999


class Spread(NamedTuple):
    """Median and quartiles over the seeds."""

    median: float
    low: float  # the first quartile, linear between two values as NumPy has it
    high: float  # the third
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one finite value."""
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return cls(float(middle), float(low), float(high), len(values))


class Difference(NamedTuple):
    """The mean of differences between two methods at the same seeds, with its interval."""

    mean: float
    low: float  # NaN both where there is one seed only
    high: float
    count: int

    @classmethod
    def of(cls, differences: Sequence[float]) -> "Difference":
        """Of at least one finite difference.

        The interval is the percentile bootstrap's at 95 % (scipy.stats.bootstrap, resamples drawn
        from a fixed seed). With 3 seeds or fewer it goes from the lowest to the highest difference:
        it leaves out 0 only where all seeds agree on the sign.
        """
        values = np.sort(
            np.asarray(differences, np.float64)
        )  # so that the order of seeds is nothing
        mean = float(values.mean())
        if len(values) == 1:
            return cls(mean, np.nan, np.nan, 1)
        found = bootstrap(
            (values,),
            np.mean,
            n_resamples=_RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        # The mean of equal numbers is not that number to the last bit.
        low, high = np.clip([found.low, found.high], values[0], values[-1])
        return cls(
            float(np.clip(mean, values[0], values[-1])), float(low), float(high), len(values)
        )

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0, else 0: undecided."""
        return int(self.low > 0) - int(self.high < 0)
