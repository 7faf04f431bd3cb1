"""Another window for a run that has begun."""

import numpy as np

from zenith.core._portable import from_portable, to_portable
from zenith.core._rule import SMALLEST_NORM, ZenithState, check_window

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def resize(state: ZenithState, window: int, *, min_scale: float = 0.0) -> ZenithState:
    """The state of the same run with another window: newest norms kept, no jump of the scale.

    A mean over another number of norms is another mean, so the peak moves with it: the quotient of
    the two, which is the scale, stays. A full window that grows is filled up in front with its own
    mean, so that the learning rate goes on without a second warm-up at eta_0.

    Args:
      state: a `ZenithState` of arrays that NumPy can read.
      window: the new window, at least 1.
      min_scale: the safeguard of the run; `scale` depends on it.

    Returns:
      A `ZenithState` of NumPy arrays with the new window.

    Raises:
      TypeError: `window` is no integer.
      ValueError: `window` is below 1 or above 2^24, or so large that the sum of so many norms of
        this size is not finite in float32.

    Example:
      >>> from zenith.core import init, resize, update
      >>> state = init(2)
      >>> for norm in [4.0, 2.0, 1.0]:
      ...     state = update(state, norm)
      >>> resized = resize(state, 3)
      >>> resized.norms, float(resized.scale) == float(state.scale) == 0.5
      (array([1.5, 2. , 1. ], dtype=float32), True)
    """
    size = check_window(window)
    old = to_portable(state)
    total, peak = float(state.total), old["peak"]
    norms: list[float] = old["norms"][-size:]
    if len(old["norms"]) == old["window"]:
        mean = float(np.float32(total / old["window"]))
        norms = [mean if mean >= SMALLEST_NORM else 0.0] * (size - len(norms)) + norms
    new_total = _float32(float(np.add.reduce(norms, dtype=np.float64)))
    if len(norms) < size:
        new_peak = 0.0  # as in every run whose window is not full
    elif peak == 0:
        new_peak = new_total  # the smaller window is full at once
    elif total > 0 and new_total > 0:
        new_peak = new_total * (peak / total)
    else:
        new_peak = peak * (size / old["window"])
    new = old | {"window": size, "norms": norms, "peak": _float32(new_peak)}
    return from_portable(new, min_scale=min_scale)


def _float32(value: float) -> float:
    return float(np.float32(min(value, _FLOAT32_MAX)))
