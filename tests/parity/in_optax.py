"""`zenith.optax.zenith` op by op, in a compiled step, and in one scan."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from numpy.typing import NDArray

from tests.parity.problem import LEARNING_RATE, WINDOW, Problem
from tests.parity.worker import Norms, Portable, Trace
from zenith.optax import export_state, import_state, scale_by_zenith, zenith


class OptaxRun:
    def __init__(self, window: int, how: str) -> None:
        optimizer = zenith(optax.identity(), window)
        self._state: Any = optimizer.init(jnp.zeros(()))

        def step(state: Any, norm: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            _, state = optimizer.update(jnp.zeros(()), state, grad_norm=norm)
            return state, (state.zenith.scale, state.zenith.total)

        advance_once = jax.jit(step) if how == "jit" else step

        def by_steps(state: Any, norms: jax.Array) -> tuple[Any, Any]:
            parts = []
            for start in range(0, len(norms), 10_000):  # a million scalars of JAX take 7 GB
                results = []
                for norm in norms[start : start + 10_000]:
                    state, result = advance_once(state, norm)
                    results.append(result)
                parts.append(np.array(results))
            return state, np.concatenate(parts).T

        self._advance: Callable[..., tuple[Any, Any]] = (
            jax.jit(lambda state, norms: lax.scan(step, state, norms))
            if how == "scan"
            else by_steps
        )

    def advance(self, norms: Norms) -> Trace:
        self._state, (scales, totals) = self._advance(self._state, jnp.asarray(norms))
        return Trace(np.asarray(scales), np.asarray(totals))

    def export(self) -> Portable:
        return export_state(self._state)

    def take(self, portable: Mapping[str, Any]) -> None:
        self._state = import_state(self._state, portable)

    def everything(self) -> object:
        return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(self._state)]

    def bytes_held(self) -> int:
        return sum(field.nbytes for field in self._state.zenith)


MODES = {
    "eager": lambda window: OptaxRun(window, "eager"),
    "jit": lambda window: OptaxRun(window, "jit"),
    "scan": lambda window: OptaxRun(window, "scan"),
}


def train(problem: Problem, momentum: float, form: str) -> NDArray[np.float64]:
    """eta_t with `zenith` around SGD (form "wrapper") or before it in a chain (form "chain")."""
    sgd = optax.sgd(LEARNING_RATE, momentum=momentum or None)
    optimizer = (
        zenith(sgd, WINDOW) if form == "wrapper" else optax.chain(scale_by_zenith(WINDOW), sgd)
    )

    def loss(weights: list[jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
        w1, b1, w2, b2 = weights
        logits = jnp.tanh(x @ w1 + b1) @ w2 + b2
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(weights: Any, state: Any, x: jax.Array, y: jax.Array) -> tuple[Any, Any]:
        grads = jax.grad(loss)(weights, x, y)
        updates, state = optimizer.update(grads, state, weights)
        return optax.apply_updates(weights, updates), state

    weights = [jnp.asarray(w) for w in problem.weights]
    state, etas = optimizer.init(weights), []
    for x, y in zip(problem.x, problem.y.astype(np.int32), strict=True):
        weights, state = step(weights, state, x, y)
        etas.append(LEARNING_RATE * float(optax.tree_utils.tree_get(state, "ZenithState").scale))
    return np.array(etas)
