"""`zenith.keras.ZenithSGD` on the backend that runs, eager and compiled."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

import keras
import numpy as np
from numpy.typing import NDArray

from tests.parity.problem import LEARNING_RATE, WINDOW, Problem
from tests.parity.worker import Norms, Portable, Trace
from zenith.keras import Zenith, ZenithSGD, _optimizer, export_state, import_state

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf


class KerasRun:
    """Steps of a ZenithSGD, one call each."""

    def __init__(self, window: int) -> None:
        self._variable = keras.Variable(0.0)
        self._optimizer = ZenithSGD(0.1, window=window)
        self._optimizer.build([self._variable])

    def advance(self, norms: Norms) -> Trace:
        with _norms_handed_over():
            return self._steps(norms.astype(np.float32))

    def _steps(self, norms: NDArray[np.float32]) -> Trace:
        results = [self._step(keras.ops.convert_to_tensor(norm)) for norm in norms]
        return Trace(*map(_to_numpy, zip(*results, strict=True)))

    def _step(self, norm: Any) -> tuple[Any, Any]:
        self._optimizer.apply([norm], [self._variable])
        state = self._optimizer._state()
        return keras.ops.copy(state.scale), keras.ops.copy(state.total)

    def export(self) -> Portable:
        return export_state(self._optimizer)

    def take(self, portable: Mapping[str, Any]) -> None:
        import_state(self._optimizer, portable)

    def bytes_held(self) -> int:
        return sum(np.asarray(field.numpy()).nbytes for field in self._optimizer._history)

    def everything(self) -> object:
        return [np.asarray(variable.numpy()).tobytes() for variable in self._optimizer.variables]


class GraphRun(KerasRun):
    """The steps in one tf.function."""

    def __init__(self, window: int, jit_compile: bool) -> None:
        super().__init__(window)

        @tf.function(jit_compile=jit_compile)
        def steps(norms: Any) -> tuple[Any, Any]:
            scales = tf.TensorArray(tf.float32, norms.shape[0])
            totals = tf.TensorArray(tf.float32, norms.shape[0])
            for i in tf.range(norms.shape[0]):
                scale, total = self._step(norms[i])
                scales = scales.write(i, scale)
                totals = totals.write(i, total)
            return scales.stack(), totals.stack()

        self._in_graph = steps

    def _steps(self, norms: NDArray[np.float32]) -> Trace:
        return Trace(*(field.numpy() for field in self._in_graph(tf.constant(norms))))


class JaxRun(KerasRun):
    """Stateless steps, one call each of a compiled function, as Keras's JAX trainer makes them."""

    def __init__(self, window: int) -> None:
        super().__init__(window)
        import jax

        names = [variable.name for variable in self._optimizer.variables]
        scale, total = names.index("zenith_scale"), names.index("zenith_total")

        @jax.jit
        def step(state: list[Any], norm: Any) -> tuple[list[Any], tuple[Any, Any]]:
            _, state = self._optimizer.stateless_apply(state, [norm], [self._variable.value])
            return state, (state[scale], state[total])

        self._compiled = step

    def _steps(self, norms: NDArray[np.float32]) -> Trace:
        state = [variable.value for variable in self._optimizer.variables]
        results = []
        for norm in norms:
            state, result = self._compiled(state, norm)
            results.append(result)
        for variable, value in zip(self._optimizer.variables, state, strict=True):
            variable.assign(value)
        return Trace(*map(np.array, zip(*results, strict=True)))


MODES = {
    "tensorflow": {
        "eager": KerasRun,
        "tf.function": lambda window: GraphRun(window, jit_compile=False),
        "tf.function(jit_compile=True)": lambda window: GraphRun(window, jit_compile=True),
    },
    "jax": {"jit": JaxRun},
    "torch": {"eager": KerasRun},
}[BACKEND]


@contextlib.contextmanager
def _norms_handed_over() -> Iterator[None]:
    # Keras has no way to hand over a norm. That of the one-element gradient would be exact too,
    # but not where its square leaves float32.
    with mock.patch.object(_optimizer, "grad_norm", lambda grads: grads[0]):
        yield


def _to_numpy(tensors: tuple[Any, ...]) -> NDArray[np.float32]:
    return np.array([keras.ops.convert_to_numpy(tensor) for tensor in tensors])


class _Etas(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(float(keras.ops.convert_to_numpy(self.model.optimizer.scale)))


def train(problem: Problem, momentum: float) -> NDArray[np.float64]:
    """eta_t of `fit` with the callback."""
    model = keras.Sequential(
        [
            keras.layers.Input((problem.x.shape[2],)),
            keras.layers.Dense(len(problem.weights[1]), activation="tanh"),
            keras.layers.Dense(len(problem.weights[3])),
        ]
    )
    model.set_weights(problem.weights)
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=momentum),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    steps, batch, pixels = problem.x.shape
    etas = _Etas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the frameworks
        model.fit(
            problem.x.reshape(steps * batch, pixels),
            problem.y.reshape(steps * batch),
            batch_size=batch,
            shuffle=False,
            verbose=0,
            callbacks=[Zenith(window=WINDOW), etas],
        )
    return LEARNING_RATE * np.array(etas.seen)
