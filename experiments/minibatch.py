"""One minibatch of a run: what a method may ask of it, on one process or several."""

from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from experiments.methods import ModelBatch
from experiments.ranks import Ranks
from experiments.tasks import Problem
from zenith.torch import grad_norm


class Minibatch(ModelBatch):
    """A `Batch`, see `experiments.methods`; gradients and losses are means over the ranks.

    Args:
      problem: whose loss it is.
      model: as the method knows it.
      parallel: the same model, or a wrapper that averages the gradients over the ranks.
      data: this rank's part of the minibatch, on its device.
      ranks: the processes that share the minibatch.
      amp: whether forward passes run in bfloat16 where autocast says so. bfloat16 has the range of
        float32, so that no loss scale is needed.
      measured: whether to measure the norm of the gradient.
    """

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        parallel: nn.Module,
        data: Any,
        ranks: Ranks,
        *,
        amp: bool,
        measured: bool,
    ) -> None:
        def compute() -> Tensor:
            with torch.autocast(ranks.device.type, torch.bfloat16, enabled=amp):
                return problem.loss(parallel, data)

        super().__init__(model, compute)
        self._parameters = list(model.parameters())
        self._ranks = ranks
        self._measured = measured
        self.norm: float | None = None  # of the first gradient, at the weights before the step
        self.aside = 0.0  # seconds that measuring took, which are no part of the training

    def gradient(self) -> Tensor:
        """See `Batch.gradient`."""
        loss = self._ranks.mean(super().gradient())
        if self._measured and self.norm is None:
            started = perf_counter()
            self.norm = float(grad_norm(p.grad for p in self._parameters))
            self.aside += perf_counter() - started
        return loss

    def loss(self) -> Tensor:
        """See `Batch.loss`."""
        return self._ranks.mean(super().loss().detach())
