"""The demo's runs in Keras, on whichever backend KERAS_BACKEND names."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (Keras is not annotated)

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports its CPU features

import keras
import numpy as np
from numpy.typing import NDArray

from experiments.data import CLASSES, Data
from experiments.demo.models import EPSILON, KEEP, KERNEL, POOLED_BLOCKS, initial_parameters
from experiments.demo.record import Evaluation, Record, Settings, Step
from experiments.demo.schedules import MULTIPLIERS
from zenith.keras import ZenithSGD, export_state

_EVALUATED_AT_ONCE = 1000
_LAYOUT = "channels_last"  # of the data, whatever the user's keras.json says


def train(
    data: Data,
    method: str,
    settings: Settings,
    seed: int,
    on_step: Callable[[int], None],
) -> Record:
    """Train the demo's network; see `experiments.demo.record.Trainer`.

    The rivals run on the same optimizer, with a window that never fills: their learning rate is the
    schedule's, and the norm that is recorded of them is measured inside their time. So `seconds`
    compares the methods at equal measuring; benchmarks/keras_cost.py says what measuring costs.
    """
    with _one_thread():
        return _train(data, method, settings, seed, on_step)


def _train(
    data: Data, method: str, settings: Settings, seed: int, on_step: Callable[[int], None]
) -> Record:
    keras.utils.clear_session()
    record = Record("keras", method, seed)
    total_steps = settings.total_steps(data)
    follows = method == "zenith"
    window = settings.window if follows else total_steps + 1
    optimizer = ZenithSGD(settings.lr, settings.momentum, window=window)
    model = _network(data, seed)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    multiplier = MULTIPLIERS.get(method)
    evaluation_steps = settings.evaluation_steps(data)
    _warm_up(model, data, settings.batch)

    for step, indices in enumerate(settings.batches(data, seed)):
        if multiplier is not None:
            optimizer.learning_rate = settings.lr * multiplier(step, total_steps)
        x, y = data.x_train[indices], data.y_train[indices]
        start = perf_counter()
        loss = float(model.train_on_batch(x, y))
        record.seconds += perf_counter() - start

        record.steps.append(_step(optimizer, loss, follows))
        record.diverged = not math.isfinite(loss)
        if step + 1 in evaluation_steps or record.diverged:
            record.evaluations.append(_evaluate(model, data, step + 1))
        on_step(step + 1)
        if record.diverged:
            break
    return record


def _step(optimizer: ZenithSGD, loss: float, follows: bool) -> Step:
    step = Step(float(optimizer.learning_rate), float(optimizer.grad_norm), loss)
    if not follows:
        return step
    state = export_state(optimizer)
    norms: list[float] = state["norms"]
    return step._replace(
        mean=math.fsum(norms) / max(len(norms), 1), zenith=state["peak"] / state["window"]
    )


def _network(data: Data, seed: int) -> Any:
    start = initial_parameters(data.x_train.shape[-1], CLASSES, seed)
    layers = keras.layers
    model: Any = keras.Sequential([layers.Input(data.x_train.shape[1:])])
    for block, kernel in enumerate(start.kernels):
        convolution = layers.Conv2D(
            kernel.shape[-1], KERNEL, padding="same", use_bias=False, data_format=_LAYOUT
        )
        model.add(convolution)
        convolution.set_weights([kernel])
        model.add(layers.BatchNormalization(momentum=KEEP, epsilon=EPSILON))
        model.add(layers.ReLU())
        if block < POOLED_BLOCKS:
            model.add(layers.MaxPooling2D(data_format=_LAYOUT))
    model.add(layers.GlobalAveragePooling2D(data_format=_LAYOUT))
    linear = layers.Dense(CLASSES)
    model.add(linear)
    linear.set_weights([start.linear, np.zeros(CLASSES, np.float32)])
    return model


def _warm_up(model: Any, data: Data, batch: int) -> None:
    """Compile outside the timed steps: take one, and put every variable back."""
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [np.array(variable.numpy()) for variable in variables]
    model.train_on_batch(data.x_train[:batch], data.y_train[:batch])
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def _evaluate(model: Any, data: Data, step: int) -> Evaluation:
    test_accuracy, test_loss = _accuracy_and_loss(model, data.x_test, data.y_test)
    _, train_loss = _accuracy_and_loss(model, *data.probe)
    return Evaluation(step, test_accuracy, test_loss, train_loss)


def _accuracy_and_loss(
    model: Any, x: NDArray[np.float32], y: NDArray[np.int64]
) -> tuple[float, float]:
    logits = np.asarray(model.predict(x, batch_size=_EVALUATED_AT_ONCE, verbose=0), np.float64)
    with np.errstate(invalid="ignore"):  # a model that diverged
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_sums = np.log(np.exp(shifted).sum(axis=1))
        losses = log_sums - shifted[np.arange(len(y)), y]
    return float(np.mean(logits.argmax(axis=1) == y)), float(losses.mean())


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread on torch, as in the torch trainer; the others size their own pools."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
