"""`python -m experiments list`: every method, in one table."""

import argparse
from typing import Any

from experiments.errors import RequestError

_HEADERS = (
    "name",
    "method",
    "source",
    "needs",
    "extra forwards",
    "state",
    "capped",
    "told the budget",
    "resumes",
    "reference",
)


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    listing = commands.add_parser(
        "list",
        help="list ZENITH, its rivals and the schedules",
        description="List every method: who wrote the code that runs; whether it needs the "
        "gradient alone, the loss too, or probes of the loss as well, and how many forward passes "
        "a step those are; what it keeps between steps, measured here, in sizes of the parameters; "
        "whether eta_0 caps its step size; and where its rule was published.",
    )
    listing.set_defaults(command=_list)
    listing.add_argument("--markdown", action="store_true", help="as Markdown, for the docs")


def _list(options: argparse.Namespace) -> None:
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        from experiments.methods import METHODS
    except ModuleNotFoundError as error:
        raise RequestError(
            f"list needs {error.name}: pip install 'zenith-lr[experiments]'"
        ) from error

    rows = [_cells(method) for method in METHODS.values()]
    if options.markdown:
        lines = [_HEADERS, ("---",) * len(_HEADERS), *rows]
        print("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for header in _HEADERS:
        table.add_column(header, overflow="fold", no_wrap=header == "name")
    for cells in rows:
        table.add_row(*cells)
    Console().print(table, highlight=False)


def _cells(method: Any) -> tuple[str, ...]:
    return (
        method.name,
        method.label,
        method.source,
        method.needs,
        f"{method.probes:g}",
        _state(method),
        _yes(method.capped),
        _yes(method.knows_budget),
        "exactly" if method.resumable else "no",
        method.reference,
    )


def _state(method: Any) -> str:
    """Of a layer large enough that what is not of its size counts as 0."""
    import torch

    from experiments.methods import ModelBatch, Plan, state_size

    torch.manual_seed(0)
    model = torch.nn.Linear(400, 400)
    try:
        training = method.start(model, Plan(total_steps=2))
    except RequestError:  # its library is not installed, as its source says
        return "?"
    x = torch.randn(2, 400)
    for _ in range(2):
        training.step(ModelBatch(model, lambda: model(x).square().mean()))
    return f"{state_size(training, model):.0f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
