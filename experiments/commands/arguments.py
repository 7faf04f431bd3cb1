"""Values on the command line, each refused with a line that says what is accepted."""

import argparse
import math
from collections.abc import Iterable

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


def coefficient(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number of at least 0. Received: {text}")
    return value


def seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0. Received: {text}")
    return int(text)


def names(text: str) -> list[str]:
    """Names with commas between them, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",")))


def check_methods(received: list[str], known: Iterable[str]) -> list[str]:
    """`received` as it is, if it is "all" or holds names in `known` alone.

    Raises:
      RequestError: it does not.
    """
    accepted = list(known)
    foreign = [name for name in received if name not in accepted]
    if foreign and received != ["all"]:
        raise RequestError(
            f"--methods must be all, or names among {', '.join(accepted)}. Received: {foreign[0]}"
        )
    return received
