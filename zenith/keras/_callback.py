"""ZENITH for `model.fit`: one callback, and nothing else changes."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUntypedBaseClass=false, reportUnknownArgumentType=false
# (Keras is not annotated)

from os import PathLike
from typing import Any

import keras

from zenith.keras._optimizer import attach_settings, require_zenith
from zenith.keras._rule import check_settings
from zenith.log import LogWriter


class Zenith(keras.callbacks.Callback):
    """Lets the SGD of `model.fit` follow the history of its gradient norm.

    The optimizer that the model was compiled with becomes a `ZenithSGD` in place, with its
    variables and its iteration, and remains one: it is saved with the model, and a later `fit`
    continues, with this callback or without. Every epoch's logs gain `learning_rate` (eta_t) and
    `grad_norm` (the last gradient norm in the window), for the callbacks that come later in the
    list: put this one first.

    Args:
      window: number W of gradient norms that are averaged; at least 1.
      min_scale: smallest factor on the learning rate, in [0, 1). The default 0 is the paper's rule.
      spike_factor: once the window is full, a norm counts for at most this many times the current
        mean; above 1. The default None is the paper's rule.
      log: path of a CSV file for `zenith.plot` and `zenith.diagnose`, continued if it exists. It is
        written once an epoch, with every gradient norm of it, or the last W of a longer one (for
        all of those, `ZenithLogger`); its loss is the mean of the epoch.

    Raises:
      TypeError: `window` is not an integer, or, in `fit`, the optimizer is not SGD.
      ValueError: an argument lies outside its range, or, in `fit`, the optimizer already follows
        ZENITH with other settings.

    Example:

    ```python
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    model.fit(x, y, epochs=10, callbacks=[Zenith(window=500)])
    ```

    Source: arXiv 2601.15212, Algorithm 1.
    """

    def __init__(
        self,
        window: int = 500,
        *,
        min_scale: float = 0.0,
        spike_factor: float | None = None,
        log: str | PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self.settings = check_settings(window, min_scale, spike_factor)
        self.log = log
        self._writer: LogWriter | None = None

    def set_model(self, model: Any) -> None:
        # Every trainer calls this before it makes its train function; on_train_begin would be too
        # late, JAX has by then laid out the optimizer's variables over the devices.
        super().set_model(model)
        inner: Any = self.model  # out of torch's DistributedDataParallel
        optimizer = getattr(inner, "optimizer", None)
        if optimizer is None:
            raise ValueError(
                "`Zenith` needs a model that was compiled with an optimizer, for example "
                "`model.compile(keras.optimizers.SGD(0.1), loss=...)`. "
                f"Received: model={inner!r} without one"
            )
        if attach_settings(optimizer, self.settings):
            inner.train_function = None  # compiled without the variables of ZENITH

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.on_train_end()  # of a training that raised
        if self.log is not None:
            self._writer = LogWriter(self.log)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Nothing happens at the end of a batch: a callback that overrides on_train_batch_end
        # switches off Keras's asynchronous dispatch.
        if logs is not None:
            model: Any = self.model  # JAX writes its state back to the variables here
            optimizer = require_zenith(model.optimizer)
            logs["learning_rate"] = float(optimizer.learning_rate)
            logs["grad_norm"] = float(optimizer.grad_norm)
            if self._writer is not None:
                self._writer.write(optimizer, loss=logs.get("loss"))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
