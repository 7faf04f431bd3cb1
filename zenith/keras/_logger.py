"""The log of a run with epochs longer than the window."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUntypedBaseClass=false, reportUnknownArgumentType=false
# (Keras is not annotated)

from os import PathLike
from typing import Any

import keras

from zenith.keras._optimizer import require_zenith
from zenith.log import LogWriter, Snapshot


class ZenithLogger(keras.callbacks.Callback):
    """Writes the gradient norm of every step of `model.fit` to a CSV file, also of long epochs.

    `Zenith(log=...)` does so too, and costs nothing, as long as an epoch has no more steps than the
    window. This one looks at the optimizer within the epoch, so Keras gives up its asynchronous
    dispatch of callbacks: every step waits for its metrics.

    Args:
      path: the file, continued if it exists.
      every: batches for each look at the optimizer. At most the window, or norms are lost.

    Raises:
      TypeError: in `fit`, `every` is not an integer, or ZENITH is not attached to the optimizer:
        put the callback `Zenith` before this one.
      ValueError, FileNotFoundError: in `fit`, as `zenith.log.LogWriter`.

    Example:

    ```python
    model.fit(x, y, callbacks=[Zenith(window=500), ZenithLogger("zenith.csv", every=500)])
    ```
    """

    def __init__(self, path: str | PathLike[str], *, every: int = 100) -> None:
        super().__init__()
        self.path, self.every = path, every
        self._writer: LogWriter | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.on_train_end()  # of a training that raised
        model: Any = self.model
        require_zenith(model.optimizer)
        self._writer = LogWriter(self.path, every=self.every)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.write(self, loss=(logs or {}).get("loss"))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def snapshot(self) -> Snapshot:
        """What the optimizer shows now."""
        model: Any = self.model  # JAX writes its state back to the variables here
        return require_zenith(model.optimizer).snapshot()
