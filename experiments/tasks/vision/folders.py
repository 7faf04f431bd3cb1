"""Pictures in one folder a class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.errors import RequestError
from experiments.tasks.vision.pictures import PictureFiles

_ENDINGS = {".jpeg", ".jpg", ".png"}


def class_folders(folder: Path, classes: Sequence[str]) -> PictureFiles:
    """The pictures below `folder / name of the class`, at any depth, as ImageFolder finds them.

    Raises:
      RequestError: a class has no folder, or no picture in it.
    """
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            path for path in (folder / name).rglob("*") if path.suffix.lower() in _ENDINGS
        )
        if not found:
            raise RequestError(
                f"{folder / name}: expected the {'/'.join(sorted(_ENDINGS))} files of a class, "
                "found none"
            )
        paths += found
        labels += [label] * len(found)
    return PictureFiles(paths, np.array(labels, dtype=np.int64))


def files_that_exist(paths: Sequence[Path], listed_in: Path) -> Sequence[Path]:
    """`paths` themselves; RequestError that counts and names what is listed and is not there."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise RequestError(
            f"{listed_in}: lists {len(paths)} images, of which {len(missing)} are not there, "
            f"the first of them {missing[0]}"
        )
    if not paths:
        raise RequestError(f"{listed_in}: expected a list of images, found none")
    return paths
