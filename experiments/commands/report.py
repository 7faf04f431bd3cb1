"""`python -m experiments report`: every table and figure of the results on one page."""

import argparse
from pathlib import Path
from typing import Any

from experiments.commands.reading import add_results, command_line, writable_folder


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    report = commands.add_parser(
        "report",
        help="write all tables and figures as one HTML page, and as Markdown",
        description="Write all tables and figures as one HTML page that needs no network, with "
        "figures to zoom into, and as Markdown beside it with pictures in a folder.",
    )
    report.set_defaults(command=_report)
    add_results(report)
    report.add_argument(
        "--out",
        type=Path,
        default=Path("results/report.html"),
        metavar="FILE",
        help="the HTML file; default: results/report.html",
    )


def _report(options: argparse.Namespace) -> None:
    from experiments.evidence.chart import Chart
    from experiments.evidence.curvature.measure import read_all
    from experiments.evidence.page import html_page, markdown_page
    from experiments.evidence.pictures import write_pictures
    from experiments.evidence.report import report_page
    from experiments.evidence.study import read_study
    from experiments.files import replace_text

    study, curvatures = read_study(options.results), read_all(options.results)
    command = command_line(options, "report")
    writable_folder(options.out.parent)
    pictures = writable_folder(options.out.with_suffix(""))
    items = report_page(study, curvatures, command, every_method=True)
    replace_text(options.out, html_page("ZENITH and its rivals", items))
    print(options.out)
    items = report_page(study, curvatures, command, every_method=False)
    page = options.out.with_suffix(".md")
    replace_text(page, markdown_page(items, pictures.name))
    print(page)
    for path in write_pictures([item for item in items if isinstance(item, Chart)], pictures):
        print(path)
