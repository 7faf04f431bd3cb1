"""`python -m experiments table1`: what each automatic method adds to a step of SGD."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from experiments.commands.arguments import check_methods, names, whole
from experiments.commands.reading import writable_folder
from experiments.errors import RequestError


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `python -m experiments`."""
    table1 = commands.add_parser(
        "table1",
        help="measure time and memory of every automatic method on this machine",
        description="The paper's Table 1 on this machine: time and state of each automatic method "
        "beside plain SGD, on VGG-19 with BatchNorm and images of CIFAR-10's size.",
    )
    table1.set_defaults(command=_table1)
    table1.add_argument(
        "--methods",
        type=names,
        default="all",
        metavar="NAME,...",
        help="names as in `list`, or all (the default): ZENITH and every automatic method",
    )
    table1.add_argument("--batch", type=whole, default=128, help="default: %(default)s")
    table1.add_argument("--rounds", type=whole, default=11, help="default: %(default)s")
    table1.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where cifar10.npz lies; by default the images are noise, which takes as long",
    )
    table1.add_argument(
        "--out", type=Path, default=Path("results/table1"), help="default: %(default)s"
    )


def _table1(options: argparse.Namespace) -> None:
    try:
        import torch
        from rich.console import Console

        from benchmarks.models import vgg19
        from experiments.methods import METHODS
        from experiments.progress import bars
        from experiments.table1.figure import write_picture
        from experiments.table1.measure import SGD, measure
        from experiments.table1.tables import summarize, terminal_table, write_tables
    except ModuleNotFoundError as error:
        raise RequestError(
            f"table1 needs {error.name}: pip install 'zenith-lr[experiments]'"
        ) from error

    chosen = check_methods(options.methods, METHODS)
    if chosen == ["all"]:
        chosen = [name for name, method in METHODS.items() if method.kind != "schedule"]
    chosen = list(dict.fromkeys([SGD, *chosen]))
    out = writable_folder(options.out)
    x, y = _images(options.data_dir, options.batch)

    console = Console()
    title = (
        f"VGG-19 with BatchNorm, 32 x 32, batch {options.batch}, PyTorch {torch.__version__}, "
        "one CPU thread"
    )
    console.print(title, highlight=False)
    torch.manual_seed(0)
    with bars(console) as progress:
        task = progress.add_task("warming up", total=len(chosen) * (options.rounds + 1))

        def on_step(name: str) -> None:
            progress.update(task, advance=1, description=name)

        costs = measure(chosen, vgg19(), x, y, options.rounds, on_step)

    rows = summarize(costs)
    console.print(terminal_table(rows, "Median (quartiles) over the rounds"))
    command = shlex.join(
        [
            *("python", "-m", "experiments", "table1"),
            *(f"--methods={','.join(options.methods)}", f"--batch={options.batch}"),
            f"--rounds={options.rounds}",
        ]
    )
    paths = write_tables(rows, title, options.rounds, command, out)
    paths += write_picture(rows, title, out)
    for path in paths:
        console.print(f"{path}", highlight=False, soft_wrap=True)


def _images(folder: Path | None, batch: int) -> Any:
    import torch

    if folder is None:
        torch.manual_seed(0)
        return torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    from experiments.data import load

    data = load("cifar10", folder)
    if batch > len(data.x_train):
        raise RequestError(f"--batch must be at most {len(data.x_train)}. Received: {batch}")
    x = torch.from_numpy(data.x_train[:batch]).permute(0, 3, 1, 2).contiguous()
    return x, torch.from_numpy(data.y_train[:batch])
