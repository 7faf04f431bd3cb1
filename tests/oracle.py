"""Two oracles for every front end: Algorithm 1 as printed, and its float32 bits."""

import math
from collections import deque
from collections.abc import Callable

import numpy as np


def algorithm_1(window: int) -> Callable[[float], float]:
    """Algorithm 1 of arXiv 2601.15212 in float64, literally: from g_t to eta_t / eta_0."""
    norms: list[float] = []
    zenith = 0.0

    def iterate(norm: float) -> float:
        nonlocal zenith
        norms.append(norm)
        if len(norms) < window:
            return 1.0
        mean = math.fsum(norms[-window:]) / window
        zenith = max(zenith, mean)
        return mean / zenith if zenith > 0 else 1.0

    return iterate


class ExactRule:
    """The bits that the core owes: fsum of the last W float32 norms, rounded once to float32."""

    def __init__(self, window: int) -> None:
        self.norms: deque[float] = deque(maxlen=window)
        self.total = self.peak = np.float32(0)
        self.scale = np.float32(1)
        self.skipped = 0
        self._largest = float(np.finfo(np.float32).max) / 2 ** window.bit_length()

    def push(self, norm: float) -> None:
        if not (math.isfinite(norm) and 0 <= norm <= self._largest):
            self.skipped += 1
            return
        self.norms.append(norm if norm >= 2.0**-100 else 0.0)
        self.total = np.float32(math.fsum(self.norms))
        if len(self.norms) < self.norms.maxlen:  # type: ignore[operator]
            return
        self.peak = max(self.peak, self.total)
        if self.peak > 0:
            scale = self.total / self.peak
            self.scale = scale if scale >= 2.0**-126 else np.float32(0)
