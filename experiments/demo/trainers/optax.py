"""The demo's runs in JAX: a Flax NNX network and an optax optimizer."""

import functools
import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from numpy.typing import NDArray

from experiments.data import CLASSES, Data
from experiments.demo.models import (
    CHANNELS,
    EPSILON,
    KEEP,
    KERNEL,
    POOLED_BLOCKS,
    initial_parameters,
)
from experiments.demo.record import Evaluation, Record, Settings, Step
from experiments.demo.schedules import MULTIPLIERS
from zenith.optax import ZenithState, grad_norm, zenith

_EVALUATED_AT_ONCE = 1000
# A net this small is slower on two threads, and the sums come in one order.
_ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}
_measured = jax.jit(grad_norm)


def train(
    data: Data,
    method: str,
    settings: Settings,
    seed: int,
    on_step: Callable[[int], None],
) -> Record:
    """Train the demo's network; see `experiments.demo.record.Trainer`."""
    record = Record("optax", method, seed)
    total_steps = settings.total_steps(data)
    graphs, state = _start(data, method, settings, seed)
    evaluation_steps = settings.evaluation_steps(data)
    x_train, y_train = jnp.asarray(data.x_train), jnp.asarray(data.y_train, jnp.int32)
    first = np.arange(settings.batch)
    jax.block_until_ready(_train_step(graphs, state, x_train, y_train, first))  # compiles

    for step, indices in enumerate(settings.batches(data, seed)):
        start = perf_counter()
        state, loss, grads, remembered = jax.block_until_ready(
            _train_step(graphs, state, x_train, y_train, indices)
        )
        record.seconds += perf_counter() - start

        norm = float(_measured(grads))
        if remembered is None:
            lr = settings.lr * MULTIPLIERS[method](step, total_steps)
            record.steps.append(Step(lr, norm, float(loss)))
        else:
            record.steps.append(_zenith_step(settings.lr, norm, float(loss), remembered))
        record.diverged = not math.isfinite(record.steps[-1].loss)
        if step + 1 in evaluation_steps or record.diverged:
            record.evaluations.append(_evaluate(graphs[0], state[0], data, step + 1))
        on_step(step + 1)
        if record.diverged:
            break
    return record


@functools.partial(jax.jit, static_argnums=0, compiler_options=_ONE_THREAD)
def _train_step(
    graphs: Any, state: Any, x_train: jax.Array, y_train: jax.Array, indices: jax.Array
) -> tuple[Any, jax.Array, Any, ZenithState | None]:
    """One step; the gradients leave it, so that norms are recorded outside its time.

    ZENITH measures its own norm in here, where it belongs.
    """
    model, optimizer = map(nnx.merge, graphs, state)

    def mean_loss(model: nnx.Sequential) -> jax.Array:
        logits = model(x_train[indices])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y_train[indices]).mean()

    loss, grads = nnx.value_and_grad(mean_loss)(model)
    optimizer.update(model, grads)
    remembered = optax.tree_utils.tree_get(nnx.as_pure(optimizer.opt_state), "ZenithState")
    return (nnx.state(model), nnx.state(optimizer)), loss, grads, remembered


def _zenith_step(lr: float, norm: float, loss: float, remembered: ZenithState) -> Step:
    count, window = int(remembered.count), len(remembered.norms)
    mean = float(remembered.total) / count if count else math.nan
    return Step(lr * float(remembered.scale), norm, loss, mean, float(remembered.peak) / window)


def _start(data: Data, method: str, settings: Settings, seed: int) -> tuple[Any, Any]:
    """The structure of model and optimizer, and what they hold at the start of a run."""
    channels = data.x_train.shape[-1]
    graphs, (_, of_optimizer) = _structure(channels, method, settings, settings.total_steps(data))
    weights = initial_parameters(channels, CLASSES, seed)
    model = _network(channels)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    for kernel, value in zip(kernels, (*weights.kernels, weights.linear), strict=True):
        kernel[...] = jnp.asarray(value)
    return graphs, (nnx.state(model), of_optimizer)


# One for all seeds, so that a method is compiled once; `_structure_of_model` one for all methods.
@functools.cache
def _structure(channels: int, method: str, settings: Settings, total_steps: int) -> tuple[Any, Any]:
    of_model, model_state = _structure_of_model(channels)
    model = nnx.merge(of_model, model_state)
    transformation = _transformation(method, settings, total_steps)
    of_optimizer, state = nnx.split(nnx.Optimizer(model, transformation, wrt=nnx.Param))
    return (of_model, of_optimizer), (model_state, state)


@functools.cache
def _structure_of_model(channels: int) -> tuple[Any, Any]:
    return nnx.split(_network(channels))


def _transformation(
    method: str, settings: Settings, total_steps: int
) -> optax.GradientTransformation:
    if method == "zenith":
        return zenith(optax.sgd(settings.lr, settings.momentum), settings.window)
    multiplier = MULTIPLIERS[method]
    rates = jnp.array([settings.lr * multiplier(i, total_steps) for i in range(total_steps)])
    return optax.sgd(lambda count: rates[count], settings.momentum)


def _network(channels: int) -> nnx.Sequential:
    rngs = nnx.Rngs(0)  # every layer asks for it; the weights are set in `_start`
    layers: list[Callable[..., Any]] = []
    for block, out in enumerate(CHANNELS):
        layers += [
            nnx.Conv(channels, out, (KERNEL, KERNEL), use_bias=False, rngs=rngs),
            nnx.BatchNorm(out, momentum=KEEP, epsilon=EPSILON, rngs=rngs),
            nnx.relu,
        ]
        if block < POOLED_BLOCKS:
            layers.append(functools.partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2)))
        channels = out
    mean = functools.partial(jnp.mean, axis=(1, 2))
    return nnx.Sequential(*layers, mean, nnx.Linear(channels, CLASSES, rngs=rngs))


def _evaluate(graph: Any, state: Any, data: Data, step: int) -> Evaluation:
    test_accuracy, test_loss = _accuracy_and_loss(graph, state, data.x_test, data.y_test)
    _, train_loss = _accuracy_and_loss(graph, state, *data.probe)
    return Evaluation(step, test_accuracy, test_loss, train_loss)


def _accuracy_and_loss(
    graph: Any, state: Any, x: NDArray[np.float32], y: NDArray[np.int64]
) -> tuple[float, float]:
    right, loss = 0, 0.0
    for start in range(0, len(x), _EVALUATED_AT_ONCE):
        part = slice(start, start + _EVALUATED_AT_ONCE)
        of_part = _right_and_loss(graph, state, x[part], y[part].astype(np.int32))
        right += int(of_part[0])
        loss += float(of_part[1])
    return right / len(x), loss / len(x)


@functools.partial(jax.jit, static_argnums=0, compiler_options=_ONE_THREAD)
def _right_and_loss(
    graph: Any, state: Any, x: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array]:
    model = nnx.merge(graph, state)
    model.eval()
    logits = model(x)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
    return jnp.sum(logits.argmax(1) == y), jnp.sum(losses)
