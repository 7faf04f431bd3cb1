"""Time and state of every method on one network, in rounds, so that all see the same machine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.methods import METHODS, ModelBatch, Plan, Training

SGD = "constant"  # among the methods: plain SGD, without momentum
# No step size is logged, where telling it takes a copy of the weights. The budget is never reached.
_PLAN = Plan(lr=0.1, momentum=0.0, total_steps=1_000_000, steps_per_epoch=391, log_lr=False)
_STEPS_A_ROUND = {"gen": 4}  # it probes at every fourth step


@dataclass
class Cost:
    """What was measured of one method; one value a round."""

    method: str
    step_seconds: list[float] = field(default_factory=list)
    own_seconds: list[float] = field(default_factory=list)  # of it outside forward and backward
    state: float = 0.0  # bytes kept between steps, over the bytes of the parameters


def measure(
    methods: Sequence[str],
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    rounds: int,
    on_step: Callable[[str], None],
) -> list[Cost]:
    """Step every method once a round, in an order drawn anew for each.

    All methods step the same weights, which are put back before each step: only what a method
    remembers is its own.

    Args:
      methods: names in `METHODS`, `SGD` among them.
      network: in train mode, with x and y on its device.
      x: images f32[N, C, H, W].
      y: labels i64[N].
      rounds: of which one more is run first, and left out.
      on_step: called with the name of a method when its part of a round is done.
    """
    trainings = {name: METHODS[name].start(network, _PLAN) for name in methods}
    costs = {name: Cost(name) for name in methods}
    start = [p.detach().clone() for p in network.parameters()]
    order = np.random.default_rng(0)
    for count in range(rounds + 1):
        for name in order.permutation(list(methods)):
            own = step = 0.0
            steps = _STEPS_A_ROUND.get(name, 1)
            for _ in range(steps):
                with torch.no_grad():
                    for p, value in zip(network.parameters(), start, strict=True):
                        p.copy_(value)
                batch = _TimedBatch(network, x, y)
                begin = _now(x.device)
                trainings[name].step(batch)
                seconds = _now(x.device) - begin
                step += seconds / steps
                own += (seconds - batch.gradient_seconds) / steps
            if count > 0:
                costs[name].step_seconds.append(step)
                costs[name].own_seconds.append(own)
            on_step(name)
    parameters = sum(p.nbytes for p in network.parameters())
    for name, training in trainings.items():
        costs[name].state = state_bytes(training, network) / parameters
    return list(costs.values())


class _TimedBatch(ModelBatch):
    """One that takes the time of forward and backward, which are the same for every method."""

    def __init__(self, network: nn.Module, x: Tensor, y: Tensor) -> None:
        super().__init__(network, lambda: cross_entropy(network(x), y))
        self._device = x.device
        self.gradient_seconds = 0.0

    def gradient(self) -> Tensor:
        begin = _now(self._device)
        loss = super().gradient()
        self.gradient_seconds += _now(self._device) - begin
        return loss


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def state_bytes(training: Training, network: nn.Module) -> int:
    """Bytes of every tensor and array that `training` holds beside the network's own."""
    seen: set[int] = set()
    storages: dict[int, int] = {}
    own = {id(network)}
    for tensor in (*network.parameters(), *network.buffers()):
        storages[_storage(tensor)] = 0
        if isinstance(tensor, nn.Parameter) and tensor.grad is not None:
            storages[_storage(tensor.grad)] = 0

    def walk(value: Any) -> None:
        if id(value) in seen or id(value) in own:
            return
        seen.add(id(value))
        if isinstance(value, Tensor):
            storages.setdefault(_storage(value), value.untyped_storage().nbytes())
        elif isinstance(value, np.ndarray):
            storages.setdefault(value.__array_interface__["data"][0], value.nbytes)
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(key)
                walk(item)
        elif isinstance(value, list | tuple | set):
            for item in value:
                walk(item)
        elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable_only(value):
            walk(vars(value))

    walk(training)
    return sum(storages.values())


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def callable_only(value: object) -> bool:
    """Functions and methods: their attributes are code, not state."""
    return callable(value) and not isinstance(value, nn.Module)
