"""Table 1 as rows, on the terminal, in Markdown and in CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from rich import box
from rich.table import Table

from experiments.files import replace_text
from experiments.methods import METHODS
from experiments.table1.measure import SGD, Cost

_HEADERS = ("method", "ms a step", "extra time over SGD, %", "state", "extra forwards")
_NOTES = (
    "Median (quartiles) over {rounds} rounds, in processor time. The extra time is that of a "
    "method outside the forward and backward pass that every method shares, less SGD's, over a "
    "whole step of SGD in the same round: the scatter of the passes would hide what is compared. "
    "State is every tensor kept between two steps, in sizes of the parameters; methods that probe "
    "hold one copy of the weights more while they do. The paper's own Table 1 is not at hand: its "
    "text could not be read here, so there is no column for it."
)


class Quartiles(NamedTuple):
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quartiles":
        """Of one value: that value."""
        low, median, high = quantiles(values, n=4, method="inclusive") if values[1:] else values * 3
        return cls(low, median, high)


class Row(NamedTuple):
    """One method."""

    method: str
    step_milliseconds: Quartiles
    extra_percent: Quartiles  # 0 for SGD
    state: float  # over the size of the parameters
    probes: float  # forward passes a step beyond SGD's own


def summarize(costs: Sequence[Cost]) -> list[Row]:
    """One row a method: SGD first, the others by their extra time."""
    (sgd,) = (cost for cost in costs if cost.method == SGD)
    rows: list[Row] = []
    for cost in costs:
        extra = [
            100 * (own - own_of_sgd) / step
            for own, own_of_sgd, step in zip(
                cost.own_seconds, sgd.own_seconds, sgd.step_seconds, strict=True
            )
        ]
        rows.append(
            Row(
                cost.method,
                Quartiles.of([1000 * seconds for seconds in cost.step_seconds]),
                Quartiles.of(extra),
                cost.state,
                METHODS[cost.method].probes,
            )
        )
    return sorted(rows, key=lambda row: (row.method != SGD, row.extra_percent.median))


def label(method: str) -> str:
    return "SGD" if method == SGD else METHODS[method].label


def terminal_table(rows: Sequence[Row], title: str) -> Table:
    """The rows as rich prints them."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(_HEADERS[0], no_wrap=True)
    for header in _HEADERS[1:]:
        table.add_column(header, justify="right")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def write_tables(
    rows: Sequence[Row], title: str, rounds: int, command: str, folder: Path
) -> list[Path]:
    """Write `table1.md` and `table1.csv` into `folder`, in place of what is there."""
    lines = [_HEADERS, ("---", *(["---:"] * (len(_HEADERS) - 1))), *map(_cells, rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    notes = _NOTES.format(rounds=rounds)
    paths = [folder / "table1.md", folder / "table1.csv"]
    replace_text(paths[0], f"{title}\n\n{table}\n\n{notes}\n\nMade by `{command}`.\n")
    replace_text(paths[1], _csv(rows))
    return paths


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spreads = [
        f"{name}_{part}"
        for name in ("step_milliseconds", "extra_percent")
        for part in Quartiles._fields
    ]
    writer.writerow(["method", *spreads, "state", "probes"])
    for row in rows:
        values = [*row.step_milliseconds, *row.extra_percent, row.state, row.probes]
        writer.writerow([row.method, *(f"{value:.6g}" for value in values)])
    return text.getvalue()


def _cells(row: Row) -> tuple[str, ...]:
    return (
        label(row.method),
        _spread(row.step_milliseconds, 0),
        "" if row.method == SGD else _spread(row.extra_percent, 2),
        f"{row.state:.2f}",
        f"{row.probes:g}",
    )


def _spread(values: Quartiles, digits: int) -> str:
    low, median, high = (f"{value:.{digits}f}" for value in values)
    return f"{median} ({low}\N{EN DASH}{high})"
