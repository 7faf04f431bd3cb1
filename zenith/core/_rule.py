"""Algorithm 1 of arXiv 2601.15212: the scale of the learning rate from past gradient norms."""

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np

Array: TypeAlias = Any  # an array of whichever framework supplies the operations

_FLOAT32_MAX = float(np.finfo(np.float32).max)
# XLA and TensorFlow flush subnormals, NumPy and torch do not. Norms below SMALLEST_NORM count as
# 0, which keeps sums and limits normal; ratios below SMALLEST_SCALE would not be, and become 0.
SMALLEST_NORM = 2.0**-100
SMALLEST_SCALE = 2.0**-126
_LARGEST_WINDOW = 2**24  # 64 MiB of norms; a checkpoint that asks for more is a broken one


class ZenithState(NamedTuple):
    """What ZENITH remembers of a run: 4 W + 20 bytes, whatever the model."""

    norms: Array  # f32[W]: the last norms, oldest first; zeros in front until W have been seen
    count: Array  # i32[]: norms seen, at most W
    total: Array  # f32[]: exact sum of `norms`, rounded once
    peak: Array  # f32[]: largest `total` of a full window (the zenith Z_t, times W); 0 before
    scale: Array  # f32[]: eta_t / eta_0, in [0, 1]
    skipped: Array  # i32[]: norms refused: NaN, infinite, negative or too large to be summed


class ArrayOps(NamedTuple):
    """The four array operations over which the rule is written; each framework supplies its own.

    `where` takes a scalar condition. Arithmetic and comparison come from the arrays themselves.
    """

    where: Callable[[Array, Array, Array], Array]
    concat: Callable[[Array, Array], Array]  # f32[n], f32[] -> f32[n + 1]
    maximum: Callable[[Array, Array], Array]
    total: Callable[[Array], Array]  # f32[n] -> f32[]: the exact sum, rounded once


def _where(condition: Array, x: Array, y: Array) -> Array:
    return x if condition else y  # a scalar condition: nothing to compute, nothing to copy


def _concat(kept: Array, newest: Array) -> Array:
    joined = np.empty(len(kept) + 1, np.float32)
    joined[:-1] = kept
    joined[-1] = newest
    return joined


def _total(norms: Array) -> Array:
    # float64 holds the sum of W float32 norms exactly as long as the largest is less than
    # 2^(29 - bit_length(W)) times the smallest (1e6 for W = 500), and to 2^-53 W beyond that.
    return np.float32(np.add.reduce(norms, dtype=np.float64))


NUMPY = ArrayOps(where=_where, concat=_concat, maximum=np.maximum, total=_total)


def largest_norm(window: int) -> float:
    """The largest norm that the rule accepts: the sum of W of them is finite in float32."""
    return _FLOAT32_MAX / 2 ** window.bit_length()


def check_window(window: SupportsIndex) -> int:
    """Return `window` as an int; TypeError unless an integer, ValueError unless in [1, 2^24]."""
    try:
        if isinstance(window, bool):
            raise TypeError
        size = operator.index(window)
    except TypeError:
        raise TypeError(
            f"window must be an int, the number of gradient norms to average. Received: {window!r}"
        ) from None
    if not 1 <= size <= _LARGEST_WINDOW:
        raise ValueError(f"window must be at least 1 and at most 2^24. Received: {window!r}")
    return size


def check_safeguards(min_scale: float, spike_factor: float | None) -> None:
    """Raise ValueError unless 0 <= min_scale < 1 and spike_factor is None or finite and > 1."""
    if not 0.0 <= min_scale < 1.0:
        raise ValueError(
            "min_scale must lie in [0, 1): it is the smallest factor on the learning rate. "
            f"Received: {min_scale!r}"
        )
    if spike_factor is not None and not 1.0 < spike_factor < math.inf:
        raise ValueError(
            "spike_factor must be None or a finite number above 1: a norm counts for at most that "
            f"many times the current mean. Received: {spike_factor!r}"
        )


def init(window: int = 500) -> ZenithState:
    """State of a run that has seen no gradient yet.

    Args:
      window: number W of gradient norms that are averaged; at least 1.

    Returns:
      A `ZenithState` of NumPy arrays with scale 1.

    Raises:
      TypeError: `window` is not an integer.
      ValueError: `window` is below 1 or above 2^24.

    Example:
      >>> from zenith.core import init
      >>> init(3).norms
      array([0., 0., 0.], dtype=float32)
    """
    return ZenithState(
        norms=np.zeros(check_window(window), np.float32),
        count=np.int32(0),
        total=np.float32(0),
        peak=np.float32(0),
        scale=np.float32(1),
        skipped=np.int32(0),
    )


def update(
    state: ZenithState,
    norm: Array,
    *,
    min_scale: float = 0.0,
    spike_factor: float | None = None,
    ops: ArrayOps = NUMPY,
) -> ZenithState:
    """One iteration of Algorithm 1: the state after `norm`, whose `scale` is eta_t / eta_0.

    `scale` stays 1 until W norms have been seen, and while all of them were 0. A norm that is NaN,
    infinite, negative or above FLT_MAX / 2^bit_length(W) is not pushed: `skipped` goes up and
    everything else stays. One NaN would otherwise poison W iterations, and one infinity hold the
    learning rate at 0 for ever.

    Args:
      state: what `init` or the previous `update` returned.
      norm: global L2 norm of the gradient, a float32 scalar (in NumPy any real number).
      min_scale: smallest scale, in [0, 1). The default 0 is the paper's rule.
      spike_factor: once the window is full, a norm counts for at most this many times the current
        mean, above 1. The default None is the paper's rule, under which one spike of S times the
        typical norm lowers every later learning rate to 1 / (1 + (S - 1) / W).
      ops: array operations of the framework that holds the state; NumPy's by default.

    Returns:
      A new state of the same shapes and dtypes; `state` itself is not changed.

    Example:
      >>> from zenith.core import init, update
      >>> state = init(2)
      >>> for norm in [4.0, 2.0, 1.0]:
      ...     state = update(state, norm)
      >>> float(state.scale)  # (2 + 1) / (4 + 2)
      0.5

    Source: arXiv 2601.15212, Algorithm 1, equations 1-3.
    """
    if ops is NUMPY:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and skipped below
            norm = np.float32(norm)
    window: int = state.norms.shape[0]

    valid = (norm >= 0) & (norm <= largest_norm(window))
    if spike_factor is not None:
        # A window of zeros has no typical norm and caps nothing: the mean could never rise again.
        with np.errstate(over="ignore"):  # a limit beyond float32 is none
            limit = state.total * _float32(spike_factor / window)
        excess = (state.count == window) & (state.total > 0) & (norm > limit)
        norm = ops.where(excess, limit, norm)
    zero = 0 * state.total  # as a literal it would lose the dtype in NumPy and the device in torch
    norm = ops.where(norm >= SMALLEST_NORM, norm, zero)

    norms = ops.where(valid, ops.concat(state.norms[1:], norm), state.norms)
    count = ops.where(valid & (state.count < window), state.count + 1, state.count)
    total = ops.total(norms)
    highest = ops.maximum(state.peak, total)
    peak = ops.where(count == window, highest, state.peak)  # 0 until the window is full

    # W cancels in mu_t / Z_t. Dividing by it would cost the bit contract: compilers multiply by
    # 1 / W instead (up to 2 ulp off).
    ratio = total / ops.maximum(highest, SMALLEST_NORM)
    ratio = ops.where(ratio >= SMALLEST_SCALE, ratio, zero)
    if min_scale > 0:
        ratio = ops.maximum(ratio, _float32(min_scale))
    return ZenithState(
        norms=norms,
        count=count,
        total=total,
        peak=peak,
        scale=ops.where(peak > 0, ratio, state.scale),
        skipped=ops.where(valid, state.skipped, state.skipped + 1),
    )


def _float32(value: float) -> float:
    """`value` rounded to float32 once, so that no framework multiplies by the float64 one."""
    return float(np.float32(min(value, _FLOAT32_MAX)))
