"""Curves of several seeds, drawn as a median with its range."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.demo.record import Record, Step

Curve = NDArray[np.float64]
POINTS = 300  # of a curve: more cannot be seen, and make the SVG heavy


class Look(NamedTuple):
    color: str
    line: str
    width: float


def read(run: Record, value: Callable[[Step], float]) -> Curve:
    """One value of each step."""
    return np.array([value(step) for step in run.steps])


def smooth(values: Curve, width: int) -> Curve:
    """Centred mean over `width` values, over fewer at both ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    first = np.maximum(middle - width // 2, 0)
    last = np.minimum(middle - width // 2 + width, len(values))
    means: Curve = (sums[last] - sums[first]) / (last - first)
    return means


def thinned(length: int, points: int = POINTS) -> NDArray[np.int64]:
    """Which of `length` points to draw, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, points)).round().astype(np.int64))


def band(axes: Axes, curves: Sequence[Curve], look: Look, label: str) -> None:
    """Range over the seeds as a band, the median as a line; a run that diverged ends early."""
    stacked = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(stacked, curves, strict=True):
        row[: len(curve)] = np.where(np.isfinite(curve), curve, np.nan)
    at = thinned(stacked.shape[1])
    _draw(axes, at + 1, stacked[:, at], look, label)


def accuracies(axes: Axes, runs: Sequence[Record], look: Look) -> None:
    """Test accuracy in %, as `band`."""
    # The last evaluation of a run that diverged is that of a broken model, between two grid points.
    ends = [run.evaluations[:-1] if run.diverged else run.evaluations for run in runs]
    at = [evaluation.step for evaluation in max(ends, key=len)]
    if not at:
        return
    values = np.full((len(runs), len(at)), np.nan)
    for row, evaluations in zip(values, ends, strict=True):
        row[: len(evaluations)] = [100 * evaluation.test_accuracy for evaluation in evaluations]
    _draw(axes, np.array(at), values, look)


def _draw(
    axes: Axes, at: NDArray[np.int64], values: Curve, look: Look, label: str | None = None
) -> None:
    masked = np.ma.masked_invalid(values)
    axes.fill_between(at, masked.min(0), masked.max(0), color=look.color, alpha=0.13, linewidth=0)
    axes.plot(
        at,
        np.ma.median(masked, 0),
        linestyle=look.line,
        color=look.color,
        linewidth=look.width,
        label=label,
    )
