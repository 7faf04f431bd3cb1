"""Real data sets as NumPy arrays, read from where the user keeps them."""

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.errors import RequestError

CLASSES = 10  # of every set that the demo knows
_PROBE = 5_000


class Data(NamedTuple):
    """A classification set: images f32[N, H, W, C] in [0, 1] and labels i64[N] in [0, 10)."""

    name: str
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]

    @property
    def probe(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The training images on which the training loss is evaluated: the first 5,000."""
        return self.x_train[:_PROBE], self.y_train[:_PROBE]


class Images(NamedTuple):
    """The bytes of a classification set: images u8[N, H, W, C], labels i64[N] in [0, classes)."""

    classes: int
    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]


def load(name: str, folder: Path | None = None) -> Data:
    """Load a data set for the demo by name.

    Args:
      name: one of `NAMES`.
      folder: where its files are; `digits` needs none, it comes with scikit-learn.

    Returns:
      The training and the test set.

    Raises:
      RequestError: the files are missing or are not what they should be.
    """
    if name == "digits":
        return _digits()
    images = read(name, folder)
    x_train, x_test = (x.astype(np.float32) / 255 for x in (images.x_train, images.x_test))
    return Data(name, x_train, images.y_train, x_test, images.y_test)


def read(name: str, folder: Path | None) -> Images:
    """Read the files of a data set by name.

    Args:
      name: a key of `READERS`.
      folder: where its files are.

    Returns:
      The training and the test set.

    Raises:
      RequestError: the files are missing or are not what they should be.
    """
    if folder is None:
        raise RequestError(f"{name} needs --data-dir DIR, the folder that holds its files")
    if not folder.is_dir():
        raise RequestError(
            f"--data-dir: expected a folder that holds {name}, found none at {folder}"
        )
    return READERS[name](folder)


def _digits() -> Data:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = (bunch.images / 16).astype(np.float32)[..., np.newaxis]
    labels = bunch.target.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=0
    )
    return Data("digits", x_train, y_train, x_test, y_test)


def _idx_set(name: str, torchvision_name: str, folder: Path) -> Images:
    places = [folder / torchvision_name / "raw", folder]
    halves: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = []
    for part in ("train", "t10k"):
        image_file = _find_idx(name, places, f"{part}-images-idx3-ubyte")
        label_file = _find_idx(name, places, f"{part}-labels-idx1-ubyte")
        images = _read_idx(image_file, (28, 28))
        labels = _read_idx(label_file, ())
        places_found = (str(image_file), str(label_file))
        halves.append(_checked(places_found, images[..., np.newaxis], labels, CLASSES))
    return Images(CLASSES, *halves[0], *halves[1])


def _find_idx(name: str, places: list[Path], file: str) -> Path:
    for place in places:
        for path in (place / file, place / f"{file}.gz"):
            if path.is_file():
                return path
    raise RequestError(
        f"{name}: expected the idx file {file} (or {file}.gz) in {places[0]} or {places[1]}"
    )


def _read_idx(path: Path, item: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes whose items have the shape `item`.

    Format: 0, 0, 8 (unsigned byte), number of dimensions, each size as a big-endian int32, bytes.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(f"{path}: expected a readable idx file: {error}") from error
    rank = 1 + len(item)
    start = 4 + 4 * rank
    magic = bytes((0, 0, 8, rank))
    if content[:4] != magic:
        raise RequestError(
            f"{path}: expected an idx file that starts with the bytes {magic.hex(' ')}, "
            f"found {content[:4].hex(' ') or 'an empty file'}"
        )
    if len(content) < start:
        raise RequestError(f"{path}: expected an idx header of {start} bytes, found {len(content)}")
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">i4"))
    if shape[1:] != item or shape[0] < 1:
        wanted = " x ".join(map(str, ("N", *item)))
        raise RequestError(
            f"{path}: expected the shape {wanted}, found {' x '.join(map(str, shape))}"
        )
    if len(content) != start + math.prod(shape):
        raise RequestError(
            f"{path}: expected {math.prod(shape)} bytes after the header, "
            f"found {len(content) - start}: the file is truncated or has been changed"
        )
    return np.frombuffer(content[start:], np.uint8).reshape(shape)


def _npz_set(name: str, file: str, classes: int, folder: Path) -> Images:
    path = folder / file
    keys = ("x_train", "y_train", "x_test", "y_test")
    wanted = f"an npz file with the arrays {', '.join(keys)}"
    if not path.is_file():
        raise RequestError(f"{name}: expected {path}, {wanted}; there is no such file")
    try:
        # Opened here: `np.load` leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in keys}
    except KeyError as error:
        raise RequestError(f"{path}: expected {wanted}: {error.args[0]}") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise RequestError(f"{path}: expected {wanted}: {error}".replace("\n", " ")) from error
    train, test = (
        _checked((f"{path}: x_{part}", f"{path}: y_{part}"), x, y, classes)
        for part in ("train", "test")
        for x, y in [(arrays[f"x_{part}"], arrays[f"y_{part}"])]
    )
    return Images(classes, *train, *test)


def _checked(
    places: tuple[str, str], images: NDArray[Any], labels: NDArray[Any], classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    image_place, label_place = places
    if (
        images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[-1] not in (1, 3)
        or not images.size
    ):
        raise RequestError(
            f"{image_place}: expected at least one uint8 image, N x height x width x channels, "
            f"found {images.dtype} of shape {images.shape}"
        )
    # Labels come as N or as N x 1, as Keras writes them.
    flat = labels.reshape(-1) if labels.shape[1:] == (1,) else labels
    if flat.ndim != 1 or not np.issubdtype(flat.dtype, np.integer):
        raise RequestError(
            f"{label_place}: expected N whole numbers, found {labels.dtype} of shape {labels.shape}"
        )
    if len(flat) != len(images):
        raise RequestError(f"{label_place}: expected {len(images)} labels, found {len(flat)}")
    if flat.min() < 0 or flat.max() >= classes:
        raise RequestError(
            f"{label_place}: expected labels from 0 to {classes - 1}, "
            f"found {flat.min()} to {flat.max()}"
        )
    return images, flat.astype(np.int64)


READERS: dict[str, Callable[[Path], Images]] = {
    "mnist": partial(_idx_set, "mnist", "MNIST"),
    "fashion-mnist": partial(_idx_set, "fashion-mnist", "FashionMNIST"),
    "cifar10": partial(_npz_set, "cifar10", "cifar10.npz", 10),
    "cifar100": partial(_npz_set, "cifar100", "cifar100-subset.npz", 100),
}
NAMES = ("digits", "mnist", "fashion-mnist", "cifar10")
