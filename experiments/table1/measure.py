"""Time and state of every method on one network, in rounds, so that all see the same machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import process_time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.methods import METHODS, ModelBatch, Plan, state_size
from experiments.threads import one_thread

SGD = "constant"  # among the methods: plain SGD, without momentum
# No step size is logged, where telling it takes a copy of the weights. The budget is never reached.
_PLAN = Plan(lr=0.1, momentum=0.0, total_steps=1_000_000, steps_per_epoch=391, log_lr=False)
_STEPS_A_ROUND = {"gen": 4}  # it probes at every fourth step


@dataclass
class Cost:
    """What was measured of one method; one value a round."""

    method: str
    step_seconds: list[float] = field(default_factory=list)  # of processor time, as all
    own_seconds: list[float] = field(default_factory=list)  # of it outside forward and backward
    state: float = 0.0  # kept between steps, in sizes of the parameters


def measure(
    methods: Sequence[str],
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    rounds: int,
    on_step: Callable[[str], None],
) -> list[Cost]:
    """Step every method once a round, in an order drawn anew for each, on one thread.

    All methods step the same weights, which are put back before each step: only what a method
    remembers is its own. The time is that of the processor, which on one thread is that of the
    clock on an idle machine, and on a busy one leaves out what others took.

    Args:
      methods: names in `METHODS`, `SGD` among them.
      network: in train mode, with x and y on its device.
      x: images f32[N, C, H, W].
      y: labels i64[N].
      rounds: of which one more is run first, and left out.
      on_step: called with the name of a method when its part of a round is done.
    """
    with one_thread():
        return _measure(methods, network, x, y, rounds, on_step)


def _measure(
    methods: Sequence[str],
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    rounds: int,
    on_step: Callable[[str], None],
) -> list[Cost]:
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
                begin = process_time()
                trainings[name].step(batch)
                seconds = process_time() - begin
                step += seconds / steps
                own += (seconds - batch.gradient_seconds) / steps
            if count > 0:
                costs[name].step_seconds.append(step)
                costs[name].own_seconds.append(own)
            on_step(name)
    for name, training in trainings.items():
        costs[name].state = state_size(training, network)
    return list(costs.values())


class _TimedBatch(ModelBatch):
    """One that takes the time of forward and backward, which are the same for every method."""

    def __init__(self, network: nn.Module, x: Tensor, y: Tensor) -> None:
        super().__init__(network, lambda: cross_entropy(network(x), y))
        self.gradient_seconds = 0.0

    def gradient(self) -> Tensor:
        begin = process_time()
        loss = super().gradient()
        self.gradient_seconds += process_time() - begin
        return loss
