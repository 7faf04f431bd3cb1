"""`python -m experiments table2`: the paper's Table 2, counted from the data and the networks."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from experiments.commands.reading import add_out, writable_folder
from experiments.errors import RequestError

_SCALES = {"paper": ("paper",), "laptop": ("laptop",), "both": ("paper", "laptop")}


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    table = commands.add_parser(
        "table2",
        help="the tasks: data, network, parameters, images, batch, epochs, metric, time limit",
        description="Write table2: what each task is. Parameters are counted in the networks, "
        "images in the data sets that --data-dir holds.",
    )
    table.set_defaults(command=_write)
    table.add_argument(
        "--scale", choices=_SCALES, default="paper", help="of the tasks; default: paper"
    )
    table.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the data sets")
    table.add_argument(
        "--partial", action="store_true", help="count also a data set of which a part is missing"
    )
    add_out(table, "results")


def _write(options: argparse.Namespace) -> None:
    try:
        from experiments.evidence.table import write_tables
        from experiments.evidence.task_table import task_table
    except ModuleNotFoundError as error:
        raise RequestError(
            f"table2 needs {error.name}: pip install 'zenith-lr[experiments]'"
        ) from error

    if options.data_dir is not None and not options.data_dir.is_dir():
        raise RequestError(f"--data-dir must be a folder. Received: {options.data_dir}")
    out = writable_folder(options.out)
    table = task_table(_SCALES[options.scale], options.data_dir, options.partial)
    print(table.markdown())
    words = ["python", "-m", "experiments", "table2", f"--scale={options.scale}"]
    if options.partial:
        words.append("--partial")
    for path in write_tables([table], "table2", shlex.join(words), out):
        print(path)
