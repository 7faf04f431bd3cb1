"""`python -m experiments figure1` ... `figure6`: what the result files look like."""

import argparse
from collections.abc import Sequence
from typing import Any

from experiments.commands.reading import add_out, add_results, writable_folder
from experiments.errors import RequestError

_HELP = {
    "figure1": "loss and test metric against the seconds of training",
    "figure2": "gradient norm and learning rate",
    "figure3": "sharpness, the top Hessian eigenvalue, against learning rate and accuracy",
    "figure4": "slices of the loss landscape around the final weights",
    "figure5": "step sizes of the rivals",
    "figure6": "sensitivity to eta_0 and W",
}


def add_to(commands: Any) -> None:
    """Add the commands to the subparsers of `python -m experiments`."""
    for name, text in _HELP.items():
        figure = commands.add_parser(
            name, help=text, description=f"Draw {name} as PNG and SVG, one a task: {text}."
        )
        figure.set_defaults(command=_draw, name=name)
        add_results(figure)
        add_out(figure, "results")


def _draw(options: argparse.Namespace) -> None:
    from experiments.evidence.paper_figures import charts_of
    from experiments.evidence.pictures import write_pictures

    charts: Sequence[Any] = charts_of(options.name, options.results)
    if not charts:
        needs = "curvature TASK METHOD ..." if options.name in ("figure3", "figure4") else "sweep"
        raise RequestError(
            f"--results: {options.name} needs runs for {_HELP[options.name]}, found none in "
            f"{options.results}; `python -m experiments {needs}` makes them"
        )
    for path in write_pictures(charts, writable_folder(options.out)):
        print(path)
