"""Charts as PNG and SVG files, by matplotlib."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from experiments.evidence.chart import Chart, Heat, Line, Panel
from experiments.files import replace
from experiments.picture_style import PICTURE_STYLE

_STYLE = PICTURE_STYLE | {"font.size": 10.5, "axes.titlesize": 11}
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
_MARKS = {
    "": "",
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "x": "x",
    "cross": "P",
}
_WIDTH = 8.0  # inches: the width of a page
_TITLE_LETTERS = 92
_LABEL_LETTERS = 44
_LEGEND_COLUMNS = 4


def write_pictures(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """Write `NAME.png` and `NAME.svg` of each chart.

    Args:
      charts: with names that are all different.
      folder: an existing folder; files of these names in it are replaced.

    Returns:
      The paths written.
    """
    paths: list[Path] = []
    for chart in charts:
        with mpl.rc_context(_STYLE):
            figure = _draw(chart)
            png, svg = folder / f"{chart.name}.png", folder / f"{chart.name}.svg"
            replace(png, lambda new, f=figure: f.savefig(new, dpi=150))
            replace(svg, lambda new, f=figure: f.savefig(new, metadata={"Date": None}))
        paths += [png, svg]
    return paths


def _draw(chart: Chart) -> Figure:
    columns = min(chart.columns, len(chart.panels))
    rows = math.ceil(len(chart.panels) / columns)
    labels = list(dict.fromkeys(_labels(chart)))
    legend_rows = math.ceil(len(labels) / _LEGEND_COLUMNS) if len(labels) > 1 else 0
    height = rows * chart.row_height + 0.45 + 0.24 * legend_rows
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06)  # type: ignore[union-attr]
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, chart.panels, strict=False):
        _draw_panel(figure, axes, panel)
    for axes in list(grid.flat)[len(chart.panels) :]:
        axes.set_visible(False)
    figure.suptitle(textwrap.fill(chart.title, _TITLE_LETTERS), fontsize=11.5)
    if len(labels) > 1:
        handles = {}
        for axes in grid.flat:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(
            [handles[label] for label in labels],
            labels,
            loc="outside lower center",
            ncols=_LEGEND_COLUMNS,
            handlelength=2.6,
            fontsize=9.5,
        )
    return figure


def _labels(chart: Chart) -> list[str]:
    return [line.label for panel in chart.panels for line in panel.lines if line.in_legend]


def _draw_panel(figure: Figure, axes: Axes, panel: Panel) -> None:
    if panel.x_log:
        axes.set_xscale("log")
    if panel.y_log:
        axes.set_yscale("log")
    for line in panel.lines:
        _draw_line(axes, line)
    if panel.heat is not None:
        _draw_heat(figure, axes, panel.heat)
    if panel.level is not None:
        axes.axhline(panel.level, color="0.35", linewidth=1, linestyle="--", zorder=1)
    if panel.upright is not None:
        axes.axvline(panel.upright, color="0.35", linewidth=1, linestyle="--", zorder=1)
    if panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    if panel.x_names:
        axes.set_xticks(range(len(panel.x_names)), panel.x_names)
        axes.set_xlim(-0.3, len(panel.x_names) - 0.7)
    if panel.x_ticks:
        axes.set_xticks(panel.x_ticks, [f"{tick:g}" for tick in panel.x_ticks])
        axes.minorticks_off()
    for log, axis in ((panel.x_log and not panel.x_ticks, axes.xaxis), (panel.y_log, axes.yaxis)):
        if log:
            _label_log(axis)
    axes.set_title(panel.title)
    axes.set_xlabel(textwrap.fill(panel.x_label, _LABEL_LETTERS))
    axes.set_ylabel(panel.y_label)


def _label_log(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 where the axis has fewer than two powers of ten."""
    low, high = axis.get_view_interval()
    if high / low < 100:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > 4 else (1, 2, 3, 5, 7)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())


def _draw_line(axes: Axes, line: Line) -> None:
    look = line.look
    label = line.label if line.in_legend else None
    if line.band is not None:
        axes.fill_between(line.x, *line.band, color=look.color, alpha=0.13, linewidth=0)
    if line.bars is not None:
        axes.vlines(line.x, *line.bars, color=look.color, linewidth=1.4, alpha=0.7)
    axes.plot(
        line.x,
        line.y,
        linestyle=_DASHES[look.dash] if line.joined else "none",
        marker=_MARKS[line.marks] or None,
        markersize=5,
        color=look.color,
        linewidth=look.width,
        label=label,
    )


def _draw_heat(figure: Figure, axes: Axes, heat: Heat) -> None:
    levels = np.linspace(heat.z.min(), heat.top, 20)
    drawn = axes.contourf(heat.x, heat.y, heat.z, levels=levels, cmap="cividis", extend="max")
    axes.contour(heat.x, heat.y, heat.z, levels=levels, colors="white", linewidths=0.3)
    axes.plot([0], [0], marker="x", color="white", markersize=6)
    axes.grid(visible=False)
    figure.colorbar(drawn, ax=axes, label=heat.label, ticks=MaxNLocator(5), format="%g")
