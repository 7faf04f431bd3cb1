"""How much a training keeps between two steps, measured by looking at all that it holds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor, nn

from experiments.methods._method import Training


def state_size(training: Training, model: nn.Module) -> float:
    """Bytes of every tensor and array that `training` holds, over the bytes of the parameters.

    What is the model's own, its gradients among it, is left out; memory that two tensors share
    counts once.
    """
    sizes = dict(_memory(training, {id(model)}))
    for tensor in (*model.parameters(), *model.buffers()):
        sizes.pop(_address(tensor), None)
        if tensor.grad is not None:
            sizes.pop(_address(tensor.grad), None)
    return sum(sizes.values()) / sum(p.nbytes for p in model.parameters())


def _memory(value: Any, seen: set[int]) -> Iterator[tuple[int, int]]:
    """Address and size of whatever can be reached from `value`."""
    if id(value) in seen:
        return
    seen.add(id(value))
    inside: Any = ()
    if isinstance(value, Tensor):
        yield _address(value), value.untyped_storage().nbytes()
    elif isinstance(value, np.ndarray):
        yield value.__array_interface__["data"][0], value.nbytes
    elif isinstance(value, dict):
        inside = (*value.keys(), *value.values())
    elif isinstance(value, list | tuple | set):
        inside = value
    elif isinstance(value, nn.Module) or not callable(value):  # functions and types hold no state
        inside = (getattr(value, "__dict__", {}),)
    for item in inside:
        yield from _memory(item, seen)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
