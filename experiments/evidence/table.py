"""A table as a reader sees it, and as a program reads it."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.files import replace_text


@dataclass(frozen=True)
class Table:
    """Cells as text for Markdown, records of plain numbers for CSV."""

    name: str  # of its CSV file, which tables of one name share: "table3-last"
    title: str
    headers: Sequence[str]  # the first columns are text, the others are numbers
    rows: Sequence[Sequence[str]]
    note: str = ""
    text_columns: int = 1
    records: Sequence[Mapping[str, object]] = field(default=())

    def markdown(self) -> str:
        """The table with its title over it and its note under it."""
        count = len(self.headers) - self.text_columns
        rule = ["---"] * self.text_columns + ["---:"] * count
        lines = [self.headers, rule, *self.rows]
        body = "\n".join(f"| {' | '.join(_safe(cell) for cell in line)} |" for line in lines)
        return "\n\n".join(part for part in (self.title, body, self.note) if part) + "\n"


def write_tables(tables: Sequence[Table], name: str, command: str, folder: Path) -> list[Path]:
    """Write `NAME.md` with all tables, and a CSV file for each name that has records.

    Args:
      tables: in the order of the page.
      name: of the Markdown file, without its ending.
      command: the command line that makes them again.
      folder: an existing folder; files of these names in it are replaced.

    Returns:
      The paths written.
    """
    page = folder / f"{name}.md"
    text = "\n".join(table.markdown() for table in tables)
    replace_text(page, f"{text}\nMade by `{command}`.\n")
    return [page, *write_records(tables, folder)]


def write_records(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write `NAME.csv` for each name of the tables that have records."""
    paths: list[Path] = []
    records: dict[str, list[Mapping[str, object]]] = {}
    for table in tables:
        records.setdefault(table.name, []).extend(table.records)
    for each, rows in records.items():
        if rows:
            paths.append(folder / f"{each}.csv")
            replace_text(paths[-1], _csv(rows))
    return paths


def _csv(records: Sequence[Mapping[str, object]]) -> str:
    """One column for every key that any record has."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({key: _plain(value) for key, value in record.items()})
    return text.getvalue()


def _safe(cell: str) -> str:
    return cell.replace("|", "\\|")


def _plain(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
