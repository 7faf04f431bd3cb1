"""ZENITH as gradient transformations: measure what enters, scale what leaves."""

from typing import Any, NamedTuple

import jax
import optax  # pyright: ignore[reportMissingTypeStubs]

from zenith.core import ZenithState
from zenith.optax._grad_norm import is_gradient, widened
from zenith.optax._measure import measure
from zenith.optax._rule import Rule


class ScaleByZenithState(NamedTuple):
    """State of `zenith` and `scale_by_zenith`: 4 W + 20 bytes, and that of the inner one."""

    zenith: ZenithState
    inner_state: optax.OptState


def zenith(
    inner: optax.GradientTransformation,
    window: int = 500,
    *,
    min_scale: float = 0.0,
    spike_factor: float | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Multiplies the learning rate of an optimizer by what ZENITH makes of the gradient norms.

    The norm is that of the raw gradient, before `inner` clips it or adds weight decay; the scale
    multiplies what leaves `inner`, after momentum. That is torch's SGD under `zenith.torch.Zenith`.

    Args:
      inner: the optimizer, its learning rate eta_0 (a number or a schedule) within it.
      window: number W of gradient norms that are averaged; the scale is 1 until W steps were seen.
      min_scale: smallest scale, in [0, 1). The default 0 is the paper's rule.
      spike_factor: once the window is full, a norm counts for at most this many times the current
        mean, above 1. The default None is the paper's rule.

    Returns:
      A `GradientTransformationExtraArgs` whose state is a `ScaleByZenithState`. `update` takes, and
      passes on to `inner`, any extra arguments. Two of them replace the norm of the updates that
      enter: `grad_norm`, a real scalar, or else `grad`, a tree like the updates.

    Raises:
      TypeError: `inner` is no gradient transformation, `window` no integer, or a setting is traced.
      ValueError: `window`, `min_scale` or `spike_factor` is out of range. From `update`: `grad` or
        `grad_norm` has another structure or shape, or the state another window.

    Example:
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from zenith.optax import zenith
      >>> optimizer = zenith(optax.sgd(0.1, momentum=0.9), window=2)
      >>> params = jnp.array([1.0, 2.0])
      >>> state = optimizer.init(params)
      >>> for factor in [4.0, 2.0, 1.0]:
      ...     updates, state = optimizer.update(factor * params, state, params)
      >>> float(state.zenith.scale)  # (2 + 1) / (4 + 2)
      0.5

    Source: arXiv 2601.15212, Algorithm 1.
    """
    if not isinstance(inner, optax.GradientTransformation):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            "inner must be an optax gradient transformation, such as optax.sgd(0.1). Received: "
            f"{inner!r}"
        )
    rule = Rule(window, min_scale, spike_factor)
    inner_init, inner_update = optax.with_extra_args_support(inner)

    def init(params: optax.Params) -> ScaleByZenithState:
        return ScaleByZenithState(rule.init(), inner_init(params))

    def update(
        updates: optax.Updates,
        state: ScaleByZenithState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, ScaleByZenithState]:
        norm = measure(updates, grad=extra_args.get("grad"), grad_norm=extra_args.get("grad_norm"))
        remembered = rule.update(state.zenith, norm)
        updates, inner_state = inner_update(updates, state.inner_state, params, **extra_args)

        def scaled(leaf: Any) -> Any:
            return _scaled(leaf, remembered.scale)

        return jax.tree.map(scaled, updates), ScaleByZenithState(remembered, inner_state)

    # optax types every state as any tree of arrays.
    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]


def scale_by_zenith(
    window: int = 500,
    *,
    inner: optax.GradientTransformation | None = None,
    min_scale: float = 0.0,
    spike_factor: float | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Scales updates by what ZENITH makes of their norms: the element for `optax.chain`.

    Put it before momentum, where the updates still are the gradient; then the scale acts before
    momentum, as in Keras's SGD. After momentum it would measure the velocity, unless `update` is
    given the extra argument `grad`: `chain(sgd(0.1, momentum=0.9), scale_by_zenith())` with
    `grad=grads` is `zenith(sgd(0.1, momentum=0.9))`.

    Args:
      window: as for `zenith`.
      inner: a transformation between the measuring and the scaling; none by default.
      min_scale: as for `zenith`.
      spike_factor: as for `zenith`.

    Returns:
      As `zenith`, with the same state and the same extra arguments `grad` and `grad_norm`.

    Raises:
      TypeError, ValueError: as `zenith`.

    Example:
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from zenith.optax import scale_by_zenith
      >>> optimizer = optax.chain(scale_by_zenith(window=1), optax.sgd(0.5))
      >>> params = jnp.array([3.0, 4.0])
      >>> state = optimizer.init(params)
      >>> for factor in [1.0, 0.5]:
      ...     updates, state = optimizer.update(factor * params, state, params)
      >>> updates  # -0.5 * 0.5 * (0.5 * params)
      Array([-0.375, -0.5  ], dtype=float32)

    Source: arXiv 2601.15212, Algorithm 1.
    """
    return zenith(
        optax.identity() if inner is None else inner,
        window,
        min_scale=min_scale,
        spike_factor=spike_factor,
    )


def _scaled(leaf: Any, scale: jax.Array) -> Any:
    if not is_gradient(leaf):
        return leaf
    wide = widened(leaf)
    # Explicit casts: no leaf leaves in another dtype, and float8 has no implicit promotion.
    return (wide * scale.astype(wide.real.dtype)).astype(leaf.dtype)
