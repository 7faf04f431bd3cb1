"""The one small network of the demo, described once for every framework.

Three blocks of a 3 x 3 convolution (stride 1, zero padding 1, no bias), batch normalisation and
ReLU, with 2 x 2 max pooling after the first two (a last odd row is dropped); then the mean over
height and width, and a linear layer. Both the normalisation and the mean are there for a learning
rate of 0.1 with momentum 0.9: a like net without normalisation ended digits anywhere from 90 % to
98 %, and one with a linear layer on all pixels left MNIST at chance after 60 steps.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CHANNELS = (16, 32, 32)
KERNEL = 3
POOLED_BLOCKS = 2
# Batch normalisation, which the frameworks do not agree on: variance floor, and the part of the
# running statistics that survives a step.
EPSILON = 1e-5
KEEP = 0.9


class Parameters(NamedTuple):
    """Starting weights, so that every method and framework begins at the same point.

    Batch normalisation starts as the identity: scale 1, shift 0, running mean 0 and variance 1.
    """

    kernels: tuple[NDArray[np.float32], ...]  # f32[3, 3, in, out] each
    linear: NDArray[np.float32]  # f32[channels, classes]; the bias starts at 0


def initial_parameters(channels: int, classes: int, seed: int) -> Parameters:
    """He-normal convolutions and a linear layer of variance 1 / fan-in, from `seed`.

    Args:
      channels: channels of the images.
      classes: number of classes.
      seed: the seed of the run.
    """
    rng = np.random.default_rng([seed, 0])
    kernels: list[NDArray[np.float32]] = []
    for out in CHANNELS:
        shape = (KERNEL, KERNEL, channels, out)
        kernels.append(_normal(rng, shape, 2 / math.prod(shape[:-1])))
        channels = out
    return Parameters(tuple(kernels), _normal(rng, (channels, classes), 1 / channels))


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], variance: float
) -> NDArray[np.float32]:
    return (math.sqrt(variance) * rng.standard_normal(shape)).astype(np.float32)
