"""What ZENITH adds to a compiled train step, against plain SGD and against gradient clipping.

    python benchmarks/optax_cost.py [--rounds N]

The three optimizers take turns within each round, in random order, so that a machine which slows
down slows all of them; a ratio is the median over the rounds of the ratio within one.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from zenith.optax import zenith

SGD = optax.sgd(1e-3, momentum=0.9)
OPTIMIZERS = {
    "sgd": SGD,
    "clip": optax.chain(optax.clip_by_global_norm(1.0), SGD),
    "zenith": zenith(SGD, window=500),
}
# Channels of each 3 x 3 convolution; 0 stands for 2 x 2 max pooling. Then the batch.
NETS = {
    "CNN, 15 k weights": ((16, 0, 32, 0, 32), 8),
    "VGG-11, 9.2 M weights": ((64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0), 2),
}
IMAGE = (32, 32, 3)
# One thread: on a shared machine the thread pool's noise is larger than what is measured.
ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}


def weights(layers: Sequence[int], rng: np.random.Generator) -> list[jax.Array]:
    shapes: list[tuple[int, ...]] = []
    channels = IMAGE[-1]
    for out in filter(None, layers):
        shapes.append((3, 3, channels, out))
        channels = out
    shapes.append((channels, 10))
    return [
        jnp.asarray(rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1])), jnp.float32)
        for shape in shapes
    ]


def loss(params: list[jax.Array], layers: Sequence[int], x: jax.Array, y: jax.Array) -> jax.Array:
    kernels = iter(params)
    for out in layers:
        if out:
            x = lax.conv_general_dilated(
                x, next(kernels), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x)
        else:
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    logits = x.mean((1, 2)) @ next(kernels)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


class Run:
    """One optimizer on one net, a step at a time."""

    def __init__(self, optimizer: Any, layers: Sequence[int], batch: int, whole: bool) -> None:
        rng = np.random.default_rng(0)
        self._params = weights(layers, rng)
        self._state = optimizer.init(self._params)
        x = jnp.asarray(rng.standard_normal((batch, *IMAGE)), jnp.float32)
        y = jnp.asarray(rng.integers(0, 10, batch), jnp.int32)
        self._fixed = (x, y) if whole else jax.grad(loss)(self._params, layers, x, y)

        def step(params: Any, state: Any, fixed: Any) -> tuple[Any, Any]:
            grads = jax.grad(loss)(params, layers, *fixed) if whole else fixed
            updates, state = optimizer.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        self._step: Callable[..., Any] = jax.jit(
            step, donate_argnums=(0, 1), compiler_options=ONE_THREAD
        )

    def seconds(self) -> float:
        start = perf_counter()
        self._params, self._state = jax.block_until_ready(
            self._step(self._params, self._state, self._fixed)
        )
        return perf_counter() - start


def compare(layers: Sequence[int], batch: int, whole: bool, rounds: int) -> dict[str, list[float]]:
    """Seconds of each optimizer, round by round."""
    runs = {name: Run(optimizer, layers, batch, whole) for name, optimizer in OPTIMIZERS.items()}
    order, seconds = list(runs), {name: [] for name in runs}
    for index in range(rounds + 3):
        random.shuffle(order)
        taken = {name: runs[name].seconds() for name in order}
        if index >= 3:  # the first ones compile and warm up
            for name in runs:
                seconds[name].append(taken[name])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="default: %(default)s")
    rounds = parser.parse_args().rounds
    print(f"JAX {jax.__version__}, optax {optax.__version__}, {jax.devices()[0].device_kind}")
    print(f"{'':<36}{'sgd ms':>8}{'clip/sgd':>17}{'zenith/sgd':>17}{'zenith/clip':>17}")
    for name, (layers, batch) in NETS.items():
        for part in ("step", "update alone"):
            seconds = compare(layers, batch, part == "step", rounds)
            pairs = (("clip", "sgd"), ("zenith", "sgd"), ("zenith", "clip"))
            cells = [ratio(seconds[one], seconds[other]) for one, other in pairs]
            milliseconds = 1e3 * np.median(seconds["sgd"])
            print(f"{name + ', ' + part:<36}{milliseconds:>8.2f}" + "".join(cells))


def ratio(numerator: list[float], denominator: list[float]) -> str:
    """Median of the ratio within a round, and its standard error by bootstrap."""
    ratios = np.array(numerator) / np.array(denominator)
    rng = np.random.default_rng(0)
    again = np.median(rng.choice(ratios, (200, len(ratios))), axis=1)
    return f"{f'{np.median(ratios):.3f} +- {np.std(again):.3f}':>17}"


if __name__ == "__main__":
    main()
