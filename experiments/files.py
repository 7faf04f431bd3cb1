"""Results on disk: either the old file or the whole new one, never a part of it."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Put `text` at `path`, in place of what is there."""
    replace(path, lambda new: new.write_text(text, encoding="utf-8"))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a new file, then put it at `path`, in place of what is there.

    The new file has the ending of `path`, by which some writers choose their format.
    """
    with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent) as folder:
        new = Path(folder) / path.name
        write(new)
        os.replace(new, path)  # noqa: PTH105 (one call on every system)
