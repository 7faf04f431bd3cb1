"""A run that starts in one front end and goes on in another has the bits of one in one piece."""

import functools
import json

import numpy as np
import pytest

from tests.optax.norms import hard_norms
from tests.parity.worker import Trace, import_broken, replay
from zenith.core import init, load, save, to_portable, update

WINDOW = 20
NORMS = hard_norms(80, seed=3)
NORMS[[3, 30, 60]] = np.nan, np.inf, -1.0
CUTS = {"before the window is full": 7, "after": 45}
FRONT_ENDS = [
    ("NumPy", "eager"),
    ("PyTorch", "eager, float learning rate"),
    ("PyTorch", "eager, Tensor learning rate"),
    ("optax", "jit"),
    ("Keras on TensorFlow", "tf.function"),
    ("Keras on JAX", "jit"),
    ("Keras on PyTorch", "eager"),
]


@pytest.fixture(scope="module")
def whole_run(workers):
    """Trace, and states at the cuts and at the end, of a front end on its own."""

    @functools.cache
    def run(front_end):
        framework, mode = front_end
        cuts = [*CUTS.values()]
        return workers.submit(framework, replay, mode, WINDOW, NORMS, cuts=cuts).result()

    return run


def test_the_cuts_lie_on_both_sides(whole_run):
    _, (filling, full, _) = whole_run(FRONT_ENDS[0])
    assert 0 < len(filling["norms"]) < WINDOW == len(full["norms"])
    assert full["peak"] > 0
    assert full["skipped"] > filling["skipped"] > 0


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("second", FRONT_ENDS, ids=", ".join)
@pytest.mark.parametrize("first", FRONT_ENDS, ids=", ".join)
def test_every_pair_continues_bit_for_bit(workers, whole_run, tmp_path, first, second, cut):
    trace, states = whole_run(first)
    step, index = CUTS[cut], [*CUTS].index(cut)
    save(states[index], tmp_path / "zenith.json")

    start = load(tmp_path / "zenith.json")
    framework, mode = second
    rest, (end,) = workers.submit(
        framework, replay, mode, WINDOW, NORMS[step:], start=start
    ).result()
    for name, resumed, uninterrupted in zip(Trace._fields, rest, trace, strict=True):
        assert resumed.tobytes() == uninterrupted[step:].tobytes(), name
    assert end == states[-1]


def portable_after(norms):
    state = init(4)
    for norm in norms:
        state = update(state, norm)
    return json.loads(json.dumps(to_portable(state)))


BEFORE = {"filling": portable_after([3.0, 0.1]), "full": portable_after([3.0, -1, 0.1, 0, 2.0, 1])}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=", ".join)
def test_ten_thousand_broken_states_change_nothing_or_are_taken_exactly(workers, front_end, before):
    framework, mode = front_end
    named = workers.submit(
        framework, import_broken, mode, BEFORE[before], 5000, seed=len(before)
    ).result()
    assert len(named) == 5000
    taken = named.count("")
    assert 50 < taken < 2500
    for message in filter(None, named):
        assert "Received: " in message or "Missing: " in message
