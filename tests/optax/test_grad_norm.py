"""The global norm of a gradient tree."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import dtypes

from zenith.optax import grad_norm

# Its name until optax 0.2.5 came after the order of the norm.
optax_norm = getattr(optax.tree_utils, "tree_norm", None) or optax.tree_utils.tree_l2_norm
DTYPES = ["float16", "bfloat16", "float32", "float8_e4m3fn", "complex64"]


def tree(seed, dtype, shapes=((3, 5), (7,), ())):
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal((2, *shape)) for shape in shapes]
    leaves = [part[0] + 1j * part[1] if dtype == "complex64" else part[0] for part in parts]
    return {str(i): jnp.asarray(leaf, dtype) for i, leaf in enumerate(leaves)}


def exact_norm(tree):
    leaves = [np.asarray(leaf).astype(np.complex128).ravel() for leaf in jax.tree.leaves(tree)]
    return np.linalg.norm(np.concatenate(leaves))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_the_float64_norm_for_every_dtype(dtype, wrap):
    grads = tree(0, dtype)
    norm = wrap(grad_norm)(grads)
    assert norm.dtype == jnp.float32
    assert norm.shape == ()
    np.testing.assert_allclose(norm, exact_norm(grads), rtol=2e-7)


def test_bfloat16_is_accumulated_in_float32():
    ours, optaxs = [], []
    for seed in range(30):
        grads = tree(seed, "bfloat16", shapes=((1000,), (77,)))
        ours.append(float(grad_norm(grads)) / exact_norm(grads) - 1)
        optaxs.append(float(optax_norm(grads)) / exact_norm(grads) - 1)
    assert np.max(np.abs(ours)) < 2e-7
    assert np.max(np.abs(optaxs)) > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_leaves_are_not_biased(dtype):
    leaf = jnp.asarray(np.random.default_rng(0).standard_normal(2**22), dtype)
    for norm in (grad_norm(leaf), jax.jit(grad_norm)(leaf)):
        np.testing.assert_allclose(norm, exact_norm(leaf), rtol=3e-7)


def test_float64_leaves_are_accumulated_in_float64(x64):
    leaf = jnp.asarray([1e-200, 1e30], jnp.float64)
    norm = grad_norm(leaf)
    assert norm.dtype == jnp.float32
    assert norm == np.float32(1e30)  # its square is beyond float32


@pytest.mark.parametrize("empty", [{}, (), None, {"a": None}, optax.MaskedNode()])
def test_a_tree_without_leaves_has_norm_zero(empty):
    assert grad_norm(empty) == 0
    assert grad_norm(empty).dtype == jnp.float32


def test_what_is_no_gradient_is_left_out():
    grads = {
        "w": jnp.array([3.0, 4.0]),
        "none": None,
        "float0": np.zeros(3, dtypes.float0),
        "steps": jnp.array([100, 200]),
        "masked": optax.MaskedNode(),
    }
    assert grad_norm(grads) == 5


def test_gradients_of_integer_inputs_come_through():
    def loss(params):
        return jnp.sum(params["w"] ** 2) * params["n"]

    grads = jax.grad(loss, allow_int=True)({"w": jnp.array([3.0, 4.0]), "n": 1})
    assert grads["n"].dtype == dtypes.float0
    assert grad_norm(grads) == 10


def test_python_scalars_count():
    assert grad_norm({"a": 3.0, "b": 4.0}) == 5


@settings(max_examples=50)
@given(
    values=st.lists(st.floats(-(2.0**50), 2.0**50, width=32, allow_subnormal=False), max_size=20),
    splits=st.lists(st.integers(0, 20), max_size=3),
)
def test_the_norm_does_not_depend_on_how_the_tree_is_cut(values, splits):
    values = np.array(values, np.float32)
    # Squares below the normal range are lost; that is 1e-19 in a gradient.
    values[np.abs(values) < 2.0**-60] = 0
    parts = np.split(values, sorted(splits))
    expected = np.linalg.norm(values.astype(np.float64))
    np.testing.assert_allclose(grad_norm(parts), expected, rtol=1e-6)


def test_nan_and_infinity_are_told():
    assert np.isnan(grad_norm(jnp.array([1.0, np.nan])))
    assert np.isinf(grad_norm(jnp.array([1.0, -np.inf])))
