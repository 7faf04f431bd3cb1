"""Checkpoints: bit-exact from any step, and refused whole when they are not whole."""

import copy
import io
import json
import math

import pytest
import torch
from torch.optim import SGD

from tests.torch.problem import backward, batches, make_net
from zenith.torch import Zenith, export_state, import_state

STEPS = 60


def build(kind, window=20, seed=0, **options):
    net = make_net(seed)
    halves = [*net.parameters()][:3], [*net.parameters()][3:]
    groups = [{"params": p, "lr": kind(lr)} for p, lr in zip(halves, (0.1, 0.03), strict=True)]
    optimizer = SGD(groups, momentum=0.9, weight_decay=1e-4)
    return net, optimizer, Zenith(optimizer, window=window, **options)


def train(run, data, first, last):
    net, optimizer, scheduler = run
    trace = []
    for batch in data[first:last]:
        backward(net, batch)
        optimizer.step()
        scheduler.step()
        trace.append([float(lr) for lr in scheduler.get_last_lr()])
    return trace


def save(run) -> bytes:
    file = io.BytesIO()
    torch.save([part.state_dict() for part in run], file)
    return file.getvalue()


def load(run, file: bytes, order=(0, 1, 2)):
    states = torch.load(io.BytesIO(file), weights_only=True)
    for index in order:
        run[index].load_state_dict(states[index])


def fixed_batches():
    source = batches()
    return [next(source) for _ in range(STEPS)]


@pytest.mark.parametrize("options", [{}, {"min_scale": 0.9, "spike_factor": 1.1}], ids=str)
@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])
def test_resume_is_bit_exact_at_every_step(kind, options):
    data = fixed_batches()
    whole = build(kind, **options)
    files, trace = [save(whole)], []
    for t in range(STEPS):
        trace += train(whole, data, t, t + 1)
        files.append(save(whole))
    for cut, file in enumerate(files):
        resumed = build(kind, seed=1, **options)
        load(resumed, file, order=(0, 2, 1) if cut % 2 else (0, 1, 2))
        assert [float(lr) for lr in resumed[2].get_last_lr()] == (
            trace[cut - 1] if cut else pytest.approx([0.1, 0.03])
        )
        assert train(resumed, data, cut, STEPS) == trace[cut:]
        for mine, theirs in zip(resumed[0].parameters(), whole[0].parameters(), strict=True):
            assert torch.equal(mine, theirs)
        assert resumed[2].state_dict() == whole[2].state_dict()


def test_a_run_moves_between_float_and_tensor_learning_rates():
    data = fixed_batches()
    whole = build(float)
    train(whole, data, 0, 30)
    file = save(whole)
    trace = train(whole, data, 30, STEPS)
    resumed = build(torch.tensor)
    load(resumed, file)
    for mine, theirs in zip(train(resumed, data, 30, STEPS), trace, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)


def test_the_optimizer_alone_is_not_a_resume():
    data = fixed_batches()
    whole = build(float, window=5)
    train(whole, data, 0, 30)
    whole[2].observe(0.1)
    train(whole, data, 0, 1)
    assert whole[2].scale < 1
    resumed = build(float, window=5)
    resumed[1].load_state_dict(copy.deepcopy(whole[1].state_dict()))
    backward(resumed[0], data[30])
    with pytest.raises(RuntimeError, match="load the state of Zenith too"):
        resumed[1].step()
    resumed[2].load_state_dict(whole[2].state_dict())
    resumed[1].step()


def test_zenith_may_be_built_after_the_optimizer_was_loaded():
    data = fixed_batches()
    whole = build(float, window=5)
    train(whole, data, 0, 30)
    net, optimizer, _ = build(float)
    optimizer = SGD([{"params": [*net.parameters()][:3]}, {"params": [*net.parameters()][3:]}])
    optimizer.load_state_dict(whole[1].state_dict())
    scheduler = Zenith(optimizer, window=5)
    assert scheduler.get_last_lr() == [0.1, 0.03]  # eta_0, as in initial_lr, and not eta_30
    scheduler.load_state_dict(whole[2].state_dict())
    assert scheduler.get_last_lr() == whole[2].get_last_lr()


GOOD_HISTORY = {"format": 1, "window": 20, "norms": [1.0], "peak": 0.0, "skipped": 0}
REFUSED = {
    "another window": {"history": GOOD_HISTORY | {"window": 21}},
    "too many norms": {"history": GOOD_HISTORY | {"norms": [1.0] * 21}},
    "a NaN norm": {"history": GOOD_HISTORY | {"norms": [math.nan]}},
    "a NaN peak": {"history": GOOD_HISTORY | {"peak": math.nan}},
    "history is no dict": {"history": [1.0]},
    "history lacks a key": {"history": {"format": 1}},
    "a foreign key": {"lr": 0.1},
    "one learning rate too few": {"base_lrs": [0.1]},
    "a NaN learning rate": {"base_lrs": [0.1, math.nan]},
    "learning rates as a tensor": {"base_lrs": torch.tensor([0.1, 0.03])},
    "a negative count": {"updates": -1},
    "a count that is no int": {"last_epoch": 1.0},
    "a schedule where none is": {"schedule": {}},
}


@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])
@pytest.mark.parametrize("damage", REFUSED)
def test_a_damaged_state_is_refused_and_nothing_changed(damage, kind):
    run = build(kind)
    train(run, fixed_batches(), 0, 30)
    state, lrs = run[2].state_dict(), run[2].get_last_lr()
    key = next(iter(REFUSED[damage]))
    with pytest.raises(ValueError, match=key if key != "history" else "portable state"):
        run[2].load_state_dict(copy.deepcopy(state) | REFUSED[damage])
    assert run[2].state_dict() == state
    assert run[2].get_last_lr() == lrs


@pytest.mark.parametrize("key", ["history", "base_lrs", "updates", "last_epoch", "schedule"])
def test_a_state_that_lacks_a_key_is_refused_and_nothing_changed(key):
    run = build(float)
    state = run[2].state_dict()
    with pytest.raises(ValueError, match=rf"Missing: \['{key}'\]"):
        run[2].load_state_dict({name: value for name, value in state.items() if name != key})
    assert run[2].state_dict() == state


@pytest.mark.parametrize("state", [None, [], 3])
def test_what_is_no_dict_is_refused(state):
    with pytest.raises(ValueError, match="must be a dict"):
        build(float)[2].load_state_dict(state)


@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])
def test_the_portable_state_carries_the_history_through_json(kind):
    data = fixed_batches()
    whole = build(kind)
    train(whole, data, 0, 30)
    resumed = build(kind)
    load(resumed, save(whole), order=(0, 1))
    import_state(resumed[2], json.loads(json.dumps(export_state(whole[2]))))
    assert train(resumed, data, 30, STEPS) == train(whole, data, 30, STEPS)


def test_a_bad_portable_state_is_refused_and_nothing_changed():
    run = build(float)
    train(run, fixed_batches(), 0, 30)
    state = run[2].state_dict()
    with pytest.raises(ValueError, match="'window' must be 20"):
        import_state(run[2], GOOD_HISTORY | {"window": 19})
    assert run[2].state_dict() == state
