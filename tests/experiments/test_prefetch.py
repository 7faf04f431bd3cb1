"""Batches that worker processes make ahead."""

import os
import time
from itertools import islice
from pathlib import Path

import pytest
import torch

from experiments.errors import RequestError
from experiments.tasks._prefetch import prefetched

WORKERS = pytest.mark.parametrize("workers", [0, 1, 3])


def square(step: int) -> list[dict[str, torch.Tensor]]:
    return [{"square": torch.tensor(step * step)}]


def slow_when_even(step: int) -> int:
    time.sleep(0.05 * (step % 2 == 0))
    return step


def drawn(step: int) -> float:
    return torch.rand(()).item()


def unreadable(step: int) -> int:
    if step == 2:
        raise RequestError("picture.jpg: expected a picture")
    return step


def broken(step: int) -> int:
    raise ZeroDivisionError("a mistake of ours")


def process(step: int) -> int:
    return os.getpid()


@WORKERS
def test_batches_come_in_the_order_of_the_steps(workers: int) -> None:
    steps = range(7, 20)
    assert list(prefetched(slow_when_even, steps, workers)) == list(steps)
    found = [batch[0]["square"].item() for batch in prefetched(square, steps, workers)]
    assert found == [step * step for step in steps]
    assert list(prefetched(square, range(3, 3), workers)) == []


def test_batches_are_made_elsewhere() -> None:
    assert set(prefetched(process, range(4), 0)) == {os.getpid()}
    elsewhere = set(prefetched(process, range(8), 2))
    assert len(elsewhere) == 2
    assert os.getpid() not in elsewhere


@WORKERS
def test_torchs_random_state_is_left_alone(workers: int) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    list(prefetched(square, range(5), workers))
    assert torch.equal(torch.get_rng_state(), state)


@WORKERS
def test_a_file_that_cannot_be_read_is_told_in_one_line(workers: int) -> None:
    batches = prefetched(unreadable, range(5), workers)
    assert list(islice(batches, 2)) == [0, 1]
    with pytest.raises(RequestError, match=r"^picture\.jpg: expected a picture$"):
        next(batches)


@WORKERS
def test_a_mistake_of_ours_keeps_its_kind(workers: int) -> None:
    with pytest.raises(ZeroDivisionError, match="a mistake of ours"):
        list(prefetched(broken, range(2), workers))


def test_the_workers_are_gone_when_the_loop_is_left() -> None:
    batches = prefetched(process, range(1000), 2)
    pids = {next(batches) for _ in range(4)}
    batches.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
