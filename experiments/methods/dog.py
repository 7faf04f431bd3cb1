"""DoG: distance over gradients, alone and with the averaging that its authors ask for."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from experiments.methods._library import LibraryTraining, from_library, load_library
from experiments.methods._method import Plan

_DISTRIBUTION = "dog-optimizer"
_REFERENCE = "arXiv 2302.12022"
_GAMMA = 8.0


class _Dog(LibraryTraining):
    def __init__(self, method: str, averaged: bool, model: nn.Module, plan: Plan) -> None:
        library = load_library(method, _DISTRIBUTION, "dog")
        # The authors' two settings of the first step, relative to the norm of the weights.
        normalised = any(isinstance(module, _BatchNorm) for module in model.modules())
        optimizer = library.DoG(
            model.parameters(),
            reps_rel=1e-4 if normalised else 1e-6,
            weight_decay=plan.weight_decay,
        )
        self._model = model
        self._averager = library.PolynomialDecayAverager(model, _GAMMA) if averaged else None
        parts = {} if self._averager is None else {"averager": self._averager}
        super().__init__(method, optimizer, plan, **parts)

    def _step_optimizer(self, loss: Tensor) -> None:
        super()._step_optimizer(loss)
        if self._averager is not None:
            self._averager.step()

    def _read_lr(self) -> float:
        return float(self.optimizer.param_groups[0]["eta"][0])

    def evaluating(self) -> AbstractContextManager[None]:
        return nullcontext() if self._averager is None else self._averaged_weights()

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        assert self._averager is not None
        own = {name: value.clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(self._averager.averaged_model.state_dict())
        try:
            yield
        finally:
            self._model.load_state_dict(own)


METHODS = (
    from_library("dog", "DoG", _DISTRIBUTION, _REFERENCE, partial(_Dog, "dog", False)),
    from_library(
        "dog-averaged",
        "DoG, averaged",
        _DISTRIBUTION,
        _REFERENCE,
        partial(_Dog, "dog-averaged", True),
    ),
)
