"""The rule on torch tensors, and the two places where a run keeps its history."""

# pyright: reportUnknownMemberType=false
# (torch annotates from_numpy and tolist in part)

from typing import Final, cast

import numpy as np
import torch
from torch import Tensor

from zenith.core import ArrayOps, ZenithState, init, update


def _concat(kept: Tensor, newest: Tensor) -> Tensor:
    return torch.cat((kept, newest.reshape(1)))


def _maximum(x: Tensor, y: Tensor | float) -> Tensor:
    return torch.clamp(x, min=y)


def _total(norms: Tensor) -> Tensor:
    return torch.sum(norms, dtype=torch.float64).to(torch.float32)


# One call for all fields; the public way is a copy_ for each.
_foreach_copy_ = torch._foreach_copy_  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]

TORCH = ArrayOps(where=torch.where, concat=_concat, maximum=_maximum, total=_total)


class HostHistory:
    """The history in NumPy arrays: one read of the norm from its device for each step."""

    def __init__(self, window: int, min_scale: float, spike_factor: float | None) -> None:
        self.state: ZenithState = init(window)
        self.last_norm: float | None = None
        self.scale = 1.0  # a Python float, as an optimizer's float learning rate is
        self._min_scale: Final = min_scale
        self._spike_factor: Final = spike_factor

    def push(self, norm: Tensor | float, found_inf: Tensor | None) -> bool:
        """Take in one norm and say True; say False, and change nothing, if `found_inf` is set."""
        if found_inf is not None:
            pair = torch.stack((torch.as_tensor(norm), found_inf.reshape(()).to(torch.float32)))
            norm, overflow = cast(list[float], pair.tolist())
            if overflow:
                return False
        self.last_norm = float(norm)
        self.state = update(
            self.state,
            self.last_norm,
            min_scale=self._min_scale,
            spike_factor=self._spike_factor,
        )
        self.scale = float(self.state.scale)
        return True

    def restore(self, state: ZenithState) -> None:
        self.state = state
        self.scale = float(state.scale)
        self.last_norm = float(state.norms[-1]) if state.count else None


class DeviceHistory:
    """The history in tensors that stay where the learning rate is: nothing is read by the host.

    Its tensors keep their addresses, as CUDA graphs demand.
    """

    def __init__(
        self, window: int, min_scale: float, spike_factor: float | None, device: torch.device
    ) -> None:
        tensors = (torch.from_numpy(np.array(field)).to(device) for field in init(window))
        self.state = ZenithState(*tensors)
        self._last_norm = torch.full((), -1.0, device=device)  # -1: none yet
        self._min_scale: Final = min_scale
        self._spike_factor: Final = spike_factor

    @property
    def scale(self) -> Tensor:
        return self.state.scale

    @property
    def last_norm(self) -> float | None:
        norm = float(self._last_norm)
        return None if norm == -1.0 else norm

    def push(self, norm: Tensor | float, found_inf: Tensor | None) -> bool:
        """Take in one norm, unless `found_inf` is set: that is known on the device alone."""
        device = self._last_norm.device
        if not isinstance(norm, Tensor):
            norm = torch.full((), norm, device=device)
        norm = norm.to(device, torch.float32)
        state = update(
            self.state,
            norm,
            min_scale=self._min_scale,
            spike_factor=self._spike_factor,
            ops=TORCH,
        )
        old, new = [*self.state, self._last_norm], [*state, norm]
        if found_inf is not None:
            overflow = found_inf.reshape(()).to(device, torch.bool)
            new = [torch.where(overflow, *pair) for pair in zip(old, new, strict=True)]
        _foreach_copy_(old, new)
        return True

    def restore(self, state: ZenithState) -> None:
        for mine, given in zip(self.state, state, strict=True):
            mine.copy_(torch.from_numpy(np.array(given)))
        self._last_norm.copy_(self.state.norms[-1] if state.count else torch.tensor(-1.0))
