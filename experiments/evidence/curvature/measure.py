"""One training, with the sharpness measured on its way and slices of the loss at its end."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from experiments import results
from experiments.errors import RequestError
from experiments.evidence.curvature.landscape import filter_normalised, line_slice, plane_slice
from experiments.evidence.curvature.probe import Probe
from experiments.evidence.curvature.sharpness import top_eigenvalue
from experiments.files import replace_text
from experiments.loop import Loop, Watcher
from experiments.ranks import Ranks
from experiments.results import Identity, StepRow
from experiments.run import find_method
from experiments.settings import change
from experiments.tasks import Problem, Task, find
from experiments.threads import one_thread

FORMAT = 1
BATCHES = 4  # of the probe: 256 images at laptop scale
LINE = tuple(np.linspace(-1, 1, 41).round(3).tolist())
PLANE = tuple(np.linspace(-1, 1, 15).round(3).tolist())
_EARLY = (1, 2, 4, 8, 16, 32, 64, 128)  # sharpness changes most at the beginning


class Moment(NamedTuple):
    """The model on its way."""

    step: int  # steps done
    lr: float  # step size in the last row of the result file, eta_0 before the first
    sharpness: float  # largest eigenvalue of the Hessian of the probe's loss
    loss: float  # of the probe
    metric: float  # the task's, on the validation split


@dataclass(frozen=True)
class Curvature:
    """What one training showed."""

    identity: Identity
    moments: list[Moment]
    line: list[float]  # loss at LINE along one direction
    plane: list[list[float]]  # loss at PLANE x PLANE along two, the second by rows


def measure(
    identity: Identity, data: Path | None, on_step: Callable[[int, int], None]
) -> Curvature:
    """Make that run once more, and measure.

    It is the run of `python -m experiments run`, step by step, on the CPU. The sharpness is
    measured at the start, in steps that double up to 128, and after each epoch.

    Args:
      identity: of the run.
      data: the folder of all data sets.
      on_step: is told the steps done and their number.

    Raises:
      RequestError: there is no such task or method, data are missing, or the run diverged.
    """
    task = change(find(identity.task, identity.scale), identity.changes)  # type: ignore[arg-type]
    method = find_method(identity.method)
    problem = task.open(data)
    with one_thread(), torch.random.fork_rng(devices=()):
        watcher = _Measuring(task, problem, on_step)
        watcher.loop = Loop(
            task, problem, method, identity.seed, Ranks(0, 1, torch.device("cpu")), watcher, 0
        )
        watcher.look(0)
        status, reason = watcher.loop.train(None, saved_every=0.0)
        if status != "finished":
            raise RequestError(f"{identity.title} diverged, there is no curvature: {reason}")
        model = watcher.model()
        first, second = (filter_normalised(model, seed) for seed in (0, 1))
        line = line_slice(model, watcher.probe, first, LINE)
        plane = plane_slice(model, watcher.probe, (first, second), PLANE, PLANE)
    return Curvature(identity, watcher.moments, line.tolist(), plane.tolist())


class _Measuring(Watcher):
    """Looks at the weights of a loop as it goes."""

    loop: Loop

    def __init__(self, task: Task, problem: Problem, on_step: Callable[[int, int], None]) -> None:
        self.probe = Probe.of(problem, BATCHES)
        self.moments: list[Moment] = []
        self._task = task
        self._problem = problem
        self._on_step = on_step

    def model(self) -> nn.Module:
        """A copy of the model as it is now: the weights that are trained, not an average."""
        with torch.random.fork_rng(devices=()):
            model = self._problem.model()
        model.load_state_dict(self.loop.state_dict()["model"])
        return model.eval()

    def look(self, step: int) -> None:
        model = self.model()
        loss = self.probe.loss(model)
        steps = self.loop.record.steps
        self.moments.append(
            Moment(
                step,
                StepRow(*steps[-1]).lr if steps else self._task.lr,
                top_eigenvalue(model, self.probe) if math.isfinite(loss) else math.nan,
                loss,
                self._problem.evaluate(model, "validation")[self._task.metric],
            )
        )

    def on_step(self, step: int, total_steps: int) -> None:
        if step in _EARLY or step % self._problem.steps_per_epoch == 0:
            self.look(step)
        self._on_step(step, total_steps)


def path_of(identity: Identity, folder: Path) -> Path:
    """Beside the result file of the same run."""
    run = results.path_of(identity, folder)
    return run.with_name(f"curvature{identity.seed}.json")


def write(curvature: Curvature, folder: Path) -> Path:
    """Put the file in its place below the folder of results, whole or not at all."""
    path = path_of(curvature.identity, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps({"format": FORMAT, **_rounded(asdict(curvature))}) + "\n")
    return path


def read_all(folder: Path) -> list[Curvature]:
    """Every curvature file below a folder of results, sorted by path.

    Raises:
      RequestError: a file is damaged or has another format.
    """
    return [_read(path) for path in sorted(folder.glob("*/*/*/curvature*.json"))]


def _read(path: Path) -> Curvature:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError(f"expected format {FORMAT}")
        content["identity"] = Identity(**content["identity"])
        content["moments"] = [Moment(*moment) for moment in content["moments"]]
        return Curvature(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RequestError(f"{path}: expected a curvature file: {error}") from error


def _rounded(value: Any) -> Any:
    """Six digits: the eigenvalue itself is known to three."""
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
