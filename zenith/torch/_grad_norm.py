"""Global L2 norm of the gradients that an optimizer is about to apply."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (torch annotates these functions in part)

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

# A float32 sum of squares on the CPU is biased on large tensors: -1e-5 at 1M elements, -1.4e-3 at
# 25M. Views of at most this many elements bring that to -1.4e-6; a float64 sum would cost as much
# as the whole SGD step.
_LARGEST_VIEW = 2**18
_HALF = (torch.bfloat16, torch.float16)
# What clip_grad_norm_ computes with; the public get_total_norm raises on sparse gradients and
# returns bf16 for bf16.
_foreach_norm = torch._foreach_norm  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]


@torch.no_grad()
def grad_norm(grads: Iterable[Tensor | None]) -> Tensor:
    """Global L2 norm over every gradient, accumulated in float32 or better.

    Sparse gradients are coalesced first, complex ones count with both parts, None is left out, and
    a tensor that appears twice counts once.

    Args:
      grads: gradients of any shapes, floating dtypes and devices, as in `p.grad`.

    Returns:
      A float32 scalar on the device of the first gradient; 0 if there is none.

    Example:
      >>> import torch
      >>> from zenith.torch import grad_norm
      >>> grad_norm([torch.tensor([3.0]), None, torch.tensor([[4.0]])])
      tensor(5.)

    Source: ||grad L(theta_t)||_2, arXiv 2601.15212, Algorithm 1.
    """
    buckets: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for grad in dict.fromkeys(grads):
        if grad is not None:
            for view in _real_views(grad):
                buckets.setdefault((view.device, view.dtype), []).append(view)
    if not buckets:
        return torch.zeros(())
    first_device = next(iter(buckets))[0]
    norms = [
        norm.to(first_device)
        for (device, dtype), views in buckets.items()
        for norm in _foreach_norm(views, 2, dtype=_accumulator(device, dtype))
    ]
    return torch.linalg.vector_norm(torch.stack(norms)).to(torch.float32)


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
