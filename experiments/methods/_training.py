"""What the trainings of all methods share: an effective step size, and a state that is whole."""

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, cast

from torch import Tensor
from torch.optim import Optimizer

from experiments.methods._method import Batch


class Stateful(Protocol):
    """What is saved and loaded with a training: optimizers, schedulers, averagers."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class BaseTraining:
    """A training whose `step` is still to be written; see `experiments.methods.Training`.

    Args:
      method: its name in `METHODS`.
      optimizer: what moves the weights.
      lr: eta_0, the effective step size before the first step.
      parts: whatever else is saved with the optimizer, in the order in which it is loaded.
    """

    def __init__(self, method: str, optimizer: Optimizer, lr: float, **parts: Stateful) -> None:
        self.method = method
        self.optimizer = optimizer
        self._lr = lr
        self._parts: dict[str, Stateful] = {"optimizer": optimizer, **parts}

    def step(self, batch: Batch) -> Tensor:
        raise NotImplementedError

    def effective_lr(self) -> float:
        return self._lr

    def evaluating(self) -> AbstractContextManager[None]:
        return nullcontext()

    def state_dict(self) -> dict[str, Any]:
        states = {name: part.state_dict() for name, part in self._parts.items()}
        return {"method": self.method, "lr": self._lr, **states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._check(state)
        before = copy.deepcopy(self.state_dict())
        try:
            self._load(state)
        except Exception as error:
            self._load(before)
            raise ValueError(
                f"state must be one that a {self.method} of the same model wrote. "
                f"Received: one that it cannot load ({error})"
            ) from error

    def _load(self, state: dict[str, Any]) -> None:
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self._lr = float(state["lr"])

    def _check(self, state: object) -> None:
        keys = ["method", "lr", *self._parts]
        if not isinstance(state, Mapping):
            raise ValueError(f"state must be a dict. Received: {state!r}")
        content = cast(Mapping[str, object], state)
        if content.get("method") != self.method:
            raise ValueError(
                f"state must be one of the method {self.method}. "
                f"Received: one of {content.get('method')!r}"
            )
        if set(content) != set(keys):
            raise ValueError(f"state must have exactly the keys {keys}. Received: {[*content]}")
        for name, part in self._parts.items():
            # torch's schedulers take whatever keys there are, and keep their own for the others.
            received, expected = content[name], part.state_dict()
            if not isinstance(received, Mapping) or set(received) != set(expected):
                raise ValueError(
                    f"state[{name!r}] must have exactly the keys {[*expected]}. "
                    f"Received: {received!r}"
                )
