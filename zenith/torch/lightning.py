"""Zenith in Lightning: the gradient before clipping, and the figures in every logger."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUntypedBaseClass=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false
# (Lightning is no dependency of this package)

from os import PathLike
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from zenith.log import LogWriter
from zenith.torch._metrics import read_metrics
from zenith.torch._scheduler import Zenith
from zenith.torch._wrapped import unwrap


class ZenithCallback(Callback):
    """Shows Zenith the gradient before Lightning clips it, and logs what Zenith does.

    Every `Trainer(log_every_n_steps=...)` optimizer steps all loggers receive `lr`, `grad_norm`
    (before clipping), `zenith/mean`, `zenith/peak`, `zenith/scale` and `zenith/skipped`; with
    several optimizers that have a Zenith, `/0`, `/1` and so on is appended.

    Without this callback Zenith works too, and sees what the optimizer receives: the clipped
    gradient if `Trainer(gradient_clip_val=...)` is set. Under manual optimization clipping is
    yours: call `zenith.measure()` before `self.clip_gradients(...)`.

    Args:
      log: path of a CSV file for `zenith.plot` and `zenith.diagnose`, continued if it exists; it
        gets the norm of every step, where the loggers get one in `log_every_n_steps`. With several
        optimizers that have a Zenith, `-0`, `-1` and so on is appended to its stem.

    Raises:
      RuntimeError: at the start of training, if `configure_optimizers` returned no `Zenith`.
      ValueError, FileNotFoundError: at the start of training, as `zenith.log.LogWriter`.

    Example:
      >>> import lightning, torch
      >>> from zenith.torch import Zenith
      >>> from zenith.torch.lightning import ZenithCallback
      >>> class Model(lightning.LightningModule):
      ...     def configure_optimizers(self):
      ...         optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
      ...         return {"optimizer": optimizer, "lr_scheduler": Zenith(optimizer)}
      >>> trainer = lightning.Trainer(  # doctest: +SKIP
      ...     gradient_clip_val=1.0, callbacks=[ZenithCallback()]
      ... )

    Source: arXiv 2601.15212, Algorithm 1, for the gradient that is measured.
    """

    def __init__(self, log: str | PathLike[str] | None = None) -> None:
        self._log = log
        self._writers: list[LogWriter] = []
        self._logged_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not _zeniths(trainer):
            raise RuntimeError(
                "ZenithCallback found no Zenith. Return it from configure_optimizers, as "
                '{"optimizer": optimizer, "lr_scheduler": Zenith(optimizer)}, so that Lightning '
                f"saves and loads it. Received: {[*trainer.lr_scheduler_configs]}"
            )
        self._logged_step = trainer.global_step
        if self._log is not None and trainer.is_global_zero:
            schedulers = _zeniths(trainer)
            for index, scheduler in enumerate(schedulers):
                path = Path(self._log)
                if len(schedulers) > 1:
                    path = path.with_stem(f"{path.stem}-{index}")
                every = min(trainer.log_every_n_steps or scheduler.window, scheduler.window)  # pyright: ignore
                self._writers.append(LogWriter(path, every=every))

    def on_train_end(self, *_: Any, **__: Any) -> None:
        while self._writers:
            self._writers.pop().close()

    def on_exception(self, *_: Any, **__: Any) -> None:
        self.on_train_end()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if not pl_module.automatic_optimization:
            return  # what was clipped, was clipped before this hook
        for scheduler in _zeniths(trainer):
            if scheduler.optimizer is unwrap(optimizer):
                scheduler.measure()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        for writer, scheduler in zip(self._writers, _zeniths(trainer), strict=False):
            writer.write(scheduler, loss=loss)
        step = trainer.global_step
        every: int = trainer.log_every_n_steps  # pyright: ignore  (set by a connector)
        if not every or step // every == self._logged_step // every:
            return
        self._logged_step = step
        schedulers = _zeniths(trainer)
        for index, scheduler in enumerate(schedulers):
            suffix = f"/{index}" if len(schedulers) > 1 else ""
            metrics = {key + suffix: value for key, value in read_metrics(scheduler).items()}
            for logger in trainer.loggers:
                logger.log_metrics(metrics, step=step)


def _zeniths(trainer: Trainer) -> list[Zenith]:
    schedulers: list[Any] = [config.scheduler for config in trainer.lr_scheduler_configs]
    return [scheduler for scheduler in schedulers if isinstance(scheduler, Zenith)]
