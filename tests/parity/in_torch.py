"""`zenith.torch.Zenith` with a float and a Tensor learning rate, and compiled."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD

from tests.parity.problem import LEARNING_RATE, WINDOW, Problem
from tests.parity.worker import Norms, Portable, Trace
from zenith.torch import Zenith, export_state, import_state

# Past the limit torch goes on without compiling, which would not be the mode that is named.
torch._dynamo.config.fail_on_recompile_limit_hit = True


class TorchRun:
    def __init__(self, window: int, lr: float | Tensor, compiled: bool = False) -> None:
        parameter = nn.Parameter(torch.zeros(()))
        parameter.grad = torch.zeros(())
        optimizer = SGD([parameter], lr=lr)
        self._scheduler = Zenith(optimizer, window=window)

        def step() -> None:
            optimizer.step()

        self._step = torch.compile(step) if compiled else step

    def advance(self, norms: Norms) -> Trace:
        of_torch = torch.from_numpy(norms.astype(np.float32))
        if norms.dtype.name == "bfloat16":  # NumPy and torch exchange none
            of_torch = of_torch.to(torch.bfloat16)
        elif norms.dtype.name == "float16":
            of_torch = of_torch.to(torch.float16)
        scales, totals = torch.empty(len(norms)), torch.empty(len(norms))
        for step, norm in enumerate(of_torch):
            self._scheduler.observe(norm)
            self._step()
            state = self._scheduler._history.state
            scales[step], totals[step] = torch.as_tensor(state.scale), torch.as_tensor(state.total)
        return Trace(scales.numpy(), totals.numpy())

    def export(self) -> Portable:
        return export_state(self._scheduler)

    def take(self, portable: Mapping[str, Any]) -> None:
        import_state(self._scheduler, portable)

    def bytes_held(self) -> int:
        return sum(field.nbytes for field in self._scheduler._history.state)

    def everything(self) -> object:
        return self._scheduler.state_dict(), [float(lr) for lr in self._scheduler.get_last_lr()]


MODES = {
    "eager, float learning rate": lambda window: TorchRun(window, 0.1),
    "eager, Tensor learning rate": lambda window: TorchRun(window, torch.tensor(0.1)),
    "compiled": lambda window: TorchRun(window, torch.tensor(0.1), compiled=True),
}


def train(problem: Problem, momentum: float) -> NDArray[np.float64]:
    w1, b1, w2, b2 = (nn.Parameter(torch.from_numpy(w.copy())) for w in problem.weights)
    optimizer = SGD([w1, b1, w2, b2], lr=LEARNING_RATE, momentum=momentum)
    Zenith(optimizer, window=WINDOW)
    etas = []
    for x, y in zip(torch.from_numpy(problem.x), torch.from_numpy(problem.y), strict=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(torch.tanh(x @ w1 + b1) @ w2 + b2, y).backward()
        optimizer.step()
        etas.append(optimizer.param_groups[0]["lr"])
    return np.array(etas)
