"""`python -m experiments run`: one method on one task, resumable at any moment."""

import argparse
from typing import Any

from experiments.commands.arguments import seed
from experiments.commands.options import add_places, add_settings, given_settings
from experiments.errors import RequestError


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    run = commands.add_parser(
        "run",
        help="train one task with one method, from one seed, to one result file",
        description="Train one task with one method, from one seed, to one result file. A run that "
        "was cut goes on where it was, and ends with the same result. On several processes: "
        "torchrun --nproc-per-node N -m experiments run ...",
    )
    run.set_defaults(command=_run)
    run.add_argument("task", metavar="TASK", help="mnist, cifar10, ...")
    run.add_argument("method", metavar="METHOD", help="zenith, cosine, ...")
    run.add_argument("--seed", type=seed, default=0, help="default: 0")
    run.add_argument(
        "--scale", choices=("laptop", "paper"), default="laptop", help="default: laptop"
    )
    run.add_argument(
        "--workers",
        type=seed,
        help="processes that prepare minibatches; default: 0 at laptop scale, else one a core",
    )
    add_places(run)
    add_settings(run)


def _run(options: argparse.Namespace) -> None:
    try:
        from rich.console import Console

        from experiments.place import Place
        from experiments.ranks import rank, world_size
        from experiments.run import find_method, run
        from experiments.settings import identify
        from experiments.watch import WatchOne
    except ModuleNotFoundError as error:
        raise RequestError(
            f"run needs {error.name}: pip install 'zenith-lr[experiments]'"
        ) from error

    find_method(options.method)
    wanted = given_settings(options) | ({"ranks": world_size()} if world_size() > 1 else {})
    identity = identify(options.task, options.scale, options.method, options.seed, wanted)
    path = Place(identity, options.out).result_path
    console = Console(quiet=rank() > 0)
    try:
        with WatchOne(identity, console) as watcher:
            made = run(
                identity,
                options.data_dir,
                options.out,
                watcher,
                workers=options.workers,
                saved_every=options.saved_every,
            )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("the same command goes on from the last checkpoint") from interrupt
    if made.status == "failed":
        raise RequestError(f"{identity.title} failed: {made.reason} (recorded in {path})")
    console.print(f"{identity.title}: {made.told()}", highlight=False, markup=False, soft_wrap=True)
    console.print(str(path), highlight=False, markup=False, soft_wrap=True)
