"""Figure 1: loss and accuracy against the seconds of training."""

from collections.abc import Sequence

import numpy as np

from experiments.evidence.chart import Chart, Line, Panel
from experiments.evidence.curves import SMOOTHING, method_lines
from experiments.evidence.labels import budget_note, condition_label, task_label
from experiments.evidence.metrics import metric_label, metrics_of
from experiments.evidence.study import Condition, Study, compared

_METHODS = 8  # more lines cannot be told apart on paper; the browser has them all


def training_charts(study: Study, every_method: bool) -> list[Chart]:
    """One chart a condition under which methods are compared.

    Args:
      study: the runs.
      every_method: all of them, of which a browser shows what is clicked; otherwise ZENITH,
        constant, cosine and the best of the others, eight in all.
    """
    return [_chart(study, condition, every_method) for condition in compared(study)]


def _chart(study: Study, condition: Condition, every_method: bool) -> Chart:
    methods = [m for m in study.methods if study.cell(condition, m)]
    if not every_method:
        methods = study.leading(condition, _METHODS)
    name = next(iter(metrics_of([*study.cell(condition, methods[0]).values()])), "accuracy")
    losses = method_lines(
        study,
        condition,
        methods,
        lambda run: run.steps,
        lambda row: row.seconds,
        lambda row: row.loss,
        smoothing=SMOOTHING,
    )
    metrics = method_lines(
        study,
        condition,
        methods,
        lambda run: run.epochs,
        lambda row: row.seconds,
        lambda row: 100 * row.test.get(name, float("nan")),
    )
    seconds = "seconds of training"
    chosen = "" if every_method else " ZENITH, constant, cosine, and the highest medians."
    return Chart(
        f"figure1-{condition.slug}",
        condition_label(condition),
        f"Loss and test metric against wall-clock, {task_label(condition)}. Lines: median over the "
        f"seeds; band: quartiles of ZENITH. Loss: minibatch mean, smoothed over {SMOOTHING} "
        "recorded stretches. Evaluation is not in the seconds. The highest losses and the lowest "
        f"metrics may lie beyond the axes.{chosen} {budget_note(methods)}",
        [
            Panel(
                "training loss", seconds, "loss", losses, y_log=True, y_range=_most(losses, 0, 0.97)
            ),
            Panel(
                f"test {metric_label(name)}",
                seconds,
                metric_label(name),
                metrics,
                y_range=_most(metrics, 0.1, 1),
            ),
        ],
    )


def _most(lines: Sequence[Line], low: float, high: float) -> tuple[float, float] | None:
    """A range that leaves out the tails: one method that diverges would hide all others."""
    values = np.concatenate([line.y for line in lines])
    values = values[values > 0]
    if not values.size:
        return None
    bottom, top = np.quantile(values, [low, high])
    room = 0.05 * (top - bottom) or 0.05 * top
    return float(max(bottom - room, bottom / 1.2)), float(top + room)
