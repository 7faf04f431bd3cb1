"""The demo in JAX: the same job as in PyTorch."""

import math

import numpy as np
import pytest

from experiments.data import Data
from experiments.demo.record import Settings
from experiments.demo.schedules import METHODS, MULTIPLIERS
from experiments.demo.trainers import load_trainer
from tests.oracle import algorithm_1

pytest.importorskip("optax", reason="optax is not installed")
pytest.importorskip("flax", reason="flax is not installed")

SETTINGS = Settings(window=5, lr=0.1, epochs=2, batch=16)


def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    images = rng.random((200, 8, 8, 1)) * 0.5
    images[np.arange(200), labels % 8, labels // 2, 0] += 1
    images = images.astype(np.float32)
    return Data("spots", images[:160], labels[:160], images[160:], labels[160:])


def run(method, framework="optax", settings=SETTINGS, seed=0, on_step=lambda step: None):
    return load_trainer(framework)(data(), method, settings, seed, on_step)


@pytest.mark.parametrize("method", METHODS)
def test_it_takes_the_same_steps_as_torch(method):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    mine, theirs = run(method), run(method, "torch")
    assert len(mine.steps) == len(theirs.steps) == 20
    np.testing.assert_allclose(mine.steps[:12], theirs.steps[:12], rtol=1e-4)
    assert [e.step for e in mine.evaluations] == [e.step for e in theirs.evaluations]


def test_zenith_s_learning_rate_is_that_of_algorithm_1_on_the_recorded_norms():
    iterate = algorithm_1(5)
    for step in run("zenith").steps:
        assert step.lr == pytest.approx(0.1 * iterate(step.grad_norm), rel=1e-6)
        assert step.zenith == 0 or step.mean <= step.zenith


@pytest.mark.parametrize("method", MULTIPLIERS)
def test_a_rival_follows_its_schedule(method):
    steps = run(method).steps
    assert [step.lr for step in steps] == [0.1 * MULTIPLIERS[method](i, 20) for i in range(20)]
    assert all(math.isnan(step.mean) and math.isnan(step.zenith) for step in steps)


def test_a_run_reports_every_step_and_is_evaluated_at_the_end():
    seen = []
    record = run("constant", on_step=seen.append)
    assert seen == list(range(1, 21))
    assert record.evaluations[-1].step == 20
    assert record.framework == "optax"
    assert record.seconds > 0


def test_a_method_is_compiled_once_for_all_seeds():
    from experiments.demo.trainers import optax as trainer

    run("zenith", seed=0)
    compiled = trainer._train_step._cache_size()
    first, second = run("zenith", seed=1), run("zenith", seed=2)
    assert trainer._train_step._cache_size() == compiled
    assert first.steps[0] != second.steps[0]


def test_a_seed_gives_the_same_run_twice():
    assert run("cosine").steps[-1].loss == run("cosine").steps[-1].loss


def test_a_run_that_diverges_ends_there():
    settings = Settings(window=5, lr=1e30, epochs=2, batch=16)
    record = run("constant", settings=settings)
    assert record.diverged
    assert record.evaluations[-1].step == len(record.steps) < 20


def test_the_demo_writes_its_table_and_picture(tmp_path):
    for needed in ("rich", "matplotlib", "sklearn"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    from experiments.__main__ import main

    out = str(tmp_path)
    options = ["--framework=optax", "--epochs=1", "--seeds=1", "--window=5", f"--out={out}"]
    assert main(["demo", *options]) == 0
    suffixes = {path.suffix for path in tmp_path.iterdir()}
    assert {".png", ".svg"} <= suffixes
