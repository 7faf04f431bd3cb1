"""Which images a step trains on, and the random numbers that change them: no state, only seeds."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# The order and the augmentation must not share random numbers, so their seeds differ in length too.
_ORDER = 1


def indices(count: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """The images of step `step` of the run `seed`: i64[batch], all different.

    Every epoch is a new permutation of `range(count)`, of which the last `count % batch` are left
    out.

    Args:
      count: images in the training set, at least `batch`.
      batch: images in a minibatch.
      seed: of the run, at least 0.
      step: from 0 over all epochs.
    """
    epoch, place = divmod(step, count // batch)
    return _permutation(count, seed, epoch)[place * batch : (place + 1) * batch]


def image_generator(seed: int, step: int, index: int) -> np.random.Generator:
    """What the augmentation of image `index` draws from, at this step of this run and nowhere else.

    Torch's global random state would not do: the training draws from it, in another thread perhaps.
    """
    return np.random.default_rng((seed, step, index))


def held_out(
    labels: NDArray[np.int64], share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split a training set, class by class, into what is trained on and what is held out.

    Args:
      labels: i64[N].
      share: of each class that is held out, rounded, but at least one image of a class of two.

    Returns:
      The two sorted arrays of indices, the same ones at every call.
    """
    generator = np.random.default_rng(0)
    held: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        number = max(round(share * len(members)), min(1, len(members) - 1))
        held.append(members[:number])
    validation = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), validation), validation


@lru_cache(maxsize=2)
def _permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    permutation = np.random.default_rng((_ORDER, seed, epoch, count)).permutation(count)
    permutation.flags.writeable = False
    return permutation
