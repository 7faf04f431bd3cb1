"""The log of a plain loop holds what the scheduler showed in every step."""

import numpy as np
import pytest
import torch
from torch.optim import SGD

from tests.torch.problem import backward, batches, make_net
from tests.torch.test_no_sync import HostReads
from zenith.log import LogWriter, read_log
from zenith.torch import Zenith

STEPS, WINDOW = 45, 8


@pytest.mark.parametrize("every", [1, 8])
@pytest.mark.parametrize("lr", [0.3, torch.tensor(0.3)], ids=["float", "tensor"])
def test_the_log_is_what_the_scheduler_showed(lr, every, tmp_path):
    net, data, shown = make_net(), batches(), []
    lr = lr.clone() if isinstance(lr, torch.Tensor) else lr
    optimizer = SGD(net.parameters(), lr=lr, momentum=0.9)
    scheduler = Zenith(optimizer, WINDOW)
    with LogWriter(tmp_path / "zenith.csv", every=every) as log:
        for _ in range(STEPS):
            loss = backward(net, next(data))
            optimizer.step()
            log.write(scheduler, loss=loss)
            now = (float(scheduler.get_last_lr()[0]), scheduler.last_norm, scheduler.mean)
            shown.append((*now, scheduler.zenith, scheduler.scale, loss.item()))
    written = read_log(tmp_path / "zenith.csv")
    run = written.complete()
    assert run.step.tolist() == [*range(1, STEPS + 1)]
    names = ("lr", "grad_norm", "mean", "peak", "scale")
    for name, values in zip(names, zip(*shown, strict=True), strict=False):
        np.testing.assert_allclose(getattr(run, name), values, rtol=1e-6, err_msg=name)
    assert run.scale.min() < 0.95
    at = np.isfinite(written.loss)
    assert at.sum() == (STEPS if every == 1 else 6)
    np.testing.assert_allclose(written.loss[at], np.array(shown)[at, 5], rtol=1e-6)


def test_a_tensor_learning_rate_is_read_once_in_every(tmp_path):
    net, data, reads = make_net(), batches(), []
    optimizer = SGD(net.parameters(), lr=torch.tensor(0.3), momentum=0.9, fused=True)
    scheduler = Zenith(optimizer, WINDOW)
    with LogWriter(tmp_path / "zenith.csv", every=8) as log:
        for _ in range(24):
            loss = backward(net, next(data))
            with HostReads() as seen:
                optimizer.step()
                log.write(scheduler, loss=loss)
            reads.append(bool(seen.seen))
    assert reads == ([False] * 7 + [True]) * 3


@pytest.mark.parametrize("lr", [0.3, torch.tensor(0.3)], ids=["float", "tensor"])
def test_a_snapshot_stays_as_it_was(lr):
    net, data = make_net(), batches()
    optimizer = SGD(net.parameters(), lr=lr)
    scheduler = Zenith(optimizer, WINDOW)
    snapshots = []
    for _ in range(3):
        backward(net, next(data))
        optimizer.step()
        snapshots.append(scheduler.snapshot())
    assert [snapshot.step for snapshot in snapshots] == [1, 2, 3]
    assert [int(snapshot.state.count) for snapshot in snapshots] == [1, 2, 3]


def test_a_schedule_on_top_is_in_the_learning_rate_and_nothing_is_invented(tmp_path):
    net, data = make_net(), batches()
    optimizer = SGD(net.parameters(), lr=0.3)
    scheduler = Zenith(optimizer, WINDOW, schedule=lambda step: 0.99**step)
    with LogWriter(tmp_path / "zenith.csv", every=5) as log:
        for _ in range(20):
            backward(net, next(data))
            optimizer.step()
            log.write(scheduler)
    run = read_log(tmp_path / "zenith.csv").complete()
    known = np.isfinite(run.lr)
    # The first five have no row before them that could tell a schedule.
    assert run.step[known & (run.step > 5)].tolist() == [10, 15, 20]
