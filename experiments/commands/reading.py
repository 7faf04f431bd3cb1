"""Where the commands that read results find them, and where they write."""

import argparse
import shlex
import tempfile
from pathlib import Path

from experiments.errors import RequestError


def add_results(parser: argparse.ArgumentParser) -> None:
    """`--results`, the folder that `run` and `sweep` write to."""
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of result files; default: results",
    )


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """`--out`, a folder."""
    parser.add_argument(
        "--out", type=Path, default=Path(default), metavar="DIR", help=f"folder; default: {default}"
    )


def command_line(options: argparse.Namespace, *arguments: str) -> str:
    """What makes the same files again from the same results; where they went is left out."""
    return shlex.join(
        ["python", "-m", "experiments", *arguments, f"--results={options.results.as_posix()}"]
    )


def writable_folder(path: Path) -> Path:
    """`--out`, made if it is not there.

    Raises:
      RequestError: nothing can be written into it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):  # found out now, not after the work
            pass
    except OSError as error:
        raise RequestError(
            f"--out must be a folder that can be written to. Received: {path} ({error.strerror})"
        ) from error
    return path
