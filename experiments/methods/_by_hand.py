"""The trainings of the optimizers written by hand, which all report their step size alike."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from experiments.methods._method import Batch, Method, Needs, Plan
from experiments.methods._one_step_size import OneStepSize
from experiments.methods._training import BaseTraining

Make = Callable[[nn.Module, Plan], OneStepSize]


def by_hand(
    name: str,
    label: str,
    reference: str,
    make: Make,
    *,
    needs: Needs,
    probes: float = 0.0,
    capped: bool = False,
) -> Method:
    """The `Method` of an optimizer of this package."""
    return Method(
        name=name,
        label=label,
        kind="automatic",
        source="by hand",
        reference=reference,
        needs=needs,
        probes=probes,
        capped=capped,
        knows_budget=False,
        resumable=True,
        start=partial(_Training, name, needs, make),
    )


class _Training(BaseTraining):
    def __init__(self, method: str, needs: Needs, make: Make, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, make(model, plan), plan.lr)
        self._evaluations = {"gradient": 0, "loss": 1, "probes": 2}[needs]

    def step(self, batch: Batch) -> Tensor:
        step: Any = self.optimizer.step
        if self._evaluations == 0:
            loss = batch.gradient()
            step()
        else:
            loss = step(*(batch.gradient, batch.loss)[: self._evaluations])
        self._lr = self.optimizer.param_groups[0]["step_size"]
        return cast(Tensor, loss)
