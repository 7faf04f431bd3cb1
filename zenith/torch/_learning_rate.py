"""The learning rates of an optimizer's parameter groups, and who wrote them last."""

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

LR: TypeAlias = float | Tensor
Stamp: TypeAlias = tuple[LR, int]  # what was written; for a tensor, its version after that


def read_lrs(optimizer: Optimizer) -> list[LR]:
    """Copies of the learning rates, of the same types."""
    return [
        lr.clone() if isinstance(lr := group["lr"], Tensor) else lr
        for group in optimizer.param_groups
    ]


def write_lrs(optimizer: Optimizer, lrs: Sequence[LR], scale: LR = 1.0) -> list[Stamp]:
    """Set every learning rate to `lr * scale`, a tensor in place, and return what was written."""
    for group, lr in zip(optimizer.param_groups, lrs, strict=True):
        current = group["lr"]
        if isinstance(current, Tensor):
            current.copy_(cast(Tensor, lr * _on_device_of(current, scale)))
        else:
            group["lr"] = lr * float(scale)
    return [_stamp(group["lr"]) for group in optimizer.param_groups]


def find_foreign_write(optimizer: Optimizer, stamps: Sequence[Stamp]) -> int | None:
    """Index of the first group whose learning rate is not the one that was written, or None.

    Tensors are told apart by identity and version, so that no host has to wait for a device.
    """
    for index, (written, version) in enumerate(stamps):
        lr: Any = optimizer.param_groups[index]["lr"]
        if isinstance(lr, Tensor):
            if lr is not written or lr._version != version:
                return index
        elif isinstance(written, Tensor) or lr != written:
            return index
    return None


def is_value_unchanged(optimizer: Optimizer, stamps: Sequence[Stamp]) -> bool:
    """Whether every learning rate has the value that was written. Reads tensors on the host."""
    return len(stamps) == len(optimizer.param_groups) and all(
        float(group["lr"]) == float(written)
        for group, (written, _) in zip(optimizer.param_groups, stamps, strict=True)
    )


def own(optimizer: Optimizer) -> list[Stamp]:
    """Take the learning rates as they are for what was written."""
    return [_stamp(group["lr"]) for group in optimizer.param_groups]


def unalias(optimizer: Optimizer, group: dict[str, Any]) -> None:
    """Give the group a tensor of its own.

    All groups without an `lr` of their own share one tensor with `optimizer.defaults`; writing it
    in place would change the learning rate of every group that is added later.
    """
    if isinstance(group["lr"], Tensor) and group["lr"] is optimizer.defaults.get("lr"):
        group["lr"] = group["lr"].detach().clone()


def is_zero(optimizer: Optimizer) -> bool:
    """Whether every learning rate is 0. Reads tensors on the host."""
    return all(float(group["lr"]) == 0 for group in optimizer.param_groups)


def device_of_tensors(optimizer: Optimizer) -> torch.device | None:
    """Device of the first learning rate if all are tensors and it has float64, else None."""
    lrs = [group["lr"] for group in optimizer.param_groups]
    if all(isinstance(lr, Tensor) for lr in lrs) and lrs[0].device.type != "mps":
        return lrs[0].device
    return None


def _stamp(lr: LR) -> Stamp:
    return (lr, lr._version) if isinstance(lr, Tensor) else (lr, 0)


def _on_device_of(lr: Tensor, scale: LR) -> LR:
    return scale.to(lr.device) if isinstance(scale, Tensor) else scale
