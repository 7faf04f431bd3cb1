"""What a run is told (`Settings`) and what it leaves behind (`Record`), whatever the framework."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.data import Data

EVALUATIONS = 25


@dataclass(frozen=True)
class Settings:
    """What every run of a comparison shares."""

    window: int
    lr: float
    epochs: int
    batch: int
    momentum: float = 0.9

    def total_steps(self, data: Data) -> int:
        """Steps of a whole run; the rest of an epoch that fills no batch is left out."""
        return self.epochs * (len(data.x_train) // self.batch)

    def batches(self, data: Data, seed: int) -> Iterator[NDArray[np.int64]]:
        """Indices i64[batch] into the training set, step by step: the same for every method."""
        order = np.random.default_rng([seed, 1])
        steps = len(data.x_train) // self.batch
        for _ in range(self.epochs):
            shuffled = order.permutation(len(data.x_train))
            yield from shuffled[: steps * self.batch].reshape(steps, self.batch)

    def evaluation_steps(self, data: Data) -> frozenset[int]:
        """After which steps, counted from 1, to evaluate: evenly spread, the last among them."""
        total = self.total_steps(data)
        count = min(EVALUATIONS, total)
        return frozenset(round(total * (i + 1) / count) for i in range(count))


class Step(NamedTuple):
    """One training step; `mean` and `zenith` are NaN for a method that has none."""

    lr: float  # the learning rate that this step used
    grad_norm: float  # global L2 norm of the gradient that this step used
    loss: float  # of the minibatch, before the step
    mean: float = np.nan  # mu_t: mean of the norms in the window
    zenith: float = np.nan  # Z_t: highest mean of a full window, 0 until it is full


class Evaluation(NamedTuple):
    """The model after `step` steps; losses are mean cross-entropies in nats."""

    step: int
    test_accuracy: float  # in [0, 1]
    test_loss: float
    train_loss: float  # over `data.probe`


@dataclass
class Record:
    """One run: what happened at each step, what the model was worth, what it cost."""

    framework: str
    method: str
    seed: int
    steps: list[Step] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0  # training alone: no compilation, evaluation or recording
    diverged: bool = False  # the loss was not finite: training ended there


class Trainer(Protocol):
    """Trains one model from `seed` with `method`; each framework has one, called `train`.

    `on_step` is called after each step with the number of steps done.
    """

    def __call__(
        self,
        data: Data,
        method: str,
        settings: Settings,
        seed: int,
        on_step: Callable[[int], None],
    ) -> Record: ...
