"""What a method tells about itself, and what a training loop asks of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

Needs = Literal["gradient", "loss", "probes"]


@dataclass(frozen=True)
class Plan:
    """What a method may be told of a training before it starts."""

    lr: float = 0.1  # eta_0, the cap of the methods that have one, the start of those that adapt it
    momentum: float = 0.0  # of the SGD under ZENITH and the schedules; rivals have their own
    weight_decay: float = 0.0  # as the optimizer's argument; an L2 term of the loss is the task's
    window: int = 500  # of ZENITH
    total_steps: int = 0  # only for a method that says `knows_budget`
    steps_per_epoch: int = 1
    # Whether `effective_lr` may cost something: COCOB and MoMo tell it from a copy of the weights.
    # False, for a clean measurement of time and memory, makes it NaN there.
    log_lr: bool = True


class Batch(Protocol):
    """One minibatch, and what can be evaluated on it, at whatever the weights are just now."""

    def gradient(self) -> Tensor:
        """Zero the gradients, run forward and backward; return the loss, a detached scalar.

        The gradients are those of the whole batch: unscaled, and the mean over all ranks.
        """
        ...

    def loss(self) -> Tensor:
        """The loss by a forward pass without gradient: the same images, the same random numbers.

        Buffers, random state and train mode are left as they were, bit for bit, also if it raises.
        """
        ...


class Training(Protocol):
    """A method at work on one model."""

    optimizer: Optimizer

    def step(self, batch: Batch) -> Tensor:
        """Move the weights once; return the loss before, a detached scalar of any device."""
        ...

    def effective_lr(self) -> float:
        """The step size of the last step: |dw| / |direction|; eta_0 before the first.

        Negative for a step against the direction of the rule, 0 for one that was skipped.
        """
        ...

    def evaluating(self) -> AbstractContextManager[None]:
        """Within it the model has the weights that the method wants to be judged by."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything beside the model's own state that the next step depends on."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue bit for bit; ValueError for a state that is not one of this method."""
        ...


@dataclass(frozen=True)
class Method:
    """One row of `python -m experiments list`."""

    name: str  # on the command line and in result files
    label: str  # in tables and pictures
    kind: Literal["zenith", "automatic", "schedule"]
    source: str  # who wrote the code that runs: "by hand", or a distribution with its version
    reference: str  # arXiv number or other citation, with the equation
    needs: Needs
    probes: float  # forward passes a step beyond SGD's own, on average
    capped: bool  # whether `Plan.lr` bounds the step size
    knows_budget: bool  # whether it is told the number of steps
    resumable: bool  # False: a run of it that was cut is restarted, never resumed
    start: Callable[[nn.Module, Plan], Training]
