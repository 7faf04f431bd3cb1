"""`zenith` and `scale_by_zenith` as gradient transformations: the rule, the faces, the errors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import dtypes

from tests.oracle import algorithm_1
from zenith.core import ZenithState
from zenith.optax import ScaleByZenithState, grad_norm, scale_by_zenith, zenith

DTYPES = ["float16", "bfloat16", "float32", "complex64"]
SPELLINGS = {
    "zenith(identity)": lambda **kw: zenith(optax.identity(), **kw),
    "zenith(sgd)": lambda **kw: zenith(optax.sgd(0.1), **kw),
    "zenith(momentum)": lambda **kw: zenith(optax.sgd(0.1, momentum=0.9), **kw),
    "zenith(nesterov)": lambda **kw: zenith(optax.sgd(0.1, momentum=0.9, nesterov=True), **kw),
    "scale_by_zenith": lambda **kw: scale_by_zenith(**kw),
    "scale_by_zenith(inner)": lambda **kw: scale_by_zenith(inner=optax.trace(0.9), **kw),
    "chain": lambda **kw: optax.chain(scale_by_zenith(**kw), optax.sgd(0.1, momentum=0.9)),
}


@pytest.fixture(params=SPELLINGS)
def spelling(request):
    return SPELLINGS[request.param]


def gradients(seed, dtype="float32"):
    rng = np.random.default_rng(seed)
    size = np.exp(rng.standard_normal())
    parts = [size * rng.standard_normal((2, *shape)) for shape in ((4, 3), (3,))]
    if dtype == "complex64":
        leaves = [part[0] + 1j * part[1] for part in parts]
    else:
        leaves = [part[0] for part in parts]
    return {"w": jnp.asarray(leaves[0], dtype), "b": jnp.asarray(leaves[1], dtype)}


def description(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


# ---- the rule ----


@pytest.mark.parametrize("window", [1, 2, 5, 50])
def test_updates_are_the_inner_ones_times_algorithm_1(window):
    inner = optax.chain(optax.add_decayed_weights(1e-2), optax.sgd(0.1, momentum=0.9))
    optimizer, iterate = zenith(inner, window), algorithm_1(window)
    params = gradients(1_000)
    state, inner_state = optimizer.init(params), inner.init(params)
    for step in range(300):
        grads = gradients(step)
        updates, state = optimizer.update(grads, state, params)
        plain, inner_state = inner.update(grads, inner_state, params)
        scale = iterate(float(np.linalg.norm(np.concatenate([g.ravel() for g in grads.values()]))))
        for name, update in updates.items():
            np.testing.assert_allclose(update, scale * plain[name], rtol=2e-6)


def test_the_scale_is_1_until_the_window_is_full():
    optimizer = zenith(optax.sgd(0.1), window=5)
    state = optimizer.init(gradients(0))
    scales = []
    for step in range(6):
        _, state = optimizer.update(gradients(step), state)
        scales.append(float(state.zenith.scale))
    assert scales[:5] == [1.0] * 5
    assert scales[5] != 1.0


def test_momentum_outside_is_momentum_before_the_scale():
    """`chain(scale_by_zenith, sgd)` puts the LR inside the velocity, as Keras's SGD does."""
    chain = optax.chain(scale_by_zenith(3), optax.sgd(0.1, momentum=0.9))
    iterate = algorithm_1(3)
    state, velocity = chain.init(gradients(0)), 0.0
    for step in range(20):
        grads = gradients(step)
        updates, state = chain.update(grads, state)
        velocity = 0.9 * velocity - 0.1 * iterate(float(grad_norm(grads))) * grads["w"]
        np.testing.assert_allclose(updates["w"], velocity, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("handed_over", ["grad", "grad_norm"])
def test_after_momentum_the_gradient_must_be_handed_over(handed_over):
    sgd = optax.sgd(0.1, momentum=0.9)
    right, wrong = zenith(sgd, 3), optax.chain(sgd, scale_by_zenith(3))
    states = [tx.init(gradients(0)) for tx in (right, wrong, wrong)]
    for step in range(20):
        grads = gradients(step)
        extra = {handed_over: grads if handed_over == "grad" else grad_norm(grads)}
        expected, states[0] = right.update(grads, states[0])
        spared, states[1] = wrong.update(grads, states[1], **extra)
        spoiled, states[2] = wrong.update(grads, states[2])
        np.testing.assert_array_equal(spared["w"], expected["w"])
    assert abs(np.max(spoiled["w"] / expected["w"]) - 1) > 0.1


def test_grad_norm_goes_before_grad_before_the_updates():
    optimizer = scale_by_zenith(1)
    updates, grad = jnp.array([3.0, 4.0]), jnp.array([6.0, 8.0])

    def norm_seen(**extra):
        _, state = optimizer.update(updates, optimizer.init(updates), **extra)
        return float(state.zenith.norms[-1])

    assert norm_seen() == 5
    assert norm_seen(grad=grad) == 10
    assert norm_seen(grad=grad, grad_norm=7) == 7
    assert norm_seen(grad_norm=np.float64(7)) == 7


def test_extra_arguments_reach_the_inner_transformation():
    inner = optax.contrib.reduce_on_plateau(patience=1, cooldown=0)
    optimizer = zenith(optax.chain(optax.sgd(0.1), inner), window=2)
    params = gradients(0)
    state = optimizer.init(params)
    for _ in range(5):
        _, state = optimizer.update(params, state, params, value=1.0, unknown="ignored")
    assert optax.tree_utils.tree_get(state, "ReduceLROnPlateauState").scale < 1


def test_a_skipped_norm_leaves_the_scale_and_is_counted():
    optimizer = zenith(optax.sgd(0.1), window=2)
    grads = gradients(0)
    state = optimizer.init(grads)
    for factor in (1.0, 1.0, 0.5, np.nan):
        _, state = optimizer.update(jax.tree.map(lambda g, f=factor: f * g, grads), state)
    assert state.zenith.scale == 0.75
    assert state.zenith.skipped == 1


def test_safeguards_reach_the_rule(spelling):
    optimizer = spelling(window=2, min_scale=0.5, spike_factor=2.0)
    grads = {"w": jnp.array([1.0])}
    state = optimizer.init(grads)
    for factor in (1.0, 1.0, 100.0, 1e-3, 1e-3):
        _, state = optimizer.update(grads, state, grads, grad_norm=factor)
    remembered = optax.tree_utils.tree_get(state, "ZenithState")
    assert remembered.peak == 3
    assert remembered.scale == 0.5


def test_no_derivative_passes_through_the_scale():
    """Meta-learning: the scale is a constant to whoever differentiates through the update."""
    optimizer = zenith(optax.sgd(0.1), window=1)

    def updated(grads, state):
        updates, state = optimizer.update(grads, state)
        updates, _ = optimizer.update(updates, state)
        return jnp.sum(updates)

    state = optimizer.init(jnp.zeros(2))
    slope = jax.grad(updated, allow_int=True, argnums=(0, 1))(jnp.zeros(2), state)[0]
    np.testing.assert_allclose(slope, 0.01)  # NaN if the norm's derivative at 0 came through


# ---- optax's conventions for a transformation ----


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_and_dtypes_never_change(spelling, dtype, wrap):
    optimizer = spelling(window=3)
    params = gradients(0, dtype)
    state = wrap(optimizer.init)(params)
    update = wrap(optimizer.update)
    for step in range(5):
        updates, new_state = update(gradients(step, dtype), state, params)
        assert description(new_state) == description(state)
        assert description(updates) == description(params)
        assert description(optax.apply_updates(params, updates)) == description(params)
        state = new_state


@pytest.mark.parametrize("dtype", DTYPES)
def test_eager_and_compiled_updates_agree(spelling, dtype):
    optimizer = spelling(window=3)
    params = gradients(0, dtype)
    eager = compiled = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for step in range(8):
        grads = gradients(step, dtype)
        one, eager = optimizer.update(grads, eager, params)
        other, compiled = update(grads, compiled, params)
        tolerance = {"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 1e-6)
        for name in one:
            x, y = (np.asarray(tree[name]).astype("complex64") for tree in (one, other))
            assert np.linalg.norm(x - y) <= tolerance * np.linalg.norm(x)


def test_init_needs_only_shapes(spelling):
    optimizer = spelling(window=4)
    params = gradients(0)
    shapes = jax.eval_shape(optimizer.init, params)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), shapes) == jax.tree.map(
        lambda x: (x.shape, x.dtype), optimizer.init(params)
    )


@pytest.mark.parametrize("window", [1, 7, 500])
def test_the_state_has_4_w_plus_20_bytes(window):
    optimizer = scale_by_zenith(window)
    leaves = jax.tree.leaves(optimizer.init(gradients(0)))
    assert sum(leaf.nbytes for leaf in leaves) == 4 * window + 20


@pytest.mark.parametrize("params", [{}, (), None, {"a": None}])
def test_empty_trees_pass(spelling, params):
    optimizer = spelling(window=1)
    updates, state = optimizer.update(params, optimizer.init(params), params)
    assert updates == params
    assert optax.tree_utils.tree_get(state, "ZenithState").scale == 1


def test_what_is_no_gradient_leaves_as_it_entered():
    grads = {
        "w": jnp.array([4.0]),
        "none": None,
        "float0": np.zeros(3, dtypes.float0),
        "steps": jnp.array([100]),
    }
    optimizer = scale_by_zenith(1)
    state = optimizer.init(grads)
    _, state = optimizer.update(grads, state)
    updates, state = optimizer.update(grads | {"w": jnp.array([2.0])}, state)
    assert updates["w"] == 1
    assert updates["none"] is None
    assert updates["float0"].dtype == dtypes.float0
    assert updates["steps"] == 100


def test_low_precision_updates_are_rounded_once():
    scale = np.float32(2 / 3)
    updates = jnp.asarray(np.random.default_rng(0).standard_normal(1000), jnp.bfloat16)
    optimizer = scale_by_zenith(1)
    _, state = optimizer.update(updates, optimizer.init(updates), grad_norm=3.0)
    scaled, _ = optimizer.update(updates, state, grad_norm=2.0)
    exact = updates.astype(jnp.float32) * scale
    np.testing.assert_array_equal(scaled, exact.astype(jnp.bfloat16))
    # Not the same as multiplying by the rounded scale, which is what bfloat16 arithmetic would do.
    assert np.any(np.asarray(scaled != updates * jnp.bfloat16(scale)))


def test_float8_and_float64_updates_keep_their_dtype(x64):
    updates = {"a": jnp.ones(2, jnp.float8_e4m3fn), "b": jnp.ones(2, jnp.float64)}
    optimizer = scale_by_zenith(1)
    scaled, state = optimizer.update(updates, optimizer.init(updates))
    assert scaled["a"].dtype == jnp.float8_e4m3fn
    assert scaled["b"].dtype == jnp.float64
    assert state.zenith.scale.dtype == jnp.float32


def test_strict_dtype_promotion_is_respected():
    with jax.numpy_dtype_promotion("strict"):
        updates = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2)}
        optimizer = zenith(optax.identity(), 1, min_scale=0.1, spike_factor=2.0)
        optimizer.update(updates, optimizer.init(updates))


def test_tree_get_finds_the_scale_by_the_state_s_name():
    params = {"norm": {"scale": jnp.ones(3)}}  # as flax names it
    state = zenith(optax.sgd(0.1, momentum=0.9)).init(params)
    assert optax.tree_utils.tree_get(state, "ZenithState").scale == 1
    with pytest.raises(KeyError, match="multiple"):
        optax.tree_utils.tree_get(state, "scale")
    assert isinstance(state, ScaleByZenithState)
    assert isinstance(state.zenith, ZenithState)


def test_tree_map_params_leaves_the_zenith_state_alone():
    params = gradients(0)
    optimizer = zenith(optax.sgd(0.1, momentum=0.9), window=3)
    state = optimizer.init(params)
    moved = optax.tree_utils.tree_map_params(optimizer, lambda leaf: leaf + 1, state)
    assert description(moved.zenith) == description(state.zenith)
    np.testing.assert_array_equal(moved.zenith.norms, state.zenith.norms)
    np.testing.assert_array_equal(moved.inner_state[0].trace["w"], 1)


# ---- bad input ----


@pytest.mark.parametrize(
    ("window", "error"),
    [(window, ValueError) for window in (0, -1, 2**24 + 1)]
    + [(window, TypeError) for window in (5.0, "5", True, None)],
)
def test_what_is_no_window_is_refused(spelling, window, error):
    with pytest.raises(error, match=r"window must .* Received"):
        spelling(window=window)


def test_a_numpy_integer_is_a_window():
    assert zenith(optax.sgd(0.1), np.int64(3)).init(jnp.zeros(1)).zenith.norms.shape == (3,)


@pytest.mark.parametrize("setting", ["window", "min_scale", "spike_factor"])
def test_a_traced_setting_is_refused(spelling, setting):
    with pytest.raises(TypeError, match=f"{setting} must be .*(?s:Received).*static_args"):
        jax.jit(lambda value: spelling(**{setting: value}).init(jnp.zeros(1)))(3)


@pytest.mark.parametrize("value", [1, 1.0, 0.5, -1.0, np.nan, np.inf])
def test_a_spike_factor_of_at_most_1_is_refused(spelling, value):
    with pytest.raises(ValueError, match=r"spike_factor must .*Received"):
        spelling(spike_factor=value)


@pytest.mark.parametrize("value", [-0.1, 1.0, np.nan])
def test_a_min_scale_outside_0_to_1_is_refused(spelling, value):
    with pytest.raises(ValueError, match=r"min_scale must .*Received"):
        spelling(min_scale=value)


@pytest.mark.parametrize("inner", [None, 0.1, optax.sgd, 500])
def test_an_inner_that_is_no_transformation_is_refused(inner):
    with pytest.raises(TypeError, match="inner must be an optax gradient transformation"):
        zenith(inner)


def test_grad_of_another_tree_is_refused():
    optimizer = scale_by_zenith(3)
    updates = gradients(0)
    state = optimizer.init(updates)
    with pytest.raises(ValueError, match="grad must be a tree like the updates"):
        optimizer.update(updates, state, grad={"w": updates["w"]})
    with pytest.raises(ValueError, match="grad must have the shapes of the updates"):
        optimizer.update(updates, state, grad=updates | {"w": updates["b"]})


@pytest.mark.parametrize("norm", [jnp.ones(1), jnp.ones((2, 2)), 1j])
def test_a_grad_norm_that_is_no_real_scalar_is_refused(norm):
    optimizer = scale_by_zenith(3)
    with pytest.raises(ValueError, match="grad_norm must be a real scalar"):
        optimizer.update(gradients(0), optimizer.init(gradients(0)), grad_norm=norm)


def test_the_state_of_another_window_is_refused():
    state = scale_by_zenith(3).init(gradients(0))
    with pytest.raises(ValueError, match=r"window = 4 norms.*\(3,\)"):
        scale_by_zenith(4).update(gradients(0), state)
