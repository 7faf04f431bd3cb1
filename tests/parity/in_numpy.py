"""The core on NumPy, and the reference training in float64 with its gradient by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.parity.problem import LEARNING_RATE, WINDOW, Problem
from tests.parity.worker import Norms, Portable, Trace
from zenith.core import from_portable, init, to_portable, update


class NumpyRun:
    def __init__(self, window: int) -> None:
        self._state = init(window)

    def advance(self, norms: Norms) -> Trace:
        scales, totals = np.empty(len(norms), np.float32), np.empty(len(norms), np.float32)
        for step, norm in enumerate(norms):
            self._state = update(self._state, norm)
            scales[step], totals[step] = self._state.scale, self._state.total
        return Trace(scales, totals)

    def export(self) -> Portable:
        return to_portable(self._state)

    def take(self, portable: Mapping[str, Any]) -> None:
        self._state = from_portable(portable, window=len(self._state.norms))

    def everything(self) -> object:
        return [field.tobytes() for field in self._state]

    def bytes_held(self) -> int:
        return sum(field.nbytes for field in self._state)


MODES = {"eager": NumpyRun}


def train(problem: Problem, momentum: float, rate_in_velocity: bool) -> NDArray[np.float64]:
    """eta_t of SGD in float64; the norms go through the float32 rule.

    Args:
      problem: data and initial weights.
      momentum: 0 for plain SGD.
      rate_in_velocity: as Keras's SGD, `v = m v - eta g` and `w += v`; else as torch's,
        `v = m v + g` and `w -= eta v`.
    """
    return LEARNING_RATE * _scales_and_norms(problem, momentum, rate_in_velocity)[0]


def record_norms(problem: Problem, momentum: float) -> NDArray[np.float32]:
    """The gradient norms of such a training."""
    return _scales_and_norms(problem, momentum, False)[1].astype(np.float32)


def _scales_and_norms(
    problem: Problem, momentum: float, rate_in_velocity: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weights = [np.array(w, np.float64) for w in problem.weights]
    velocity = [np.zeros_like(w) for w in weights]
    state = init(WINDOW)
    scales, norms = [], []
    for x, y in zip(problem.x, problem.y, strict=True):
        grads = _gradient(weights, x.astype(np.float64), y)
        norms.append(np.sqrt(sum(np.sum(grad**2) for grad in grads)))
        state = update(state, norms[-1])
        scales.append(float(state.scale))
        inside = LEARNING_RATE * scales[-1] if rate_in_velocity else 1.0
        outside = 1.0 if rate_in_velocity else LEARNING_RATE * scales[-1]
        for w, v, grad in zip(weights, velocity, grads, strict=True):
            v *= momentum
            v += inside * grad
            w -= outside * v
    return np.array(scales), np.array(norms)


def _gradient(weights: list[Any], x: NDArray[np.float64], y: NDArray[np.int64]) -> list[Any]:
    """Of the mean cross-entropy of softmax(tanh(x w1 + b1) w2 + b2)."""
    w1, b1, w2, b2 = weights
    hidden = np.tanh(x @ w1 + b1)
    logits = hidden @ w2 + b2
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    d_logits = (probabilities - np.eye(logits.shape[1])[y]) / len(x)
    d_hidden = (d_logits @ w2.T) * (1 - hidden**2)
    return [x.T @ d_hidden, d_hidden.sum(0), hidden.T @ d_logits, d_logits.sum(0)]
