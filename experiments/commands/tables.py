"""`python -m experiments table3|table4|table5`: what the result files come to, in tables."""

import argparse
from typing import Any

from experiments.commands.reading import add_out, add_results, command_line, writable_folder
from experiments.errors import RequestError

_HELP = {
    "table3": "test accuracy and convergence time of every method on every classification task",
    "table4": "mAP50 of boxes, masks and keypoints of every method on the detection tasks",
    "table5": "what L2 regularisation in the loss does to each method",
}


def add_to(commands: Any) -> None:
    """Add the commands to the subparsers of `python -m experiments`."""
    for name, text in _HELP.items():
        table = commands.add_parser(name, help=text, description=f"Write {name}: {text}.")
        table.set_defaults(command=_write, name=name)
        add_results(table)
        table.add_argument(
            "--paper",
            action="store_true",
            help="add what is known of the paper's own figures",
        )
        add_out(table, "results")


def _write(options: argparse.Namespace) -> None:
    from experiments.evidence.paper_tables import TABLES, paper_table
    from experiments.evidence.study import read_study
    from experiments.evidence.table import write_tables

    study = read_study(options.results)
    tables = TABLES[options.name](study)
    if not tables:
        raise RequestError(
            f"--results: {options.name} needs {_HELP[options.name]}; found no such runs in "
            f"{options.results}"
        )
    paper = paper_table(options.name) if options.paper else None
    if paper is not None:
        tables.append(paper)
    elif options.paper:
        print(f"The paper's own {options.name} is not known here; nothing is shown beside ours.")
    command = command_line(options, options.name)
    for table in tables:
        print(table.markdown())
    for path in write_tables(tables, options.name, command, writable_folder(options.out)):
        print(path)
