"""The training loop: the same for every task and method, and exactly resumable."""

import copy
import math
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.methods import Method, Plan
from experiments.minibatch import Minibatch
from experiments.place import Place
from experiments.ranks import Ranks
from experiments.results import EpochRow, Status, StepRow
from experiments.tasks import Problem, Split, Task
from experiments.tasks._prefetch import prefetched

_ROWS = 250  # of steps in a result file, about


class Watcher:
    """Is told how a run goes; this one does nothing about it."""

    def on_step(self, step: int, total_steps: int) -> None:
        """`step` steps of `total_steps` are done."""

    def on_epoch(self, row: EpochRow) -> None:
        """The model was evaluated."""

    def on_note(self, note: str) -> None:
        """Something happened that a person may want to know."""


@dataclass
class Record:
    """What of a run is known so far, as plain numbers; it is a part of the checkpoint."""

    step: int = 0  # steps done
    seconds: float = 0.0  # of training alone
    stretch: list[float] = field(default_factory=list)  # losses since the last row of steps
    epoch: list[float] = field(default_factory=list)  # losses since the epoch began
    steps: list[tuple[Any, ...]] = field(default_factory=list)
    epochs: list[tuple[Any, ...]] = field(default_factory=list)


class Loop:
    """One method at work on one task.

    Every random number that torch draws is a function of seed, step and rank, and every minibatch
    one of seed and step. So model, method and record are all that a checkpoint needs.

    Args:
      task: with the settings of the run.
      problem: its data.
      method: that trains.
      seed: of the run.
      ranks: the processes that train together.
      watcher: is told how it goes.
      workers: processes that prepare minibatches.
    """

    def __init__(
        self,
        task: Task,
        problem: Problem,
        method: Method,
        seed: int,
        ranks: Ranks,
        watcher: Watcher,
        workers: int,
    ) -> None:
        self.record = Record()
        self.total_steps = task.epochs * problem.steps_per_epoch
        self.every = max(1, self.total_steps // _ROWS)  # steps in a row of the result file
        self._task = task
        self._problem = problem
        self._seed = seed
        self._ranks = ranks
        self._watcher = watcher
        self._workers = workers
        torch.manual_seed(_noise(seed))
        self._model = problem.model().to(ranks.device)
        self._model.train()
        plan = Plan(
            lr=task.lr,
            momentum=task.momentum,
            weight_decay=task.weight_decay,
            window=task.window,
            total_steps=self.total_steps if method.knows_budget else 0,
            steps_per_epoch=problem.steps_per_epoch,
        )
        self._training = method.start(self._model, plan)

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "model": self._model.state_dict(),
            "method": self._training.state_dict(),
            "record": vars(self.record),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; whatever a state of another model or method raises is raised."""
        record = Record(**state["record"])
        self._model.load_state_dict(state["model"])
        self._training.load_state_dict(state["method"])
        self.record = record

    def train(self, place: Place | None, saved_every: float) -> tuple[Status, str]:
        """Train to the end of the budget, to the time limit, or until the run diverges.

        Args:
          place: where to save; None to save nothing.
          saved_every: seconds between two checkpoints.

        Returns:
          How it ended, and why if it was before the end of the budget.

        Raises:
          RequestError: a checkpoint cannot be written, or data cannot be read.
        """
        record, problem = self.record, self._problem
        part = self._ranks.part(self._task.batch)
        parallel = self._ranks.parallel(self._model)
        steps = range(record.step, self.total_steps)
        make = partial(problem.batch, self._seed, part=part)
        pinned = self._ranks.device.type == "cuda"
        saved = perf_counter()
        for step, data in zip(
            steps, prefetched(make, steps, self._workers, pin_memory=pinned), strict=True
        ):
            data = _moved(data, self._ranks.device)
            if step == steps.start:
                self._warm_up(data)
            loss = self._step(step, data, parallel)
            if not math.isfinite(loss):
                return "diverged", f"the loss was {loss} at step {record.step}"
            late = self._late()
            if record.step % problem.steps_per_epoch == 0 or late:
                self._end_epoch()
                if not all(bool(p.isfinite().all()) for p in self._model.parameters()):
                    return "diverged", f"a weight was not finite after step {record.step}"
            self._watcher.on_step(record.step, self.total_steps)
            if late:
                return "finished", f"the time limit of {self._task.minutes:g} minutes"
            if place and perf_counter() - saved >= saved_every and record.step < self.total_steps:
                place.save(self.state_dict())
                saved = perf_counter()
        return "finished", ""

    def _step(self, step: int, data: Any, parallel: nn.Module) -> float:
        record, ranks = self.record, self._ranks
        ends_row = (step + 1) % self.every == 0 or step + 1 == self.total_steps
        batch = self._minibatch(self._model, parallel, data, measured=ends_row)
        torch.manual_seed(_noise(self._seed, step, ranks.rank))
        started = _now(ranks.device)
        loss = self._training.step(batch)
        record.seconds += _now(ranks.device) - started - batch.aside
        record.step = step + 1
        record.stretch.append(float(loss))
        record.epoch.append(float(loss))
        if ends_row or not math.isfinite(record.stretch[-1]):
            row = StepRow(
                record.step,
                record.seconds,
                sum(record.stretch) / len(record.stretch),
                float(self._training.effective_lr()),
                math.nan if batch.norm is None else batch.norm,
            )
            record.steps.append(tuple(row))
            record.stretch.clear()
        return record.epoch[-1]

    def _minibatch(
        self, model: nn.Module, parallel: nn.Module, data: Any, *, measured: bool
    ) -> Minibatch:
        return Minibatch(
            self._problem,
            model,
            parallel,
            data,
            self._ranks,
            amp=self._task.amp,
            measured=measured,
        )

    def _end_epoch(self) -> None:
        record = self.record
        row = EpochRow(
            len(record.epochs) + 1,
            record.step,
            record.seconds,
            sum(record.epoch) / len(record.epoch),
            *self._evaluated(),
        )
        record.epoch.clear()
        record.epochs.append(tuple(row))
        self._watcher.on_epoch(row)

    def _evaluated(self) -> tuple[dict[str, float], dict[str, float]]:
        """Validation and test metrics, on rank 0; there are none on another one."""
        splits: tuple[Split, Split] = ("validation", "test")
        # On every rank: what a method does to the weights for it need not come back bit for bit.
        with self._training.evaluating():
            if self._ranks.rank != 0:
                return {}, {}
            self._model.eval()
            try:
                with torch.autocast(
                    self._ranks.device.type, torch.bfloat16, enabled=self._task.amp
                ):
                    validation, test = (self._problem.evaluate(self._model, s) for s in splits)
            finally:
                self._model.train()
        return validation, test

    def _late(self) -> bool:
        minutes = self._task.minutes
        return minutes is not None and self._ranks.agree(self.record.seconds >= 60 * minutes)

    def _warm_up(self, data: Any) -> None:
        """Pay for what the first pass sets up outside the timed steps, on another model."""
        other = copy.deepcopy(self._model)
        self._minibatch(other, other, data, measured=False).gradient()


def _noise(*key: int) -> int:
    """A seed for torch from the seed of a run, a step and a rank: 32 bits, all its CPU uses."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def _moved(data: Any, device: torch.device) -> Any:
    if isinstance(data, Tensor):
        return data.to(device, non_blocking=True)
    if isinstance(data, dict):
        return {key: _moved(value, device) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(_moved(value, device) for value in data)
    return data
