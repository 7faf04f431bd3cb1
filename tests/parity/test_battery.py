"""The same norms give the same bits in every front end and every execution mode."""

import numpy as np
import pytest

from tests.optax.norms import hard_norms
from tests.oracle import ExactRule
from tests.parity.in_numpy import NumpyRun
from tests.parity.norms import sequences
from tests.parity.worker import MODES, Trace, replay

WINDOW, STEPS = 500, 1000  # of each of eleven sequences
# Those that take a million steps in seconds; `python -m benchmarks.parity` asks more of them.
FAST = [("optax", "scan"), ("Keras on TensorFlow", "tf.function(jit_compile=True)")]


@pytest.fixture(scope="module")
def norms():
    return sequences(STEPS)


@pytest.fixture(scope="module")
def of_numpy(norms):
    return {name: NumpyRun(WINDOW).advance(sequence) for name, sequence in norms.items()}


@pytest.fixture(scope="module")
def traces(request, workers, norms):
    """What every selected mode makes of every sequence, all processes at work at once."""
    tests = [item for item in request.session.items if "traces" in item.fixturenames]
    return {
        mode: {
            name: workers.submit(mode[0], replay, mode[1], WINDOW, sequence)
            for name, sequence in norms.items()
        }
        for mode in (test.callspec.params["mode"] for test in tests)
    }


def assert_same_bits(trace: Trace, expected: Trace) -> None:
    for name, mine, theirs in zip(Trace._fields, trace, expected, strict=True):
        assert mine.dtype == np.float32, name
        np.testing.assert_array_equal(mine.view(np.int32), theirs.view(np.int32), err_msg=name)


def test_the_sequences_are_hard(norms, of_numpy):
    of_numpy = dict(of_numpy)
    assert sum(len(sequence) for sequence in norms.values()) >= 10_000
    assert set(of_numpy.pop("zeros from the start").scales) == {1.0}
    for name, (scales, _) in of_numpy.items():
        assert len(np.unique(scales)) > 100, name
    assert min(of_numpy["zeros after a while"].scales) == 0.0
    of_half = norms["float16"], norms["bfloat16"]
    assert [sequence.dtype.name for sequence in of_half] == ["float16", "bfloat16"]
    assert all(np.isinf(norms[name]).any() for name in ("float16", "NaN, infinities and negative"))
    tiny = np.abs(norms["subnormals"])
    assert ((tiny > 0) & (tiny < np.finfo(np.float32).tiny)).sum() > 20


@pytest.mark.parametrize("mode", MODES, ids=", ".join)
def test_every_mode_gives_the_bits_of_numpy(traces, of_numpy, mode):
    for name, future in traces[mode].items():
        trace, _ = future.result()
        assert_same_bits(trace, of_numpy[name])


def test_numpy_gives_the_exact_sum_rounded_once(norms, of_numpy):
    for name, sequence in norms.items():
        oracle = ExactRule(WINDOW)
        for norm, scale, total in zip(sequence, *of_numpy[name], strict=True):
            oracle.push(float(norm))
            assert (scale, total) == (oracle.scale, oracle.total), name


@pytest.fixture(scope="module")
def million():
    norms = hard_norms(1_000_000, seed=0)
    return norms, NumpyRun(WINDOW).advance(norms)


@pytest.mark.parametrize("mode", FAST, ids=", ".join)
def test_a_million_steps_give_the_bits_of_numpy(workers, million, mode):
    norms, expected = million
    assert len(np.unique(expected.scales)) > 800_000
    trace, _ = workers.submit(mode[0], replay, mode[1], WINDOW, norms).result()
    assert_same_bits(trace, expected)
