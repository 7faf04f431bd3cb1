"""A data set cut down to what a laptop trains on in minutes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.tasks.vision.augment import CutAndFlipped
from experiments.tasks.vision.classification import Sets
from experiments.tasks.vision.pictures import Pictures, StoredPictures


@dataclass(frozen=True)
class Shrunk:
    """The first pictures of each class, small and square, read into memory.

    Calling it finds the data set, as `find` does, and shrinks it.
    """

    find: Callable[[Path | None], Sets]
    size: int  # of the pictures, in pixels
    train: int  # at most this many of each class
    test: int

    def __call__(self, folder: Path | None) -> Sets:
        sets = self.find(folder)
        return Sets(self._part(sets.train, self.train), self._part(sets.test, self.test))

    def _part(self, pictures: Pictures, most: int) -> StoredPictures:
        chosen = np.sort(
            np.concatenate(
                [
                    np.flatnonzero(pictures.labels == label)[:most]
                    for label in np.unique(pictures.labels)
                ]
            )
        )
        square = CutAndFlipped(self.size, shorter_side=self.size).evaluate
        images = [square(pictures.read(index)).permute(1, 2, 0).numpy() for index in chosen]
        return StoredPictures(np.stack(images), pictures.labels[chosen])
