"""Minibatches made ahead of the training loop, by processes of their own."""

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from experiments.errors import RequestError

_AHEAD = 4  # batches that each process holds ready


def prefetched(
    make: Callable[[int], Any], steps: range, workers: int, *, pin_memory: bool = False
) -> Iterator[Any]:
    """Yield `make(step)` for each of `steps`, in their order.

    Torch's global random state is left alone, and as `make` is a pure function the batches are the
    same for every number of workers.

    Args:
      make: a pure function of the step that can be pickled, as `partial(problem.batch, seed)`.
      steps: the steps to make, as `range(first, total_steps)` of a run that resumes at `first`.
      workers: processes that make them; 0 makes each in this process when it is asked for.
      pin_memory: put the batches into page-locked memory, from which copies to a GPU are faster.

    Raises:
      RequestError: a file could not be read, in one line wherever it happened.
    """
    if workers == 0:
        yield from map(make, steps)
        return
    with warnings.catch_warnings():
        # More workers than cores are worth it where files come from afar.
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        loader = DataLoader(
            _Batches(make),
            batch_size=None,  # an item is a whole batch already
            sampler=steps,
            num_workers=workers,
            prefetch_factor=_AHEAD,
            pin_memory=pin_memory,
            # Else the loader draws its workers' seed from the state that the training uses.
            generator=torch.Generator(),
        )
        batches = iter(loader)
    for batch in batches:
        if isinstance(batch, _Refused):
            raise RequestError(batch.message)
        yield batch


def usable_cores() -> int:
    """The cores that this process may run on: as many workers keep all of them busy."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Batches(Dataset[Any]):
    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def __getitem__(self, step: int) -> Any:
        try:
            return self.make(step)
        except RequestError as error:
            # Raised here it would reach the user as a traceback of the worker, not as a line.
            return _Refused(str(error))


class _Refused:
    def __init__(self, message: str) -> None:
        self.message = message
