"""Table 3: every method on every task: what it reaches, and when; and what ZENITH is ahead by."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from experiments.evidence.convergence import Clock
from experiments.evidence.labels import (
    budget_note,
    changes_label,
    method_label,
    task_label,
)
from experiments.evidence.metrics import metric_label, metrics_of
from experiments.evidence.statistics import Difference, Spread
from experiments.evidence.study import Condition, Study, compared, ends_of
from experiments.evidence.table import Table
from experiments.evidence.timing import time_table
from experiments.evidence.wording import (
    DIFFERENCE_NOTE,
    SPREAD_NOTE,
    difference_text,
    spread_text,
)
from experiments.results import Run, Setting

BASELINE = "zenith"
_ENDS = {
    "best": "at the epoch of the best validation metric",
    "last": "at the end of the run; a run that diverged counts as 0",
}


class Summary(NamedTuple):
    """One method under one condition, over its seeds."""

    seeds: int
    diverged: int
    failed: int
    best: Spread  # test metric, a share
    last: Spread


def comparison_tables(
    study: Study, name: str, metrics: Callable[[Sequence[str]], Sequence[str]]
) -> list[Table]:
    """What each method reaches under each set of changes that several methods share.

    Args:
      study: the runs.
      name: with which the names of the tables begin.
      metrics: chooses among the metrics of a task's runs; none leaves the task out.

    Returns:
      For each set of changes: the test metric at the best epoch and at the end, the differences
      ZENITH minus method, the convergence time and the time to a common target.
    """
    tables: list[Table] = []
    for changes, conditions in _blocks(study).items():
        columns = [
            (condition, metric)
            for condition in conditions
            for metric in metrics(metrics_of(_runs(study, condition)))
        ]
        if columns:
            tables += _block(study, name, changes, columns)
    return tables


def _summarize(study: Study, condition: Condition, method: str, metric: str) -> Summary | None:
    """One cell of the study; None where it has no runs."""
    runs = list(study.cell(condition, method).values())
    if not runs:
        return None
    ends = [ends_of(run, metric) for run in runs]
    return Summary(
        seeds=len(runs),
        diverged=sum(run.status == "diverged" for run in runs),
        failed=study.failed(condition, method),
        best=Spread.of([end.best for end in ends]),
        last=Spread.of([end.last for end in ends]),
    )


def paired_differences(
    first: Mapping[int, Run], second: Mapping[int, Run], end: str, metric: str | None = None
) -> list[float]:
    """First minus second at the seeds that both have, seeds rising; `end` is a field of `Ends`."""
    return [
        getattr(ends_of(first[seed], metric), end) - getattr(ends_of(second[seed], metric), end)
        for seed in sorted(first.keys() & second.keys())
    ]


def _blocks(study: Study) -> dict[tuple[tuple[str, Setting], ...], list[Condition]]:
    """The conditions of the main comparison by what is changed in them."""
    blocks: dict[tuple[tuple[str, Setting], ...], list[Condition]] = {}
    for condition in compared(study):
        blocks.setdefault(condition.changes, []).append(condition)
    return blocks


def _block(
    study: Study,
    name: str,
    changes: tuple[tuple[str, Setting], ...],
    columns: Sequence[tuple[Condition, str]],
) -> list[Table]:
    conditions = list(dict.fromkeys(condition for condition, _ in columns))
    methods = [m for m in study.methods if any(study.cell(c, m) for c in conditions)]
    cells = {
        (method, column): _summarize(study, column[0], method, column[1])
        for method in methods
        for column in columns
    }
    where = changes_label(columns[0][0])
    heading = f" with {where}" if where else ""
    names, subject = _headers(columns)
    tables = []
    for end, text in _ENDS.items():
        shown = {key: getattr(cell, end) if cell else None for key, cell in cells.items()}
        best = _best(shown, columns, methods)
        rows = [
            [
                method_label(method),
                *(_metric_cell(cells[method, c], end, (method, c) in best) for c in columns),
                _seeds([cells[method, c] for c in columns]),
            ]
            for method in methods
        ]
        tables.append(
            Table(
                f"{name}-{end}",
                f"Test {subject}, {text}{heading}.",
                ["method", *names, "seeds"],
                rows,
                f"{SPREAD_NOTE} Bold: the highest median. {budget_note(methods)}",
                records=_records(cells, methods, columns, end),
            )
        )
    if BASELINE in methods:
        tables.append(_difference_table(study, name, methods, columns, heading))
    clocks: tuple[Clock, ...] = ("seconds", "step")
    return tables + [
        time_table(study, name, methods, conditions, clock, heading) for clock in clocks
    ]


def _headers(columns: Sequence[tuple[Condition, str]]) -> tuple[list[str], str]:
    """Of each column, and what the whole table is of: one metric stands in the title alone."""
    metrics = {metric for _, metric in columns}
    if len(metrics) == 1:
        return [task_label(condition) for condition, _ in columns], metric_label(metrics.pop())
    names = [f"{task_label(c)}, {metric_label(m).removesuffix(', %')}" for c, m in columns]
    return names, "metric, %"


def _metric_cell(cell: Summary | None, end: str, best: bool) -> str:
    if cell is None:
        return "\N{EN DASH}"
    text = spread_text(getattr(cell, end), factor=100)
    if best:
        middle, _, rest = text.partition(" ")
        text = f"**{middle}**" + (f" {rest}" if rest else "")
    if cell.diverged:
        text += f", {cell.diverged} of {cell.seeds} diverged"
    if cell.failed:
        text += f", {cell.failed} failed"
    return text


def _best(
    shown: Mapping[tuple[str, tuple[Condition, str]], Spread | None],
    columns: Sequence[tuple[Condition, str]],
    methods: Sequence[str],
) -> set[tuple[str, tuple[Condition, str]]]:
    found: set[tuple[str, tuple[Condition, str]]] = set()
    for column in columns:
        medians = {m: s.median for m in methods if (s := shown[m, column]) is not None}
        highest = max(medians.values(), default=None)
        found |= {(m, column) for m, value in medians.items() if value == highest}
    return found


def _seeds(cells: Sequence[Summary | None]) -> str:
    counts = sorted({cell.seeds for cell in cells if cell})
    return "\N{EN DASH}".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))


def _records(
    cells: Mapping[tuple[str, tuple[Condition, str]], Summary | None],
    methods: Sequence[str],
    columns: Sequence[tuple[Condition, str]],
    end: str,
) -> list[dict[str, object]]:
    records: list[dict[str, object]] = []
    for condition, metric in columns:
        for method in methods:
            cell = cells[method, (condition, metric)]
            if cell is not None:
                spread: Spread = getattr(cell, end)
                records.append(
                    {
                        "task": condition.task,
                        "scale": condition.scale,
                        **dict(condition.changes),
                        "method": method,
                        "metric": metric,
                        "median": spread.median,
                        "first_quartile": spread.low,
                        "third_quartile": spread.high,
                        "seeds": cell.seeds,
                        "diverged": cell.diverged,
                        "failed": cell.failed,
                    }
                )
    return records


def _difference_table(
    study: Study,
    name: str,
    methods: Sequence[str],
    columns: Sequence[tuple[Condition, str]],
    heading: str,
) -> Table:
    names, subject = _headers(columns)
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for method in methods:
        if method == BASELINE:
            continue
        row = [method_label(method)]
        for condition, metric in columns:
            pairs = paired_differences(
                study.cell(condition, BASELINE), study.rival(condition, method), "last", metric
            )
            if not pairs:
                row.append("\N{EN DASH}")
                continue
            difference = Difference.of(pairs)
            row.append(difference_text(difference))
            records.append(
                {
                    "task": condition.task,
                    "scale": condition.scale,
                    **dict(condition.changes),
                    "method": method,
                    "metric": metric,
                    "mean_difference": difference.mean,
                    "low": difference.low,
                    "high": difference.high,
                    "seeds": difference.count,
                }
            )
        rows.append(row)
    return Table(
        f"{name}-difference",
        f"ZENITH minus method{heading}: test {subject.removesuffix(', %')} at the end, "
        "percentage points.",
        ["method", *names],
        rows,
        f"{DIFFERENCE_NOTE} Above 0: ZENITH is ahead. {budget_note(methods)}",
        records=records,
    )


def _runs(study: Study, condition: Condition) -> list[Run]:
    return [run for method in study.methods for run in study.cell(condition, method).values()]
