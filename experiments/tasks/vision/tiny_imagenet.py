"""Tiny ImageNet: 200 classes of ImageNet, 110,000 labelled pictures of 64 x 64."""

from pathlib import Path

import numpy as np

from experiments.errors import RequestError
from experiments.tasks.vision._places import download_folder, downloading, existing_folder
from experiments.tasks.vision.classification import Sets
from experiments.tasks.vision.folders import class_folders, files_that_exist
from experiments.tasks.vision.pictures import PictureFiles

CLASSES = 200
_FOLDER = "tiny-imagenet-200"
_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


def tiny_imagenet(folder: Path | None) -> Sets:
    """The layout of the original archive, downloaded or from `folder`.

    The labels of its test images were never published: the validation images are the test set here.

    Raises:
      RequestError: files are missing, or the lists of the archive cannot be read.
    """
    if folder is None:
        from torchvision.datasets.utils import download_and_extract_archive

        folder = download_folder()
        if not (folder / _FOLDER).is_dir():
            with downloading("tiny-imagenet", folder):
                partial = folder / ".partial"  # so that a download that is cut is never found
                download_and_extract_archive(_URL, str(folder), str(partial), md5=_MD5)
                (partial / _FOLDER).rename(folder / _FOLDER)
    train = existing_folder(
        "tiny-imagenet",
        [folder / _FOLDER / "train", folder / "train"],
        "the layout of tiny-imagenet-200.zip",
    )
    classes = _lines(train.parent / "wnids.txt", "the name of a class on each line")
    if len(set(classes)) != CLASSES:
        raise RequestError(
            f"{train.parent / 'wnids.txt'}: expected {CLASSES} classes, found {len(set(classes))}"
        )
    classes = sorted(classes)
    return Sets(class_folders(train, classes), _validation(train.parent / "val", classes))


def _validation(folder: Path, classes: list[str]) -> PictureFiles:
    listed_in = folder / "val_annotations.txt"
    label_of = {name: label for label, name in enumerate(classes)}
    paths: list[Path] = []
    labels: list[int] = []
    for line in _lines(listed_in, "a picture and its class on each line"):
        picture, _, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        if name not in label_of:
            raise RequestError(
                f"{listed_in}: expected a picture and one of the classes of wnids.txt on each "
                f"line, found {line!r}"
            )
        paths.append(folder / "images" / picture)
        labels.append(label_of[name])
    return PictureFiles(files_that_exist(paths, listed_in), np.array(labels, dtype=np.int64))


def _lines(path: Path, holds: str) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: expected {holds}: {error}") from error
