"""The Keras runs: repeatable, comparable, and the same job as the PyTorch runs."""

import dataclasses
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.data import Data
from experiments.demo.record import Record, Settings
from experiments.demo.schedules import METHODS, MULTIPLIERS
from experiments.demo.trainers import KERAS_BACKENDS, load_trainer
from experiments.errors import RequestError
from tests.oracle import algorithm_1

keras = pytest.importorskip("keras", reason="the Keras trainer needs Keras 3")
BACKEND = keras.backend.backend()
pytest.importorskip(BACKEND, reason=f"KERAS_BACKEND={BACKEND} is not installed")
pytestmark = pytest.mark.filterwarnings(
    # Keras's variables and NumPy 2
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

SETTINGS = Settings(window=4, lr=0.1, epochs=3, batch=8)


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 50)
    x = (rng.random((50, 8, 8, 1)) * 0.5 + y[:, None, None, None] / 20).astype(np.float32)
    return Data("made up", x[:40], y[:40], x[40:], y[40:])


def run(data: Data, method: str, settings: Settings = SETTINGS, seed: int = 0) -> Record:
    return load_trainer("keras")(data, method, settings, seed, lambda step: None)


def test_the_same_seed_gives_the_same_bits(data: Data) -> None:
    first, second = run(data, "zenith"), run(data, "zenith")
    for record in (first, second):
        assert record.seconds > 0
        record.seconds = 0.0
    assert repr(first) == repr(second)
    assert run(data, "zenith", seed=1).steps != first.steps


def test_every_method_starts_with_the_same_gradient(data: Data) -> None:
    starts = {run(data, method).steps[0][:3] for method in METHODS}
    assert len(starts) == 1


@pytest.mark.parametrize("method", MULTIPLIERS)
def test_a_schedule_multiplies_the_learning_rate(data: Data, method: str) -> None:
    record = run(data, method)
    total = SETTINGS.total_steps(data)
    planned = [SETTINGS.lr * MULTIPLIERS[method](step, total) for step in range(total)]
    assert [step.lr for step in record.steps] == pytest.approx(planned, rel=1e-6)
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


def test_it_starts_where_the_torch_trainer_starts(data: Data) -> None:
    pytest.importorskip("torch", reason="needs PyTorch beside Keras")
    of_torch = load_trainer("torch")(data, "zenith", SETTINGS, 0, lambda step: None)
    mine, theirs = run(data, "zenith").steps[0], of_torch.steps[0]
    assert mine.loss == pytest.approx(theirs.loss, rel=1e-5)
    assert mine.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-4)


def test_a_run_that_diverges_ends_there_and_says_so(data: Data) -> None:
    record = run(data, "constant", dataclasses.replace(SETTINGS, lr=1e30))
    assert record.diverged
    assert len(record.steps) < SETTINGS.total_steps(data)
    assert record.evaluations[-1].step == len(record.steps)


def test_a_backend_for_another_framework_or_too_late_is_refused() -> None:
    with pytest.raises(RequestError, match=r"for --framework keras\. Received: --framework torch"):
        load_trainer("torch", "jax")
    other = next(backend for backend in KERAS_BACKENDS if backend != BACKEND)
    with pytest.raises(RequestError, match=rf"must be {BACKEND}, which runs\. Received: {other}"):
        load_trainer("keras", other)


@pytest.mark.parametrize("backend", KERAS_BACKENDS)
def test_the_demo_runs_on_every_backend(backend: str, tmp_path: Path) -> None:
    for package in (backend, "sklearn", "matplotlib", "rich"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    tiny = ["--epochs", "1", "--batch", "200", "--window", "3", "--seeds", "1"]
    asked = ["demo", "--framework", "keras", "--backend", backend, *tiny, "--out", str(tmp_path)]
    done = subprocess.run(  # noqa: S603 (our own command, as the user runs it)
        [sys.executable, "-m", "experiments", *asked],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
        env={k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"},
    )
    assert f"keras on {backend}: 7 steps" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        "demo.png",
        "demo.svg",
        "table.md",
        "table.csv",
    }
    assert f"--framework=keras --backend={backend}" in (tmp_path / "table.md").read_text("utf-8")
