"""D-Adaptation: SGD whose step size comes from an estimate of the distance to the solution."""

from torch import nn

from experiments.methods._library import LibraryTraining, from_library, load_library
from experiments.methods._method import Plan

_DISTRIBUTION = "dadaptation"


class _DAdaptSgd(LibraryTraining):
    def __init__(self, model: nn.Module, plan: Plan) -> None:
        library = load_library("dadapt-sgd", _DISTRIBUTION, "dadaptation")
        optimizer = library.DAdaptSGD(model.parameters(), lr=1.0, weight_decay=plan.weight_decay)
        super().__init__("dadapt-sgd", optimizer, plan)

    def _before_step(self) -> None:
        # The step uses this d, then replaces it by the next one.
        self._distance = self.optimizer.param_groups[0]["d"]

    def _read_lr(self) -> float:
        return float(self._distance / self.optimizer.param_groups[0]["g0_norm"])


METHODS = (
    from_library("dadapt-sgd", "D-Adaptation SGD", _DISTRIBUTION, "arXiv 2301.07733", _DAdaptSgd),
)
