"""The lines of the argument in docs/how-it-works.md, at every step of gradient descent."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zenith.core import init, update

ROUNDING = 1 + 1e-6  # the scale is a float32


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0.05, 1.95))
def test_the_learning_rate_and_the_sum_of_cubes_keep_their_bounds(seed, window, times_smoothness):
    rng = np.random.default_rng(seed)
    curvature = rng.uniform(0.0, 3.0, 6)  # flat directions too: nothing is strongly convex here
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    hessian = basis @ np.diag(curvature) @ basis.T
    smoothness = curvature.max()
    eta_0 = times_smoothness / smoothness
    theta, state = rng.normal(size=6), init(window)

    first_loss = theta @ hessian @ theta / 2  # the least is 0
    largest_norm = math.sqrt(2 * smoothness * first_loss)
    fall = 1 - smoothness * eta_0 / 2
    bound = window * largest_norm * first_loss / (fall * eta_0)
    cubes = 0.0
    for _ in range(300):
        gradient = hessian @ theta
        norm = float(np.linalg.norm(gradient))
        state = update(state, norm)
        eta = eta_0 * float(state.scale)
        assert norm <= largest_norm * ROUNDING
        assert eta * ROUNDING >= eta_0 * norm / (window * largest_norm)
        cubes += norm**3
        assert cubes <= bound * ROUNDING
        theta = theta - eta * gradient
