"""Beside optax, whose authors wrote the same rules on their own."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the methods need PyTorch")
pytest.importorskip("optax", reason="the counterparts are optax's: zenith-lr[optax]")

import jax
import jax.numpy as jnp
import optax
import torch
from torch import nn

from experiments.errors import RequestError
from experiments.methods import METHODS, ModelBatch, Plan
from experiments.methods.dowg import DoWG
from experiments.methods.sps import SPS
from tests.methods.problems import Network, Problem, Quadratic, flat

STEPS = 120
Transformation = optax.GradientTransformation


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def follow(problem: Problem, transformation: Transformation, step: Callable[[int], Any]) -> float:
    """Largest relative distance between the weights of torch and of optax, step by step.

    After each step optax goes on from torch's weights, as chaos would double what is between them.
    """
    weights = jnp.asarray(flat(problem.module))
    state = transformation.init(weights)
    apart = 0.0
    update = jax.jit(optax.with_extra_args_support(transformation).update)
    for t, minibatch in enumerate(problem.minibatches(STEPS)):
        loss, gradient = minibatch(np.asarray(weights))
        updates, state = update(jnp.asarray(gradient), state, weights, value=loss)
        expected = np.asarray(optax.apply_updates(weights, updates))
        step(t)
        reached = flat(problem.module)
        apart = max(apart, float(np.linalg.norm(reached - expected) / np.linalg.norm(expected)))
        weights = jnp.asarray(reached)
    return apart


def method(name: str, problem: Problem, plan: Plan) -> Callable[[int], Any]:
    try:
        training = METHODS[name].start(problem.module, plan)
    except RequestError as error:
        pytest.skip(str(error))
    return lambda t: training.step(ModelBatch(problem.module, lambda: problem.loss(t)))


def optimizer(made: torch.optim.Optimizer, problem: Problem) -> Callable[[int], Any]:
    def step(t: int) -> None:
        def closure() -> torch.Tensor:
            made.zero_grad()
            loss = problem.loss(t)
            loss.backward()
            return loss

        made.step(closure)  # type: ignore[arg-type]

    return step


problems = pytest.mark.parametrize("problem", [Quadratic, Network])


@problems
def test_cocob(problem: Callable[[], Problem]) -> None:
    on = problem()
    step = method("cocob", on, Plan())
    assert follow(on, optax.contrib.cocob(), step) <= 1e-14


@problems
def test_dog(problem: Callable[[], Problem]) -> None:
    on = problem()
    step = method("dog", on, Plan())
    assert follow(on, optax.contrib.dog(init_step=("heuristic", 1e-6)), step) <= 1e-14


@problems
def test_dowg(problem: Callable[[], Problem]) -> None:
    on = problem()
    step = optimizer(DoWG(on.module.parameters()), on)
    # optax's default starts at a squared distance of 1e-4, as the authors' code does.
    assert follow(on, optax.contrib.dowg(init_estim_sq_dist=1e-8), step) <= 1e-14


@problems
@pytest.mark.parametrize("cap", [0.1, 5.0])
def test_sps(problem: Callable[[], Problem], cap: float) -> None:
    on = problem()
    step = optimizer(SPS(on.module.parameters(), cap, c=0.5, eps=1e-8), on)
    # optax takes the norm of the scaled gradient: min(L / (c |g|^2 + eps / c), cap) in all.
    counterpart = optax.polyak_sgd(max_learning_rate=cap / 0.5, scaling=0.5, eps=0.5e-8)
    assert follow(on, counterpart, step) <= 1e-14


@problems
@pytest.mark.parametrize("cap", [0.1, 5.0])
def test_alig(problem: Callable[[], Problem], cap: float) -> None:
    on = problem()
    step = method("alig", on, Plan(lr=cap))
    # The library takes the norm in float32.
    assert follow(on, optax.polyak_sgd(max_learning_rate=cap, eps=1e-6), step) <= 1e-6


@problems
def test_momo(problem: Callable[[], Problem]) -> None:
    on = problem()
    step = method("momo", on, Plan())
    assert follow(on, optax.contrib.momo(learning_rate=1.0), step) <= 1e-14


@problems
def test_prodigy(problem: Callable[[], Problem]) -> None:
    prodigyopt: Any = pytest.importorskip("prodigyopt", reason="prodigyopt is not installed")
    on = problem()
    # optax has the bias correction always.
    made = prodigyopt.Prodigy(on.module.parameters(), use_bias_correction=True)
    assert follow(on, optax.contrib.prodigy(1.0), optimizer(made, on)) <= 1e-12


@problems
def test_schedule_free(problem: Callable[[], Problem]) -> None:
    on = problem()
    schedulefree: Any = pytest.importorskip("schedulefree", reason="it is not installed")
    made = schedulefree.SGDScheduleFree(on.module.parameters(), lr=0.2)
    made.train()
    counterpart = optax.contrib.schedule_free(optax.sgd(0.2), learning_rate=0.2, b1=0.9)
    weights = jnp.asarray(flat(on.module))
    state = counterpart.init(weights)
    step, update = optimizer(made, on), jax.jit(counterpart.update)
    for t, minibatch in enumerate(on.minibatches(STEPS)):
        gradient = jnp.asarray(minibatch(np.asarray(weights))[1])
        updates, state = update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        step(t)
        expected = np.asarray(weights)
        assert np.linalg.norm(flat(on.module) - expected) <= 1e-10 * np.linalg.norm(expected)
    made.eval()
    average = np.asarray(optax.contrib.schedule_free_eval_params(state, weights))
    assert np.linalg.norm(flat(on.module) - average) <= 1e-10 * np.linalg.norm(average)


def test_the_counterparts_are_told_apart() -> None:
    """The comparison can fail: a tenth of a percent in one constant is seen."""
    on = Quadratic()
    step = optimizer(SPS(on.module.parameters(), 5.0, c=0.5005), on)
    assert follow(on, optax.polyak_sgd(max_learning_rate=10.0, scaling=0.5), step) > 1e-5
    assert isinstance(on.module, nn.Module)
