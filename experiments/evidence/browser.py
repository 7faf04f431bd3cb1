"""Charts for a browser, by plotly: one JSON description each, drawn by plotly's own script."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from experiments.evidence.chart import Chart, Line, Panel, Values

_ROW_PIXELS = 105  # an inch of a chart's row height
_GAP = 90  # between two rows: the labels of one and the titles of the next
_TOP = 60  # plotly's buttons, then the titles of the first row
_MARGIN = _TOP + 55  # above and below all rows
_FEW_DECADES = 3
_LABEL_LETTERS = 44
_LEGEND_PIXELS = 22  # a row of the legend


def to_plotly(chart: Chart, *, narrow: bool) -> go.Figure:
    """The chart as a plotly figure: a legend entry shows and hides its line in all panels.

    Args:
      chart: what to draw.
      narrow: for a telephone, all panels below each other; the traces are the same.
    """
    columns = 1 if narrow else min(chart.columns, len(chart.panels))
    rows = math.ceil(len(chart.panels) / columns)
    entries = len({line.label for panel in chart.panels for line in panel.lines if line.in_legend})
    legend = _LEGEND_PIXELS * math.ceil(entries / (2 if narrow else 5)) if entries > 1 else 0
    height = rows * chart.row_height * _ROW_PIXELS + _MARGIN + legend
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[panel.title for panel in chart.panels],
        vertical_spacing=min(0.4 / rows, _GAP / (height - _MARGIN - legend)),
        horizontal_spacing=0.12 if columns < 3 else 0.08,
    )
    shown: set[str] = set()
    for place, panel in enumerate(chart.panels):
        row, column = place // columns + 1, place % columns + 1
        for trace in _traces(panel, shown):
            figure.add_trace(trace, row, column)
        if panel.level is not None:
            figure.add_hline(panel.level, row=row, col=column, line={"dash": "dash", "width": 1})  # type: ignore[arg-type]
        if panel.upright is not None:
            figure.add_vline(panel.upright, row=row, col=column, line={"dash": "dash", "width": 1})  # type: ignore[arg-type]
        figure.update_xaxes(
            title_text="<br>".join(textwrap.wrap(panel.x_label, _LABEL_LETTERS)),
            **_scale(panel.x_log, [line.x for line in panel.lines]),
            **_x_ticks(panel),
            row=row,
            col=column,
        )
        figure.update_yaxes(**_y_axis(panel), row=row, col=column)
    figure.update_layout(
        height=height,
        template="none",
        font={"size": 13},
        margin={"l": 60, "r": 20, "t": _TOP, "b": _MARGIN - _TOP + legend},
        showlegend=entries > 1,
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    return figure


def _traces(panel: Panel, shown: set[str]) -> Iterator[Any]:
    for line in panel.lines:
        if line.band is not None:
            yield _band(line)
        in_legend = line.in_legend and line.label not in shown
        shown.add(line.label)
        mode = {(True, False): "lines", (True, True): "lines+markers"}.get(
            (line.joined, bool(line.marks)), "markers"
        )
        yield go.Scatter(
            x=_short(line.x),
            y=_short(line.y),
            name=line.label,
            legendgroup=line.label,
            showlegend=in_legend,
            mode=mode,
            line={"color": line.look.color, "dash": line.look.dash, "width": line.look.width},
            marker={
                "color": line.look.color,
                "symbol": line.marks or "circle",
                "size": 8,
            },
            text=list(line.texts) or None,
            hovertemplate=("%{text}<br>" if line.texts else "") + "%{x:.4g}, %{y:.4g}",
            **_bars(line),
        )
    if panel.heat is not None:
        heat = panel.heat
        yield go.Contour(
            x=_short(heat.x),
            y=_short(heat.y),
            z=[_short(row) for row in heat.z],
            colorscale="Cividis",
            colorbar={"title": {"text": heat.label}},
            zmin=float(heat.z.min()),
            zmax=heat.top,
            ncontours=20,
        )


def _band(line: Line) -> Any:
    assert line.band is not None
    low, high = line.band
    known = np.isfinite(low) & np.isfinite(high)
    x = line.x[known]
    return go.Scatter(
        x=_short(np.concatenate([x, x[::-1]])),
        y=_short(np.concatenate([high[known], low[known][::-1]])),
        fill="toself",
        fillcolor=line.look.color,
        opacity=0.13,
        line={"width": 0},
        mode="lines",
        legendgroup=line.label,
        showlegend=False,
        hoverinfo="skip",
    )


def _bars(line: Line) -> dict[str, Any]:
    if line.bars is None:
        return {}
    low, high = line.bars
    return {
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": _short(np.nan_to_num(high - line.y)),
            "arrayminus": _short(np.nan_to_num(line.y - low)),
            "width": 0,
            "thickness": 1.3,
        }
    }


def _scale(log: bool, values: Sequence[Values]) -> dict[str, Any]:
    """Labels at 1, 2 and 5 where an axis has few powers of ten, at each power where it has many."""
    if not log:
        return {"type": "linear"}
    joined = np.concatenate([np.ones(0), *values])
    known = joined[np.isfinite(joined) & (joined > 0)]
    decades = math.log10(known.max() / known.min()) if known.size else 0.0
    return {"type": "log", "dtick": "D2" if decades < _FEW_DECADES else 1}


def _x_ticks(panel: Panel) -> dict[str, Any]:
    if panel.x_names:
        count = len(panel.x_names)
        return {
            "tickvals": list(range(count)),
            "ticktext": list(panel.x_names),
            "range": [-0.3, count - 0.7],
        }
    return {"tickvals": list(panel.x_ticks)} if panel.x_ticks else {}


def _y_axis(panel: Panel) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "title_text": panel.y_label,
        "automargin": True,
        **_scale(panel.y_log, [line.y for line in panel.lines]),
    }
    if panel.y_range is not None:
        axis["range"] = [math.log10(v) if panel.y_log else v for v in panel.y_range]
    return axis


def _short(values: Values) -> list[float | None]:
    """Five digits are more than a screen shows; a gap is None."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values.tolist()]
