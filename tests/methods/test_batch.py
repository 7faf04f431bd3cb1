"""A forward pass leaves no trace: weights, buffers, random state and train mode, bit for bit."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch", reason="the methods need PyTorch")

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.methods import METHODS, ModelBatch, Plan, without_trace
from tests.methods.networks import network, same

X = torch.linspace(-1, 1, 16 * 36).reshape(16, 1, 6, 6)
Y = torch.arange(16) % 3
PROBING = [name for name, method in METHODS.items() if method.needs == "probes"]


def batch_of(model: nn.Module) -> ModelBatch:
    return ModelBatch(model, lambda: cross_entropy(model(X), Y))


def trace(model: nn.Module) -> list[Any]:
    """Everything that a forward pass may change."""
    state = [(name, value.clone()) for name, value in model.state_dict().items()]
    grads = [p.grad if p.grad is None else p.grad.clone() for p in model.parameters()]
    return [state, grads, torch.get_rng_state(), [module.training for module in model.modules()]]


def test_the_loss_at_the_same_weights_is_the_loss_to_the_last_bit() -> None:
    model = network()
    batch = batch_of(model)
    assert same(batch.gradient(), batch.loss())
    assert same(batch.loss(), batch.loss())


def test_a_random_layer_draws_for_the_loss_what_it_drew_for_the_gradient() -> None:
    model = network()
    batch = batch_of(model)
    first = batch.gradient()
    torch.rand(5)  # whatever else draws in between
    assert same(first, batch.loss())
    assert not same(first, batch_of(model).loss())


@pytest.mark.parametrize("mode", [True, False])
def test_the_loss_leaves_no_trace(mode: bool) -> None:
    model = network().train(mode)
    batch = batch_of(model)
    batch.gradient()
    before = trace(model)
    assert not batch.loss().requires_grad
    assert same(trace(model), before)


class TroubleError(Exception):
    pass


def interrupted(model: nn.Module) -> Callable[[], Tensor]:
    def compute() -> Tensor:
        model(X)
        model.eval()
        next(iter(model.buffers())).mul_(2)
        torch.rand(3)
        raise TroubleError

    return compute


def test_a_loss_that_raises_leaves_no_trace() -> None:
    model = network()
    before = trace(model)
    with pytest.raises(TroubleError):
        ModelBatch(model, interrupted(model)).loss()
    assert same(trace(model), before)


def test_a_nan_in_the_buffers_is_put_back_too() -> None:
    model = network()
    model[1].running_mean.fill_(float("nan"))
    before = trace(model)
    batch_of(model).loss()
    assert same(trace(model), before)


def test_a_buffer_that_was_replaced_is_the_old_one_again() -> None:
    model = network()
    buffer = model[1].running_mean
    with without_trace(model):
        model[1].running_mean = torch.ones(4)
    assert model[1].running_mean is buffer
    assert same(buffer, torch.zeros(4))


@pytest.mark.parametrize(
    ("name", "at"),
    [(name, at) for name in PROBING for at in ([1] if METHODS[name].probes == 1 else [1, 2])],
)
def test_a_probe_that_raises_leaves_weights_buffers_and_memory(name: str, at: int) -> None:
    model = network()
    training = METHODS[name].start(model, Plan())
    batch = batch_of(model)
    for _ in range(4):  # GeN probes at every fourth step
        training.step(batch)
    calls = 0

    class Breaking(ModelBatch):
        def loss(self) -> Tensor:
            nonlocal calls
            calls += 1
            if calls == at:
                raise TroubleError
            return super().loss()

    weights = [p.detach().clone() for p in model.parameters()]
    memory = copy.deepcopy(training.state_dict())
    with pytest.raises(TroubleError):
        training.step(Breaking(model, lambda: cross_entropy(model(X), Y)))
    assert calls == at
    assert same([p.detach() for p in model.parameters()], weights)
    assert same(training.state_dict(), memory)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", PROBING)
def test_a_probe_that_is_not_finite_skips_the_step(name: str, bad: float) -> None:
    model = network()
    training = METHODS[name].start(model, Plan())
    batch = batch_of(model)
    for _ in range(4):
        training.step(batch)

    class Bad(ModelBatch):
        def loss(self) -> Tensor:
            return super().loss() * 0 + bad

    weights = [p.detach().clone() for p in model.parameters()]
    memory = copy.deepcopy(training.state_dict())
    training.step(Bad(model, lambda: cross_entropy(model(X), Y)))
    assert training.effective_lr() == 0
    assert same([p.detach() for p in model.parameters()], weights)
    after = copy.deepcopy(training.state_dict())
    for state in (memory, after):  # the one thing that tells of the step
        state["lr"] = 0.0
        for group in state["optimizer"]["param_groups"]:
            group["step_size"] = 0.0
    assert same(after, memory)
    training.step(batch)
    assert training.effective_lr() != 0


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.source == "by hand"])
def test_a_loss_that_is_not_finite_skips_the_step(name: str) -> None:
    model = network()
    training = METHODS[name].start(model, Plan())
    training.step(batch_of(model))
    weights = [p.detach().clone() for p in model.parameters()]
    training.step(ModelBatch(model, lambda: cross_entropy(model(X), Y) * float("nan")))
    assert training.effective_lr() == 0
    assert same([p.detach() for p in model.parameters()], weights)
    training.step(batch_of(model))
    assert all(torch.isfinite(p).all() for p in model.parameters())
