"""Rivals whose code is that of a maintained library, imported when one of them is started."""

import importlib
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from experiments.errors import RequestError
from experiments.methods._method import Batch, Method, Needs, Plan, Training
from experiments.methods._training import BaseTraining, Stateful
from zenith.torch import grad_norm


def from_library(
    name: str,
    label: str,
    distribution: str,
    reference: str,
    start: Callable[[nn.Module, Plan], Training],
    *,
    needs: Needs = "gradient",
    capped: bool = False,
) -> Method:
    """The `Method` of an optimizer that `distribution` ships."""
    try:
        source = f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        source = f"{distribution} (not installed)"
    return Method(
        name=name,
        label=label,
        kind="automatic",
        source=source,
        reference=reference,
        needs=needs,
        probes=0.0,
        capped=capped,
        knows_budget=False,
        resumable=True,
        start=start,
    )


def load_library(method: str, distribution: str, module: str) -> Any:
    """Import `module` of `distribution`.

    Raises:
      RequestError: it is not installed; the message says what to install.
    """
    try:
        with warnings.catch_warnings():
            # Of backslashes in docstrings, which Python tells when it compiles a module: once on
            # a machine, or never, as pip installed it.
            for category in (DeprecationWarning, SyntaxWarning):  # the second from 3.12 on
                warnings.filterwarnings("ignore", "invalid escape sequence", category)
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        raise RequestError(
            f"the method {method} needs {distribution}: pip install {distribution}, or all of "
            "'zenith-lr[experiments]'"
        ) from error


class LibraryTraining(BaseTraining):
    """A training whose optimizer reads the gradients, and whose `_read_lr` is still to be written.

    It is called after each step, and may remember with `_before_step` what the step will change.
    """

    def __init__(self, method: str, optimizer: Optimizer, plan: Plan, **parts: Stateful) -> None:
        super().__init__(method, optimizer, plan.lr, **parts)

    def step(self, batch: Batch) -> Tensor:
        loss = batch.gradient()
        self._before_step()
        self._step_optimizer(loss)
        self._lr = self._read_lr()
        return loss

    def _before_step(self) -> None:
        pass

    def _step_optimizer(self, loss: Tensor) -> None:
        self.optimizer.step()

    def _read_lr(self) -> float:
        raise NotImplementedError


class MeasuredTraining(LibraryTraining):
    """One whose optimizer keeps no step size: |dw| / |direction| from a copy of the weights."""

    def __init__(self, method: str, optimizer: Optimizer, plan: Plan, **parts: Stateful) -> None:
        super().__init__(method, optimizer, plan, **parts)
        self._measures = plan.log_lr
        self._weights: list[Tensor] = []

    def _before_step(self) -> None:
        if self._measures:
            self._weights = [p.detach().clone() for p in self._params()]

    def _read_lr(self) -> float:
        if not self._measures:
            return float("nan")
        moves = [p.detach() - w for p, w in zip(self._params(), self._weights, strict=True)]
        self._weights = []
        length = _norm([self._direction(p) for p in self._params()])
        return _norm(moves) / length if length else 0.0

    def _direction(self, parameter: Tensor) -> Tensor:
        raise NotImplementedError

    def _params(self) -> list[Tensor]:
        groups = self.optimizer.param_groups
        return [p for group in groups for p in group["params"] if p.grad is not None]


def _norm(tensors: list[Tensor]) -> float:
    return float(grad_norm(tensors))
