"""The runs of a folder of results, in cells: one task, one method, one setting, several seeds."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from experiments.errors import RequestError
from experiments.evidence.metrics import ranking_metric
from experiments.methods import METHODS
from experiments.results import Identity, Run, Setting, read_all
from experiments.tasks import TASKS

_MANY = 4  # methods that make a comparison the main one
YARDSTICKS = ("zenith", "constant", "cosine")  # in every picture


class Condition(NamedTuple):
    """What two methods must have in common to be compared."""

    task: str
    scale: str
    changes: tuple[tuple[str, Setting], ...]  # beside the task's own settings, keys sorted

    @property
    def slug(self) -> str:
        """For the names of files."""
        return "-".join([self.task, *(f"{key}-{value}" for key, value in self.changes)])


class Ends(NamedTuple):
    """The test metric of one run, as a share of 1; 0 where the run had none."""

    best: float  # at the epoch of the best validation metric, the first of equals
    last: float  # at the end; 0 for a run that diverged


@dataclass(frozen=True)
class Study:
    """Runs as they are asked for; those that failed are counted and otherwise left out.

    A setting that a method does not have, such as ZENITH's window under a cosine, tells no two
    runs of that method apart.
    """

    runs: tuple[Run, ...]

    @cached_property
    def cells(self) -> Mapping[tuple[Condition, str], Mapping[int, Run]]:
        """The runs that finished or diverged by condition and method, then by seed."""
        found: dict[tuple[Condition, str], dict[int, Run]] = {}
        for run in self.runs:
            if run.status != "failed":
                cell = found.setdefault((condition_of(run), run.method), {})
                cell[run.seed] = run
        return found

    @cached_property
    def conditions(self) -> list[Condition]:
        """Tasks in the order of the paper, the tasks' own settings before changed ones."""
        return self.sorted_conditions({condition for condition, _ in self.cells})

    @cached_property
    def methods(self) -> list[str]:
        """Those that have runs, in the order of the tables."""
        return in_order(run.method for run in self.runs)

    def cell(self, condition: Condition, method: str) -> Mapping[int, Run]:
        """The runs of a cell by seed; none where the study has none."""
        return self.cells.get((condition, method), {})

    def failed(self, condition: Condition, method: str) -> int:
        """How many runs of a cell failed: their machine did, not the method."""
        return sum(
            run.status == "failed" and run.method == method and condition_of(run) == condition
            for run in self.runs
        )

    def rival(self, condition: Condition, method: str) -> Mapping[int, Run]:
        """The runs of a method that has no window, against ZENITH with whatever window."""
        return self.cell(without(condition, "window"), method)

    def sorted_conditions(self, conditions: Iterable[Condition]) -> list[Condition]:
        return sorted(conditions, key=_order)

    def leading(self, condition: Condition, count: int) -> list[str]:
        """ZENITH, constant, cosine, and those with the highest median test metric at the end."""
        medians = {
            method: statistics.median(
                ends_of(run).last for run in self.cell(condition, method).values()
            )
            for method in self.methods
            if self.cell(condition, method)
        }
        ranked = sorted(medians, key=lambda m: (m not in YARDSTICKS, -medians[m]))
        return in_order(ranked[:count])


def read_study(folder: Path) -> Study:
    """Every result file below a folder.

    Raises:
      RequestError: there is none, or one is damaged or has another format.
    """
    runs = read_all(folder)
    if not runs:
        raise RequestError(f"--results: expected result files below {folder}, found none")
    return Study(tuple(runs))


def compared(study: Study) -> list[Condition]:
    """The conditions of the main comparison: with four methods, or as many as any of the task has.

    The others vary one setting of ZENITH and of two yardsticks; `effects` compares those.
    """
    counts = Counter(condition for condition, _ in study.cells)
    most: dict[tuple[str, str], int] = {}
    for (task, scale, _), count in counts.items():
        most[task, scale] = max(count, most.get((task, scale), 0))
    return [
        condition
        for condition in study.conditions
        if counts[condition] >= max(2, min(_MANY, most[condition[:2]]))
    ]


def condition_of(run: Run | Identity) -> Condition:
    """ZENITH's window is left out of the condition of any other method."""
    changes = {
        key: value
        for key, value in run.changes.items()
        if key != "window" or run.method.startswith("zenith")
    }
    return Condition(run.task, run.scale, tuple(sorted(changes.items())))


def without(condition: Condition, *keys: str) -> Condition:
    """The condition with the task's own value of some settings."""
    return condition._replace(
        changes=tuple((key, value) for key, value in condition.changes if key not in keys)
    )


def ends_of(run: Run, metric: str | None = None) -> Ends:
    """The test metric that early stopping would report, and that of the end."""
    name = metric or ranking_metric(run)
    rows = [row for row in run.epochs if row.validation.get(name, 0) == row.validation.get(name, 0)]
    if not rows:
        return Ends(0.0, 0.0)
    best = max(rows, key=lambda row: row.validation.get(name, 0.0))
    last = run.epochs[-1].test.get(name, 0.0) if run.status == "finished" else 0.0
    return Ends(_number(best.test.get(name, 0.0)), _number(last))


def in_order(methods: Iterable[str]) -> list[str]:
    """Methods as the tables have them; those of another version of the code come last."""
    known = [*METHODS]
    return sorted(set(methods), key=lambda m: (known.index(m) if m in known else len(known), m))


def rank_of_value(value: Setting) -> tuple[float, str]:
    """What to sort the values of a setting by: numbers, then the others by their text."""
    if isinstance(value, bool | int | float):
        return (float(value), "")
    return (math.inf, str(value))


def _number(value: float) -> float:
    return value if value == value else 0.0


def _order(condition: Condition) -> tuple[object, ...]:
    known = [*TASKS]
    place = next((i for i, key in enumerate(known) if key == condition[:2]), len(known))
    changes = [(key, rank_of_value(value)) for key, value in condition.changes]
    return (place, condition[:2], len(condition.changes), changes)
