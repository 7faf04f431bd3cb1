"""Claims about eight devices; `test_devices.py` runs this file in a process that has them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zenith.optax import export_state, grad_norm, import_state, zenith

P = PartitionSpec
OPTIMIZER = zenith(optax.sgd(0.05, momentum=0.9), window=5)
STEPS = 12
MESH = Mesh(np.array(jax.devices()), ("data",))
REPLICATED = P()
SHARED, SPLIT = NamedSharding(MESH, REPLICATED), NamedSharding(MESH, P("data"))

if hasattr(jax, "shard_map"):
    shard_map = functools.partial(jax.shard_map, mesh=MESH)
    UNCHECKED = {"check_vma": False}
else:
    from jax.experimental.shard_map import shard_map

    shard_map = functools.partial(shard_map, mesh=MESH)
    UNCHECKED = {"check_rep": False}
needs_varying_types = pytest.mark.skipif(
    not hasattr(lax, "pcast"), reason="this JAX keeps no account of what varies between devices"
)


def problem():
    rng = np.random.default_rng(0)
    params = {
        "w1": jnp.asarray(0.5 * rng.standard_normal((8, 16)), jnp.float32),
        "w2": jnp.asarray(0.5 * rng.standard_normal((16, 1)), jnp.float32),
    }
    x = jnp.asarray(rng.standard_normal((64, 8)), jnp.float32)
    return params, (x, jnp.sum(jnp.sin(x), axis=1, keepdims=True))


def loss(params, batch):
    x, y = batch
    return jnp.mean((jnp.tanh(x @ params["w1"]) @ params["w2"] - y) ** 2)


def step_on(gradient, params, state, batch):
    updates, state = OPTIMIZER.update(gradient(params, batch), state, params)
    return optax.apply_updates(params, updates), state


plain_step = functools.partial(step_on, jax.grad(loss))


def on_the_mesh(step, out_specs=REPLICATED, **kwargs):
    return shard_map(
        step, in_specs=(REPLICATED, REPLICATED, P("data")), out_specs=out_specs, **kwargs
    )


def train(step, params, state, batch):
    norms = []
    for _ in range(STEPS):
        params, state = step(params, state, batch)
        norms.append(float(np.ravel(state.zenith.norms)[-1]))
    return norms, state


@pytest.fixture(scope="module")
def expected():
    params, batch = problem()
    norms, state = train(jax.jit(plain_step), params, OPTIMIZER.init(params), batch)
    return norms, float(state.zenith.scale)


def assert_as_on_one_device(norms, state, expected):
    np.testing.assert_allclose(norms, expected[0], rtol=1e-6)
    np.testing.assert_allclose(state.zenith.scale, expected[1], rtol=1e-6)
    assert all(leaf.sharding.is_fully_replicated for leaf in state.zenith)


def test_there_are_eight_devices():
    assert jax.device_count() == 8


@pytest.mark.parametrize("params_sharding", [SHARED, SPLIT], ids=["data parallel", "fully sharded"])
def test_named_sharding_gives_the_norm_of_one_device(params_sharding, expected):
    params, batch = problem()
    params, batch = jax.device_put(params, params_sharding), jax.device_put(batch, SPLIT)
    norms, state = train(jax.jit(plain_step), params, jax.jit(OPTIMIZER.init)(params), batch)
    assert_as_on_one_device(norms, state, expected)


def test_fully_sharded_parameters_are_not_gathered_for_the_norm():
    params, _ = problem()
    params = jax.device_put(params, SPLIT)
    program = jax.jit(grad_norm).lower(params).compile().as_text()
    assert "all-reduce" in program
    assert "all-gather" not in program


@needs_varying_types
def test_shard_map_with_the_mean_inside_the_loss(expected):
    """Right: the gradient of the global mean; shard_map sums over the devices by itself."""

    def mean_loss(params, batch):
        return lax.pmean(loss(params, batch), "data")

    params, batch = problem()
    step = functools.partial(step_on, jax.grad(mean_loss))
    step = on_the_mesh(step)
    norms, state = train(jax.jit(step), params, OPTIMIZER.init(params), batch)
    assert_as_on_one_device(norms, state, expected)


def mean_of_local_gradients(params, batch):
    grads = jax.grad(loss)(params, batch)
    return lax.pmean(grads, "data")


def test_shard_map_without_varying_types_with_the_mean_of_the_gradients(expected):
    """Right: with check_vma=False every gradient is local until the program averages it."""
    params, batch = problem()
    step = functools.partial(step_on, mean_of_local_gradients)
    step = on_the_mesh(step, **UNCHECKED)
    norms, state = train(jax.jit(step), params, OPTIMIZER.init(params), batch)
    assert_as_on_one_device(norms, state, expected)


@needs_varying_types
def test_a_mean_after_the_implicit_sum_is_eight_times_too_large(expected):
    """Wrong, and silent: the gradient is a sum already, and a mean of equal values divides by 1."""
    params, batch = problem()
    step = functools.partial(step_on, mean_of_local_gradients)
    step = on_the_mesh(step)
    norms, _ = train(jax.jit(step), params, OPTIMIZER.init(params), batch)
    np.testing.assert_allclose(norms[0], 8 * expected[0][0], rtol=1e-6)


def local_gradient(params, batch):
    return jax.grad(loss)(lax.pcast(params, "data", to="varying"), batch)


@needs_varying_types
def test_a_local_gradient_is_reported():
    """Wrong, and reported: every device would have its own norm, and the state only one place."""
    params, batch = problem()
    step = on_the_mesh(functools.partial(step_on, local_gradient))
    with pytest.raises(ValueError, match=r"same on every device.*'data'.*pmean"):
        jax.jit(step)(params, OPTIMIZER.init(params), batch)


@needs_varying_types
def test_a_local_gradient_passes_with_the_global_norm_handed_over(expected):
    optimizer = zenith(optax.identity(), window=5)

    def state_after(params, state, batch):
        local = local_gradient(params, batch)
        norm = grad_norm(lax.pmean(local, "data"))
        return optimizer.update(local, state, params, grad_norm=norm)[1]

    params, batch = problem()
    step = on_the_mesh(state_after, out_specs=REPLICATED)
    state = jax.jit(step)(params, optimizer.init(params), batch)
    np.testing.assert_allclose(state.zenith.norms[-1], expected[0][0], rtol=1e-6)


@needs_varying_types
def test_one_model_per_device_has_one_state_per_device():
    """An ensemble: local gradients are right where the state is local too."""
    params, (x, y) = problem()
    params = jax.tree.map(lambda leaf: jnp.stack([leaf] * 8), params)
    states = jax.vmap(OPTIMIZER.init)(params)

    def step(*stacked):
        one = jax.tree.map(lambda leaf: leaf[0], stacked)
        return jax.tree.map(lambda leaf: leaf[None], plain_step(*one))

    everywhere = shard_map(step, in_specs=(P("data"),) * 3, out_specs=P("data"))
    batch = x.reshape(8, 8, -1), y.reshape(8, 8, 1)
    _, states = jax.jit(everywhere)(params, states, batch)
    assert len(np.unique(states.zenith.norms[:, -1])) == 8


def by_device(gradient):
    """The state after one step of `jax.pmap`, each device with its own batch and copies."""
    params, (x, y) = problem()
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 8), (params, OPTIMIZER.init(params)))
    batch = x.reshape(8, 8, -1), y.reshape(8, 8, 1)
    _, state = jax.pmap(functools.partial(step_on, gradient), "data")(*stacked, batch)
    return state.zenith


def test_pmap_with_the_mean_of_the_gradients(expected):
    norms = np.asarray(by_device(mean_of_local_gradients).norms[:, -1])
    np.testing.assert_allclose(norms, np.full(8, expected[0][0]), rtol=1e-6)


def test_pmap_with_local_gradients_gives_every_device_its_own_norm():
    """Wrong, and silent: pmap keeps no account of what varies."""
    assert len(np.unique(by_device(jax.grad(loss)).norms[:, -1])) == 8


def test_import_keeps_the_state_on_every_device():
    params, _ = problem()
    state = jax.device_put(OPTIMIZER.init(params), SHARED)
    imported = import_state(state, export_state(state))
    assert all(leaf.sharding == SHARED for leaf in imported.zenith)
