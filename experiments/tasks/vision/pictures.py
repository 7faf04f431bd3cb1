"""Labelled pictures, in memory or in files, that are read one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from experiments.errors import RequestError


class Pictures(Protocol):
    """A part of a data set."""

    labels: NDArray[np.int64]
    """i64[N], from 0 to the number of classes less one."""

    in_files: bool
    """Whether reading one takes long enough to leave it to worker processes."""

    def read(self, index: int) -> Tensor:
        """Picture `index` as u8[3, H, W]; RequestError if it cannot be read."""
        ...


class StoredPictures:
    """Pictures of one size that are all in memory.

    Args:
      images: u8[N, H, W, C], of one channel (grey, repeated when it is read) or of three.
      labels: N whole numbers.
    """

    in_files = False

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        # Torch warns of memory that may not be written to, as that of a file that was read whole.
        self.images = np.require(images, requirements="W")
        self.labels = labels

    def read(self, index: int) -> Tensor:
        return torch.from_numpy(self.images[index]).permute(2, 0, 1).expand(3, -1, -1)


class PictureFiles:
    """Pictures that are files, whatever their size.

    Args:
      paths: of the N files.
      labels: N whole numbers.
    """

    in_files = True

    def __init__(self, paths: Sequence[Path], labels: NDArray[np.int64]) -> None:
        # One array, not a list: worker processes share it, and a list would be copied to each one
        # of them as its reference counts change.
        self.paths = np.array([str(path) for path in paths])
        self.labels = labels

    def read(self, index: int) -> Tensor:
        return read_picture(Path(self.paths[index]))


def read_picture(path: Path) -> Tensor:
    """The picture in a file as u8[3, H, W], whatever its colours.

    Raises:
      RequestError: there is no such file, or it is not a whole picture.
    """
    try:
        with Image.open(path) as picture:
            pixels = np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises each of them
        raise RequestError(
            f"{path}: expected a picture, found a file that cannot be read as one: "
            f"{' '.join(str(error).split())}"
        ) from error
    return torch.from_numpy(pixels).permute(2, 0, 1)
