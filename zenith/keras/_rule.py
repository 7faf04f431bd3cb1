"""The settings of the rule, and its operations on the backend that Keras runs."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportMissingModuleSource=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (one backend is installed, not three, and none of them is annotated in full)

from typing import Any, NamedTuple, TypeAlias

import keras

from zenith.core import ArrayOps, add_pairs, check_safeguards, check_window

Tensor: TypeAlias = Any  # of whichever backend Keras runs


class Settings(NamedTuple):
    """What the user chooses, in the order and with the names of every constructor."""

    window: int
    min_scale: float
    spike_factor: float | None


def check_settings(window: int, min_scale: float, spike_factor: float | None) -> Settings:
    """The settings, or the TypeError or ValueError of `zenith.core`."""
    check_safeguards(min_scale, spike_factor)
    return Settings(check_window(window), min_scale, spike_factor)


def check_agreement(held: Settings, given: Settings, holder: str) -> None:
    """Raise ValueError unless `given` repeats what `holder` already has."""
    if held != given:
        raise ValueError(
            f"{holder} has {held._asdict()}, and ZENITH takes one choice for a run: pass the same, "
            f"or create a new optimizer. Received: {given._asdict()}"
        )


def _tensorflow() -> ArrayOps:
    import tensorflow as tf

    return ArrayOps(
        where=tf.where,
        concat=lambda kept, newest: tf.concat([kept, newest[None]], 0),
        maximum=tf.maximum,
        total=lambda norms: tf.cast(tf.reduce_sum(tf.cast(norms, tf.float64)), tf.float32),
    )


def _jax() -> ArrayOps:
    import jax.numpy as jnp
    import numpy as np
    from jax import lax

    def total(norms: Tensor) -> Tensor:
        # JAX has no float64 by default, and turning it on is a process-wide flag. Two float32
        # carry 48 bits through the sum: enough for every order in which XLA may reduce.
        zero = np.float32(0)
        return lax.reduce((norms, jnp.zeros_like(norms)), (zero, zero), add_pairs, (0,))[0]

    return ArrayOps(
        where=jnp.where,
        concat=lambda kept, newest: jnp.concatenate([kept, newest[None]]),
        maximum=jnp.maximum,
        total=total,
    )


def _torch() -> ArrayOps:
    import torch

    def total(norms: Tensor) -> Tensor:
        # Apple's GPU, Keras's default device on a Mac, has no float64.
        wide = norms.cpu() if norms.device.type == "mps" else norms
        return torch.sum(wide, dtype=torch.float64).to(torch.float32).to(norms.device)

    return ArrayOps(
        where=torch.where,
        concat=lambda kept, newest: torch.cat((kept, newest.reshape(1))),
        maximum=lambda x, y: torch.clamp(x, min=y),
        total=total,
    )


_ADAPTERS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def backend_ops() -> ArrayOps:
    """The four operations of the running backend.

    Raises:
      ValueError: Keras runs a backend that cannot train.
    """
    name: str = keras.backend.backend()
    if name not in _ADAPTERS:
        raise ValueError(
            "zenith.keras needs a Keras backend that trains: "
            f"{', '.join(_ADAPTERS)}. Received: KERAS_BACKEND={name!r}. Set the environment "
            "variable KERAS_BACKEND before Keras is imported."
        )
    return _ADAPTERS[name]()
