"""The rule of ZENITH, pure and framework-free: state in, state out."""

from zenith.core._file import load as load
from zenith.core._file import save as save
from zenith.core._pairs import add_pairs as add_pairs
from zenith.core._portable import from_portable as from_portable
from zenith.core._portable import to_portable as to_portable
from zenith.core._resize import resize as resize
from zenith.core._rule import NUMPY as NUMPY
from zenith.core._rule import ArrayOps as ArrayOps
from zenith.core._rule import ZenithState as ZenithState
from zenith.core._rule import check_safeguards as check_safeguards
from zenith.core._rule import check_window as check_window
from zenith.core._rule import init as init
from zenith.core._rule import update as update

__all__ = [
    "NUMPY",
    "ArrayOps",
    "ZenithState",
    "add_pairs",
    "check_safeguards",
    "check_window",
    "from_portable",
    "init",
    "load",
    "resize",
    "save",
    "to_portable",
    "update",
]
