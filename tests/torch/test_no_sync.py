"""A Tensor learning rate: nothing is read by the host, so nothing waits for a device."""

import pytest
import torch
from torch.optim import SGD
from torch.utils._python_dispatch import TorchDispatchMode

from tests.torch.problem import backward, batches, make_net
from zenith.torch import Zenith

# The operations through which a host learns a value: item(), bool(), tolist(), nonzero, equal.
READS = {"_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal", "masked_select"}


class HostReads(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in READS:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def reads_in_steps(optimizer, net, data, before=lambda: None, step=None):
    seen = []
    for _ in range(8):
        backward(net, next(data))
        with HostReads() as reads:
            before()
            (step or optimizer.step)()
        seen.append(reads.seen)
    return seen


def test_a_float_learning_rate_costs_one_read_a_step():
    net = make_net()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    Zenith(optimizer, window=4)
    assert reads_in_steps(optimizer, net, batches()) == [["_local_scalar_dense"]] * 8


@pytest.mark.parametrize("options", [{}, {"min_scale": 0.1, "spike_factor": 5.0}], ids=str)
@pytest.mark.parametrize("schedule", [None, lambda step: 0.5])
def test_with_a_fused_optimizer_nothing_is_read_in_the_whole_step(options, schedule):
    net = make_net()
    optimizer = SGD(net.parameters(), lr=torch.tensor(0.1), momentum=0.9, fused=True)
    scheduler = Zenith(optimizer, window=4, schedule=schedule, **options)
    observe = reads_in_steps(
        optimizer, net, batches(), lambda: scheduler.observe(torch.tensor(2.0))
    )
    assert reads_in_steps(optimizer, net, batches()) + observe == [[]] * 16
    assert scheduler.scale < 1 or options  # it did work


def test_in_the_hook_of_any_optimizer_nothing_is_read():
    net = make_net()
    optimizer = SGD(net.parameters(), lr=torch.tensor(0.1), momentum=0.9)
    without = reads_in_steps(optimizer, net, batches())
    scheduler = Zenith(optimizer, window=4)
    assert reads_in_steps(optimizer, net, batches()) == without
    scheduler.step()
    with HostReads() as reads:
        scheduler.step()
        scheduler.get_last_lr()
    assert reads.seen == []


def test_a_fused_scaled_step_reads_nothing_more_than_without_zenith():
    counts = []
    for attach in (False, True):
        net = make_net()
        optimizer = SGD(net.parameters(), lr=torch.tensor(0.1), fused=True)
        if attach:
            Zenith(optimizer, window=4)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        scaler.scale(torch.ones(()))
        counts.append(
            reads_in_steps(
                optimizer,
                net,
                batches(),
                step=lambda s=scaler, o=optimizer: (s.step(o), s.update()),
            )
        )
    assert counts[0] == counts[1]
