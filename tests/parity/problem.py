"""Handwritten digits and a small smooth net, the same for every framework."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

LEARNING_RATE = 0.05
WINDOW = 50
_BATCH = 32
_SHAPES = ((64, 32), (32,), (32, 10), (10,))


class Problem(NamedTuple):
    """Initial weights of 64 -> tanh 32 -> 10, and the batch of each step."""

    weights: list[NDArray[np.float32]]
    x: NDArray[np.float32]  # f32[steps, batch, 64] in [0, 1]
    y: NDArray[np.int64]  # i64[steps, batch]


def make_problem(steps: int) -> Problem:
    # tanh: with a kink, one rounding error may put a unit on its other side.
    rng = np.random.default_rng(0)
    images, labels = load_digits(return_X_y=True)
    order = rng.integers(0, len(images), (steps, _BATCH))
    weights = [
        (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
        if len(shape) == 2
        else np.zeros(shape, np.float32)
        for shape in _SHAPES
    ]
    return Problem(weights, (images[order] / 16).astype(np.float32), labels[order].astype(np.int64))
