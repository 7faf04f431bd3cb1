"""SGD under the schedules that people tune, all of them torch's own."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
)

from experiments.methods._method import Batch, Method, Plan
from experiments.methods._training import BaseTraining

MakeScheduler = Callable[[SGD, Plan], LRScheduler]

_POLYNOMIAL_POWER = 0.9  # DeepLab's, which made the schedule known
_EXPONENTIAL_END = 0.01  # of eta_0 at the end of the budget


def sgd(model: nn.Module, plan: Plan) -> SGD:
    """The SGD under ZENITH and every schedule."""
    return SGD(model.parameters(), plan.lr, plan.momentum, weight_decay=plan.weight_decay)


class _Scheduled(BaseTraining):
    """SGD whose learning rate a torch scheduler sets from the number of steps done."""

    def __init__(
        self, method: str, make: MakeScheduler | None, model: nn.Module, plan: Plan
    ) -> None:
        optimizer = sgd(model, plan)
        self._total_steps = plan.total_steps
        self._scheduler = None
        if make is None:
            super().__init__(method, optimizer, plan.lr)
            return
        if plan.total_steps < 1:
            raise ValueError(
                f"plan.total_steps must be at least 1 for {method}, which knows the budget. "
                f"Received: {plan.total_steps}"
            )
        self._scheduler = make(optimizer, plan)
        super().__init__(method, optimizer, plan.lr, scheduler=self._scheduler)

    def step(self, batch: Batch) -> Tensor:
        if self._scheduler is not None and self._scheduler.last_epoch >= self._total_steps:
            raise RuntimeError(
                f"{self.method} was told {self._total_steps} steps, and they are done"
            )
        loss = batch.gradient()
        self.optimizer.step()
        self._lr = self.optimizer.param_groups[0]["lr"]
        if self._scheduler is not None:
            self._scheduler.step()
        return loss


class _Plateau(BaseTraining):
    """SGD whose learning rate falls when an epoch's mean training loss no longer does.

    Of the minibatches as they were trained on: a validation set would be one more thing that the
    other methods are not given.
    """

    def __init__(self, method: str, model: nn.Module, plan: Plan) -> None:
        if plan.steps_per_epoch < 1:
            raise ValueError(
                f"plan.steps_per_epoch must be at least 1. Received: {plan.steps_per_epoch}"
            )
        optimizer = sgd(model, plan)
        self._scheduler = ReduceLROnPlateau(optimizer)
        self._epoch = _Epoch(plan.steps_per_epoch)
        super().__init__(method, optimizer, plan.lr, scheduler=self._scheduler, epoch=self._epoch)

    def step(self, batch: Batch) -> Tensor:
        loss = batch.gradient()
        self.optimizer.step()
        self._lr = self.optimizer.param_groups[0]["lr"]
        mean = self._epoch.mean_after(loss)
        if mean is not None:
            self._scheduler.step(mean)
        return loss


class _Epoch:
    """The losses of the epoch that is under way; they stay on their device until it ends."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._count = 0
        self._total = torch.zeros((), dtype=torch.float64)

    def mean_after(self, loss: Tensor) -> float | None:
        """Add one more loss; return the mean if it was the last of the epoch."""
        self._total = self._total.to(loss.device) + loss
        self._count += 1
        if self._count < self._steps:
            return None
        mean = float(self._total) / self._steps
        self._count, self._total = 0, torch.zeros((), dtype=torch.float64)
        return mean

    def state_dict(self) -> dict[str, Any]:
        return {"count": self._count, "total": float(self._total)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._count = int(state_dict["count"])
        self._total = torch.tensor(state_dict["total"], dtype=torch.float64)


def _step_decay(optimizer: SGD, plan: Plan) -> LRScheduler:
    halves, quarters = math.ceil(plan.total_steps / 2), math.ceil(3 * plan.total_steps / 4)
    return MultiStepLR(optimizer, [halves, quarters], 0.1)


def _one_cycle(optimizer: SGD, plan: Plan) -> LRScheduler:
    # The momentum is left alone: it is the plan's, and the same for ZENITH and every schedule.
    return OneCycleLR(optimizer, plan.lr, total_steps=plan.total_steps, cycle_momentum=False)


def _polynomial(optimizer: SGD, plan: Plan) -> LRScheduler:
    return PolynomialLR(optimizer, plan.total_steps, _POLYNOMIAL_POWER)


def _exponential(optimizer: SGD, plan: Plan) -> LRScheduler:
    return ExponentialLR(optimizer, _EXPONENTIAL_END ** (1 / plan.total_steps))


_SCHEDULES: tuple[tuple[str, str, str, MakeScheduler | None], ...] = (
    ("constant", "constant", "eta_0 throughout", None),
    (
        "cosine",
        "cosine",
        "arXiv 1608.03983, eq. 5, no restart",
        lambda optimizer, plan: CosineAnnealingLR(optimizer, plan.total_steps),
    ),
    ("step", "step decay", "a tenth at 1/2 and at 3/4 of the budget", _step_decay),
    (
        "linear",
        "linear",
        "from eta_0 to 0",
        lambda optimizer, plan: LinearLR(optimizer, 1.0, 0.0, plan.total_steps),
    ),
    ("one-cycle", "one cycle", "arXiv 1708.07120, momentum fixed", _one_cycle),
    ("polynomial", "polynomial", f"arXiv 1606.00915, power {_POLYNOMIAL_POWER}", _polynomial),
    ("exponential", "exponential", f"from eta_0 to {_EXPONENTIAL_END:g} eta_0", _exponential),
)


def _method(
    name: str, label: str, reference: str, knows_budget: bool, start: Callable[..., BaseTraining]
) -> Method:
    return Method(
        name=name,
        label=label,
        kind="schedule",
        source=f"torch {torch.__version__}",
        reference=reference,
        needs="gradient",
        probes=0.0,
        capped=True,
        knows_budget=knows_budget,
        resumable=True,
        start=start,
    )


METHODS = (
    *(
        _method(name, label, reference, make is not None, partial(_Scheduled, name, make))
        for name, label, reference, make in _SCHEDULES
    ),
    _method(
        "plateau",
        "plateau",
        "a tenth after 10 epochs without a lower training loss",
        False,
        partial(_Plateau, "plateau"),
    ),
)
