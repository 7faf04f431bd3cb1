"""Schedule-Free SGD: an average of the iterates takes the place of a decaying learning rate."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from experiments.methods._library import LibraryTraining, from_library, load_library
from experiments.methods._method import Plan

_DISTRIBUTION = "schedulefree"


class _ScheduleFree(LibraryTraining):
    """The library's own default, a learning rate of 1, is ten times that of SGD, as it asks for.

    The weights of training are not those of evaluation. Switching there and back would round them
    twice, so that evaluating changed the training; they are put back by copy.
    """

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        library = load_library("schedule-free", _DISTRIBUTION, "schedulefree")
        self._schedule_free: Any = library.SGDScheduleFree(
            model.parameters(), weight_decay=plan.weight_decay
        )
        self._schedule_free.train()
        super().__init__("schedule-free", self._schedule_free, plan)

    def _read_lr(self) -> float:
        return float(self.optimizer.param_groups[0]["scheduled_lr"])

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        params = [p for group in self.optimizer.param_groups for p in group["params"]]
        training = [p.detach().clone() for p in params]
        self._schedule_free.eval()
        try:
            yield
        finally:
            self._schedule_free.train()
            with torch.no_grad():
                for p, value in zip(params, training, strict=True):
                    p.copy_(value)


METHODS = (
    from_library(
        "schedule-free", "Schedule-Free SGD", _DISTRIBUTION, "arXiv 2405.15682", _ScheduleFree
    ),
)
