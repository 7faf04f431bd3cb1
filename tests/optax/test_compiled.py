"""A train step with ZENITH in it: one program, on the device, the same in a loop and in a scan."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import export, lax

from zenith.optax import scale_by_zenith, zenith

OPTIMIZER = zenith(optax.sgd(0.05, momentum=0.9), window=500)


def problem(seed=0):
    rng = np.random.default_rng(seed)
    params = {
        "w1": jnp.asarray(0.5 * rng.standard_normal((6, 8)), jnp.float32),
        "w2": jnp.asarray(0.5 * rng.standard_normal((8, 1)), jnp.float32),
    }
    x = jnp.asarray(rng.standard_normal((32, 6)), jnp.float32)
    return params, (x, jnp.sum(jnp.sin(x), axis=1, keepdims=True))


def loss(params, batch):
    x, y = batch
    return jnp.mean((jnp.tanh(x @ params["w1"]) @ params["w2"] - y) ** 2)


def train_step(params, state, batch, optimizer=OPTIMIZER):
    value, grads = jax.value_and_grad(loss)(params, batch)
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state, value


def assert_same_bits(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_one_compilation_without_transfers_across_the_filling_of_the_window():
    params, batch = problem()
    state = OPTIMIZER.init(params)
    step = jax.jit(train_step)
    params, state, _ = step(params, state, batch)
    with jax.transfer_guard("disallow"):
        for _ in range(999):
            params, state, _ = step(params, state, batch)
    assert step._cache_size() == 1
    assert state.zenith.count == 500
    assert 0 < state.zenith.scale < 1


def test_donated_buffers_are_reused_and_change_nothing():
    params, batch = problem()
    state = OPTIMIZER.init(params)
    plain, donating = jax.jit(train_step), jax.jit(train_step, donate_argnums=(0, 1))
    mine = jax.tree.map(jnp.array, (params, state))
    for _ in range(10):
        params, state, _ = plain(params, state, batch)
        given = mine
        *mine, _ = donating(*given, batch)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(tuple(given)))
    assert_same_bits(mine, [params, state])


def test_scan_equals_the_loop_bit_for_bit():
    optimizer = zenith(optax.sgd(0.05, momentum=0.9), window=20)
    params, batch = problem()
    body = functools.partial(train_step, batch=batch, optimizer=optimizer)

    def step(carry, _):
        params, state, value = body(*carry)
        return (params, state), (value, state.zenith.scale)

    carry = params, optimizer.init(params)
    scanned, outputs = lax.scan(step, carry, length=200)
    jitted = jax.jit(step)
    looped = []
    for _ in range(200):
        carry, output = jitted(carry, None)
        looped.append(output)
    assert_same_bits(scanned, carry)
    assert_same_bits(outputs, jax.tree.map(lambda *leaves: jnp.stack(leaves), *looped))
    assert outputs[1][-1] < 1


def test_vmap_over_eight_seeds_equals_eight_runs():
    optimizer = zenith(optax.sgd(0.05), window=10)
    runs = [problem(seed) for seed in range(8)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
    step = functools.partial(train_step, optimizer=optimizer)

    def train(of_one, params, batch):
        state, of_one = optimizer.init(params), jax.jit(of_one)
        if params["w1"].ndim == 3:
            state = jax.vmap(optimizer.init)(params)
        for _ in range(30):
            params, state, _ = of_one(params, state, batch)
        return state.zenith.scale

    together = train(jax.vmap(step), *stacked)
    apart = [train(step, *run) for run in runs]
    assert len(np.unique(apart)) == 8
    np.testing.assert_allclose(together, apart, rtol=1e-5)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_exports_for_every_platform_without_float64(platform):
    params, batch = problem()
    arguments = jax.eval_shape(lambda: (params, OPTIMIZER.init(params), batch))
    exported = export.export(jax.jit(train_step), platforms=[platform])(*arguments)
    module = exported.mlir_module()
    assert "tensor<500xf32>" in module
    assert "f64" not in module
    assert exported.platforms == (platform,)


def test_the_exported_module_continues_the_run():
    params, batch = problem()
    state = OPTIMIZER.init(params)
    step = jax.jit(train_step)
    exported = export.export(step)(params, state, batch)
    expected, received = step(params, state, batch), exported.call(params, state, batch)
    assert_same_bits(received, expected)


@pytest.mark.parametrize("window", [5, 500])
def test_a_second_update_compiles_nothing_new(window):
    optimizer = scale_by_zenith(window)
    params, _ = problem()
    update = jax.jit(optimizer.update)
    state = jax.jit(optimizer.init)(params)
    for _ in range(3):
        _, state = update(params, state, params)
    assert update._cache_size() == 1
