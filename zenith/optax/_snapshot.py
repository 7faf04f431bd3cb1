"""What a log writes of an optimizer state."""

# pyright: reportUnknownMemberType=false
# (jax annotates device_get in part)

from typing import Any

import jax

from zenith.log import Snapshot
from zenith.optax._portable import the_only_zenith


def snapshot(state: Any, step: int, learning_rate: float) -> Snapshot:
    """What `zenith.log.LogWriter` writes of an optimizer state, read from its devices.

    The state holds the last W gradient norms, so one snapshot in W steps is enough for a log with
    the norm of every step: after each `lax.scan`, or once in so many calls of a compiled step.

    Args:
      state: as for `export_state`.
      step: updates that the optimizer has taken, which the state does not count.
      learning_rate: eta_0, a number: that of the optimizer, or of its schedule at this step.

    Returns:
      A `Snapshot`; its `lr` is eta_t.

    Raises:
      ValueError: as `export_state`.

    Example:
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from zenith.optax import snapshot, zenith
      >>> state = zenith(optax.sgd(0.1), window=2).init(jnp.zeros(3))
      >>> snapshot(state, step=0, learning_rate=0.1).lr
      0.1

    In a loop, with `log = LogWriter("zenith.csv")` of `zenith.log`:

    ```python
    for step in range(1, 1001):
        params, state = train_step(params, state, *next(batches))
        if step % 100 == 0:
            log.write(snapshot(state, step, learning_rate=0.1))
    ```
    """
    remembered = jax.device_get(the_only_zenith(state))
    return Snapshot(step, float(learning_rate) * float(remembered.scale), remembered)
