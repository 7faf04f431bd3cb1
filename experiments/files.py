"""Results on disk: either the old file or the whole new one, never a part of it."""

import os
from collections.abc import Callable
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Put `text` at `path`, in place of what is there."""
    replace(path, lambda new: new.write_text(text, encoding="utf-8"))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a new file, then put it at `path`, in place of what is there.

    The new file has the ending of `path`, by which some writers choose their format. Its name is
    always the same one, so that what a killed process left behind is overwritten by the next one.
    """
    new = path.with_name(f".new-{path.name}")
    try:
        write(new)
        with new.open("rb") as written:
            os.fsync(written.fileno())  # a power cut must not leave an empty file under the name
        os.replace(new, path)  # noqa: PTH105 (one call on every system)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
