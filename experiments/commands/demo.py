"""`python -m experiments demo`: ZENITH beside other methods, in one table and one picture."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from experiments.commands.arguments import check_methods, learning_rate, names, whole
from experiments.commands.reading import writable_folder
from experiments.data import NAMES, load
from experiments.demo.record import Settings
from experiments.demo.schedules import METHODS
from experiments.demo.trainers import FRAMEWORKS, KERAS_BACKENDS, load_trainer
from experiments.errors import RequestError

# Epochs and batch of a data set: at least 2,500 steps, so that a window of 500 is full after a
# fifth of the run.
_BUDGETS = {"digits": (60, 32), "mnist": (6, 128), "fashion-mnist": (6, 128), "cifar10": (8, 128)}


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    demo = commands.add_parser(
        "demo",
        help="train a small convolutional net with ZENITH and with other methods",
        description="Train a small convolutional net with ZENITH, and with a constant, a cosine "
        "and a step-decay learning rate, or with whatever `list` lists; print a table and draw a "
        "picture.",
    )
    demo.set_defaults(command=_demo)
    demo.add_argument(
        "--methods",
        type=names,
        default=",".join(METHODS),
        metavar="NAME,...",
        help="names as in `list`, or all; other than %(default)s, the default, in torch only",
    )
    demo.add_argument("--data", choices=NAMES, default="digits", help="default: %(default)s")
    demo.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data set lies")
    demo.add_argument("--framework", choices=FRAMEWORKS, default="torch", help="default: torch")
    demo.add_argument(
        "--backend", choices=KERAS_BACKENDS, help="of Keras; default: what KERAS_BACKEND says"
    )
    demo.add_argument(
        "--window", type=whole, default=500, help="gradient norms to average; default: 500"
    )
    demo.add_argument("--lr", type=learning_rate, default=0.1, help="eta_0; default: 0.1")
    budgets = ", ".join(f"{name} {epochs}" for name, (epochs, _) in _BUDGETS.items())
    demo.add_argument("--epochs", type=whole, help=f"default: {budgets}")
    batches = ", ".join(f"{name} {batch}" for name, (_, batch) in _BUDGETS.items())
    demo.add_argument("--batch", type=whole, help=f"default: {batches}")
    demo.add_argument("--seeds", type=whole, default=3, help="runs of each method; default: 3")
    demo.add_argument(
        "--out", type=Path, default=Path("results/demo"), help="folder; default: results/demo"
    )


def _demo(options: argparse.Namespace) -> None:
    try:
        from rich.console import Console

        from experiments.demo.figures import write_picture
        from experiments.demo.run import run_all
        from experiments.demo.tables import summarize, terminal_table, write_tables
    except ModuleNotFoundError as error:
        raise RequestError(
            f"demo needs {error.name}: pip install 'zenith-lr[experiments]'"
        ) from error

    epochs, batch = _BUDGETS[options.data]
    settings = Settings(
        options.window, options.lr, options.epochs or epochs, options.batch or batch
    )
    trainer = load_trainer(options.framework, options.backend)
    methods = _methods(options.methods, options.framework)
    data = load(options.data, options.data_dir)
    steps = settings.total_steps(data)
    if steps == 0:
        raise RequestError(
            f"--batch must be at most {len(data.x_train)}, the size of the training set. "
            f"Received: {settings.batch}"
        )
    out = writable_folder(options.out)

    console = Console()
    seeds = f"{options.seeds} seed" + ("s" if options.seeds > 1 else "")
    framework = options.framework + (f" on {options.backend}" if options.backend else "")
    title = (
        f"{data.name}, {framework}: {steps:,} steps of batch {settings.batch}, "
        f"learning rate {settings.lr:g}, window {settings.window}, {seeds}"
    )
    console.print(title, highlight=False)
    if settings.window > steps:
        console.print(
            f"The window of {settings.window} is longer than the {steps} steps: "
            "ZENITH stays at the constant learning rate.",
            highlight=False,
        )
    records = run_all(trainer, data, methods, settings, options.seeds, console)

    rows = summarize(records)
    console.print(terminal_table(rows, "Median (range) over the seeds, at the end of the run"))
    remake = f"python -m experiments demo {_arguments(options, settings)}"
    paths = write_picture(records, title, settings.window, out)
    paths += write_tables(rows, title, remake, out)
    for path in paths:
        console.print(f"{path}", highlight=False, soft_wrap=True)


def _methods(received: list[str], framework: str) -> list[str]:
    known = [*METHODS]
    if framework == "torch":
        from experiments import methods

        known = [*methods.METHODS]
    elif set(received) - set(known):
        raise RequestError(
            f"--methods must be names among {', '.join(known)} with --framework {framework}; the "
            f"others are for torch. Received: {','.join(received)}"
        )
    chosen = check_methods(received, known)
    return known if chosen == ["all"] else chosen


def _arguments(options: argparse.Namespace, settings: Settings) -> str:
    """What makes the same table again; where the data lie is each user's own."""
    return shlex.join(
        f"--{name}={value}"
        for name, value in {
            **({} if options.methods == [*METHODS] else {"methods": ",".join(options.methods)}),
            "data": options.data,
            "framework": options.framework,
            **({"backend": options.backend} if options.backend else {}),
            "window": settings.window,
            "lr": settings.lr,
            "epochs": settings.epochs,
            "batch": settings.batch,
            "seeds": options.seeds,
        }.items()
    )
