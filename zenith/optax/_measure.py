"""Which norm counts in a step: one that is handed over, or that of a gradient."""

# pyright: reportUnknownMemberType=false
# (jax annotates asarray and jax.tree.structure in part)

from typing import Any, cast

import jax
import jax.numpy as jnp

from zenith.optax._grad_norm import grad_norm as norm_of


def measure(updates: Any, *, grad: Any = None, grad_norm: Any = None) -> jax.Array:
    """Norm of this step, a float32 scalar: `grad_norm`, or that of `grad`, or of `updates`."""
    if grad_norm is not None:
        return _scalar(grad_norm)
    if grad is not None:
        _check_same_tree(grad, updates)
        return norm_of(grad)
    return norm_of(updates)


def _scalar(norm: Any) -> jax.Array:
    dtype, shape = jnp.result_type(norm), jnp.shape(norm)
    if shape != () or jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(
            "grad_norm must be a real scalar, the global L2 norm of the gradient. Received: "
            f"{dtype}{list(shape)}. zenith.optax.grad_norm(grads) computes it."
        )
    return jnp.asarray(norm, jnp.float32)


def _check_same_tree(grad: Any, updates: Any) -> None:
    expected = cast(object, jax.tree.structure(updates))
    received = cast(object, jax.tree.structure(grad))
    if expected != received:
        raise ValueError(
            f"grad must be a tree like the updates, {expected}. Received: {received}. Pass what "
            "jax.grad returned for the same parameters; inside optax.masked or optax.partition set "
            "mask_compatible_extra_args=True there."
        )
    shapes = [
        (jnp.shape(leaf), jnp.shape(update))
        for leaf, update in zip(jax.tree.leaves(grad), jax.tree.leaves(updates), strict=True)
    ]
    if any(received != expected for received, expected in shapes):
        raise ValueError(
            "grad must have the shapes of the updates. Received, with what was expected: "
            f"{[pair for pair in shapes if pair[0] != pair[1]]}. Pass what jax.grad returned for "
            "the same parameters."
        )
