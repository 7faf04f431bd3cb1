"""The picture of a comparison: learning rate, gradient norm, loss and accuracy over the steps."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.demo.record import Record, Step
from experiments.demo.tables import LABELS
from experiments.files import replace

_Curve = NDArray[np.float64]
_POINTS = 300  # of a curve: more cannot be seen, and make the SVG heavy
_STYLE = {
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "svg.hashsalt": "zenith",  # the same results give the same file
}


class _Look(NamedTuple):
    color: str
    line: str
    width: float


# Okabe and Ito's colours, told apart by every kind of colour vision; the dashes by a printer.
_LOOKS = {
    "constant": _Look("#7f7f7f", ":", 2.2),
    "step": _Look("#009e73", "-.", 1.8),
    "cosine": _Look("#0072b2", "--", 1.8),
    "zenith": _Look("#d55e00", "-", 2.4),
}


def write_picture(records: Sequence[Record], title: str, window: int, folder: Path) -> list[Path]:
    """Draw the runs and write `demo.png` and `demo.svg` into `folder`.

    Args:
      records: at least one run of each method in `LABELS`.
      title: one line over the picture.
      window: ZENITH's window W.
      folder: an existing folder; files of these names in it are replaced.

    Returns:
      The paths written.
    """
    with mpl.rc_context(_STYLE):
        figure = _draw(records, title, window)
        paths = [folder / "demo.png", folder / "demo.svg"]
        replace(paths[0], lambda new: figure.savefig(new, dpi=160))
        replace(paths[1], lambda new: figure.savefig(new, metadata={"Date": None}))
    return paths


def _draw(records: Sequence[Record], title: str, window: int) -> Figure:
    figure = Figure(figsize=(8, 6.6), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr]
    grid = figure.subplots(2, 2, sharex=True)
    (rate, norm), (loss, accuracy) = grid
    by_method = {
        method: [record for record in records if record.method == method] for method in _LOOKS
    }
    steps = max(len(record.steps) for record in records)
    smoothing = max(1, steps // 40)

    for method, runs in by_method.items():
        _band(rate, method, [_curve(run, lambda step: step.lr) for run in runs])
        losses = [_smooth(_curve(run, lambda step: step.loss), smoothing) for run in runs]
        _band(loss, method, losses)
        _accuracies(accuracy, method, runs)
    if window < steps:
        for axes in (rate, norm):
            axes.axvline(window, color="0.4", linewidth=1, linestyle=":", label="window full")
    _norms(norm, by_method["zenith"])

    rate.set_title("learning rate")
    rate.set_ylim(bottom=0)
    norm.set_title("gradient norm under ZENITH")
    loss.set_title(f"training loss, mean over {smoothing} steps")
    loss.set_yscale("log")
    accuracy.set_title("test accuracy, %")
    for axes in grid.flat:
        axes.set_xlim(0, steps)
    for axes in grid[1]:
        axes.set_xlabel("step")
    figure.suptitle(title, fontsize=12)
    handles, labels = rate.get_legend_handles_labels()
    handle_of = dict(zip(labels, handles, strict=True))
    figure.legend(
        [handle_of[label] for label in LABELS.values()],
        LABELS.values(),
        loc="outside lower center",
        ncols=4,
        handlelength=2.8,
    )
    return figure


def _curve(run: Record, read: Callable[[Step], float]) -> _Curve:
    return np.array([read(step) for step in run.steps])


def _smooth(values: _Curve, width: int) -> _Curve:
    """Centred mean over `width` values, over fewer at both ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    first = np.maximum(middle - width // 2, 0)
    last = np.minimum(middle - width // 2 + width, len(values))
    means: _Curve = (sums[last] - sums[first]) / (last - first)
    return means


def _band(axes: Axes, method: str, curves: Sequence[_Curve]) -> None:
    """Range over the seeds as a band, the median as a line; a run that diverged ends early."""
    look = _LOOKS[method]
    stacked = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(stacked, curves, strict=True):
        row[: len(curve)] = np.where(np.isfinite(curve), curve, np.nan)
    at = _thinned(stacked.shape[1])
    stacked = np.ma.masked_invalid(stacked[:, at])
    axes.fill_between(
        at + 1, stacked.min(0), stacked.max(0), color=look.color, alpha=0.13, linewidth=0
    )
    axes.plot(
        at + 1,
        np.ma.median(stacked, 0),
        look.line,
        color=look.color,
        linewidth=look.width,
        label=LABELS[method],
    )


def _norms(axes: Axes, runs: Sequence[Record]) -> None:
    look = _LOOKS["zenith"]
    axes.set_yscale("log")
    norms = _curve(runs[0], lambda step: step.grad_norm)
    at = _thinned(len(norms), 2 * _POINTS)
    axes.plot(at + 1, norms[at], color="0.75", linewidth=0.6, label="norm (seed 0)")
    for run in runs:
        mean = _curve(run, lambda step: step.mean)
        zenith = _curve(run, lambda step: step.zenith)
        zenith[zenith == 0] = np.nan  # the window is not full yet
        at = _thinned(len(mean))
        first = run is runs[0]
        width = look.width if first else 0.9
        axes.plot(
            at + 1,
            zenith[at],
            color="black",
            linewidth=0.75 * width,
            linestyle="--",
            label="zenith: highest mean" if first else None,
        )
        axes.plot(
            at + 1,
            mean[at],
            color=look.color,
            linewidth=width,
            label="mean of the window" if first else None,
        )
    low, high = axes.get_ylim()
    axes.set_ylim(low / (high / low) ** 0.5, high)  # room for the legend
    axes.legend(loc="lower right", fontsize=9.5, labelspacing=0.3, borderaxespad=0)


def _accuracies(axes: Axes, method: str, runs: Sequence[Record]) -> None:
    look = _LOOKS[method]
    # The last evaluation of a run that diverged is that of a broken model, between two grid points.
    ends = [run.evaluations[:-1] if run.diverged else run.evaluations for run in runs]
    at = [evaluation.step for evaluation in max(ends, key=len)]
    if not at:
        return
    values = np.full((len(runs), len(at)), np.nan)
    for row, evaluations in zip(values, ends, strict=True):
        row[: len(evaluations)] = [100 * evaluation.test_accuracy for evaluation in evaluations]
    masked = np.ma.masked_invalid(values)
    axes.fill_between(at, masked.min(0), masked.max(0), color=look.color, alpha=0.13, linewidth=0)
    axes.plot(at, np.ma.median(masked, 0), look.line, color=look.color, linewidth=look.width)


def _thinned(length: int, points: int = _POINTS) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, length - 1, min(length, points)).round().astype(np.int64))
