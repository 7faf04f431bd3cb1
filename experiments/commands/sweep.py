"""`python -m experiments sweep`: all the runs of a table that are missing."""

import argparse
from functools import partial
from typing import Any

from experiments.commands.arguments import whole
from experiments.commands.options import add_places, add_settings, given_settings
from experiments.errors import RequestError


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    sweep = commands.add_parser(
        "sweep",
        help="make all runs of a table or of the study that are missing",
        description="Make all runs of a table or of the study that are missing. A sweep that was "
        "cut goes on where it was when it is started again; a run that fails is recorded as failed "
        "and does not stop the others.",
    )
    sweep.set_defaults(command=_sweep)
    sweep.add_argument(
        "name",
        metavar="NAME",
        help="table3, table4, table5, study, or a part of it: study-main, ...",
    )
    sweep.add_argument("--seeds", type=whole, default=3, help="from 0 on; default: 3")
    sweep.add_argument(
        "--scale", choices=("laptop", "paper"), default="laptop", help="default: laptop"
    )
    sweep.add_argument("--task", action="append", metavar="TASK", help="only this one, or these")
    sweep.add_argument(
        "--method", action="append", metavar="METHOD", help="only this one, or these"
    )
    sweep.add_argument("--jobs", type=whole, default=1, help="runs at a time; default: 1")
    sweep.add_argument(
        "--ray", metavar="ADDRESS", help='run on this Ray cluster, "auto" for the one at hand'
    )
    sweep.add_argument("--retry", action="store_true", help="make runs that failed once more")
    add_places(sweep)
    add_settings(sweep)


def _sweep(options: argparse.Namespace) -> None:
    try:
        from rich.console import Console

        from experiments.attempt import Conditions
        from experiments.sweep import missing, sweep
        from experiments.sweeps import runs_of
        from experiments.watch import WatchSweep
        from experiments.workers import on_this_machine

        if options.ray:
            from experiments.cluster import on_a_cluster
    except ModuleNotFoundError as error:
        extra = "cluster" if error.name == "ray" else "experiments"
        raise RequestError(f"sweep needs {error.name}: pip install 'zenith-lr[{extra}]'") from error

    runs = runs_of(
        options.name,
        options.scale,
        options.seeds,
        given_settings(options),
        options.task,
        options.method,
    )
    to_make, unreadable = missing(runs, options.out, retry=options.retry)
    conditions = Conditions(options.data_dir, options.out, options.saved_every)
    console = Console()
    there = len(runs) - len(to_make)
    console.print(
        f"{options.name}: {len(runs)} runs, {there} are there, {len(to_make)} to make",
        highlight=False,
    )
    with WatchSweep(options.name, len(to_make), console) as watcher:
        if options.ray:
            pool = partial(on_a_cluster, conditions=conditions, address=options.ray)
        else:
            pool = partial(
                on_this_machine,
                conditions=conditions,
                jobs=options.jobs,
                on_step=watcher.on_step,
            )
        try:
            ends = sweep(to_make, pool, watcher)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt("the same command goes on from here") from interrupt
    if ends:
        told = ", ".join(f"{count} {kind}" for kind, count in ends.items())
        console.print(f"{told}; results in {options.out}", highlight=False, soft_wrap=True)
    if unreadable:
        raise RequestError(f"{len(unreadable)} results could not be read: {'; '.join(unreadable)}")
