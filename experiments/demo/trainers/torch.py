"""The demo's runs in PyTorch."""

import copy
import math
from collections.abc import Callable
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.data import CLASSES, Data
from experiments.demo.models import EPSILON, KEEP, KERNEL, POOLED_BLOCKS, initial_parameters
from experiments.demo.record import Evaluation, Record, Settings, Step
from experiments.methods import METHODS, ModelBatch, Plan, Training
from experiments.methods.zenith import ZenithTraining
from experiments.threads import one_thread
from zenith.torch import grad_norm

_EVALUATED_AT_ONCE = 1000


def train(
    data: Data,
    method: str,
    settings: Settings,
    seed: int,
    on_step: Callable[[int], None],
) -> Record:
    """Train the demo's network on the CPU; see `experiments.demo.record.Trainer`."""
    with one_thread():
        return _train(data, method, settings, seed, on_step)


def _train(
    data: Data, method: str, settings: Settings, seed: int, on_step: Callable[[int], None]
) -> Record:
    record = Record("torch", method, seed)
    model = _network(data, seed)
    total_steps = settings.total_steps(data)
    plan = Plan(
        settings.lr,
        settings.momentum,
        window=settings.window,
        total_steps=total_steps,
        steps_per_epoch=total_steps // settings.epochs,
    )
    training = METHODS[method].start(model, plan)

    x_train, y_train = _images(data.x_train), torch.from_numpy(data.y_train)
    evaluation_steps = settings.evaluation_steps(data)
    _warm_up(model, x_train[: settings.batch], y_train[: settings.batch])

    for step, indices in enumerate(settings.batches(data, seed)):
        x, y = x_train[indices], y_train[indices]
        batch = ModelBatch(model, lambda x=x, y=y: cross_entropy(model(x), y))
        start = perf_counter()
        loss = training.step(batch)
        record.seconds += perf_counter() - start

        record.steps.append(_step(training, loss, model))
        record.diverged = not math.isfinite(record.steps[-1].loss)
        if step + 1 in evaluation_steps or record.diverged:
            with training.evaluating():
                record.evaluations.append(_evaluate(model, data, step + 1))
        on_step(step + 1)
        if record.diverged:
            break
    return record


def _step(training: Training, loss: Tensor, model: nn.Module) -> Step:
    # The gradient outlives the step, so the norm of the rivals is measured outside their time;
    # ZENITH's own is in its time, where it belongs.
    lr = training.effective_lr()
    if not isinstance(training, ZenithTraining):
        return Step(lr, float(grad_norm(p.grad for p in model.parameters())), loss.item())
    scheduler = training.scheduler
    norm = math.nan if scheduler.last_norm is None else scheduler.last_norm
    return Step(lr, norm, loss.item(), scheduler.mean, scheduler.zenith)


def _network(data: Data, seed: int) -> nn.Sequential:
    start = initial_parameters(data.x_train.shape[-1], CLASSES, seed)
    layers: list[nn.Module] = []
    for block, kernel in enumerate(start.kernels):
        channels_in, channels_out = kernel.shape[2:]
        convolution = nn.Conv2d(channels_in, channels_out, KERNEL, padding="same", bias=False)
        _set(convolution.weight, kernel.transpose(3, 2, 0, 1))
        normalisation = nn.BatchNorm2d(channels_out, EPSILON, momentum=1 - KEEP)
        layers += [convolution, normalisation, nn.ReLU()]
        if block < POOLED_BLOCKS:
            layers.append(nn.MaxPool2d(2))
    linear = nn.Linear(*start.linear.shape)
    _set(linear.weight, start.linear.T)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)


def _set(parameter: nn.Parameter, value: NDArray[np.float32]) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def _images(x: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()


def _warm_up(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """Pay for what the first pass sets up, outside the timed steps and on another model."""
    cross_entropy(copy.deepcopy(model)(x), y).backward()


@torch.no_grad()
def _evaluate(model: nn.Module, data: Data, step: int) -> Evaluation:
    model.eval()
    test_accuracy, test_loss = _accuracy_and_loss(model, data.x_test, data.y_test)
    _, train_loss = _accuracy_and_loss(model, *data.probe)
    model.train()
    return Evaluation(step, test_accuracy, test_loss, train_loss)


def _accuracy_and_loss(
    model: nn.Module, x: NDArray[np.float32], y: NDArray[np.int64]
) -> tuple[float, float]:
    right, loss = 0, 0.0
    for start in range(0, len(x), _EVALUATED_AT_ONCE):
        part = slice(start, start + _EVALUATED_AT_ONCE)
        logits, labels = model(_images(x[part])), torch.from_numpy(y[part])
        right += int((logits.argmax(1) == labels).sum())
        loss += float(cross_entropy(logits, labels, reduction="sum"))
    return right / len(x), loss / len(x)
