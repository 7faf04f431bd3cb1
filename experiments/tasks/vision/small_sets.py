"""MNIST, CIFAR-10 and CIFAR-100: data sets that fit into memory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.data import read
from experiments.errors import RequestError
from experiments.tasks.vision._places import download_folder, downloading
from experiments.tasks.vision.classification import Sets
from experiments.tasks.vision.pictures import StoredPictures


def mnist(folder: Path | None) -> Sets:
    """torchvision's MNIST, downloaded or from `folder` (`MNIST/raw`, or the idx files in it)."""
    return _found("mnist", "MNIST", None, folder)


def cifar10(folder: Path | None) -> Sets:
    """torchvision's CIFAR10, downloaded or from `folder`, also as `cifar10.npz`."""
    return _found("cifar10", "CIFAR10", "cifar-10-batches-py", folder)


def cifar100(folder: Path | None) -> Sets:
    """torchvision's CIFAR100, downloaded or from `folder`, also as `cifar100-subset.npz`."""
    return _found("cifar100", "CIFAR100", "cifar-100-python", folder)


def _found(name: str, torchvision_name: str, extracted: str | None, folder: Path | None) -> Sets:
    from torchvision import datasets

    kind: Callable[..., object] = getattr(datasets, torchvision_name)
    if folder is None:
        place = download_folder()
        with downloading(name, place):
            return Sets(
                _of_torchvision(kind(place, train=True, download=True)),
                _of_torchvision(kind(place, train=False, download=True)),
            )
    if extracted and (folder / extracted).is_dir():
        try:
            return Sets(
                _of_torchvision(kind(folder, train=True)),
                _of_torchvision(kind(folder, train=False)),
            )
        except RuntimeError as error:
            raise RequestError(
                f"{name}: {folder / extracted} is not the whole of torchvision's {torchvision_name}"
            ) from error
    images = read(name, folder)
    return Sets(
        StoredPictures(images.x_train, images.y_train), StoredPictures(images.x_test, images.y_test)
    )


def _of_torchvision(pictures: object) -> StoredPictures:
    images = np.asarray(pictures.data)  # a tensor for MNIST, an array for CIFAR
    labels = np.asarray(pictures.targets, dtype=np.int64)
    return StoredPictures(images if images.ndim == 4 else images[..., np.newaxis], labels)
