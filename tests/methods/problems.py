"""Losses known to torch and to NumPy: a quadratic, waves, and a network with its own backprop."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Vector = NDArray[np.float64]


class Problem(Protocol):
    """`loss(t)` is torch's loss of minibatch t at `module`; `minibatches` are NumPy's."""

    module: nn.Module

    def loss(self, t: int) -> Tensor: ...

    def minibatches(self, steps: int) -> Iterator[Callable[[Vector], tuple[float, Vector]]]: ...


class Quadratic:
    """1/2 (w - c_t)' A (w - c_t) + 1/2, with a centre that moves from minibatch to minibatch."""

    def __init__(self, size: int = 6, seed: int = 0, noise: float = 0.3) -> None:
        rng = np.random.default_rng(seed)
        q, _ = np.linalg.qr(rng.standard_normal((size, size)))
        self.a = q * np.linspace(0.5, 3.0, size) @ q.T
        self.centres = noise * rng.standard_normal((200, size))
        self.start = rng.standard_normal(size) * 2
        self.module = nn.ParameterList([_parameter(self.start[:2]), _parameter(self.start[2:])])

    def loss(self, t: int) -> Tensor:
        w = torch.cat([p.reshape(-1) for p in self.module.parameters()])
        away = w - torch.from_numpy(self.centres[t])
        return away @ torch.from_numpy(self.a) @ away / 2 + 0.5

    def minibatches(self, steps: int) -> Iterator[Callable[[Vector], tuple[float, Vector]]]:
        for t in range(steps):
            yield lambda w, centre=self.centres[t]: (
                (w - centre) @ self.a @ (w - centre) / 2 + 0.5,
                self.a @ (w - centre),
            )


class Waves:
    """sum(1.2 - cos(w - c_t)) + |w|^2 / 100: as much curvature below zero as above."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.centres = rng.standard_normal((200, 4)) + np.array([0.0, 1.5, 3.0, 4.5])
        self.module = nn.ParameterList([_parameter(rng.standard_normal(4))])

    def loss(self, t: int) -> Tensor:
        (w,) = self.module.parameters()
        return (1.2 - torch.cos(w - torch.from_numpy(self.centres[t]))).sum() + w @ w / 100

    def minibatches(self, steps: int) -> Iterator[Callable[[Vector], tuple[float, Vector]]]:
        for t in range(steps):
            yield lambda w, centre=self.centres[t]: (
                float(np.sum(1.2 - np.cos(w - centre))) + w @ w / 100,
                np.sin(w - centre) + w / 50,
            )


def _parameter(values: Vector) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(values.copy()))


class Network:
    """Mean squared error of 3 inputs, 5 tanh units, 2 outputs, on minibatches of 8."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.standard_normal((200, 8, 3))
        self.y = np.sin(self.x[..., :2]) + 0.5 * rng.standard_normal((200, 8, 2))
        self.module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
        with torch.no_grad():
            for p in self.module.parameters():
                p.copy_(torch.from_numpy(rng.standard_normal(p.shape) * 0.7))

    def loss(self, t: int) -> Tensor:
        error = self.module(torch.from_numpy(self.x[t])) - torch.from_numpy(self.y[t])
        return error.square().mean()

    def minibatches(self, steps: int) -> Iterator[Callable[[Vector], tuple[float, Vector]]]:
        for t in range(steps):
            yield lambda w, t=t: self._backprop(w, self.x[t], self.y[t])

    def _backprop(self, w: Vector, x: Vector, y: Vector) -> tuple[float, Vector]:
        w1, b1, w2, b2 = np.split(w, np.cumsum([15, 5, 10]))
        w1, w2 = w1.reshape(5, 3), w2.reshape(2, 5)
        hidden = np.tanh(x @ w1.T + b1)
        error = hidden @ w2.T + b2 - y
        to_out = 2 * error / error.size
        to_hidden = to_out @ w2 * (1 - hidden**2)
        gradient = [to_hidden.T @ x, to_hidden.sum(0), to_out.T @ hidden, to_out.sum(0)]
        return float((error**2).mean()), np.concatenate([g.reshape(-1) for g in gradient])


def flat(module: nn.Module) -> Vector:
    """The weights as one vector, a copy."""
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()]).double().numpy().copy()
