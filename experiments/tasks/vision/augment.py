"""What is done to a picture before the network sees it, with random numbers that are handed in.

The transforms of torchvision and timm draw from a global random state, which the training uses too
and which a thread that makes batches would disturb: only their functions are used here.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor


class Preparation(Protocol):
    """How the pictures of a task become the network's input; both ways give u8[3, S, S]."""

    def train(self, picture: Tensor, generator: np.random.Generator) -> Tensor:
        """For training, with random changes.

        Args:
          picture: u8[3, H, W].
          generator: what the changes are drawn from.
        """
        ...

    def evaluate(self, picture: Tensor) -> Tensor:
        """For the metrics: always the same."""
        ...


@dataclass(frozen=True)
class Padded:
    """No augmentation: black on every side, for pictures that are all of one size."""

    padding: int

    def train(self, picture: Tensor, generator: np.random.Generator) -> Tensor:
        return self.evaluate(picture)

    def evaluate(self, picture: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional

        return functional.pad(picture, [self.padding])


@dataclass(frozen=True)
class ShiftedAndFlipped:
    """A window of the picture's own size out of the padded picture, mirrored or not.

    He et al. 2015, section 4.2: four black pixels on each side.
    """

    padding: int = 4

    def train(self, picture: Tensor, generator: np.random.Generator) -> Tensor:
        from torchvision.transforms.v2 import functional

        height, width = picture.shape[-2:]
        top, left = generator.integers(2 * self.padding, size=2, endpoint=True)
        padded = functional.pad(picture, [self.padding])
        return _mirrored(functional.crop(padded, top, left, height, width), generator)

    def evaluate(self, picture: Tensor) -> Tensor:
        return picture


@dataclass(frozen=True)
class CutAndFlipped:
    """A random part of the picture, of any size and shape, resized to a square; mirrored or not.

    Szegedy et al. 2014: 8 to 100 % of the area, an aspect ratio from 3/4 to 4/3. For the metrics
    the square in the middle of the picture, which is resized so that its shorter side is
    `shorter_side`.
    """

    size: int
    shorter_side: int
    area: tuple[float, float] = (0.08, 1.0)

    def train(self, picture: Tensor, generator: np.random.Generator) -> Tensor:
        from torchvision.transforms.v2 import functional

        height, width = picture.shape[-2:]
        part = random_part(height, width, self.area, generator)
        square = functional.resized_crop(picture, *part, [self.size, self.size], antialias=True)
        return _mirrored(square, generator)

    def evaluate(self, picture: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional

        if min(picture.shape[-2:]) != self.shorter_side:
            picture = functional.resize(picture, [self.shorter_side], antialias=True)
        return functional.center_crop(picture, [self.size, self.size])


def random_part(
    height: int,
    width: int,
    area: tuple[float, float],
    generator: np.random.Generator,
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[int, int, int, int]:
    """Draw a part of a picture as torchvision's `RandomResizedCrop.get_params` does.

    Args:
      height: of the picture.
      width: of the picture.
      area: the least and the largest share of its area.
      generator: what is drawn from.
      ratio: the least and the largest width over height.

    Returns:
      Top, left, height and width of the part. After ten draws that do not fit: the largest part in
      the middle that has an allowed shape.
    """
    low, high = np.log(ratio)
    for _ in range(10):
        target = height * width * generator.uniform(*area)
        shape = math.exp(generator.uniform(low, high))
        w, h = round(math.sqrt(target * shape)), round(math.sqrt(target / shape))
        if 0 < w <= width and 0 < h <= height:
            top = int(generator.integers(height - h, endpoint=True))
            left = int(generator.integers(width - w, endpoint=True))
            return top, left, h, w
    shape = min(max(width / height, ratio[0]), ratio[1])
    w, h = min(width, round(height * shape)), min(height, round(width / shape))
    return (height - h) // 2, (width - w) // 2, h, w


def _mirrored(picture: Tensor, generator: np.random.Generator) -> Tensor:
    return picture.flip(-1) if generator.random() < 0.5 else picture
