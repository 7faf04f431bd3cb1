"""What a task is: data, a network, a loss, and metrics, with nothing left to chance."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor, nn

Scale = Literal["laptop", "paper"]
Split = Literal["validation", "test"]


class Problem(Protocol):
    """A task with its data at hand."""

    steps_per_epoch: int

    def model(self) -> nn.Module:
        """A fresh network, drawn from torch's global random state, on the CPU."""
        ...

    def batch(self, seed: int, step: int) -> Any:
        """The minibatch of step `step` (from 0) of the run `seed`: a pure function of both.

        Order and augmentation depend on nothing else, so that a run resumes exactly. The runner
        calls it from worker threads or processes; what it returns may be nested in lists and dicts.
        """
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The mean loss of a minibatch, an L2 term among it if the task has one."""
        ...

    def evaluate(self, model: nn.Module, split: Split) -> dict[str, float]:
        """The metrics of a split by name, `loss` among them where the network gives one."""
        ...


@dataclass(frozen=True)
class Task:
    """One row of the paper's Table 2, at one scale."""

    name: str  # on the command line and in result files: "cifar10"
    label: str  # in tables: "CIFAR-10, VGG-19"
    scale: Scale
    epochs: int
    batch: int
    metric: str  # by which methods are ranked, higher being better: "accuracy"
    minutes: float | None  # time limit of a run in training time, if the paper sets one

    def open(self, folder: Path | None) -> Problem:
        """Read the data.

        Raises:
          RequestError: the files are missing, or not what they should be.
        """
        raise NotImplementedError
