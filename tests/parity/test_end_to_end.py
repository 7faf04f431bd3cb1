"""One net trained in four frameworks, each with its own gradients: one learning rate."""

import numpy as np
import pytest

from tests.parity import in_numpy
from tests.parity.problem import LEARNING_RATE, make_problem
from tests.parity.worker import train

STEPS = 1000
KERAS = ("Keras on TensorFlow", "Keras on JAX", "Keras on PyTorch")
# By where the scale acts in SGD with momentum.
AFTER_MOMENTUM = ("PyTorch", "optax")
BEFORE_MOMENTUM = ("optax chain", *KERAS)


@pytest.fixture(scope="module")
def trainings(workers):
    """eta_t of each framework, a future by its name and by the momentum."""
    problem = make_problem(STEPS)
    futures = {}
    for momentum in (0.0, 0.9):
        for name in ("PyTorch", *KERAS):
            futures[name, momentum] = workers.submit(name, train, problem, momentum)
        for name, form in (("optax", "wrapper"), ("optax chain", "chain")):
            futures[name, momentum] = workers.submit("optax", train, problem, momentum, form)
    return futures


@pytest.fixture(scope="module")
def in_float64():
    """The same in NumPy, by momentum and by whether the learning rate is in the velocity."""
    problem = make_problem(STEPS)
    return {key: in_numpy.train(problem, *key) for key in [(0.0, False), (0.9, False), (0.9, True)]}


def assert_within_a_millionth(etas: list[np.ndarray]) -> None:
    assert all(len(eta) == STEPS for eta in etas)
    together = np.array(etas)
    assert together.min() < 0.5 * LEARNING_RATE
    assert len(np.unique(together[0])) > 0.8 * STEPS
    np.testing.assert_array_less(np.ptp(together, axis=0) / together.min(axis=0), 1e-6)


def test_without_momentum_all_are_one(trainings, in_float64):
    names = AFTER_MOMENTUM + BEFORE_MOMENTUM
    assert_within_a_millionth(
        [in_float64[0.0, False], *(trainings[name, 0.0].result() for name in names)]
    )


@pytest.mark.parametrize(
    ("names", "rate_in_velocity"), [(AFTER_MOMENTUM, False), (BEFORE_MOMENTUM, True)]
)
def test_with_momentum_those_are_one_that_scale_at_one_place(
    trainings, in_float64, names, rate_in_velocity
):
    assert_within_a_millionth(
        [in_float64[0.9, rate_in_velocity], *(trainings[name, 0.9].result() for name in names)]
    )


def test_the_place_makes_a_difference(trainings):
    of_torch, of_keras = (trainings[name, 0.9].result() for name in ("PyTorch", KERAS[0]))
    assert 1e-3 < np.max(np.abs(of_keras / of_torch - 1)) < 0.1
