"""The training that every distributed case does its own way, and one process does alone."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from zenith.torch import Zenith

STEPS = 40
WINDOW = 10
GLOBAL_BATCH = 24  # splits over 1, 2 and 4 ranks, and again into 3 micro-batches
MICRO_BATCHES = 3
MAX_NORM = 0.3


def make_net() -> nn.Sequential:
    """Its last layer has 5 rows, which split unevenly over 2 and 4 ranks."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.LayerNorm(16), nn.Linear(16, 5)
    )


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    teacher = torch.randn(8, 5, generator=generator)
    while True:
        x = torch.randn(GLOBAL_BATCH, 8, generator=generator)
        yield x, (x @ teacher).argmax(1)


def share(batch: tuple[Tensor, Tensor], rank: int, ranks: int) -> tuple[Tensor, Tensor]:
    x, y = batch
    return x.chunk(ranks)[rank], y.chunk(ranks)[rank]


def loss_of(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return nn.functional.cross_entropy(net(x), y)


def make_optimizer(params, lr=0.3) -> Optimizer:
    return SGD(params, lr=lr, momentum=0.9, weight_decay=1e-3)


def alone(
    clip: Callable[[nn.Module, Zenith], None] = lambda net, scheduler: None,
    prepare: Callable[[nn.Module, Optimizer], object] = lambda net, optimizer: None,
) -> list[float]:
    """The learning rates of one process on the global batch."""
    net = make_net()
    optimizer = make_optimizer(net.parameters())
    prepare(net, optimizer)  # before Zenith is there
    scheduler = Zenith(optimizer, window=WINDOW)
    lrs = []
    for _, batch in zip(range(STEPS), batches(), strict=False):
        optimizer.zero_grad()
        loss_of(net, batch).backward()
        clip(net, scheduler)
        optimizer.step()
        lrs.append(optimizer.param_groups[0]["lr"])
    return lrs


def clip_and_observe(net: nn.Module, scheduler: Zenith) -> None:
    scheduler.observe(nn.utils.clip_grad_norm_(net.parameters(), MAX_NORM))
