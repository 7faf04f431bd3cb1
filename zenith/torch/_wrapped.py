"""The torch optimizer inside the wrappers of training frameworks."""

from typing import Any

from torch.optim import Optimizer


def unwrap(optimizer: Any) -> Any:
    """What Accelerate, Lightning, Fabric or PostLocalSGDOptimizer has wrapped, else `optimizer`.

    The hooks must sit on the inner one: a wrapper has none, and steps it on real steps only.
    """
    while True:
        inner = getattr(optimizer, "optimizer", None)
        # ZeroRedundancyOptimizer has an `optim` too, for its shard, but is an optimizer itself.
        if inner is None and "defaults" not in getattr(optimizer, "__dict__", ()):
            inner = getattr(optimizer, "optim", None)
        if not isinstance(inner, Optimizer):
            return optimizer
        optimizer = inner
