"""Zenith in the Hugging Face Trainer: the gradient before clipping, and the figures in its logs."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUntypedBaseClass=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
# (Transformers is no dependency of this package)

from collections.abc import Callable
from os import PathLike
from typing import Any

from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from zenith.log import LogWriter
from zenith.torch._metrics import read_metrics
from zenith.torch._scheduler import Zenith


class ZenithCallback(TrainerCallback):
    """Shows Zenith the gradient before the Trainer clips it, and logs what Zenith does.

    The Trainer clips to `max_grad_norm=1.0` by default, through its accelerator, and that hands
    back the norm before clipping: the callback passes this one on, so that no second one is
    computed. Whenever the Trainer logs, `lr`, `grad_norm` (before clipping), `zenith/mean`,
    `zenith/peak`, `zenith/scale` and `zenith/skipped` are logged too.

    Without this callback Zenith works too, and sees the clipped gradient, whose norm is at most
    `max_grad_norm`.

    Args:
      trainer: the Trainer to which the callback is added, with a `Zenith` as its scheduler.
      log: path of a CSV file for `zenith.plot` and `zenith.diagnose`, continued if it exists; it
        gets the norm of every step, where the Trainer logs one in `logging_steps`.

    Raises:
      RuntimeError: at the start of training, if the Trainer's scheduler is no `Zenith`.
      ValueError, FileNotFoundError: at the start of training, as `zenith.log.LogWriter`.

    Example:
      >>> from zenith.torch import Zenith
      >>> from zenith.torch.transformers import ZenithCallback
      >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)  # doctest: +SKIP
      >>> trainer = Trainer(model, optimizers=(optimizer, Zenith(optimizer)))  # doctest: +SKIP
      >>> trainer.add_callback(ZenithCallback(trainer))  # doctest: +SKIP

    Source: arXiv 2601.15212, Algorithm 1, for the gradient that is measured.
    """

    def __init__(self, trainer: Trainer, log: str | PathLike[str] | None = None) -> None:
        self.trainer = trainer
        self._log = log
        self._writer: LogWriter | None = None
        self._scheduler: Zenith | None = None
        self._handed_over = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        scheduler: Any = self.trainer.lr_scheduler
        scheduler = getattr(scheduler, "scheduler", scheduler)  # as Accelerate wraps it
        if not isinstance(scheduler, Zenith):
            raise RuntimeError(
                "ZenithCallback found no Zenith. Pass it to the Trainer, as optimizers=(optimizer, "
                f"Zenith(optimizer)). Received: {type(scheduler).__name__}"
            )
        self._scheduler = scheduler
        self._stop()  # after a training that raised
        if self._log is not None and state.is_world_process_zero:
            every = min(state.logging_steps or scheduler.window, scheduler.window)
            self._writer = LogWriter(self._log, every=every)
        accelerator = self.trainer.accelerator
        clip: Callable[..., Any] = accelerator.clip_grad_norm_

        def clip_and_observe(*args: Any, **kwargs: Any) -> Any:
            self._handed_over = True
            return scheduler.observe(clip(*args, **kwargs))

        accelerator.clip_grad_norm_ = clip_and_observe

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if not self._handed_over and args.max_grad_norm:
            raise RuntimeError(
                "the Trainer has clipped the gradient and not by accelerator.clip_grad_norm_, so "
                "Zenith would see the clipped one. Set max_grad_norm=0.0, or remove ZenithCallback "
                f"to train on clipped norms. Received: max_grad_norm={args.max_grad_norm}"
            )
        self._handed_over = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._writer is not None and self._scheduler is not None:
            self._writer.write(self._scheduler)
        if control.should_log and self._scheduler is not None:
            self.trainer.log(read_metrics(self._scheduler))
            control.should_log = True  # which log() takes back: the Trainer's own is still to come

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        vars(self.trainer.accelerator).pop("clip_grad_norm_", None)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
