"""Data parallel training: the processes that torchrun started, as one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from experiments.errors import RequestError


@dataclass(frozen=True)
class Ranks:
    """This process among all that train one model; rank 0 evaluates, records and saves."""

    rank: int
    size: int
    device: torch.device

    def part(self, batch: int) -> slice:
        """Which samples of a minibatch are this rank's."""
        each = batch // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model whose backward pass averages the gradients over the ranks."""
        return DistributedDataParallel(model) if self.size > 1 else model

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the ranks of a detached tensor, the same bits on each."""
        if self.size > 1:
            dist.all_reduce(value)
            value /= self.size
        return value

    def agree(self, decision: bool) -> bool:
        """What rank 0 decided."""
        if self.size == 1:
            return decision
        told = torch.tensor(decision, dtype=torch.uint8, device=self.device)
        dist.broadcast(told, 0)
        return bool(told)


def world_size() -> int:
    """How many processes torchrun started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this process is, 0 without torchrun."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def joined(size: int) -> Iterator[Ranks]:
    """Join the other ranks; on the GPU that torchrun gave this process, or the first, or the CPU.

    Raises:
      RequestError: torchrun started another number of processes.
    """
    if size != world_size():
        raise RequestError(
            f"a run of {size} ranks needs torchrun --nproc-per-node {size}. "
            f"Received: {world_size()} processes"
        )
    device = torch.device("cpu")
    if torch.cuda.is_available():
        number = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    if size == 1:
        yield Ranks(0, 1, device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
