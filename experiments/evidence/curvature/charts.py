"""Figures 3 and 4, drawn from what `measure` found."""

from collections.abc import Sequence

import numpy as np

from experiments.evidence.chart import Chart, Heat, Line, Look, Panel
from experiments.evidence.curvature.measure import BATCHES, LINE, PLANE, Curvature
from experiments.evidence.labels import condition_label, method_label
from experiments.evidence.looks import looks
from experiments.evidence.study import Condition, condition_of, in_order


def sharpness_charts(curvatures: Sequence[Curvature]) -> list[Chart]:
    """Figure 3: for each task, sharpness, learning rate and validation metric over the steps."""
    return [_sharpness(condition, group) for condition, group in _grouped(curvatures).items()]


def landscape_charts(curvatures: Sequence[Curvature]) -> list[Chart]:
    """Figure 4: for each task, the loss around the final weights on a line and on a plane."""
    return [_landscape(condition, group) for condition, group in _grouped(curvatures).items()]


def _sharpness(condition: Condition, group: Sequence[Curvature]) -> Chart:
    look = looks([each.identity.method for each in group])
    sharpness, rates, metrics = ([], [], [])  # type: tuple[list[Line], list[Line], list[Line]]
    for each in group:
        step, lr, sharp, _, metric = np.array(each.moments, np.float64).T
        label, own = method_label(each.identity.method), look[each.identity.method]
        sharpness.append(Line(step, sharp, label, own, marks="circle"))
        with np.errstate(divide="ignore"):
            limit = np.where(lr > 0, 2 / lr, np.nan)
        # The cosine ends at 0: its limit would be all that one sees.
        limit[limit > 30 * np.nanmax(sharp)] = np.nan
        sharpness.append(
            Line(step, limit, "2 / \N{GREEK SMALL LETTER ETA}", Look(own.color, "dot", 1.0))
        )
        rates.append(Line(step, lr, label, own))
        metrics.append(Line(step, 100 * metric, label, own))
    return Chart(
        f"figure3-{condition.slug}",
        f"{condition_label(condition)}: sharpness, learning rate and accuracy",
        "Sharpness: the largest eigenvalue of the Hessian of the training loss on "
        f"{BATCHES} minibatches in evaluation mode, by Lanczos iterations on "
        "Hessian-vector products (curvlinops, scipy). Dotted: 2 / learning rate in the colour of "
        f"the method, beyond which full-batch gradient descent is unstable. {_seeds(group)}",
        [
            Panel("sharpness", "step", "largest eigenvalue", sharpness, y_log=True),
            Panel("learning rate", "step", "learning rate", rates),
            Panel("validation metric", "step", "%", metrics),
        ],
        columns=3,
        row_height=2.9,
    )


def _landscape(condition: Condition, group: Sequence[Curvature]) -> Chart:
    look = looks([each.identity.method for each in group])
    at = np.array(LINE)
    lines = [
        Line(
            at, np.array(each.line), method_label(each.identity.method), look[each.identity.method]
        )
        for each in group
    ]
    plane = np.array(PLANE)
    top = max(np.quantile(each.plane, 0.9) for each in group)
    panels = [Panel("along one direction", "step along the direction", "loss", lines)]
    panels += [
        Panel(
            method_label(each.identity.method),
            "first direction",
            "second direction",
            heat=Heat(plane, plane, np.array(each.plane), "loss", top),
        )
        for each in group
    ]
    return Chart(
        f"figure4-{condition.slug}",
        f"{condition_label(condition)}: training loss around the final weights",
        "Loss along random directions whose filters are as long as those of the weights (Li et "
        "al., arXiv 1712.09913): 1 is as far as the weights are from 0. The same random numbers "
        f"for every method; {BATCHES} minibatches in evaluation mode. Colours end at the "
        f"90th percentile of the highest plane. {_seeds(group)}",
        panels,
    )


def _grouped(curvatures: Sequence[Curvature]) -> dict[Condition, list[Curvature]]:
    """The first seed of each method, methods in the order of the tables."""
    order = in_order(each.identity.method for each in curvatures)
    found: dict[Condition, list[Curvature]] = {}
    for each in sorted(curvatures, key=lambda c: (order.index(c.identity.method), c.identity.seed)):
        group = found.setdefault(condition_of(each.identity), [])
        if each.identity.method not in {other.identity.method for other in group}:
            group.append(each)
    return found


def _seeds(group: Sequence[Curvature]) -> str:
    seeds = sorted({each.identity.seed for each in group})
    return "One run each, seed " + ", ".join(map(str, seeds)) + "."
