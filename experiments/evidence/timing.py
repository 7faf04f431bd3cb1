"""When methods get there: convergence time and time to a common target, over the seeds."""

import statistics
from collections.abc import Sequence

from experiments.evidence.convergence import (
    DEFINITION,
    SHARE,
    Clock,
    convergence_time,
    time_to_target,
)
from experiments.evidence.labels import budget_note, method_label, task_label
from experiments.evidence.metrics import metrics_of
from experiments.evidence.statistics import Spread
from experiments.evidence.study import Condition, Study
from experiments.evidence.table import Table
from experiments.evidence.wording import SPREAD_NOTE, spread_text
from experiments.results import Run

_UNITS: dict[Clock, str] = {"seconds": "Seconds of training", "step": "Steps"}
_FORMS: dict[Clock, str] = {"seconds": ".1f", "step": ".0f"}


def time_table(
    study: Study,
    name: str,
    methods: Sequence[str],
    conditions: Sequence[Condition],
    clock: Clock,
    heading: str,
) -> Table:
    """Two columns a condition: converged, and at the target that all methods share.

    Args:
      study: the runs.
      name: with which the name of the table begins.
      methods: the rows.
      conditions: the columns.
      clock: what is counted.
      heading: what the conditions have in common, for the title.
    """
    headers = ["method"]
    targets = {condition: common_target(study, condition) for condition in conditions}
    for condition, target in targets.items():
        label = task_label(condition)
        headers += [f"{label}, converged", f"{label}, to {100 * target:.1f} %"]
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for method in methods:
        row = [method_label(method)]
        for condition, target in targets.items():
            runs = list(study.cell(condition, method).values())
            if not runs:
                row += ["\N{EN DASH}"] * 2
                continue
            converged = [t for run in runs if (t := convergence_time(run, clock)) is not None]
            reached = [t for run in runs if (t := time_to_target(run, target, clock)) is not None]
            missed = 0 < len(reached) < len(runs)
            row += [
                _text(converged, clock),
                _text(reached, clock) + (f", {len(reached)} of {len(runs)}" if missed else ""),
            ]
            records.append(
                {
                    "task": condition.task,
                    "scale": condition.scale,
                    **dict(condition.changes),
                    "method": method,
                    "clock": clock,
                    "converged": statistics.median(converged) if converged else "",
                    "target": target,
                    "to_target": statistics.median(reached) if reached else "",
                    "reached": len(reached),
                    "seeds": len(runs),
                }
            )
        rows.append(row)
    return Table(
        f"{name}-time",
        f"{_UNITS[clock]} until the validation metric has converged, and until it reaches 99 % of "
        f"the best method's{heading}.",
        headers,
        rows,
        f"{DEFINITION} {SPREAD_NOTE} {budget_note(methods)}" if clock == "seconds" else "",
        records=records,
    )


def common_target(study: Study, condition: Condition) -> float:
    """99 % of the highest median over methods of the best validation metric."""
    medians = [
        statistics.median(_best_validation(run) for run in study.cell(condition, method).values())
        for method in study.methods
        if study.cell(condition, method)
    ]
    return SHARE * max(medians, default=0.0)


def _text(times: Sequence[float], clock: Clock) -> str:
    return spread_text(Spread.of(times), _FORMS[clock]) if times else "never"


def _best_validation(run: Run) -> float:
    name = next(iter(metrics_of([run])), "accuracy")
    values = [row.validation.get(name, 0.0) for row in run.epochs]
    return max((value for value in values if value == value), default=0.0)
