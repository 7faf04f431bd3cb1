"""Food-101: 101,000 photographs of dishes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.errors import RequestError
from experiments.tasks.vision._places import download_folder, downloading, existing_folder
from experiments.tasks.vision.classification import Sets
from experiments.tasks.vision.folders import files_that_exist
from experiments.tasks.vision.pictures import PictureFiles


def food101(folder: Path | None) -> Sets:
    """torchvision's Food101, downloaded or from `folder` (which holds `food-101`).

    Raises:
      RequestError: files are missing, or the lists in `meta` cannot be read.
    """
    from torchvision.datasets import Food101

    if folder is None:
        folder = download_folder()
        with downloading("food101", folder):
            Food101(folder, download=True)
    else:
        for part in ("meta", "images"):
            existing_folder(
                "food101", [folder / "food-101" / part], "torchvision's layout of Food-101"
            )
    (train, classes), (test, tested) = _part(folder, "train"), _part(folder, "test")
    if classes != tested:
        raise RequestError(
            f"{folder / 'food-101' / 'meta'}: expected the same classes in train.json and "
            f"test.json, found {len(set(classes) ^ set(tested))} in one of them alone"
        )
    return Sets(train, test)


def _part(folder: Path, split: str) -> tuple[PictureFiles, list[str]]:
    from torchvision.datasets import Food101

    listed_in = folder / "food-101" / "meta" / f"{split}.json"
    try:
        found = Food101(folder, split=split)
        # The only place where torchvision keeps the paths.
        paths: Sequence[Path] = found._image_files
        labels = np.array(found._labels, dtype=np.int64)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RequestError(
            f"{listed_in}: expected the images of each class of Food-101: "
            f"{' '.join(str(error).split())}"
        ) from error
    return PictureFiles(files_that_exist(paths, listed_in), labels), found.classes
