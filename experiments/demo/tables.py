"""What a comparison comes to, as a table on the terminal, in Markdown and in CSV."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich import box
from rich.table import Table

from experiments.data import CLASSES
from experiments.demo.record import Record
from experiments.files import replace_text

# Those that every framework has; the others are torch's alone.
LABELS = {"zenith": "ZENITH", "constant": "constant", "cosine": "cosine", "step": "step decay"}
_HEADERS = ("method", "test accuracy, %", "training loss", "seconds", "ms a step")

CHANCE = math.log(CLASSES)  # the cross-entropy of a network that knows nothing


def label(method: str) -> str:
    """Its name in tables and pictures."""
    if method in LABELS:
        return LABELS[method]
    from experiments.methods import METHODS

    return METHODS[method].label


class Spread(NamedTuple):
    """Median and range over the seeds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


class Row(NamedTuple):
    """One method over all its seeds."""

    method: str
    seeds: int
    diverged: int
    test_accuracy: Spread  # at the end of the run, in [0, 1]
    train_loss: Spread  # at the end of the run; infinite for a run that diverged
    seconds: Spread  # of training, a run
    step_milliseconds: Spread


def summarize(records: Sequence[Record]) -> list[Row]:
    """One row a method, in the order in which the methods come."""
    rows: list[Row] = []
    for method in dict.fromkeys(record.method for record in records):
        runs = [record for record in records if record.method == method]
        rows.append(
            Row(
                method,
                len(runs),
                sum(run.diverged for run in runs),
                Spread.of([run.evaluations[-1].test_accuracy for run in runs]),
                Spread.of(
                    [math.inf if run.diverged else run.evaluations[-1].train_loss for run in runs]
                ),
                Spread.of([run.seconds for run in runs]),
                Spread.of([1000 * run.seconds / len(run.steps) for run in runs]),
            )
        )
    return rows


def terminal_table(rows: Sequence[Row], title: str) -> Table:
    """The rows as rich prints them."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column(_HEADERS[0])
    for header in _HEADERS[1:]:
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def write_tables(rows: Sequence[Row], title: str, command: str, folder: Path) -> list[Path]:
    """Write `table.md` and `table.csv` into `folder`.

    Args:
      rows: what `summarize` returned.
      title: one line over the Markdown table.
      command: the command line that makes this table again.
      folder: an existing folder; files of these names in it are replaced.

    Returns:
      The paths written.
    """
    paths = [folder / "table.md", folder / "table.csv"]
    replace_text(paths[0], _markdown(rows, title, command))
    replace_text(paths[1], _csv(rows))
    return paths


def _markdown(rows: Sequence[Row], title: str, command: str) -> str:
    lines = [_HEADERS, ("---", *(["---:"] * (len(_HEADERS) - 1))), *map(_cells, rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{title}\n\n{table}\n\nMade by `{command}`.\n"


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spreads = Row._fields[3:]
    writer.writerow(
        [*Row._fields[:3], *(f"{name}_{part}" for name in spreads for part in Spread._fields)]
    )
    for row in rows:
        writer.writerow([*row[:3], *(f"{value:.6g}" for spread in row[3:] for value in spread)])
    return text.getvalue()


def _cells(row: Row) -> tuple[str, ...]:
    name = label(row.method)
    if row.diverged:
        name += f" ({row.diverged} of {row.seeds} diverged)"
    elif row.train_loss.median > CHANCE:
        name += " (worse than chance)"
    percent = Spread(*(100 * value for value in row.test_accuracy))
    return (
        name,
        _with_range(percent, ".2f"),
        _with_range(row.train_loss, ".1e"),
        f"{row.seconds.median:.1f}",
        f"{row.step_milliseconds.median:.2f}",
    )


def _with_range(spread: Spread, form: str) -> str:
    low, high = format(spread.low, form), format(spread.high, form)
    return f"{spread.median:{form}} ({low}\N{EN DASH}{high})"
