"""A run continues from the portable state bit for bit, in JAX and in NumPy."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.optax.norms import hard_norms
from zenith import core
from zenith.optax import ZenithSchedule, ZenithState, export_state, import_state, zenith

WRAPPERS = {
    "zenith": lambda tx: tx,
    "chain": lambda tx: optax.chain(optax.clip(1.0), tx),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 1).gradient_transformation(),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
}


@pytest.fixture(params=WRAPPERS)
def optimizer(request):
    return WRAPPERS[request.param](zenith(optax.sgd(0.1, momentum=0.9), window=5))


def advance(optimizer, state, norms):
    for norm in norms:
        _, state = optimizer.update(jnp.zeros(3), state, jnp.zeros(3), grad_norm=norm)
    return state


def zenith_of(state):
    return optax.tree_utils.tree_get(state, "ZenithState")


def test_a_run_continues_bit_for_bit_from_every_step(optimizer):
    norms = hard_norms(16, seed=0)
    fresh = optimizer.init(jnp.zeros(3))
    state = fresh
    for step, norm in enumerate(norms):
        portable = json.loads(json.dumps(export_state(state)))
        resumed = import_state(fresh, portable)
        assert jax.tree.structure(resumed) == jax.tree.structure(state)
        for mine, theirs in zip(zenith_of(resumed), zenith_of(state), strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert (mine.dtype, mine.weak_type) == (theirs.dtype, theirs.weak_type)
        state = advance(optimizer, state, [norm])
        assert step < 5 or zenith_of(state).count == 5


def test_a_run_of_the_core_continues_here_and_back():
    norms = hard_norms(60, seed=1)
    optimizer = zenith(optax.sgd(0.1), window=7)
    state, expected = optimizer.init(jnp.zeros(3)), core.init(7)
    for start in range(0, 60, 20):
        state = import_state(state, core.to_portable(expected))
        state = advance(optimizer, state, norms[start : start + 20])
        for norm in norms[start : start + 20]:
            expected = core.update(expected, norm)
        assert export_state(state) == core.to_portable(expected)


def test_importing_changes_nothing_in_place(optimizer):
    state = advance(optimizer, optimizer.init(jnp.zeros(3)), [3.0, 2.0])
    before = jax.tree.map(np.array, state)
    import_state(state, core.to_portable(core.init(5)))
    jax.tree.map(np.testing.assert_array_equal, state, before)


def test_importing_neither_recompiles_nor_binds_to_a_device(optimizer):
    state = optimizer.init(jnp.zeros(3))
    update = jax.jit(optimizer.update)
    update(jnp.zeros(3), state, jnp.zeros(3))
    imported = import_state(state, export_state(state))
    update(jnp.zeros(3), imported, jnp.zeros(3))
    assert update._cache_size() == 1
    assert not zenith_of(imported).norms.committed


def test_the_floor_is_shown_at_once():
    optimizer = zenith(optax.sgd(0.1), window=2, min_scale=0.7)
    state = advance(optimizer, optimizer.init(jnp.zeros(3)), [4.0, 4.0, 1.0, 1.0])
    resumed = import_state(optimizer.init(jnp.zeros(3)), export_state(state), min_scale=0.7)
    assert resumed.zenith.scale == state.zenith.scale == np.float32(0.7)


def test_the_state_of_a_schedule_is_found():
    optimizer = optax.inject_hyperparams(optax.sgd)(ZenithSchedule(0.1, window=2))
    state = optimizer.init(jnp.zeros(3))
    _, state = optimizer.update(jnp.ones(3), state, jnp.zeros(3), grad_norm=2.0)
    assert export_state(state)["norms"] == [2.0]
    assert import_state(state, export_state(state)) is not state


@pytest.mark.parametrize("state", [(), {"a": jnp.ones(2)}, optax.sgd(0.1).init(jnp.ones(2))])
def test_a_state_without_zenith_is_refused(state):
    with pytest.raises(ValueError, match=r"exactly one ZENITH state\. Received: 0"):
        export_state(state)


def test_a_state_with_two_is_refused():
    optimizer = optax.chain(zenith(optax.identity()), zenith(optax.sgd(0.1)))
    with pytest.raises(ValueError, match=r"exactly one ZENITH state\. Received: 2"):
        export_state(optimizer.init(jnp.ones(2)))


def test_a_batched_state_is_refused_and_one_run_of_it_is_not():
    optimizer = zenith(optax.sgd(0.1), window=2)
    state = jax.vmap(optimizer.init)(jnp.zeros((8, 3)))
    with pytest.raises(ValueError, match=r"one run. Received: norms of shape \(8, 2\)"):
        export_state(state)
    assert export_state(jax.tree.map(lambda x: x[3], state))["window"] == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"window": 3}, "window"),
        ({"norms": [1.0, np.nan]}, "norms"),
        ({"peak": -1.0}, "peak"),
        ({"skipped": 1.5}, "skipped"),
        ({"format": 2}, "format"),
        ({"foreign": 0}, "foreign"),
    ],
)
def test_a_broken_portable_state_is_refused_by_the_name_of_its_key(change, named):
    state = zenith(optax.sgd(0.1), window=2).init(jnp.zeros(3))
    with pytest.raises(ValueError, match=named):
        import_state(state, export_state(state) | change)


def test_states_in_numpy_are_read_and_become_jax_arrays():
    optimizer = zenith(optax.sgd(0.1), window=2)
    state = jax.tree.map(np.asarray, advance(optimizer, optimizer.init(jnp.zeros(3)), [3.0]))
    resumed = import_state(state, export_state(state))
    assert isinstance(resumed.zenith, ZenithState)
    assert all(isinstance(leaf, jax.Array) for leaf in resumed.zenith)
