"""Prodigy: Adam whose step size comes from an estimate of the distance to the solution."""

from contextlib import redirect_stdout

from torch import nn

from experiments.methods._library import LibraryTraining, from_library, load_library
from experiments.methods._method import Plan

_DISTRIBUTION = "prodigyopt"


class _Prodigy(LibraryTraining):
    """The effective step size is the factor on Adam's direction, m / sqrt(v)."""

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        library = load_library("prodigy", _DISTRIBUTION, "prodigyopt")
        with redirect_stdout(None):  # it prints that weight decay is decoupled
            optimizer = library.Prodigy(model.parameters(), lr=1.0, weight_decay=plan.weight_decay)
        super().__init__("prodigy", optimizer, plan)

    def _before_step(self) -> None:
        # The step uses this d, then replaces it by the next one.
        self._distance = self.optimizer.param_groups[0]["d"]

    def _read_lr(self) -> float:
        return float(self._distance)


METHODS = (from_library("prodigy", "Prodigy", _DISTRIBUTION, "arXiv 2306.06101", _Prodigy),)
