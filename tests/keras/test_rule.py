"""The rule on the arrays of each backend has the bits of `zenith.core` on NumPy."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.keras.conftest import BACKEND
from tests.keras.problem import Reference, data
from tests.oracle import ExactRule
from zenith import core
from zenith.keras._rule import backend_ops

OPS = backend_ops()


def on_backend(state: core.ZenithState) -> core.ZenithState:
    return core.ZenithState(*(keras.ops.convert_to_tensor(np.asarray(field)) for field in state))


@functools.cache
def pusher(how: str, min_scale: float = 0.0, spike_factor: float | None = None):
    """`update` on the backend: (state, norm) -> state, eager or compiled."""

    def push(state, norm):
        new = core.update(state, norm, min_scale=min_scale, spike_factor=spike_factor, ops=OPS)
        return core.ZenithState(*new)

    if how == "eager":
        return push
    if BACKEND == "jax":
        import jax

        return jax.jit(push)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(push, jit_compile=how == "xla")
    import torch

    return torch.compile(push, fullgraph=True, dynamic=False)


WAYS = {
    "tensorflow": ["eager", "graph", "xla"],
    "jax": ["eager", "jit"],
    "torch": ["eager", "compiled"],
}[BACKEND]


def assert_same_bits(state: core.ZenithState, expected: core.ZenithState) -> None:
    for name, mine, theirs in zip(core.ZenithState._fields, state, expected, strict=True):
        mine, theirs = keras.ops.convert_to_numpy(mine), np.asarray(theirs)
        assert mine.dtype == theirs.dtype, name
        assert mine.tobytes() == theirs.tobytes(), (name, mine, theirs)


@functools.cache
def recorded_norms() -> np.ndarray:
    """Gradient norms of 10,000 steps of training, and rescaled such that they span 40 decades."""
    norms = np.array(Reference(500).train(*data(10_000)).norms)
    norms[5000:] *= 10.0 ** np.linspace(-20, 20, 5000)
    norms[::997] = [np.nan, np.inf, -1.0, 0.0, 1e-40, 1e38, 3.4e38, 1e-35, 0.0, np.nan, np.inf]
    return norms.astype("float32")


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("window", [1, 500])
def test_ten_thousand_recorded_norms_give_the_bits_of_numpy(how, window):
    if how == "eager" and window == 1:
        pytest.skip("eager is the slow one: once is enough")
    push, state, expected = pusher(how), on_backend(core.init(window)), core.init(window)
    scales, of_numpy = [], []
    for norm in recorded_norms():
        state = push(state, keras.ops.convert_to_tensor(norm))
        expected = core.update(expected, norm)
        scales.append(state.scale)
        of_numpy.append(expected.scale)
    mine = np.array([keras.ops.convert_to_numpy(scale) for scale in scales])
    assert len(mine) == 10_000
    assert len(np.unique(mine)) > 100
    assert mine.tobytes() == np.array(of_numpy).tobytes()
    assert_same_bits(state, expected)


NORMS = st.lists(
    st.one_of(
        st.floats(0, 10, width=32),
        st.floats(width=32),
        st.sampled_from([0.0, -0.0, 1e-45, 2.0**-100, 2.0**-101, 1e30, 3e38, -1.0]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(
    norms=NORMS,
    window=st.sampled_from([1, 2, 7]),
    safeguards=st.sampled_from([(0.0, None), (0.1, None), (0.0, 2.0), (0.25, 1.5)]),
)
def test_any_norms_give_the_bits_of_numpy(norms, window, safeguards):
    min_scale, spike_factor = safeguards
    push = pusher(WAYS[-1] if BACKEND != "torch" else "eager", min_scale, spike_factor)
    state, expected, oracle = on_backend(core.init(window)), core.init(window), ExactRule(window)
    for norm in norms:
        state = push(state, keras.ops.convert_to_tensor(np.float32(norm)))
        expected = core.update(
            expected, np.float32(norm), min_scale=min_scale, spike_factor=spike_factor
        )
        oracle.push(float(np.float32(norm)))
        assert_same_bits(state, expected)
    assert int(state.skipped) == oracle.skipped
    if safeguards == (0.0, None):
        assert keras.ops.convert_to_numpy(state.scale).tobytes() == oracle.scale.tobytes()


def test_a_sum_that_float32_would_lose_is_exact():
    window = 1000
    norms = np.where(np.arange(window) % 2, 1.0, 2.0**-23).astype("float32")
    state = on_backend(core.init(window)._replace(norms=norms, count=np.int32(window)))
    state = pusher("eager")(state, keras.ops.convert_to_tensor(np.float32(2.0**-23)))
    exact = np.float32(500 + 500 * 2.0**-23)
    assert keras.ops.convert_to_numpy(state.total) == exact
