"""Aten operations and host synchronisations of a step, counted by a dispatch mode.

    python -m benchmarks.operations

Counted are the operations of `optimizer.step()` with Zenith, less those without it. A
synchronisation is an operation through which the host learns a value of a tensor, and so has to
wait for the device.
"""

import torch
from torch import nn
from torch.optim import SGD
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import shapes
from zenith.torch import Zenith

READS = {"_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select"}


class Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations = self.reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += 1
        self.reads += func.overloadpacket.__name__ in READS
        return func(*args, **(kwargs or {}))


def count(layers, kind, attach: bool, observed: bool = False) -> Counter:
    """Of one step, once the window is full."""
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in layers()]
    for p in parameters:
        p.grad = torch.ones_like(p)
    optimizer = SGD(parameters, lr=kind(0.1), momentum=0.9, fused=True)
    scheduler = Zenith(optimizer, window=5) if attach else None
    for _ in range(7):
        if scheduler is not None and observed:
            scheduler.observe(torch.ones(()))
        with Counter() as counter:
            optimizer.step()
    return counter


def added(layers, kind, observed: bool = False) -> tuple[int, int]:
    """Operations and synchronisations that Zenith adds to a step."""
    mine, plain = count(layers, kind, True, observed), count(layers, kind, False)
    return mine.operations - plain.operations, mine.reads - plain.reads


def main() -> None:
    print(
        f"{'network':10} {'lr':7} {'norm':9} {'aten operations':>15} {'host synchronisations':>22}"
    )
    networks = {"mlp": shapes.mlp, "vgg19": shapes.vgg19, "resnet50": shapes.resnet50}
    for name, layers in networks.items():
        for kind in (float, torch.tensor):
            for observed in (False, True):
                operations, reads = added(layers, kind, observed)
                norm = "observed" if observed else "measured"
                print(f"{name:10} {kind.__name__:7} {norm:9} {operations:15} {reads:22}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
