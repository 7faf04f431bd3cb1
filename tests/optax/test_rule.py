"""The rule on JAX arrays gives the bits of `zenith.core` on NumPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from tests.optax.norms import hard_norms
from tests.oracle import ExactRule
from zenith import core
from zenith.core import ZenithState
from zenith.optax._rule import Rule

SAFEGUARDS = [{}, {"min_scale": 0.1}, {"spike_factor": 3.0}, {"min_scale": 0.3, "spike_factor": 2}]


def rule_of(window, min_scale=0.0, spike_factor=None):
    return Rule(window, min_scale, spike_factor)


def core_states(window, norms, **safeguards):
    state = core.init(window)
    for norm in norms:
        state = core.update(state, norm, **safeguards)
        yield state


def core_scales(window, norms, **safeguards):
    scales = (state.scale for state in core_states(window, norms, **safeguards))
    return np.fromiter(scales, np.float32, len(norms))


@partial(jax.jit, static_argnums=0)
def scan(rule, state, norms):
    def step(state, norm):
        state = rule.update(state, norm)
        return state, state.scale

    return lax.scan(step, state, norms)


def assert_same_bits(received, expected):
    for name, mine, theirs in zip(ZenithState._fields, received, expected, strict=True):
        mine = np.asarray(mine)
        assert mine.dtype == theirs.dtype, name
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


def test_scan_equals_the_core_bit_for_bit_over_a_million_steps():
    norms = hard_norms(1_000_000, seed=0)
    rule = rule_of(500)
    state, scales = scan(rule, rule.init(), norms)
    expected = core_scales(500, norms)
    assert len(np.unique(expected)) > 800_000
    np.testing.assert_array_equal(np.asarray(scales), expected)
    assert state.skipped > 1000


@pytest.mark.parametrize("window", [1, 5, 500])
def test_jitted_steps_equal_the_core_bit_for_bit(window):
    norms = hard_norms(20_000, seed=window)
    rule = rule_of(window)
    step = jax.jit(rule.update)
    state = rule.init()
    for norm, expected in zip(norms, core_states(window, norms), strict=True):
        state = step(state, norm)
        assert_same_bits(state, expected)


@pytest.mark.parametrize("safeguards", SAFEGUARDS)
def test_vmap_over_eight_seeds_equals_eight_runs_of_the_core(safeguards):
    norms = np.stack([hard_norms(3_000, seed) for seed in range(8)])
    rule = rule_of(50, **safeguards)
    scales = jax.vmap(lambda of_seed: scan(rule, rule.init(), of_seed)[1])(norms)
    expected = [core_scales(50, of_seed, **safeguards) for of_seed in norms]
    np.testing.assert_array_equal(np.asarray(scales), expected)


refused = st.sampled_from([-1.0, -np.inf, np.inf, np.nan])
any_norm = st.floats(width=32) | refused
# A range of 2^19 for a window of 8: as far as two float32 hold the sum exactly.
summable = st.floats(2**-9, 2**10, width=32) | st.sampled_from([0.0, -0.0, 1e-40, -1e-40]) | refused


@settings(max_examples=60)
@given(norms=st.lists(summable, min_size=1, max_size=40), window=st.sampled_from([1, 3, 8]))
def test_every_sequence_has_the_bits_of_the_exact_sum(norms, window):
    oracle, rule = ExactRule(window), rule_of(window)
    state = rule.init()
    for norm in norms:
        oracle.push(norm)
        state = jitted(rule, window)(state, np.float32(norm))
        assert state.total == oracle.total
        assert state.peak == oracle.peak
        assert state.scale == oracle.scale
        assert state.skipped == oracle.skipped


@settings(max_examples=60)
@given(norms=st.lists(any_norm, min_size=1, max_size=40), window=st.sampled_from([1, 3, 8]))
def test_the_sum_is_within_one_unit_whatever_the_range(norms, window):
    """Beyond the range a tie may be broken the other way: 2^56 and 2 in one window."""
    oracle, rule = ExactRule(window), rule_of(window)
    state = rule.init()
    for norm in norms:
        oracle.push(norm)
        state = jitted(rule, window)(state, np.float32(norm))
        assert abs(state.total - oracle.total) <= np.spacing(oracle.total)
        assert 0 <= state.scale <= 1
        assert state.skipped == oracle.skipped


_jitted = {}


def jitted(rule, window):
    return _jitted.setdefault(window, jax.jit(rule.update))


@settings(max_examples=30)
@given(
    norms=st.lists(summable, min_size=8, max_size=40),
    safeguards=st.sampled_from(SAFEGUARDS),
)
def test_op_by_op_the_safeguards_equal_the_core_on_every_sequence(norms, safeguards):
    norms = np.array(norms, np.float32)
    rule = rule_of(4, **safeguards)
    state = rule.init()
    for norm, expected in zip(norms, core_states(4, norms, **safeguards), strict=True):
        state = rule.update(state, jnp.asarray(norm))
        assert_same_bits(state, expected)


def test_the_sum_is_exact_where_float32_sums_are_not():
    rng = np.random.default_rng(0)
    norms = np.exp(rng.uniform(-20, 20, 2**16)).astype(np.float32)
    rule = rule_of(norms.size)
    state, _ = scan(rule, rule.init()._replace(norms=jnp.asarray(norms)), norms[:1])
    shifted = np.append(norms[1:], norms[:1])
    assert state.total == np.float32(np.sum(shifted, dtype=np.longdouble))
    assert np.cumsum(shifted)[-1] != state.total


def test_x64_changes_no_bit_and_no_dtype(x64):
    norms = hard_norms(500, seed=1)
    rule = rule_of(5)
    state, scales = scan(rule, rule.init(), norms)
    assert [field.dtype for field in state] == [field.dtype for field in core.init(5)]
    np.testing.assert_array_equal(np.asarray(scales), core_scales(5, norms))


def test_strict_dtype_promotion_is_respected():
    with jax.numpy_dtype_promotion("strict"):
        rule = rule_of(3, min_scale=0.1, spike_factor=2.0)
        scan(rule, rule.init(), hard_norms(10, seed=2))


def test_no_derivative_passes_through_the_rule():
    rule = rule_of(2)
    state = rule.init()

    def scale_of(norm, total):
        return rule.update(state._replace(total=total), norm).scale

    assert jax.grad(scale_of, (0, 1))(1.0, 1.0) == (0.0, 0.0)
