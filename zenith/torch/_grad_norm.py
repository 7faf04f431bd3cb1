"""Global L2 norm of the gradients that an optimizer is about to apply."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (torch annotates these functions in part)

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias, cast

import torch
import torch.distributed as dist
from torch import Tensor

# A float32 sum of squares on the CPU is biased on large tensors: -1e-5 at 1M elements, -1.4e-3 at
# 25M. Views of at most this many elements bring that to -1.4e-6; a float64 sum would cost as much
# as the whole SGD step.
_LARGEST_VIEW = 2**18
_HALF = (torch.bfloat16, torch.float16)
# What clip_grad_norm_ computes with; the public get_total_norm raises on sparse gradients and
# returns bf16 for bf16.
_foreach_norm = torch._foreach_norm  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]

Groups: TypeAlias = tuple["dist.ProcessGroup", ...]
Buckets: TypeAlias = dict[tuple[torch.device, torch.dtype], list[Tensor]]


class Measured(NamedTuple):
    norm: Tensor  # f32[]
    absent: Tensor | None  # bool[]: no rank of the process group has a gradient; None without one


def grad_norm(
    grads: Iterable[Tensor | None], process_group: "dist.ProcessGroup | None" = None
) -> Tensor:
    """Global L2 norm over every gradient, accumulated in float32 or better.

    Sparse gradients are coalesced first, complex ones count with both parts, None is left out, and
    a tensor that appears twice counts once. Of a `DTensor` (FSDP2, HSDP, tensor parallel) the whole
    counts, on every rank of its mesh with the same result.

    Args:
      grads: gradients of any shapes, floating dtypes and devices, as in `p.grad`.
      process_group: ranks over which plain gradients are split (FSDP1, pipeline stages, shards of
        one's own). All of them must call this together; their squares are added up.

    Returns:
      A float32 scalar on the device of the first gradient; 0 if there is none.

    Example:
      >>> import torch
      >>> from zenith.torch import grad_norm
      >>> grad_norm([torch.tensor([3.0]), None, torch.tensor([[4.0]])])
      tensor(5.)

    Source: ||grad L(theta_t)||_2, arXiv 2601.15212, Algorithm 1.
    """
    return measure(grads, process_group).norm


@torch.no_grad()
def measure(
    grads: Iterable[Tensor | None],
    process_group: "dist.ProcessGroup | None" = None,
    device: torch.device | None = None,
) -> Measured:
    """The norm, and whether there was any gradient; `device` is for a rank that has none."""
    parts: dict[Groups, Buckets] = {}
    for grad in dict.fromkeys(grads):
        if grad is not None:
            local, groups = _local_part(grad)
            buckets = parts.setdefault(groups, {})
            for view in _real_views(local):
                buckets.setdefault((view.device, view.dtype), []).append(view)
    if process_group is None:
        if not parts:
            return Measured(torch.zeros((), device=device), None)
        if not any(parts):
            norms = _norms(parts[()])
            return Measured(torch.linalg.vector_norm(torch.stack(norms)).to(torch.float32), None)
    # Squares in float64: no order of adding them up shows in the float32 norm, so all ranks get the
    # same bits, and the square of 1e30 is finite.
    square = torch.zeros((), dtype=torch.float64, device=device)
    for groups, buckets in parts.items():
        part = torch.stack([norm.to(torch.float64) for norm in _norms(buckets)]).square().sum()
        for group in groups:
            dist.all_reduce(part, group=group)
        square = square.to(part.device) + part
    if process_group is None:
        return Measured(square.sqrt().to(torch.float32), None)
    pair = torch.stack((square, torch.full_like(square, bool(parts))))
    dist.all_reduce(pair, group=process_group)
    return Measured(pair[0].sqrt().to(torch.float32), pair[1] == 0)


def to_plain(tensor: Tensor) -> Tensor:
    """The whole of a `DTensor`, as clip_grad_norm_ returns it; any other tensor as it is."""
    if type(tensor) is not Tensor and hasattr(tensor, "device_mesh"):
        return cast(Any, tensor).full_tensor()
    return tensor


def _local_part(grad: Tensor) -> tuple[Tensor, Groups]:
    """What this rank holds of a gradient, and the groups over which the rest of it is spread."""
    if type(grad) is Tensor or not hasattr(grad, "device_mesh"):
        return grad, ()
    # A DTensor, told by its public attributes: importing its module takes half as long as torch.
    distributed = cast(Any, grad)
    mesh, placements = distributed.device_mesh, distributed.placements
    if any(placement.is_partial() for placement in placements):
        from torch.distributed.tensor import Replicate

        placements = [Replicate() if p.is_partial() else p for p in placements]
        distributed = distributed.redistribute(placements=placements)
    # Not is_shard(): FSDP2 over tensor parallel has _StridedShard, which denies to be one.
    split = [dim for dim, placement in enumerate(placements) if not placement.is_replicate()]
    return distributed.to_local(), tuple(mesh.get_group(dim) for dim in split if mesh.size(dim) > 1)


def _norms(buckets: Buckets) -> list[Tensor]:
    first_device = next(iter(buckets))[0]
    return [
        norm.to(first_device)
        for (device, dtype), views in buckets.items()
        for norm in _foreach_norm(views, 2, dtype=_accumulator(device, dtype))
    ]


def _accumulator(device: torch.device, dtype: torch.dtype) -> torch.dtype | None:
    if dtype not in _HALF:
        return None  # its own
    # The squares of the few values that a half type has are rounded alike, not at random: 1.4e-5
    # off after 2^18 elements in float32 on the CPU, which sums one by one. GPUs sum in a tree.
    return torch.float64 if device.type == "cpu" else torch.float32


def _real_views(grad: Tensor) -> Iterator[Tensor]:
    if grad.layout is not torch.strided:
        grad = grad.coalesce().values() if grad.is_sparse else grad.values()
    if grad.is_complex():
        grad = torch.view_as_real(grad)
    if grad.numel() <= _LARGEST_VIEW or grad.device.type != "cpu":
        yield grad
    else:
        # In the order of memory: transposed and channels-last gradients need no copy.
        by_stride = sorted(range(grad.ndim), key=grad.stride, reverse=True)
        yield from grad.permute(by_stride).contiguous().view(-1).split(_LARGEST_VIEW)
