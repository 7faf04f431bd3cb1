"""ZENITH inside and around optax's own wrappers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.oracle import algorithm_1
from zenith.optax import grad_norm, scale_by_zenith, zenith

SGD = optax.sgd(0.1, momentum=0.9)
PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(3)}


def gradients(steps, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        size = np.exp(rng.standard_normal())
        yield jax.tree.map(
            lambda leaf, s=size: jnp.asarray(s * rng.standard_normal(leaf.shape), leaf.dtype),
            PARAMS,
        )


def zenith_of(state):
    return optax.tree_utils.tree_get(state, "ZenithState")


def last_norm(state):
    return zenith_of(state).norms[-1]


def run(optimizer, steps, **extra):
    """The state and the updates after each of some steps, compiled."""
    update, state = jax.jit(optimizer.update), optimizer.init(PARAMS)
    for grads in steps:
        updates, state = update(grads, state, PARAMS, **extra)
        yield updates, state


def assert_close(tree, other, rtol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-7), tree, other)


def test_multi_steps_measures_the_accumulated_gradient_once_a_real_step():
    micro = list(gradients(24))
    accumulated = [
        jax.tree.map(lambda *leaves: sum(leaves) / 4, *micro[i : i + 4]) for i in range(0, 24, 4)
    ]
    several = optax.MultiSteps(zenith(SGD, window=3), 4)
    for step, (updates, state) in enumerate(run(several, micro), start=1):
        assert zenith_of(state).count == min(step // 4, 3)
        if step % 4:
            assert_close(updates, jax.tree.map(jnp.zeros_like, PARAMS))
        else:
            *_, (expected, plain) = run(zenith(SGD, window=3), accumulated[: step // 4])
            assert_close(updates, expected)
            np.testing.assert_allclose(zenith_of(state).scale, zenith_of(plain).scale, rtol=1e-6)
    assert zenith_of(state).scale < 1


def test_multi_steps_passes_grad_on_as_it_is():
    """Why `grad` has no place inside MultiSteps: it is the gradient of one micro-batch."""
    grads = list(gradients(2))
    optimizer = optax.MultiSteps(zenith(SGD, window=3), 2)
    state = optimizer.init(PARAMS)
    for micro in grads:
        _, state = optimizer.update(micro, state, PARAMS, grad=micro)
    np.testing.assert_allclose(last_norm(state), grad_norm(grads[-1]), rtol=1e-6)


def test_apply_if_finite_keeps_a_bad_step_out():
    good = list(gradients(8))
    bad = jax.tree.map(lambda leaf: leaf.at[0].set(np.nan), good[0])
    optimizer = optax.apply_if_finite(zenith(SGD, window=3), max_consecutive_errors=5)
    *_, (updates, state) = run(optimizer, [*good[:4], bad, *good[4:]])
    *_, (expected, plain) = run(zenith(SGD, window=3), good)
    assert_close(updates, expected)
    assert zenith_of(state).skipped == 0
    assert zenith_of(state).scale == zenith_of(plain).scale


def test_masked_measures_and_scales_its_part_alone():
    optimizer = optax.masked(zenith(optax.sgd(1.0), window=2), {"w": True, "b": False})
    iterate = algorithm_1(2)
    steps = list(gradients(6))
    for grads, (updates, state) in zip(steps, run(optimizer, steps), strict=True):
        np.testing.assert_allclose(last_norm(state), grad_norm(grads["w"]), rtol=1e-6)
        assert_close(updates["w"], -iterate(float(grad_norm(grads["w"]))) * grads["w"])
        np.testing.assert_array_equal(updates["b"], grads["b"])


def test_a_masked_inner_is_measured_whole():
    optimizer = zenith(optax.masked(SGD, {"w": True, "b": False}), window=2)
    steps = list(gradients(3))
    for grads, (_, state) in zip(steps, run(optimizer, steps), strict=True):
        np.testing.assert_allclose(last_norm(state), grad_norm(grads), rtol=1e-6)


def partitioned(**kwargs):
    return optax.transforms.partition(kwargs, {"w": "slow", "b": "fast"})


def test_around_a_partition_there_is_one_norm_and_one_scale():
    optimizer = zenith(partitioned(slow=optax.sgd(0.01), fast=optax.sgd(0.1)), window=2)
    iterate = algorithm_1(2)
    steps = list(gradients(6))
    for grads, (updates, _) in zip(steps, run(optimizer, steps), strict=True):
        scale = iterate(float(grad_norm(grads)))
        assert_close(updates["w"], -0.01 * scale * grads["w"])
        assert_close(updates["b"], -0.1 * scale * grads["b"])


def test_inside_a_partition_each_part_has_its_own():
    optimizer = partitioned(slow=zenith(optax.sgd(1.0), 2), fast=zenith(optax.sgd(1.0), 2))
    iterates = {"w": algorithm_1(2), "b": algorithm_1(2)}
    steps = list(gradients(6))
    for grads, (updates, _) in zip(steps, run(optimizer, steps), strict=True):
        for name, iterate in iterates.items():
            scale = iterate(float(grad_norm(grads[name])))
            assert_close(updates[name], -scale * grads[name])


def test_inside_a_mask_grad_must_be_masked_too():
    mask, grads = {"w": True, "b": False}, next(gradients(1))
    optimizer = optax.masked(scale_by_zenith(2), mask, mask_compatible_extra_args=True)
    _, state = optimizer.update(grads, optimizer.init(PARAMS), PARAMS, grad=grads)
    np.testing.assert_allclose(last_norm(state), grad_norm(grads["w"]), rtol=1e-6)

    optimizer = optax.masked(scale_by_zenith(2), mask)
    with pytest.raises(ValueError, match=r"tree like the updates.*mask_compatible_extra_args"):
        optimizer.update(grads, optimizer.init(PARAMS), PARAMS, grad=grads)


def test_inject_hyperparams_changes_eta_0_under_zenith():
    @optax.inject_hyperparams
    def injected(learning_rate):
        return zenith(optax.sgd(learning_rate), window=2)

    optimizer, iterate = injected(learning_rate=0.1), algorithm_1(2)
    update, state = jax.jit(optimizer.update), optimizer.init(PARAMS)
    for step, grads in enumerate(gradients(6)):
        state.hyperparams["learning_rate"] = jnp.float32(rate := 0.1 / (1 + step))
        updates, state = update(grads, state, PARAMS)
        assert_close(updates["w"], -rate * iterate(float(grad_norm(grads))) * grads["w"])


def test_inject_hyperparams_needs_the_settings_static():
    settings = ("window", "min_scale", "spike_factor")
    steps = list(gradients(3))
    static = optax.inject_hyperparams(scale_by_zenith, static_args=settings)(window=2)
    *_, (_, state) = run(static, steps)
    assert zenith_of(state).count == 2
    with pytest.raises(TypeError, match=r"window must be .* static_args"):
        list(run(optax.inject_hyperparams(scale_by_zenith)(window=2), steps))


@pytest.mark.parametrize("measured", ["raw", "clipped"])
def test_clipping_inside_measures_the_raw_and_before_the_clipped_gradient(measured):
    clip = optax.clip_by_global_norm(0.5)
    if measured == "raw":
        optimizer = zenith(optax.chain(clip, SGD), window=3)
    else:
        optimizer = optax.chain(clip, zenith(SGD, window=3))
    steps = list(gradients(6))
    for grads, (_, state) in zip(steps, run(optimizer, steps), strict=True):
        norm = float(grad_norm(grads))
        expected = norm if measured == "raw" else min(norm, 0.5)
        np.testing.assert_allclose(last_norm(state), expected, rtol=1e-6)


def test_a_schedule_inside_is_multiplied_by_the_scale():
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.1, 3, 20)
    optimizer, iterate = zenith(optax.sgd(schedule), window=4), algorithm_1(4)
    steps = list(gradients(20))
    for count, (grads, (updates, _)) in enumerate(zip(steps, run(optimizer, steps), strict=True)):
        eta = schedule(count) * iterate(float(grad_norm(grads)))
        assert_close(updates["w"], -eta * grads["w"], rtol=1e-5)


def test_weight_decay_inside_is_not_in_the_norm():
    decay = optax.add_decayed_weights(0.1)
    inside = zenith(optax.chain(decay, SGD), window=3)
    before = optax.chain(decay, zenith(SGD, window=3))
    grads = next(gradients(1))
    decayed = jax.tree.map(lambda g, p: g + 0.1 * p, grads, PARAMS)
    for optimizer, entering in ((inside, grads), (before, decayed)):
        _, state = optimizer.update(grads, optimizer.init(PARAMS), PARAMS)
        np.testing.assert_allclose(last_norm(state), grad_norm(entering), rtol=1e-6)


def test_lookahead_and_contrib_optimizers_can_be_wrapped():
    for inner in (optax.lars(0.1), optax.contrib.dog(1.0), optax.adamw(1e-3)):
        *_, (updates, state) = run(zenith(inner, window=2), list(gradients(4)))
        assert zenith_of(state).count == 2
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(updates))


def test_a_line_search_gets_its_arguments_and_hands_over_its_gradient():
    optimizer = zenith(
        optax.chain(
            optax.sgd(1.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=5)
        ),
        window=2,
    )

    def loss(x):
        return jnp.sum((x - 1.0) ** 2)

    params = jnp.zeros(3)
    state = optimizer.init(params)
    for _ in range(3):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(
            grad, state, params, value=value, grad=grad, value_fn=loss
        )
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(last_norm(state), grad_norm(grad), rtol=1e-6)
    assert loss(params) < 3
