"""Where a data set lies, and the download of one that is not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.errors import RequestError


def download_folder() -> Path:
    """Where a data set goes, and is found again, if the user names no folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "zenith-experiments"


@contextmanager
def downloading(name: str, folder: Path) -> Iterator[None]:
    """Turn a download that fails, for want of a network or of space, into one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        # URLError is an OSError; torchvision raises RuntimeError for an archive of another md5.
        raise RequestError(
            f"{name}: could not be downloaded to {folder}: {' '.join(str(error).split())}; "
            "--data-dir names a folder that has it"
        ) from error


def existing_folder(name: str, places: list[Path], holds: str) -> Path:
    """The first of `places` that is a folder, which `holds` what the error says."""
    for place in places:
        if place.is_dir():
            return place
    raise RequestError(
        f"{name}: expected {holds} in {' or '.join(map(str, places))}, found no such folder"
    )
