"""A chart as data: what matplotlib draws for the page and plotly for the browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Dash = Literal["solid", "dash", "dot", "dashdot", "longdash"]
Marks = Literal["", "circle", "square", "diamond", "triangle-up", "x", "cross"]


class Look(NamedTuple):
    """How a line looks; no two that matter share a colour and a dash."""

    color: str
    dash: Dash = "solid"
    width: float = 1.8


@dataclass(frozen=True)
class Line:
    """Points (f64[N], f64[N]) that are joined, marked, or both, with a band around them."""

    x: Values
    y: Values
    label: str
    look: Look
    band: tuple[Values, Values] | None = None  # lower and upper edge
    bars: tuple[Values, Values] | None = None  # lower and upper end of an error bar a point
    marks: Marks = ""
    joined: bool = True
    texts: Sequence[str] = ()  # of each point, where the mouse is
    in_legend: bool = True


@dataclass(frozen=True)
class Heat:
    """Values over a grid: z f64[len(y), len(x)], drawn as filled contours."""

    x: Values
    y: Values
    z: Values
    label: str
    top: float  # of the colours, from the lowest value on


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    heat: Heat | None = None
    x_log: bool = False
    y_log: bool = False
    y_range: tuple[float, float] | None = None
    x_ticks: Sequence[float] = ()
    x_names: Sequence[str] = ()  # names of x = 0, 1, ... instead of numbers
    level: float | None = None  # a horizontal line to compare with
    upright: float | None = None  # a vertical one


@dataclass(frozen=True)
class Chart:
    """Panels in rows, under one title, with one legend."""

    name: str  # of its files
    title: str
    caption: str  # what is seen and how it was computed
    panels: Sequence[Panel]
    columns: int = 2
    row_height: float = 2.7  # inches, at 8 inches of width
