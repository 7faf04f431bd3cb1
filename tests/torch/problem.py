"""A small smooth net on fixed data: the problem on which the torch tests train."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def make_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4)
    )


def batches(seed: int = 0, size: int = 16) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(8, 4, generator=generator)
    while True:
        x = torch.randn(size, 8, generator=generator)
        yield x, (x @ teacher).argmax(1)


def loss_of(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return nn.functional.cross_entropy(net(x), y)


def backward(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    net.zero_grad()
    loss = loss_of(net, batch)
    loss.backward()
    return loss
