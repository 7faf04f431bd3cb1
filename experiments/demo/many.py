"""The picture of many methods: a row a kind, so that no panel holds more than can be told apart."""

from collections.abc import Sequence
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.demo.curves import Curve, Look, accuracies, band, read, smooth
from experiments.demo.record import Record
from experiments.demo.tables import CHANCE, label
from experiments.methods import METHODS

_ZENITH = Look("#d55e00", "-", 2.6)
# Okabe and Ito's other colours, and two more for a full row; dashes tell them apart in print.
_LOOKS = [
    Look("#0072b2", "-", 1.6),
    Look("#009e73", "--", 1.6),
    Look("#cc79a7", "-.", 1.6),
    Look("#56b4e9", "-", 1.6),
    Look("#000000", "--", 1.3),
    Look("#8c6d1f", "-.", 1.6),
    Look("#7f7f7f", ":", 2.0),
    Look("#b2182b", (0, (1, 1)), 1.6),  # type: ignore[arg-type]
]
_ROWS = {
    "schedule": "schedules",
    "gradient": "from gradients",
    "loss": "from gradient and loss",
    "probes": "from probes of the loss",
}


def draw_many(records: Sequence[Record], title: str) -> Figure:
    """Effective learning rate, loss and accuracy of each method, ZENITH in every row."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record.method, []).append(record)
    rows = _rows([method for method in runs if method != "zenith"])
    figure = Figure(figsize=(13, 0.9 + 3 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 3, sharex=True, sharey="col", squeeze=False)
    steps = max(len(record.steps) for record in records)
    smoothing = max(1, steps // 40)
    for axes_of_row, (kind, methods) in zip(grid, rows.items(), strict=True):
        looks = {"zenith": _ZENITH} if "zenith" in runs else {}
        looks |= dict(zip(methods, _LOOKS, strict=False))
        for method, look in looks.items():
            _draw_runs(axes_of_row, runs[method], look, smoothing)
        rate, _, accuracy = axes_of_row
        rate.set_ylabel(_ROWS.get(kind, "ZENITH"), fontweight="bold")
        handles, labels = rate.get_legend_handles_labels()
        accuracy.legend(handles, labels, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=10)
    _set_scales(grid, runs, steps, smoothing)
    figure.suptitle(title, fontsize=12)
    return figure


def _rows(methods: Sequence[str]) -> dict[str, list[str]]:
    """Methods by what they need, at most as many in a row as there are looks."""
    rows: dict[str, list[str]] = {}
    for kind in _ROWS:
        found = [
            name
            for name in methods
            if kind == ("schedule" if METHODS[name].kind == "schedule" else METHODS[name].needs)
        ]
        if found:
            rows[kind] = found
    return rows or {"zenith": []}


def _draw_runs(axes_of_row: Sequence[Axes], runs: Sequence[Record], look: Look, width: int) -> None:
    rate, loss, accuracy = axes_of_row
    name = label(runs[0].method)
    diverged = [len(run.steps) for run in runs if run.diverged]
    if diverged:
        name += f"\n  diverged, step {min(diverged):,}"
        if len(runs) > 1:
            name += f" ({len(diverged)} of {len(runs)})"
    elif median(run.evaluations[-1].train_loss for run in runs) > CHANCE:
        name += "\n  worse than chance"
    band(rate, [_geometric(read(run, lambda step: step.lr), width) for run in runs], look, name)
    losses = [smooth(_finite(read(run, lambda step: step.loss)), width) for run in runs]
    band(loss, losses, look, name)
    accuracies(accuracy, runs, look)
    for run, curve in zip(runs, losses, strict=True):
        if run.diverged and len(curve):
            loss.plot(len(curve), curve[-1], "x", color=look.color, markersize=9, mew=2.2)


def _finite(values: Curve) -> Curve:
    """Up to the step that diverged, which is the last one if any."""
    return values[np.isfinite(values)]


def _geometric(values: Curve, width: int) -> Curve:
    """Smoothed on the logarithmic axis; 0 and what is negative have no place there."""
    logs = np.log(np.abs(values), where=values != 0, out=np.full(len(values), np.nan))
    known = np.isfinite(logs)
    counts = smooth(known.astype(float), width)
    sums = smooth(np.where(known, logs, 0.0), width)
    return np.exp(np.divide(sums, counts, where=counts > 0, out=np.full(len(values), np.nan)))


def _set_scales(
    grid: Sequence[Sequence[Axes]], runs: dict[str, list[Record]], steps: int, smoothing: int
) -> None:
    for rate, loss, accuracy in grid:
        rate.set_yscale("log")
        loss.set_yscale("log")
        rate.set_xlim(0, steps)
        accuracy.set_ylim(0, 100)
    rate, loss, accuracy = grid[0]
    rate.set_title("effective learning rate")
    loss.set_title(f"training loss, mean over {smoothing} steps")
    accuracy.set_title("test accuracy, %")
    # What diverges leaves the picture: it must not press the others into a line.
    everything = [run for of_method in runs.values() for run in of_method]
    starts = max(run.steps[0].loss for run in everything)
    loss.set_ylim(top=10 * starts)
    highest = max(
        (np.median(np.abs(read(run, lambda s: s.lr))) for run in everything if not run.diverged),
        default=1.0,
    )
    rate.set_ylim(bottom=1e-6, top=max(100.0, 10 * highest))
    for axes in grid[-1]:
        axes.set_xlabel("step")
