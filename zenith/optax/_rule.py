"""The rule of `zenith.core` on JAX arrays."""

# pyright: reportUnknownMemberType=false
# (jax annotates asarray and zeros_like in part)

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from zenith import core
from zenith.core import ArrayOps, ZenithState, add_pairs


class Rule:
    """Algorithm 1 with its settings, which are checked once and static ever after."""

    def __init__(self, window: int, min_scale: float, spike_factor: float | None) -> None:
        _check_static(window=window, min_scale=min_scale, spike_factor=spike_factor)
        self._window = core.check_window(window)
        core.check_safeguards(min_scale, spike_factor)
        self._min_scale = min_scale
        self._spike_factor = spike_factor

    def init(self) -> ZenithState:
        """State of a run that has seen no gradient yet."""
        return ZenithState(*(jnp.asarray(field) for field in core.init(self._window)))

    def update(self, state: ZenithState, norm: jax.Array) -> ZenithState:
        """The state after one more norm (float32 scalar); no derivative passes through it."""
        _check_window_of(state, self._window)
        _check_same_on_every_device(state, norm)
        return core.update(
            # A reduction over pairs has no derivative, and the rule needs none.
            lax.stop_gradient(state),
            lax.stop_gradient(norm),
            min_scale=self._min_scale,
            spike_factor=self._spike_factor,
            ops=JAX,
        )


def _total(norms: jax.Array) -> jax.Array:
    # JAX has no float64 by default, and turning it on is a process-wide flag. Two float32 hold the
    # sum exactly as long as the largest norm is less than 2^(23 - bit_length(W)) times the smallest
    # (16,000 for W = 500), and to about 2^-46 beyond that, in whatever order a backend reduces.
    total, _ = lax.reduce(
        (norms, jnp.zeros_like(norms)), (np.float32(0), np.float32(0)), add_pairs, (0,)
    )
    return total


def _concat(kept: jax.Array, newest: jax.Array) -> jax.Array:
    return jnp.concatenate([kept, newest[None]])


JAX = ArrayOps(where=jnp.where, concat=_concat, maximum=jnp.maximum, total=_total)


def _check_static(**settings: Any) -> None:
    for name, value in settings.items():
        if isinstance(value, Tracer):
            raise TypeError(
                f"{name} must be a Python number that is known before tracing. Received: {value}. "
                "Under jax.jit build the transformation outside the function; under "
                f"optax.inject_hyperparams name {name!r} in static_args."
            )


def _check_window_of(state: ZenithState, window: int) -> None:
    if state.norms.shape != (window,):
        raise ValueError(
            f"the state must hold window = {window} norms. Received: norms of shape "
            f"{state.norms.shape}. Build the transformation with the window of that state, or make "
            "a new state with init."
        )


def _check_same_on_every_device(state: ZenithState, norm: jax.Array) -> None:
    """ValueError if, in a shard_map, the norm differs between devices that share the state."""
    axes = _varying_axes(norm) - _varying_axes(state.norms)
    if axes:
        raise ValueError(
            "the gradient norm must be the same on every device that shares the ZENITH state. "
            f"Received: one that varies over the mesh axes {sorted(axes)}. Average the gradient "
            "over them first (loss = jax.lax.pmean(loss, axis) before jax.grad), hand over the "
            "global norm as grad_norm=, or, to train one model per device, give each its own state."
        )


def _varying_axes(array: jax.Array) -> frozenset[str]:
    # Without jax.shard_map, or with its check_vma=False, JAX keeps no account: nothing is found.
    kind = getattr(array, "aval", None)
    before_0_10: frozenset[str] = getattr(kind, "vma", frozenset())
    return getattr(getattr(kind, "manual_axis_type", None), "varying", before_0_10)
