"""The norm is that of the whole gradient, whatever its dtype, sparsity and shape."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.keras.conftest import BACKEND
from zenith.keras._grad_norm import grad_norm


def measured(*arrays, dtype=None) -> float:
    norm = grad_norm([keras.ops.convert_to_tensor(a, dtype=dtype) for a in arrays])
    assert keras.backend.standardize_dtype(norm.dtype) == "float32"
    assert tuple(norm.shape) == ()
    return float(norm)


SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=5)
GRADIENTS = st.lists(
    hnp.arrays("float32", SHAPES, elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(GRADIENTS)
def test_it_is_the_float64_norm_of_everything(grads):
    exact = np.sqrt(sum(np.sum(np.square(g.astype("float64"))) for g in grads))
    assert measured(*grads) == pytest.approx(exact, rel=1e-6, abs=1e-18)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_accumulated_in_float32(dtype):
    # In float16 the sum of squares overflows, in bfloat16 it stops growing at 2^8 terms.
    ones = np.full(70_000, 2.0, "float32")
    assert measured(ones, dtype=dtype) == pytest.approx(2 * np.sqrt(70_000), rel=1e-6)


def test_float64_and_complex_gradients_count_in_full():
    if BACKEND != "jax":  # which has no float64 by default
        assert measured(np.array([3.0]), np.array([4.0]), dtype="float64") == 5.0
    assert measured(np.array([3 + 4j], "complex64"), np.array([12.0], "float32")) == 13.0


def test_none_is_left_out_and_zero_is_zero():
    zero = keras.ops.zeros((3, 2))
    assert float(grad_norm([None, zero, None])) == 0.0


def test_a_large_tensor_is_not_biased():
    big = np.random.default_rng(0).normal(size=2**22).astype("float32")
    exact = np.sqrt(np.sum(np.square(big.astype("float64"))))
    assert measured(big) == pytest.approx(exact, rel=2e-6)
    strided = keras.ops.transpose(keras.ops.convert_to_tensor(big.reshape(2048, 2048)))
    assert float(grad_norm([strided])) == pytest.approx(exact, rel=2e-6)


def test_an_infinite_gradient_has_an_infinite_norm():
    assert measured(np.array([np.inf, 1.0], "float32")) == np.inf
    assert np.isnan(measured(np.array([np.nan, 1.0], "float32")))


def sparse_rows():
    """The gradient of an embedding whose row 0 is used twice: 3 + 2 there, 3 in row 2."""
    values, rows, shape = np.array([[3.0], [2.0], [3.0]], "float32"), [0, 0, 2], (4, 1)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant(shape))
    if BACKEND == "jax":
        from jax.experimental.sparse import BCOO

        return BCOO((values, np.array(rows)[:, None]), shape=shape)
    import torch

    rows = torch.tensor([rows])
    return torch.sparse_coo_tensor(rows, torch.from_numpy(values), shape, check_invariants=True)


def test_repeated_rows_of_a_sparse_gradient_are_added_up_first():
    assert float(grad_norm([sparse_rows()])) == pytest.approx(np.sqrt(34))  # 5.83, not 4.69
    dense = keras.ops.convert_to_tensor(np.array([1.0], "float32"))
    assert float(grad_norm([sparse_rows(), dense])) == pytest.approx(np.sqrt(35))


def test_it_is_out_of_the_graph_of_gradients():
    if BACKEND == "jax":
        import jax

        assert float(jax.grad(lambda g: grad_norm([g]))(jax.numpy.ones(()))) == 0.0
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            g = tf.ones(())
            tape.watch(g)
            norm = grad_norm([g])
        assert tape.gradient(norm, g) is None
    else:
        import torch

        assert not grad_norm([torch.ones((), requires_grad=True)]).requires_grad
