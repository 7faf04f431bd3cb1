"""The portable state as a JSON file: the whole of it, or the file that was there before."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zenith.core._portable import from_portable, to_portable


def save(portable: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a portable state to a JSON file, which any front end's `import_state` can continue.

    The file is written beside `path` and then moved there, so that a process that dies on the way
    leaves the old file as it was.

    Args:
      portable: what `export_state` of any front end, or `to_portable`, returned.
      path: where to; a file that is there is replaced.

    Raises:
      ValueError: `portable` is no portable state; the message names the key.
      OSError: the file cannot be written. In both cases what was at `path` is as it was.

    Example:
      >>> import tempfile
      >>> from pathlib import Path
      >>> from zenith.core import init, load, save, to_portable, update
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save(to_portable(update(init(2), 0.5)), Path(folder) / "zenith.json")
      ...     load(Path(folder) / "zenith.json")
      {'format': 1, 'window': 2, 'norms': [0.5], 'peak': 0.0, 'skipped': 0}
    """
    text = json.dumps(to_portable(from_portable(portable)), allow_nan=False) + "\n"
    path = Path(path)
    # A folder, for the file in it to get the rights that every new file gets.
    with tempfile.TemporaryDirectory(prefix=".zenith-", dir=path.parent) as folder:
        new = Path(folder) / path.name
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save` wrote, for `import_state` of any front end or `from_portable`.

    Args:
      path: a file that `save` wrote.

    Returns:
      The portable state, bit for bit.

    Raises:
      ValueError: the file does not hold exactly one portable state. The message names the file, and
        the key if there is one.
      OSError: the file cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        return to_portable(from_portable(_parse(content)))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} does not hold a state of ZENITH: {error}") from error


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_without_repetition)
    except RecursionError:  # brackets within brackets: not a ValueError by itself
        raise ValueError("it must be one JSON object of numbers and one list") from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError(f"each key must occur once. Received: {[key for key, _ in pairs]}")
    return entries
