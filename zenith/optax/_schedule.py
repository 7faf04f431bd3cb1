"""ZENITH as a stateful schedule for `optax.inject_hyperparams`."""

from typing import Any

import jax
import jax.numpy as jnp

from zenith.core import ZenithState
from zenith.optax._measure import measure
from zenith.optax._rule import Rule


class ZenithSchedule:
    """A learning rate for `optax.inject_hyperparams`, which shows it in its state.

    optax gives a schedule no gradient, so every `update` needs the extra argument `grad` or
    `grad_norm`. `zenith` needs neither: prefer it unless code wants a schedule object.

    Args:
      learning_rate: eta_0, a number above 0. A schedule belongs in what `zenith` wraps.
      window: number W of gradient norms that are averaged.
      min_scale: smallest scale, in [0, 1). The default 0 is the paper's rule.
      spike_factor: once the window is full, a norm counts for at most this many times the current
        mean, above 1. The default None is the paper's rule.

    Raises:
      TypeError: `learning_rate` is not a number, `window` no integer, or a setting is traced.
      ValueError: a setting is out of range. From `update`: neither `grad` nor `grad_norm` is given.

    Example:
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from zenith.optax import ZenithSchedule
      >>> optimizer = optax.inject_hyperparams(optax.sgd)(ZenithSchedule(0.5, window=1))
      >>> params = jnp.array([3.0, 4.0])
      >>> state = optimizer.init(params)
      >>> for factor in [1.0, 0.5]:
      ...     grads = factor * params
      ...     updates, state = optimizer.update(grads, state, params, grad=grads)
      >>> float(state.hyperparams["learning_rate"])
      0.25

    Source: arXiv 2601.15212, Algorithm 1.
    """

    def __init__(
        self,
        learning_rate: float,
        window: int = 500,
        *,
        min_scale: float = 0.0,
        spike_factor: float | None = None,
    ) -> None:
        _check_learning_rate(learning_rate)
        self._learning_rate = learning_rate
        self._rule = Rule(window, min_scale, spike_factor)

    def init(self) -> ZenithState:
        """State of a run that has seen no gradient yet."""
        return self._rule.init()

    def update(
        self, state: ZenithState, *, grad: Any = None, grad_norm: Any = None, **extra_args: Any
    ) -> ZenithState:
        """The state after this step's gradient."""
        del extra_args  # of other transformations
        if grad is None and grad_norm is None:
            raise ValueError(
                "ZenithSchedule needs the gradient of every step. Received: neither grad nor "
                "grad_norm. Call optimizer.update(grads, state, params, grad=grads), or use "
                "zenith.optax.zenith(optax.sgd(...)), which needs no extra argument."
            )
        return self._rule.update(state, measure(grad, grad_norm=grad_norm))

    def __call__(
        self, state: ZenithState, *, grad: Any = None, grad_norm: Any = None, **extra_args: Any
    ) -> jax.Array:
        """The learning rate eta_t of this step; without a gradient that of the step before.

        optax asks for the value before it updates the state, and in `init`, where no gradient is.
        """
        if grad is not None or grad_norm is not None:
            state = self.update(state, grad=grad, grad_norm=grad_norm, **extra_args)
        return jnp.float32(self._learning_rate) * state.scale


def _check_learning_rate(received: object) -> None:
    try:
        value = float(received)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(
            f"learning_rate must be a number. Received: {received!r}. Give a schedule to the "
            "optimizer instead: zenith.optax.zenith(optax.sgd(schedule))."
        ) from None
    if not 0.0 < value < float("inf"):
        raise ValueError(f"learning_rate must be finite and above 0. Received: {received!r}")
