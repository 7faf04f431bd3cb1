"""Figure 6: what eta_0 and the window do to the test metric."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.evidence.chart import Chart, Line, Look, Panel
from experiments.evidence.labels import (
    budget_note,
    condition_label,
    method_label,
    setting_name,
    task_label,
)
from experiments.evidence.looks import looks
from experiments.evidence.metrics import metric_label, ranking_metric
from experiments.evidence.statistics import Spread
from experiments.evidence.study import Condition, Study, ends_of, without
from experiments.results import Run

FACTORS = ("lr", "window")
_METHODS = 8


def sensitivity_charts(study: Study) -> list[Chart]:
    """One chart a task: a panel for eta_0, one for W, where they were varied."""
    charts: dict[Condition, list[Panel]] = {}
    for factor in FACTORS:
        for base, cells in varied(study, factor).items():
            charts.setdefault(base, []).append(_panel(study, factor, base, cells))
    return [
        Chart(
            f"figure6-{base.slug}",
            condition_label(base),
            "Test metric at the end of the run; a run that diverged counts as 0. Points: median "
            f"over the seeds; bars: quartiles. {budget_note(study.methods)}",
            panels,
        )
        for base, panels in charts.items()
    ]


def varied(study: Study, factor: str) -> dict[Condition, dict[str, dict[float, Mapping[int, Run]]]]:
    """Cells that differ in one setting alone, for the methods that have at least two values of it.

    Returns:
      By condition (without that setting) and method: the runs at each value, values rising.
    """
    found: dict[Condition, dict[str, dict[float, Mapping[int, Run]]]] = {}
    for (condition, method), runs in study.cells.items():
        value = next(iter(runs.values())).settings.get(factor)
        if isinstance(value, int | float):
            values = found.setdefault(without(condition, factor), {}).setdefault(method, {})
            values[float(value)] = runs
    several = {
        base: {m: dict(sorted(values.items())) for m, values in by.items() if len(values) > 1}
        for base, by in found.items()
    }
    kept = {base: by for base, by in several.items() if by}
    return {base: kept[base] for base in study.sorted_conditions(kept)}


def _panel(
    study: Study,
    factor: str,
    base: Condition,
    cells: Mapping[str, Mapping[float, Mapping[int, Run]]],
) -> Panel:
    methods = [method for method in study.methods if method in cells][:_METHODS]
    look = looks(methods)
    metric = ranking_metric(next(iter(next(iter(cells[methods[0]].values())).values())))
    return Panel(
        f"{task_label(base)}: {setting_name(factor)}",
        setting_name(factor),
        f"test {metric_label(metric)}",
        [_line(cells[method], method_label(method), look[method]) for method in methods],
        x_log=True,
        x_ticks=sorted({value for method in methods for value in cells[method]}),
    )


def _line(values: Mapping[float, Mapping[int, Run]], label: str, look: Look) -> Line:
    spreads: Sequence[Spread] = [
        Spread.of([100 * ends_of(run).last for run in runs.values()]) for runs in values.values()
    ]
    return Line(
        np.array([*values]),
        np.array([spread.median for spread in spreads]),
        label,
        look,
        bars=(np.array([s.low for s in spreads]), np.array([s.high for s in spreads])),
        marks="circle",
    )
