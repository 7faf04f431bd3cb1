"""The one small network of the demo, described once for every framework.

Two 3 x 3 convolutions (stride 1, zero padding 1, bias, ReLU), each followed by 2 x 2 max pooling,
then a linear layer on the flattened height x width x channels. No normalisation layer: it trains
at the paper's learning rate of 0.1 with momentum 0.9 without one, and has no state beside weights.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CHANNELS = (16, 32)
KERNEL = 3


class Parameters(NamedTuple):
    """Starting weights, so that every framework and method begins at the same point."""

    kernels: tuple[NDArray[np.float32], ...]  # f32[3, 3, in, out] each; biases start at 0
    linear: NDArray[np.float32]  # f32[height * width * channels, classes]; bias starts at 0


def initial_parameters(image: tuple[int, int, int], classes: int, seed: int) -> Parameters:
    """He-normal convolutions and a linear layer of variance 1 / fan-in, from `seed`.

    Args:
      image: height, width and channels of the images.
      classes: number of classes.
      seed: the seed of the run.
    """
    rng = np.random.default_rng([seed, 0])
    height, width, channels = image
    kernels: list[NDArray[np.float32]] = []
    for out in CHANNELS:
        shape = (KERNEL, KERNEL, channels, out)
        kernels.append(_normal(rng, shape, 2 / math.prod(shape[:-1])))
        height, width, channels = height // 2, width // 2, out
    features = height * width * channels
    return Parameters(tuple(kernels), _normal(rng, (features, classes), 1 / features))


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], variance: float
) -> NDArray[np.float32]:
    return (math.sqrt(variance) * rng.standard_normal(shape)).astype(np.float32)
