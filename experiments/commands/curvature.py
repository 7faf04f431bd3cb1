"""`python -m experiments curvature`: what figures 3 and 4 need of a training."""

import argparse
from pathlib import Path
from typing import Any

from experiments.commands.arguments import seed
from experiments.commands.options import add_settings, given_settings
from experiments.commands.reading import add_results
from experiments.errors import RequestError


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    curvature = commands.add_parser(
        "curvature",
        help="measure sharpness and loss landscape of a training, for figures 3 and 4",
        description="Make a run once more, on the CPU; measure the largest eigenvalue of the "
        "Hessian on its way, and the loss around its last weights. The results lie beside the "
        "result file of the run.",
    )
    curvature.set_defaults(command=_measure)
    curvature.add_argument("task", metavar="TASK", help="mnist, cifar10, ...")
    curvature.add_argument("methods", metavar="METHOD", nargs="+", help="zenith, cosine, ...")
    curvature.add_argument("--seed", type=seed, default=0, help="default: 0")
    curvature.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="folder that holds the data sets"
    )
    add_results(curvature)
    add_settings(curvature)


def _measure(options: argparse.Namespace) -> None:
    try:
        from rich.console import Console
        from rich.progress import Progress

        from experiments.evidence.curvature.measure import measure, path_of, write
        from experiments.run import find_method
        from experiments.settings import identify
    except ModuleNotFoundError as error:
        raise RequestError(
            f"curvature needs {error.name}: pip install 'zenith-lr[experiments]'"
        ) from error

    console = Console()
    for method in options.methods:
        find_method(method)
        identity = identify(options.task, "laptop", method, options.seed, given_settings(options))
        path = path_of(identity, options.results)
        if not path.exists():
            with Progress(console=console, transient=True) as progress:
                bar = progress.add_task(identity.title)
                write(
                    measure(
                        identity,
                        options.data_dir,
                        lambda step, total, p=progress, b=bar: p.update(
                            b, completed=step, total=total
                        ),
                    ),
                    options.results,
                )
        console.print(str(path), highlight=False, soft_wrap=True)
