"""Slices of the loss around the weights, along filter-normalised random directions.

H. Li et al., Visualizing the Loss Landscape of Neural Nets, arXiv 1712.09913, section 4.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.linalg import vector_norm

from experiments.evidence.curvature.probe import Probe

Direction = list[Tensor]


def filter_normalised(model: nn.Module, seed: int) -> Direction:
    """A random direction in which each filter is as long as that of the weights.

    A filter is what feeds one output: the first axis of a weight. Biases and the parameters of
    normalisation layers, which have one axis, are left out: they are 0.

    Args:
      model: its parameters are not changed.
      seed: two seeds give two directions, the same ones for every model of one architecture up to
        the lengths.
    """
    generator = torch.Generator().manual_seed(seed)
    direction: Direction = []
    for weight in model.parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim < 2:
            direction.append(torch.zeros_like(weight))
            continue
        axes = tuple(range(1, weight.ndim))
        lengths = vector_norm(weight.detach().cpu(), dim=axes, keepdim=True)
        noise *= lengths / vector_norm(noise, dim=axes, keepdim=True)
        direction.append(noise.to(weight))
    return direction


def line_slice(
    model: nn.Module, probe: Probe, direction: Direction, steps: Sequence[float]
) -> NDArray[np.float64]:
    """The loss at weights + step * direction: f64[len(steps)]; the weights stay as they were."""
    return plane_slice(model, probe, (direction, direction), steps, [0.0])[0]


def plane_slice(
    model: nn.Module,
    probe: Probe,
    directions: tuple[Direction, Direction],
    across: Sequence[float],
    up: Sequence[float],
) -> NDArray[np.float64]:
    """The loss at weights + a * first + b * second: f64[len(up), len(across)], b by rows."""
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    losses = np.empty((len(up), len(across)))
    first, second = directions
    try:
        for row, b in enumerate(up):
            for column, a in enumerate(across):
                with torch.no_grad():
                    for parameter, weight, d, e in zip(
                        model.parameters(), weights, first, second, strict=True
                    ):
                        parameter.copy_(weight + a * d + b * e)
                losses[row, column] = probe.loss(model)
    finally:
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), weights, strict=True):
                parameter.copy_(weight)
    return losses
