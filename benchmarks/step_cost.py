"""What Zenith adds to a whole training step, in time and in memory.

    python -m benchmarks.step_cost vgg19 resnet50 memory

A step is zero_grad, forward, backward and optimizer.step(), with the hook in it. The clock runs
around the hook within the same step, so both figures of a pair saw the same machine; the time with
nothing but the hook taken off is what the step costs without Zenith. On one thread.
"""

import gc
import statistics
import sys
import time
import types

import torch
from torch import nn

from benchmarks import models, shapes
from zenith.torch import Zenith

# (network, its parameters, batch, classes, steps): the paper's Table 1 setting, and ImageNet's.
RUNS = {
    "vgg19": (models.vgg19, shapes.vgg19, (128, 3, 32, 32), 10, 8),
    "resnet50": (models.resnet50, shapes.resnet50, (16, 3, 224, 224), 1000, 6),
}


class Clock:
    """Seconds in Zenith's hooks since the last reading."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._seconds = 0.0
        for hooks in (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks):
            for key, hook in [*hooks.items()]:
                hooks[key] = self._timed(hook)

    def _timed(self, hook):
        def timed(*args):
            start = time.perf_counter()
            try:
                return hook(*args)
            finally:
                self._seconds += time.perf_counter() - start

        return timed

    def read(self) -> float:
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def time_steps(name: str) -> None:
    make, expected, shape, classes, steps = RUNS[name]
    torch.manual_seed(0)
    net = make()
    sizes = sorted(tuple(p.shape) for p in net.parameters())
    assert sizes == sorted(expected()), "not the network that shapes.py describes"
    x, y = torch.randn(shape), torch.randint(classes, shape[:1])
    for kind in (float, torch.tensor):
        optimizer = torch.optim.SGD(net.parameters(), lr=kind(1e-3), momentum=0.9)
        scheduler = Zenith(optimizer)
        clock = Clock(optimizer)
        for _ in range(scheduler.window):  # a full window: every branch of the rule at work
            scheduler._history.push(1.0, None)
        pairs = []
        for _ in range(steps + 1):
            start = time.perf_counter()
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
            total, hook = time.perf_counter() - start, clock.read()
            pairs.append((hook, total - hook))
        shares = [100 * hook / rest for hook, rest in pairs[1:]]
        low, middle, high = statistics.quantiles(shares, n=4)
        print(
            f"{name:9} {kind.__name__:7} batch {shape[0]}: +{middle:.3f} % "
            f"(IQR {low:.3f} to {high:.3f}, {steps} pairs), "
            f"hook {1e3 * statistics.median(h for h, _ in pairs[1:]):.2f} ms "
            f"of {1e3 * statistics.median(r for _, r in pairs[1:]):.0f} ms",
            flush=True,
        )
        scheduler.detach()


def bytes_held(*roots: object) -> int:
    """All that can be reached from here, but for code: Python objects, arrays and tensors."""
    seen: dict[int, object] = {}
    waiting = [*roots]
    while waiting:
        thing = waiting.pop()
        code = isinstance(thing, type | types.ModuleType | types.FunctionType | types.CodeType)
        if id(thing) not in seen and not code:
            seen[id(thing)] = thing
            waiting += gc.get_referents(thing)
            if isinstance(thing, types.MethodType):
                waiting.append(thing.__self__)
    total = 0
    for thing in seen.values():
        total += sys.getsizeof(thing)
        if isinstance(thing, torch.Tensor):
            total += thing.untyped_storage().nbytes()
    return total


def added_bytes(layers, kind) -> int:
    """What an optimizer holds more of with Zenith, once its window is full."""
    held = []
    for attach in (False, True):
        parameters = [nn.Parameter(torch.zeros(shape[:1])) for shape in layers()]
        for p in parameters:
            p.grad = torch.ones_like(p)
        optimizer = torch.optim.SGD(parameters, lr=kind(0.1))
        if attach:
            Zenith(optimizer, window=500)
        for _ in range(510):
            optimizer.step()
        held.append(bytes_held(optimizer))
    return held[1] - held[0]


def measure_memory() -> None:
    for kind in (float, torch.tensor):
        for name, layers in {"6 tensors": shapes.mlp, "161 tensors": shapes.resnet50}.items():
            print(f"memory    {kind.__name__:7} {name:12} {added_bytes(layers, kind):6} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for what in sys.argv[1:] or [*RUNS, "memory"]:
        measure_memory() if what == "memory" else time_steps(what)
