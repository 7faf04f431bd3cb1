"""Values on the command line, each refused with a line that says what is accepted."""

import argparse
import math
import tempfile
from pathlib import Path

from experiments.errors import RequestError


def whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text}")
    return int(text)


def learning_rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0. Received: {text}")
    return value


def writable_folder(path: Path) -> Path:
    """`--out`, made if it is not there.

    Raises:
      RequestError: nothing can be written into it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):  # found out now, not after the training
            pass
    except OSError as error:
        raise RequestError(
            f"--out must be a folder that can be written to. Received: {path} ({error.strerror})"
        ) from error
    return path


def add_results(parser: argparse.ArgumentParser) -> None:
    """`--results`, the folder that `run` and `sweep` write to."""
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of result files; default: results",
    )
