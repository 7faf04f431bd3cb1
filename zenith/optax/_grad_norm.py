"""Global L2 norm of a pytree of gradients."""

# pyright: reportUnknownMemberType=false
# (jax annotates asarray and finfo in part)

from typing import Any

import jax
import jax.numpy as jnp


def grad_norm(grads: Any) -> jax.Array:
    """Global L2 norm over every leaf, accumulated in float32 or better.

    `optax.tree.norm` of bfloat16 leaves is itself bfloat16. A norm above 1.8e19, whose square is
    beyond float32, comes out infinite, and the rule skips it.

    Args:
      grads: any pytree of arrays, as `jax.grad` returns it. Complex leaves count with both parts;
        `None`, `float0` and integer leaves are no gradients and are left out.

    Returns:
      A float32 scalar; 0 for a tree without gradients.

    Example:
      >>> import jax.numpy as jnp
      >>> from zenith.optax import grad_norm
      >>> float(grad_norm({"w": jnp.array([3.0, 0.0]), "b": jnp.array(4.0), "frozen": None}))
      5.0

    Source: arXiv 2601.15212, equation 1.
    """
    squares = [_squared_norm(leaf) for leaf in jax.tree.leaves(grads) if is_gradient(leaf)]
    return jnp.sqrt(sum(squares, jnp.float32(0))).astype(jnp.float32)


def is_gradient(leaf: Any) -> bool:
    """Whether a leaf holds real or complex numbers, neither integers nor `float0`."""
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def widened(leaf: Any) -> jax.Array:
    """The leaf in float32 if its own floats have fewer bits, otherwise as it is."""
    dtype = jnp.result_type(leaf)
    # Not promote_types: float8 refuses every implicit promotion.
    return jnp.asarray(leaf, dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32)


def _squared_norm(leaf: Any) -> jax.Array:
    if jnp.iscomplexobj(leaf):
        return _squared_norm(leaf.real) + _squared_norm(leaf.imag)
    wide = widened(leaf)
    return jnp.sum(wide * wide)
