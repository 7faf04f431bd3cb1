"""ZENITH in the training loops and checkpoints of Flax, Equinox, Orbax and msgpack."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.oracle import algorithm_1
from zenith.optax import export_state, grad_norm, import_state, zenith

OPTIMIZER = zenith(optax.sgd(0.05, momentum=0.9), window=4)
STEPS = 12


def data():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((32, 6)), jnp.float32)
    return x, jnp.sum(jnp.sin(x), axis=1, keepdims=True)


def zenith_of(state):
    return optax.tree_utils.tree_get(state, "ZenithState")


def train(params, state, steps):
    x, y = data()

    @jax.jit
    def step(params, state):
        grads = jax.grad(lambda p: jnp.mean((jnp.tanh(x @ p["w1"]) @ p["w2"] - y) ** 2))(params)
        updates, state = OPTIMIZER.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def start():
    rng = np.random.default_rng(1)
    params = {
        "w1": jnp.asarray(0.5 * rng.standard_normal((6, 8)), jnp.float32),
        "w2": jnp.asarray(0.5 * rng.standard_normal((8, 1)), jnp.float32),
    }
    return params, OPTIMIZER.init(params)


def assert_same_bits(tree, other):
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, tree, other)
    assert [x.dtype for x in jax.tree.leaves(tree)] == [x.dtype for x in jax.tree.leaves(other)]


def test_flax_linen_train_state():
    pytest.importorskip("flax", reason="flax is not installed")
    from flax import linen as nn
    from flax.training.train_state import TrainState

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(nn.LayerNorm()(nn.tanh(nn.Dense(8)(x))))

    x, y = data()
    net, iterate = Net(), algorithm_1(4)
    variables = net.init(jax.random.key(0), x)
    state = TrainState.create(apply_fn=net.apply, params=variables["params"], tx=OPTIMIZER)

    @jax.jit
    def step(state):
        def loss(params):
            return jnp.mean((state.apply_fn({"params": params}, x) - y) ** 2)

        grads = jax.grad(loss)(state.params)
        return state.apply_gradients(grads=grads), grad_norm(grads)

    for _ in range(STEPS):
        state, norm = step(state)
        expected = iterate(float(norm))
        np.testing.assert_allclose(zenith_of(state.opt_state).scale, expected, rtol=1e-6)
    assert expected < 1


def test_flax_nnx_optimizer():
    pytest.importorskip("flax", reason="flax is not installed")
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(6, 8, rngs=rngs)
            self.norm = nnx.BatchNorm(8, rngs=rngs)
            self.last = nnx.Linear(8, 1, rngs=rngs)

        def __call__(self, x):
            return self.last(self.norm(jnp.tanh(self.first(x))))

    x, y = data()
    net, iterate = Net(nnx.Rngs(0)), algorithm_1(4)
    optimizer = nnx.Optimizer(net, OPTIMIZER, wrt=nnx.Param)

    @nnx.jit
    def step(net, optimizer):
        grads = nnx.grad(lambda net: jnp.mean((net(x) - y) ** 2))(net)
        optimizer.update(net, grads)
        return grad_norm(grads)

    for _ in range(STEPS):
        expected = iterate(float(step(net, optimizer)))
        scale = zenith_of(optimizer.opt_state).scale[...]
        np.testing.assert_allclose(scale, expected, rtol=1e-6)
    assert expected < 1

    portable = export_state(nnx.as_pure(optimizer.opt_state))
    assert len(portable["norms"]) == 4
    fresh = nnx.Optimizer(net, OPTIMIZER, wrt=nnx.Param)
    nnx.update(fresh.opt_state, nnx.state(import_state(nnx.as_pure(fresh.opt_state), portable)))
    assert export_state(nnx.as_pure(fresh.opt_state)) == portable
    step(net, fresh)


def test_equinox():
    equinox = pytest.importorskip("equinox", reason="equinox is not installed")

    x, y = data()
    net = equinox.nn.MLP(6, 1, 8, 1, jax.nn.tanh, key=jax.random.key(0))
    state, iterate = OPTIMIZER.init(equinox.filter(net, equinox.is_inexact_array)), algorithm_1(4)

    @equinox.filter_jit
    def step(net, state):
        grads = equinox.filter_grad(lambda net: jnp.mean((jax.vmap(net)(x) - y) ** 2))(net)
        updates, state = OPTIMIZER.update(grads, state, net)
        return equinox.apply_updates(net, updates), state, grad_norm(grads)

    for _ in range(STEPS):
        net, state, norm = step(net, state)
        expected = iterate(float(norm))
        np.testing.assert_allclose(state.zenith.scale, expected, rtol=1e-6)
    assert expected < 1


def test_equinox_serialisation_is_bit_exact(tmp_path):
    equinox = pytest.importorskip("equinox", reason="equinox is not installed")

    run = train(*start(), STEPS)
    equinox.tree_serialise_leaves(tmp_path / "run.eqx", run)
    restored = equinox.tree_deserialise_leaves(tmp_path / "run.eqx", start())
    assert_same_bits(restored, run)
    assert_same_bits(train(*restored, 5), train(*run, 5))


def test_orbax_restores_bit_exactly(tmp_path):
    checkpoint = pytest.importorskip("orbax.checkpoint", reason="orbax is not installed")

    params, state = train(*start(), STEPS)
    run = {"params": params, "state": state}
    with checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "run", run)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "run", jax.eval_shape(lambda: run))
    assert_same_bits(restored, run)
    assert_same_bits(train(restored["params"], restored["state"], 5), train(params, state, 5))


def test_msgpack_restores_bit_exactly():
    pytest.importorskip("flax", reason="flax is not installed")
    from flax import serialization

    run = train(*start(), STEPS)
    restored = serialization.from_bytes(start(), serialization.to_bytes(run))
    restored = jax.tree.map(jnp.asarray, restored)
    assert_same_bits(restored, run)
    assert_same_bits(train(*restored, 5), train(*run, 5))
