"""MoMo: a model of the loss from averaged losses and gradients, bounded below."""

from typing import Any

from torch import Tensor, nn

from experiments.methods._library import MeasuredTraining, from_library, load_library
from experiments.methods._method import Plan

_DISTRIBUTION = "momo-opt"
_FORGOTTEN = ("_number_steps", "loss_avg", "lb")


class _Momo(MeasuredTraining):
    """The library's default, a cap of 1 on the step size."""

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        library = load_library("momo", _DISTRIBUTION, "momo")
        optimizer = library.Momo(model.parameters(), weight_decay=plan.weight_decay)
        super().__init__("momo", optimizer, plan, forgotten=_Forgotten(optimizer))

    def _step_optimizer(self, loss: Tensor) -> None:
        step: Any = self.optimizer.step
        step(loss=loss)

    def _direction(self, parameter: Tensor) -> Tensor:
        direction: Tensor = self.optimizer.state[parameter]["grad_avg"]
        return direction


class _Forgotten:
    """What the library leaves out of its state_dict: without it a resumed run starts anew."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self._optimizer, name, None) for name in _FORGOTTEN}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in _FORGOTTEN:
            setattr(self._optimizer, name, state_dict[name])


METHODS = (from_library("momo", "MoMo", _DISTRIBUTION, "arXiv 2305.07583", _Momo, needs="loss"),)
