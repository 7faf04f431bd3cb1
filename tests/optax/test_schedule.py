"""`ZenithSchedule` inside `optax.inject_hyperparams`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.oracle import algorithm_1
from zenith.optax import ZenithSchedule, grad_norm, zenith


def gradients(steps):
    rng = np.random.default_rng(0)
    return [
        jnp.asarray(np.exp(rng.standard_normal()) * rng.standard_normal(5)) for _ in range(steps)
    ]


def test_it_is_a_stateful_schedule():
    assert isinstance(ZenithSchedule(0.1), optax.schedules.StatefulSchedule)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("handed_over", ["grad", "grad_norm"])
def test_the_state_shows_eta_of_this_very_step(handed_over, wrap):
    optimizer = optax.inject_hyperparams(optax.sgd)(ZenithSchedule(0.1, window=3))
    params = jnp.zeros(5)
    state, iterate = optimizer.init(params), algorithm_1(3)
    assert state.hyperparams["learning_rate"] == np.float32(0.1)
    update = wrap(optimizer.update)
    for grads in gradients(20):
        extra = {handed_over: grads if handed_over == "grad" else grad_norm(grads)}
        updates, state = update(grads, state, params, **extra)
        eta = 0.1 * iterate(float(grad_norm(grads)))
        np.testing.assert_allclose(state.hyperparams["learning_rate"], eta, rtol=1e-6)
        np.testing.assert_allclose(updates, -eta * grads, rtol=1e-6)


def test_it_equals_the_wrapper_where_momentum_comes_first():
    """optax's sgd applies its learning rate after momentum, so both spellings are torch's."""
    scheduled = optax.inject_hyperparams(optax.sgd)(ZenithSchedule(0.1, 3), momentum=0.9)
    wrapped = zenith(optax.sgd(0.1, momentum=0.9), 3)
    params = jnp.zeros(5)
    states = [tx.init(params) for tx in (scheduled, wrapped)]
    for grads in gradients(20):
        one, states[0] = scheduled.update(grads, states[0], params, grad=grads)
        other, states[1] = wrapped.update(grads, states[1], params)
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_the_norm_is_computed_once_in_a_compiled_step():
    optimizer = optax.inject_hyperparams(optax.sgd)(ZenithSchedule(0.1, window=3))
    params = jnp.zeros(5)

    def reductions(transformation):
        compiled = jax.jit(
            lambda grads, state: transformation.update(grads, state, params, grad=grads)
        ).lower(params, transformation.init(params))
        return compiled.compile().as_text().count(" reduce(")

    assert reductions(optimizer) == reductions(zenith(optax.sgd(0.1), 3)) == 2


def test_without_a_gradient_it_refuses():
    optimizer = optax.inject_hyperparams(optax.sgd)(ZenithSchedule(0.1))
    params = jnp.zeros(5)
    with pytest.raises(ValueError, match=r"neither grad nor grad_norm.*grad=grads"):
        optimizer.update(params, optimizer.init(params), params)


def test_other_extra_arguments_are_ignored():
    optimizer = optax.inject_hyperparams(optax.sgd)(ZenithSchedule(0.1))
    params = jnp.zeros(5)
    optimizer.update(params, optimizer.init(params), params, grad=params, value=1.0)


@pytest.mark.parametrize("rate", [None, "0.1x", optax.constant_schedule(0.1), jnp.ones(2)])
def test_a_learning_rate_that_is_no_number_is_refused(rate):
    with pytest.raises(TypeError, match=r"learning_rate must be a number.*Received"):
        ZenithSchedule(rate)


@pytest.mark.parametrize("rate", [0.0, -0.1, np.nan, np.inf])
def test_a_learning_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"learning_rate must be finite.*Received"):
        ZenithSchedule(rate)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"window": 0}, ValueError),
        ({"window": 2.0}, TypeError),
        ({"min_scale": 1.0}, ValueError),
        ({"spike_factor": 1.0}, ValueError),
    ],
)
def test_bad_settings_are_refused(settings, error):
    with pytest.raises(error, match="Received"):
        ZenithSchedule(0.1, **settings)


def test_safeguards_reach_the_rule():
    schedule = ZenithSchedule(1.0, window=1, min_scale=0.25, spike_factor=2.0)
    state = schedule.init()
    for norm in (1.0, 100.0):
        state = schedule.update(state, grad_norm=norm)
    assert state.peak == 2
    assert schedule(state, grad_norm=1e-3) == 0.25
