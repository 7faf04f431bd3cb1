"""One training, with the sharpness measured on its way and slices of the loss at its end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from experiments.errors import RequestError
from experiments.evidence.curvature.landscape import filter_normalised, line_slice, plane_slice
from experiments.evidence.curvature.probe import Probe
from experiments.evidence.curvature.sharpness import top_eigenvalue
from experiments.files import replace_text
from experiments.methods import METHODS, ModelBatch, Plan
from experiments.results import Identity
from experiments.tasks import Problem, Task

FORMAT = 1
BATCHES = 4  # of the probe: 256 images at laptop scale
LINE = tuple(np.linspace(-1, 1, 41).round(3).tolist())
PLANE = tuple(np.linspace(-1, 1, 15).round(3).tolist())
_FIRST = (0, 1, 2, 4, 8, 16, 32, 64, 128)  # sharpness changes most at the beginning


class Moment(NamedTuple):
    """The model on its way."""

    step: int  # steps done
    lr: float  # step size of the last step, eta_0 before the first
    sharpness: float  # largest eigenvalue of the Hessian of the probe's loss
    loss: float  # of the probe
    metric: float  # the task's, on the validation split


@dataclass(frozen=True)
class Curvature:
    """What one training showed."""

    task: str
    scale: str
    method: str
    seed: int
    moments: list[Moment]
    line: list[float]  # loss at LINE along one direction
    plane: list[list[float]]  # loss at PLANE x PLANE along two, the second by rows


def measure(
    task: Task, problem: Problem, method: str, seed: int, on_step: Callable[[int, int], None]
) -> Curvature:
    """Train and measure; the same arguments give the same curvature.

    The sharpness is measured at the start, in steps that double up to 128, and after each epoch.

    Args:
      task: its settings are those of the training.
      problem: of that task.
      method: a key of `METHODS`.
      seed: of weights and minibatches, as in `run`.
      on_step: is told the steps done and their number.
    """
    torch.manual_seed(seed)
    model = problem.model()
    total = task.epochs * problem.steps_per_epoch
    plan = Plan(
        task.lr, task.momentum, task.weight_decay, task.window, total, problem.steps_per_epoch
    )
    training = METHODS[method].start(model, plan)
    probe = Probe.of(problem, BATCHES)
    moments: list[Moment] = []
    at = {*_FIRST, *range(0, total + 1, problem.steps_per_epoch)}
    for step in range(total + 1):
        if step in at:
            with training.evaluating():
                model.eval()
                moments.append(
                    Moment(
                        step,
                        training.effective_lr(),
                        top_eigenvalue(model, probe),
                        probe.loss(model),
                        problem.evaluate(model, "validation")[task.metric],
                    )
                )
        if step == total:
            break
        model.train()
        batch = problem.batch(seed, step)
        loss = training.step(ModelBatch(model, lambda batch=batch: problem.loss(model, batch)))
        if not torch.isfinite(loss):
            raise RequestError(f"{method} diverged on {task.name}, seed {seed}, at step {step + 1}")
        on_step(step + 1, total)
    with training.evaluating():
        first, second = (filter_normalised(model, direction) for direction in (0, 1))
        line = line_slice(model, probe, first, LINE)
        plane = plane_slice(model, probe, (first, second), PLANE, PLANE)
    return Curvature(task.name, task.scale, method, seed, moments, line.tolist(), plane.tolist())


def path_of(task: str, scale: str, method: str, seed: int, folder: Path) -> Path:
    """Beside the result files of the same method."""
    return (
        folder
        / task
        / scale
        / Identity(task, scale, method, seed).variant
        / f"curvature{seed}.json"
    )


def write(curvature: Curvature, folder: Path) -> Path:
    """Put the file in its place below the folder of results, whole or not at all."""
    path = path_of(curvature.task, curvature.scale, curvature.method, curvature.seed, folder)
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
