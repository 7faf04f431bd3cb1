"""Carry the state of a run to another framework, or back."""

# pyright: reportUnknownMemberType=false
# (jax annotates device_put in part)

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from zenith.core import ZenithState, from_portable, to_portable

State = TypeVar("State")


def export_state(state: Any) -> dict[str, Any]:
    """What ZENITH remembers, as a plain dict that every front end of `zenith` can import.

    Args:
      state: an optimizer state with one ZENITH in it, however deep: of `zenith`, of a chain, of
        `optax.inject_hyperparams`. Of `nnx.Optimizer`, pass `nnx.as_pure(optimizer.opt_state)`.

    Returns:
      A dict of Python numbers and one list, safe for JSON and for `torch.load(weights_only=True)`.

    Raises:
      ValueError: the state holds no ZENITH, several, or one that is batched by `jax.vmap`.

    Example:
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from zenith.optax import export_state, zenith
      >>> export_state(zenith(optax.sgd(0.1), window=2).init(jnp.zeros(3)))
      {'format': 1, 'window': 2, 'norms': [], 'peak': 0.0, 'skipped': 0}
    """
    return to_portable(the_only_zenith(state))


def import_state(state: State, portable: Mapping[str, Any], *, min_scale: float = 0.0) -> State:
    """A copy of an optimizer state in which ZENITH remembers what `portable` describes.

    Args:
      state: as for `export_state`. It is not changed.
      portable: what `export_state` of any front end returned, with the window of `state`.
      min_scale: that of the optimizer, so that `scale` already shows it before the next step.

    Returns:
      A state of the same structure, shapes, dtypes and shardings; the run continues bit for bit.

    Raises:
      ValueError: as `export_state`; or a key of `portable` is missing, foreign or malformed, or its
        window is another one. The message names the key.

    Example:
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from zenith.optax import import_state, zenith
      >>> portable = {"format": 1, "window": 2, "norms": [3.0, 1.0], "peak": 8.0, "skipped": 0}
      >>> state = import_state(zenith(optax.sgd(0.1), window=2).init(jnp.zeros(3)), portable)
      >>> float(state.zenith.scale)
      0.5
    """
    present = the_only_zenith(state)
    imported = from_portable(portable, window=len(present.norms), min_scale=min_scale)
    placed = jax.tree.map(_placed_like, imported, present)

    def exchange(node: Any) -> Any:
        return placed if _is_zenith(node) else node

    return jax.tree.map(exchange, state, is_leaf=_is_zenith)


def _is_zenith(node: object) -> bool:
    return isinstance(node, ZenithState)


def the_only_zenith(state: Any) -> ZenithState:
    found = [node for node in jax.tree.leaves(state, is_leaf=_is_zenith) if _is_zenith(node)]
    if len(found) != 1:
        raise ValueError(
            f"state must hold exactly one ZENITH state. Received: {len(found)} of them. Pass the "
            "optimizer state that init or update returned, or the part of it that is meant."
        )
    shape = np.shape(found[0].norms)
    if len(shape) != 1:
        raise ValueError(
            f"state must be that of one run. Received: norms of shape {shape}, as jax.vmap makes "
            "them. Take one run out of it first: jax.tree.map(lambda x: x[i], state)."
        )
    return found[0]


def _placed_like(value: np.ndarray, present: Any) -> jax.Array:
    # Only where `present` was put on purpose: a default-device copy must stay free to move.
    committed = isinstance(present, jax.Array) and present.committed
    return jax.device_put(value, present.sharding if committed else None)
