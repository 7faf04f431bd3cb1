"""The PyTorch runs: repeatable, comparable, and honest about divergence."""

import dataclasses
import math

import numpy as np
import pytest

from experiments.data import Data
from experiments.demo.record import Record, Settings
from experiments.demo.schedules import METHODS, MULTIPLIERS
from tests.oracle import algorithm_1

torch = pytest.importorskip("torch", reason="the torch trainer needs PyTorch")

from experiments.demo.trainers.torch import train  # noqa: E402 (only where PyTorch is)

SETTINGS = Settings(window=4, lr=0.1, epochs=3, batch=8)


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 50)
    x = (rng.random((50, 8, 8, 1)) * 0.5 + y[:, None, None, None] / 20).astype(np.float32)
    return Data("made up", x[:40], y[:40], x[40:], y[40:])


def run(data: Data, method: str, settings: Settings = SETTINGS, seed: int = 0) -> Record:
    return train(data, method, settings, seed, lambda step: None)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bits(data: Data, method: str) -> None:
    torch.manual_seed(1)
    first = run(data, method)
    torch.manual_seed(2)
    second = run(data, method)
    for record in (first, second):
        assert record.seconds > 0
        record.seconds = 0.0
    # repr tells every float apart, and NaN equals NaN in it.
    assert repr(first) == repr(second)
    assert run(data, method, seed=1).steps != first.steps


def test_every_method_starts_with_the_same_gradient(data: Data) -> None:
    starts = {run(data, method).steps[0][:3] for method in METHODS}
    assert len(starts) == 1


@pytest.mark.parametrize("method", MULTIPLIERS)
def test_a_schedule_multiplies_the_learning_rate(data: Data, method: str) -> None:
    record = run(data, method)
    total = SETTINGS.total_steps(data)
    planned = [SETTINGS.lr * MULTIPLIERS[method](step, total) for step in range(total)]
    assert [step.lr for step in record.steps] == pytest.approx(planned, rel=1e-9, abs=1e-15)
    assert all(math.isnan(step.mean) for step in record.steps)


def test_zenith_follows_algorithm_1_on_the_norms_that_are_recorded(data: Data) -> None:
    record = run(data, "zenith")
    iterate = algorithm_1(SETTINGS.window)
    norms = [step.grad_norm for step in record.steps]
    expected = [SETTINGS.lr * iterate(norm) for norm in norms]
    assert [step.lr for step in record.steps] == pytest.approx(expected, rel=1e-6)
    assert len({step.lr for step in record.steps}) > 2
    assert record.steps[SETTINGS.window - 2].zenith == 0
    assert record.steps[-1].mean == pytest.approx(np.mean(norms[-SETTINGS.window :]), rel=1e-6)


def test_a_run_that_diverges_ends_there_and_says_so(data: Data) -> None:
    record = run(data, "constant", dataclasses.replace(SETTINGS, lr=1e30))
    assert record.diverged
    assert len(record.steps) < SETTINGS.total_steps(data)
    assert record.evaluations[-1].step == len(record.steps)


def test_each_step_is_reported_and_the_last_is_evaluated(data: Data) -> None:
    steps: list[int] = []
    record = train(data, "zenith", SETTINGS, 0, steps.append)
    assert steps == list(range(1, SETTINGS.total_steps(data) + 1))
    assert {end.step for end in record.evaluations} == SETTINGS.evaluation_steps(data)


def test_the_threads_of_the_caller_are_given_back(data: Data) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run(data, "zenith")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
