"""What a task is: data, a network, a loss, and metrics, with nothing left to chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor, nn

WHOLE = slice(None)
Scale = Literal["laptop", "paper"]
Split = Literal["validation", "test"]


class Problem(Protocol):
    """A task with its data at hand."""

    steps_per_epoch: int

    @property
    def images(self) -> Mapping[str, int]:
        """How many there are: "train", "validation" and "test"."""
        ...

    def model(self) -> nn.Module:
        """A fresh network, drawn from torch's global random state, on the CPU."""
        ...

    def batch(self, seed: int, step: int, part: slice = WHOLE) -> Any:
        """The minibatch of step `step` (from 0) of the run `seed`: a pure function of both.

        Order and augmentation depend on nothing else, so that a run resumes exactly. The runner
        calls it from worker processes too; what it returns may be nested in tuples, lists and
        dicts, and its tensors are moved to the device.

        Args:
          seed: of the run.
          step: from 0; it does not end with an epoch.
          part: which samples of the minibatch to return, on one of several ranks; together the
            parts are the whole minibatch, sample by sample, augmentation included.
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
    """One row of the paper's Table 2, at one scale.

    All fields but the first three and `metric` are settings, which a user may change, and so are
    the fields that a subclass adds; `dataclasses.replace(task, batch=64).open(folder)` is the same
    task with a smaller minibatch. What differs from the registered task is in the name of the
    result file.
    """

    name: str  # on the command line and in result files: "cifar10"
    label: str  # in tables: "CIFAR-10, VGG-19"
    scale: Scale
    epochs: int
    batch: int
    metric: str  # by which methods are ranked, higher being better: "accuracy"
    minutes: float | None = None  # time limit of a run in training time, if the paper sets one
    lr: float = 0.1  # eta_0
    momentum: float = 0.0
    weight_decay: float = 0.0  # as the optimizer's argument, which the gradient norm does not see
    l2: float = 0.0  # `Problem.loss` adds l2 / 2 |w|^2, which the gradient norm does see
    window: int = 500
    amp: bool = False  # forward passes in bfloat16 where torch's autocast does so
    ranks: int = 1  # processes that share each minibatch, as many as torchrun started

    def open(self, folder: Path | None) -> Problem:
        """Read the data.

        Args:
          folder: where all data sets lie, each in a folder or file of its own.

        Raises:
          RequestError: the files are missing, or not what they should be.
        """
        raise NotImplementedError
