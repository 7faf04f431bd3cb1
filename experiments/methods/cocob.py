"""COCOB: coin betting, one bet a coordinate."""

from torch import Tensor, nn

from experiments.methods._library import MeasuredTraining, from_library, load_library
from experiments.methods._method import Plan


class _Cocob(MeasuredTraining):
    def __init__(self, model: nn.Module, plan: Plan) -> None:
        library = load_library("cocob", "parameterfree", "parameterfree")
        optimizer = library.COCOB(model.parameters(), alpha=100, weight_decay=plan.weight_decay)
        super().__init__("cocob", optimizer, plan)

    def _direction(self, parameter: Tensor) -> Tensor:
        assert parameter.grad is not None
        return parameter.grad


METHODS = (
    from_library("cocob", "COCOB", "parameterfree", "arXiv 1705.07795, COCOB-Backprop", _Cocob),
)
