"""Numbers that an optimizer keeps for each weight, counted after some steps.

pip install schedulefree prodigyopt dog-optimizer
python -m benchmarks.optimizer_state
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from dog import DoG, PolynomialDecayAverager
from prodigyopt import Prodigy
from schedulefree import SGDScheduleFree
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from zenith.torch import Zenith

STEPS = 3
_Built: TypeAlias = tuple[Optimizer, Any]  # and what holds state beside it, or None


def main() -> None:
    for name, build in _BUILDERS.items():
        net = nn.Linear(300, 300)
        weights = sum(weight.numel() for weight in net.parameters())
        optimizer, beside = build(net)
        for _ in range(STEPS):
            optimizer.zero_grad()
            net(torch.randn(8, 300)).square().mean().backward()
            optimizer.step()
        kept = _elements(optimizer.state_dict()) + (_elements(beside.state_dict()) if beside else 0)
        print(f"{name:28} {kept / weights:5.2f}")


def _elements(value: object) -> int:
    """Elements of all tensors and lists of floats in nested dicts and lists."""
    if isinstance(value, Tensor):
        return value.numel()
    if isinstance(value, float):
        return 1
    if isinstance(value, dict):
        return sum(map(_elements, value.values()))
    return sum(map(_elements, value)) if isinstance(value, list | tuple) else 0


def _zenith(net: nn.Module, momentum: float) -> _Built:
    optimizer = SGD(net.parameters(), lr=0.1, momentum=momentum)
    scheduler = Zenith(optimizer, window=STEPS)
    return optimizer, scheduler


def _dog(net: nn.Module) -> _Built:
    return DoG(net.parameters()), PolynomialDecayAverager(net).averaged_model


def _schedule_free(net: nn.Module) -> _Built:
    optimizer = SGDScheduleFree(net.parameters(), lr=1.0)
    optimizer.train()
    return optimizer, None


_BUILDERS: dict[str, Callable[[nn.Module], _Built]] = {
    "SGD": lambda net: (SGD(net.parameters(), lr=0.1), None),
    "SGD with momentum": lambda net: (SGD(net.parameters(), lr=0.1, momentum=0.9), None),
    "SGD under ZENITH": lambda net: _zenith(net, 0.0),
    "SGD+momentum under ZENITH": lambda net: _zenith(net, 0.9),
    "schedule-free SGD": _schedule_free,
    "Prodigy": lambda net: (Prodigy(net.parameters()), None),
    "DoG": lambda net: (DoG(net.parameters()), None),
    "DoG with its averager": _dog,
}

if __name__ == "__main__":
    main()
