"""Gradient norms that are hard on a running mean."""

import numpy as np
from numpy.typing import NDArray

_SPECIAL = (0.0, -0.0, np.nan, np.inf, -np.inf, -1.0, 3e38, 1e-35, 1e-40, -1e-40)


def hard_norms(steps: int, seed: int) -> NDArray[np.float32]:
    """Ten orders of magnitude downhill, with noise, spikes, NaN, infinities and subnormals."""
    rng = np.random.default_rng(seed)
    norms = np.geomspace(1e4, 1e-6, steps) * np.exp(rng.standard_normal(steps))
    chosen = rng.random(steps)
    norms[chosen < 0.001] *= 1e6
    special = chosen > 0.995
    norms[special] = rng.choice(_SPECIAL, special.sum())
    return norms.astype(np.float32)
