"""`python -m experiments when`: the page "When ZENITH helps", from the results of the study."""

import argparse
from typing import Any

from experiments.commands.reading import add_out, add_results, command_line, writable_folder


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    when = commands.add_parser(
        "when",
        help='write the page "When ZENITH helps" from the results of the study',
        description='Write the page "When ZENITH helps" as Markdown, with its pictures in '
        "DIR/images and its numbers as CSV in DIR/data.",
    )
    when.set_defaults(command=_when)
    add_results(when)
    add_out(when, "docs")


def _when(options: argparse.Namespace) -> None:
    from experiments.evidence.chart import Chart
    from experiments.evidence.page import markdown_page
    from experiments.evidence.pictures import write_pictures
    from experiments.evidence.study import read_study
    from experiments.evidence.table import Table, write_records
    from experiments.evidence.when import when_page
    from experiments.files import replace_text

    items = when_page(read_study(options.results), command_line(options, "when"))
    page = writable_folder(options.out) / "when-it-helps.md"
    pictures, data = (writable_folder(options.out / name) for name in ("images", "data"))
    charts = [item for item in items if isinstance(item, Chart)]
    tables = [item for item in items if isinstance(item, Table)]
    replace_text(page, markdown_page(items, pictures.name))
    for path in (page, *write_pictures(charts, pictures), *write_records(tables, data)):
        print(path)
