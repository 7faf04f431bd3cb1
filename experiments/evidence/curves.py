"""One curve for the seeds of a cell: their median, with the quartiles as a band."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from experiments.evidence.chart import Line, Look, Values
from experiments.evidence.labels import method_label
from experiments.evidence.looks import looks
from experiments.evidence.study import Condition, Study
from experiments.results import EpochRow, Run, StepRow

Row = TypeVar("Row", EpochRow, StepRow)
SMOOTHING = 8  # neighbouring stretches of steps in a mean: minibatch noise hides the rest


def method_lines(
    study: Study,
    condition: Condition,
    methods: Sequence[str],
    rows: Callable[[Run], Sequence[Row]],
    x: Callable[[Row], float],
    y: Callable[[Row], float],
    *,
    smoothing: int = 1,
) -> list[Line]:
    """The median line of each method that was run under a condition, ZENITH's with its quartiles.

    Args:
      study: the runs.
      condition: under which they were made.
      methods: in the order of the legend.
      rows: as in `median_line`, like `x`, `y` and `smoothing`.
      x: what goes to the right.
      y: what goes up.
      smoothing: how many rows a centred mean takes.
    """
    look = looks(methods)
    return [
        median_line(
            list(runs.values()),
            rows,
            x,
            y,
            method_label(method),
            look[method],
            smoothing=smoothing,
            band=method == "zenith",
        )
        for method in methods
        if (runs := study.cell(condition, method))
    ]


def full_window(study: Study, condition: Condition) -> float | None:
    """The step at which ZENITH's window is full, the same for all of its runs."""
    window = next(iter(study.cell(condition, "zenith").values())).settings.get("window")
    return float(window) if isinstance(window, int | float) else None


def median_line(
    runs: Collection[Run],
    rows: Callable[[Run], Sequence[Row]],
    x: Callable[[Row], float],
    y: Callable[[Row], float],
    label: str,
    look: Look,
    *,
    smoothing: int = 1,
    band: bool = False,
) -> Line:
    """The median over the runs, row by row; a run that diverged ends early.

    Args:
      runs: of one cell, at least one.
      rows: the rows of a run, of which the first belong together, the second, ...
      x: what of a row goes to the right; its median over the runs is drawn.
      y: what goes up; what is not finite is left out.
      label: in the legend.
      look: of the line.
      smoothing: how many rows a centred mean takes.
      band: whether to show the quartiles.
    """
    length = max(len(rows(run)) for run in runs)
    across = np.full((len(runs), length), np.nan)
    up = across.copy()
    for index, run in enumerate(runs):
        own = rows(run)
        across[index, : len(own)] = [x(row) for row in own]
        up[index, : len(own)] = smooth(np.array([y(row) for row in own], np.float64), smoothing)
    up[~np.isfinite(up)] = np.nan
    some = np.isfinite(up).any(axis=0)
    across, up = across[:, some], up[:, some]
    edges = (np.nanquantile(up, 0.25, axis=0), np.nanquantile(up, 0.75, axis=0))
    return Line(
        np.nanmedian(across, axis=0),
        np.nanmedian(up, axis=0),
        label,
        look,
        band=edges if band and len(runs) > 1 else None,
    )


def smooth(values: Values, width: int) -> Values:
    """Centred mean over `width` values, over fewer at both ends; f64[N] to f64[N]."""
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    middle: NDArray[np.int64] = np.arange(len(values))
    first = np.maximum(middle - width // 2, 0)
    last = np.minimum(middle - width // 2 + width, len(values))
    with np.errstate(invalid="ignore"):
        means = (sums[last] - sums[first]) / (counts[last] - counts[first])
    return np.where(known, means, np.nan)
