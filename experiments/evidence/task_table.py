"""The paper's Table 2: what each task is, counted from the data and the networks themselves."""

from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

from torch import nn

from experiments.errors import RequestError
from experiments.evidence.table import Table
from experiments.tasks import TASKS, Problem, Scale, Task, find
from experiments.tasks.vision.classification import ClassificationTask
from experiments.tasks.vision.detection import DetectionTask

_UNKNOWN = "\N{EN DASH}"
_HEADERS = (
    "task",
    "scale",
    "data and network",
    "metric",
    "parameters",
    "images to train",
    "to validate",
    "to test",
    "batch",
    "epochs",
    "steps",
    "time limit, minutes",
)


def task_table(scales: Iterable[Scale], folder: Path | None, partial: bool) -> Table:
    """One row a task.

    Args:
      scales: which tasks.
      folder: that holds the data sets; None counts no images, and downloads none.
      partial: count also a data set of which a part is missing.

    Returns:
      The table; its note says what could not be counted, and why.
    """
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    notes: list[str] = []
    chosen = [find(name, scale) for name, scale in TASKS if scale in set(scales)]
    for task in chosen:
        if partial and any(field.name == "partial" for field in fields(task)):
            task = replace(task, **{"partial": True})
        counts, reason = _counted(task, folder)
        rows.append([*_described(task).values(), *map(_number, counts), _limit(task)])
        records.append({**_described(task), **counts._asdict(), "minutes": task.minutes})
        if reason:
            notes.append(f"Not counted: {reason}.")
    if any(task.scale == "paper" for task in chosen):
        notes.append("The time limits of the paper's Table 2 are not at hand.")
    return Table("table2", "The tasks", _HEADERS, rows, "\n".join(notes), 4, records)


class _Counts(NamedTuple):
    parameters: int | None
    train: int | None
    validation: int | None
    test: int | None
    batch: int
    epochs: int
    steps: int | None


def _counted(task: Task, folder: Path | None) -> tuple[_Counts, str]:
    """What there is of a task, and why it is not all."""
    problem: Problem | None = None
    network: nn.Module | None = None
    reason = ""
    try:
        if isinstance(task, ClassificationTask | DetectionTask):
            network = task.model()  # needs no data
        if folder is not None:
            problem = task.open(folder)
            network = network or problem.model()
    except RequestError as error:
        reason = str(error)
    images = problem.images if problem else {}
    return _Counts(
        sum(weights.numel() for weights in network.parameters()) if network else None,
        *(images.get(part) for part in ("train", "validation", "test")),
        batch=task.batch,
        epochs=task.epochs,
        steps=task.epochs * problem.steps_per_epoch if problem else None,
    ), reason


def _described(task: Task) -> dict[str, str]:
    return {"task": task.name, "scale": task.scale, "label": task.label, "metric": task.metric}


def _number(count: int | None) -> str:
    return _UNKNOWN if count is None else f"{count:,}"


def _limit(task: Task) -> str:
    return _UNKNOWN if task.minutes is None else f"{task.minutes:g}"
