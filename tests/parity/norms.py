"""Sequences of gradient norms on which frameworks have differed, or might."""

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tests.optax.norms import hard_norms
from tests.parity.in_numpy import record_norms
from tests.parity.problem import make_problem
from tests.parity.worker import Norms


def sequences(steps: int) -> dict[str, Norms]:
    """Each of `steps` norms, in float32 unless its name says otherwise."""
    rng = np.random.default_rng(0)
    noise = rng.lognormal(size=steps)
    part = np.arange(steps) / steps
    problem = make_problem(steps)
    found = {
        "digits, plain SGD": record_norms(problem, momentum=0.0),
        "digits, momentum": record_norms(problem, momentum=0.9),
        "falling from 1e4 to 1e-6": np.geomspace(1e4, 1e-6, steps) * noise,
        "spikes": np.where(rng.random(steps) < 0.01, 1e6 * noise, noise),
        "zeros from the start": np.where((part < 0.52) | (noise < 1), 0.0, noise),
        "zeros after a while": np.where((part > 0.2) & (part < 0.75), 0.0, noise),
        "NaN, infinities and negative": _mixed(noise, rng, [np.nan, np.inf, -np.inf, -1.0, 3e38]),
        "subnormals": _mixed(
            1e-30 * noise, rng, [1e-38, 1e-40, -1e-40, 1e-45, 2.0**-100, 2.0**-101, -0.0]
        ),
        "all of it": hard_norms(steps, seed=0),
    }
    halves = np.geomspace(1e5, 1e-8, steps) * noise  # overflows and underflows float16
    with np.errstate(over="ignore"):
        return {name: norms.astype(np.float32) for name, norms in found.items()} | {
            "float16": halves.astype(np.float16),
            "bfloat16": halves.astype(ml_dtypes.bfloat16),
        }


def _mixed(
    norms: NDArray[np.float64], rng: np.random.Generator, special: list[float]
) -> NDArray[np.float64]:
    return np.where(rng.random(len(norms)) < 0.1, rng.choice(special, len(norms)), norms)
