"""The picture of a comparison: learning rate, gradient norm, loss and accuracy over the steps."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.demo.curves import POINTS, Look, accuracies, band, read, smooth, thinned
from experiments.demo.many import draw_many
from experiments.demo.record import Record
from experiments.demo.tables import LABELS
from experiments.files import replace
from experiments.picture_style import PICTURE_STYLE

_STYLE = PICTURE_STYLE | {"font.size": 11, "axes.titlesize": 11.5}


# Okabe and Ito's colours, told apart by every kind of colour vision; the dashes by a printer.
_LOOKS = {
    "constant": Look("#7f7f7f", ":", 2.2),
    "step": Look("#009e73", "-.", 1.8),
    "cosine": Look("#0072b2", "--", 1.8),
    "zenith": Look("#d55e00", "-", 2.4),
}


def write_picture(records: Sequence[Record], title: str, window: int, folder: Path) -> list[Path]:
    """Draw the runs and write `demo.png` and `demo.svg` into `folder`.

    Args:
      records: the runs.
      title: one line over the picture.
      window: ZENITH's window W, marked where it is drawn beside the three usual schedules.
      folder: an existing folder; files of these names in it are replaced.

    Returns:
      The paths written.
    """
    with mpl.rc_context(_STYLE):
        usual = {record.method for record in records} == set(_LOOKS)
        figure = _draw(records, title, window) if usual else draw_many(records, title)
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
        look, label = _LOOKS[method], LABELS[method]
        band(rate, [read(run, lambda step: step.lr) for run in runs], look, label)
        losses = [smooth(read(run, lambda step: step.loss), smoothing) for run in runs]
        band(loss, losses, look, label)
        accuracies(accuracy, runs, look)
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


def _norms(axes: Axes, runs: Sequence[Record]) -> None:
    look = _LOOKS["zenith"]
    axes.set_yscale("log")
    norms = read(runs[0], lambda step: step.grad_norm)
    at = thinned(len(norms), 2 * POINTS)
    axes.plot(at + 1, norms[at], color="0.75", linewidth=0.6, label="norm (seed 0)")
    for run in runs:
        mean = read(run, lambda step: step.mean)
        zenith = read(run, lambda step: step.zenith)
        zenith[zenith == 0] = np.nan  # the window is not full yet
        at = thinned(len(mean))
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
