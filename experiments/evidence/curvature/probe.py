"""The training loss on some fixed minibatches, in evaluation mode."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from experiments.tasks._task import Problem


class Probe(NamedTuple):
    """What curvature and slices are those of.

    In evaluation mode, since in training mode the loss of a network with normalisation depends on
    which images share a minibatch, and dropout makes it random.
    """

    problem: Problem
    batches: Sequence[Any]

    @classmethod
    def of(cls, problem: Problem, count: int) -> "Probe":
        """The first `count` minibatches of a seed that no run has."""
        return cls(problem, [problem.batch(_SEED, step) for step in range(count)])

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """The mean loss in nats, the L2 term among it if the task has one."""
        was_training = model.training
        model.eval()
        losses: list[Tensor] = [self.problem.loss(model, batch) for batch in self.batches]
        model.train(was_training)
        return float(torch.stack(losses).double().mean())


_SEED = 1_000_003
