"""The picture of Table 1: extra time of each method, and what it keeps."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from experiments.files import replace
from experiments.methods import METHODS
from experiments.picture_style import PICTURE_STYLE
from experiments.table1.measure import SGD
from experiments.table1.tables import Row, label

_STYLE = PICTURE_STYLE | {"font.size": 10.5, "axes.grid.axis": "x"}
# Okabe and Ito's colours, as in the demo.
_COLORS = {"zenith": "#d55e00", "probes": "#0072b2", "loss": "#009e73", "gradient": "0.35"}
_LEGEND = {
    "zenith": "ZENITH",
    "probes": "probes the loss",
    "loss": "reads the loss",
    "gradient": "reads gradients alone",
}
_SMALLEST = 0.01  # %, where the logarithmic axis begins


def write_picture(rows: Sequence[Row], title: str, folder: Path) -> list[Path]:
    """Draw the rows and write `table1.png` into `folder`, in place of what is there."""
    with mpl.rc_context(_STYLE):
        figure = _draw([row for row in rows if row.method != SGD], title)
        path = folder / "table1.png"
        replace(path, lambda new: figure.savefig(new, dpi=150))
    return [path]


def _draw(rows: Sequence[Row], title: str) -> Figure:
    figure = Figure(figsize=(8.4, 1.8 + 0.27 * len(rows)), layout="constrained")
    axes = figure.subplots()
    kinds = [_kind(row.method) for row in rows]
    for at, (row, kind) in enumerate(zip(rows, kinds, strict=True)):
        low, median, high = np.maximum(row.extra_percent, _SMALLEST)
        axes.plot([low, high], [at, at], color=_COLORS[kind], linewidth=3, alpha=0.35)
        axes.plot(median, at, "o", color=_COLORS[kind], markersize=6.5)
        axes.text(
            1.02,
            at,
            f"{row.state:.0f}" if row.state >= 0.5 else "0",
            transform=axes.get_yaxis_transform(),
            va="center",
            ha="center",
        )
    axes.set_yticks(range(len(rows)), [label(row.method) for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(left=_SMALLEST)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.set_xlabel("extra time over SGD: median, and quartiles as a bar")
    axes.text(1.02, 1.01, "state", transform=axes.transAxes, ha="center", va="bottom")
    for kind in dict.fromkeys(kinds):
        axes.plot([], [], "o", color=_COLORS[kind], label=_LEGEND[kind])
    axes.legend(loc="lower left", fontsize=9.5)
    figure.suptitle(title, fontsize=11)
    return figure


def _kind(method: str) -> str:
    return "zenith" if method == "zenith" else METHODS[method].needs
