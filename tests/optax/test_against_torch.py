"""The same run in JAX and in PyTorch: one learning rate, one state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zenith.optax

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
zenith_torch = pytest.importorskip("zenith.torch")

WINDOW, STEPS, LR = 50, 1000, 0.05
RNG = np.random.default_rng(1)
# Smooth throughout: with a kink, one rounding error may put a unit on its other side.
W1, W2 = 0.4 * RNG.standard_normal((10, 32)), 0.2 * RNG.standard_normal((32, 1))
X = RNG.standard_normal((STEPS, 64, 10)).astype(np.float32)
Y = np.sin(X).sum(axis=2, keepdims=True) / np.sqrt(10, dtype=np.float32)

METHODS = {
    "plain": ({}, optax.sgd(LR)),
    "momentum": ({"momentum": 0.9}, optax.sgd(LR, momentum=0.9)),
    "nesterov": (
        {"momentum": 0.9, "nesterov": True},
        optax.sgd(LR, momentum=0.9, nesterov=True),
    ),
    "weight decay": (
        {"momentum": 0.9, "weight_decay": 5e-4},
        optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(LR, momentum=0.9)),
    ),
}


def torch_run(settings):
    weights = [torch.nn.Parameter(torch.tensor(w, dtype=torch.float32)) for w in (W1, W2)]
    optimizer = torch.optim.SGD(weights, LR, **settings)
    scheduler = zenith_torch.Zenith(optimizer, window=WINDOW)
    rates = []
    for x, y in zip(torch.from_numpy(X), torch.from_numpy(Y), strict=True):
        optimizer.zero_grad()
        torch.mean((torch.tanh(x @ weights[0]) @ weights[1] - y) ** 2).backward()
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return np.array(rates), [w.detach().numpy() for w in weights], scheduler


def optax_run(optimizer):
    def loss(weights, x, y):
        return jnp.mean((jnp.tanh(x @ weights[0]) @ weights[1] - y) ** 2)

    @jax.jit
    def step(weights, state, x, y):
        grads = jax.grad(loss)(weights, x, y)
        updates, state = optimizer.update(grads, state, weights)
        return optax.apply_updates(weights, updates), state

    weights = [jnp.asarray(w, jnp.float32) for w in (W1, W2)]
    state = optimizer.init(weights)
    rates = []
    for x, y in zip(X, Y, strict=True):
        weights, state = step(weights, state, x, y)
        rates.append(LR * float(optax.tree_utils.tree_get(state, "ZenithState").scale))
    return np.array(rates), weights, state


@pytest.mark.parametrize("method", METHODS)
def test_eta_agrees_over_a_thousand_steps(method):
    settings, inner = METHODS[method]
    expected, expected_weights, _ = torch_run(settings)
    rates, weights, _ = optax_run(zenith.optax.zenith(inner, WINDOW))
    assert expected.min() < 0.5 * LR
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    for mine, theirs in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


SGD, SCALE = optax.sgd(LR, momentum=0.9), zenith.optax.scale_by_zenith(WINDOW)


@pytest.mark.parametrize(
    ("chain", "apart"),
    [(optax.chain(SCALE, SGD), (0.01, 0.1)), (optax.chain(SGD, SCALE), (0.1, 0.4))],
    ids=["scaled before momentum, as Keras does", "measured after momentum, which is wrong"],
)
def test_the_other_spellings_are_other_optimizers(chain, apart):
    expected, _, _ = torch_run({"momentum": 0.9})
    rates, _, _ = optax_run(chain)
    assert apart[0] < np.max(np.abs(rates / expected - 1)) < apart[1]


def test_a_run_moves_from_torch_to_jax_and_back_bit_for_bit():
    _, _, scheduler = torch_run({"momentum": 0.9})
    portable = zenith_torch.export_state(scheduler)
    optimizer = zenith.optax.zenith(optax.sgd(LR), WINDOW)
    state = zenith.optax.import_state(optimizer.init(jnp.zeros(1)), portable)
    assert zenith.optax.export_state(state) == portable
    assert LR * float(state.zenith.scale) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-7)

    for norm in (1.0, 2.0, 0.5):
        _, state = optimizer.update(jnp.zeros(1), state, grad_norm=norm)
    zenith_torch.import_state(scheduler, zenith.optax.export_state(state))
    assert zenith_torch.export_state(scheduler) == zenith.optax.export_state(state)
    assert scheduler.scale == float(state.zenith.scale)
