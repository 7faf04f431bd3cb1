"""Sharpness: the largest eigenvalue of the Hessian of the training loss."""

import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

from experiments.errors import RequestError
from experiments.evidence.curvature.probe import Probe

_TOLERANCE = 1e-3  # relative; minibatches differ by far more


def top_eigenvalue(model: nn.Module, probe: Probe) -> float:
    """The largest eigenvalue of the Hessian of the probe's loss.

    Lanczos iterations (scipy's eigsh) on Hessian-vector products (curvlinops), in evaluation mode.
    With full-batch gradient descent, training is stable below 2 / learning rate (Cohen et al.,
    arXiv 2103.00065).

    Raises:
      RequestError: curvlinops is not installed.
    """
    was_training = model.training
    model.eval()
    try:
        with warnings.catch_warnings():
            # torch's own forward-mode differentiation and linear_operator still call it.
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
            operator = _hessian(model, probe)
            start = np.random.default_rng(0).standard_normal(operator.shape[0]).astype(np.float32)
            found = eigsh(
                operator, 1, which="LA", v0=start, tol=_TOLERANCE, return_eigenvectors=False
            )
    finally:
        model.train(was_training)
    return float(found[0])


def _hessian(model: nn.Module, probe: Probe) -> Any:
    try:
        from curvlinops import HessianLinearOperator
    except ModuleNotFoundError as error:
        raise RequestError(
            f"curvature needs {error.name}: pip install 'zenith-lr[experiments,curvature]'"
        ) from error
    parameters = [p for p in model.parameters() if p.requires_grad]
    nothing = torch.zeros(0)  # the loss knows its own labels
    data = [({"batch": batch}, nothing) for batch in probe.batches]
    operator = HessianLinearOperator(
        _LossOf(model, probe),
        _Given(),
        parameters,
        data,
        check_deterministic=False,
        num_data=len(data),
        batch_size_fn=lambda batch: 1,
    )
    return operator.to_scipy(np.float32)


class _LossOf(nn.Module):
    """The loss of a minibatch as a module: what curvlinops takes for a prediction."""

    def __init__(self, model: nn.Module, probe: Probe) -> None:
        super().__init__()
        self.model = model
        self._probe = probe

    def forward(self, inputs: dict[str, Any]) -> Tensor:
        return self._probe.problem.loss(self.model, inputs["batch"])


class _Given(nn.Module):
    """The prediction is the loss already; `reduction` says that minibatches are averaged."""

    reduction = "mean"

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return prediction
