"""A log holds the run: every norm, whatever `every`, and what follows from them."""

import json
import math
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import ExactRule
from zenith.core import init, resize, to_portable, update
from zenith.log import Log, LogWriter, Snapshot, read_log

LR = 0.1
HEADER = "step,lr,grad_norm,mean,peak,scale,skipped,window,loss\n"
finite = st.floats(0, 1e6, width=32, allow_subnormal=False)
refused = st.sampled_from([math.nan, math.inf, -1.0])


def snapshots(norms, window, start=0, state=None):
    state = init(window) if state is None else state
    for step, norm in enumerate(norms, start + 1):
        state = update(state, norm)
        yield Snapshot(step, LR * float(state.scale), state)


def write(path, norms, window, every=1):
    with LogWriter(path, every=every) as log:
        for snapshot in snapshots(norms, window):
            log.write(snapshot, loss=snapshot.step / 8)
    return read_log(path)


def by_the_oracle(norms, window):
    """mean, peak, scale and skipped after each norm."""
    rule, rows = ExactRule(window), []
    for norm in norms:
        rule.push(norm)
        mean = float(rule.total) / len(rule.norms) if rule.norms else math.nan
        rows.append((mean, float(rule.peak) / window, float(rule.scale), rule.skipped))
    return np.array(rows, float).T


def assert_same(log, expected, rows=slice(None)):
    mean, peak, scale, skipped = expected
    np.testing.assert_allclose(log.mean[rows], mean[rows], rtol=1e-6)
    np.testing.assert_allclose(log.peak[rows], peak[rows], rtol=1e-6)
    np.testing.assert_allclose(log.scale[rows], scale[rows], rtol=1e-6)
    np.testing.assert_array_equal(log.skipped[rows], skipped[rows])


@given(st.lists(finite | refused, min_size=1, max_size=40), st.integers(1, 12))
def test_written_in_every_step_it_holds_what_the_rule_did(tmp_path_factory, norms, window):
    log = write(tmp_path_factory.mktemp("log") / "zenith.csv", norms, window)
    assert log.step.tolist() == [*range(1, len(norms) + 1)]
    valid = np.array([norm >= 0 and norm < math.inf for norm in norms])
    tiny = np.array([0 <= norm < 2.0**-100 for norm in norms])
    expected = np.where(valid, np.where(tiny, 0.0, norms), np.nan)
    np.testing.assert_array_equal(np.float32(log.grad_norm), expected)
    assert_same(log, by_the_oracle(norms, window))
    np.testing.assert_allclose(log.lr, LR * log.scale, rtol=1e-6)
    np.testing.assert_array_equal(log.loss, log.step / 8)
    assert not log.lost.any()


@given(st.lists(finite, min_size=1, max_size=60), st.integers(1, 12), st.data())
def test_written_once_in_a_while_it_holds_the_same(tmp_path_factory, norms, window, data):
    every = data.draw(st.integers(1, window))
    log = write(tmp_path_factory.mktemp("log") / "zenith.csv", norms, window, every)
    assert log.step.tolist() == [*range(1, len(norms) + 1)]
    expected = [norm if norm >= 2.0**-100 else 0.0 for norm in norms]
    np.testing.assert_array_equal(np.float32(log.grad_norm), expected)
    assert not log.lost.any()
    assert_same(log.complete(), by_the_oracle(norms, window))
    np.testing.assert_allclose(log.complete().lr, LR * log.complete().scale, rtol=1e-6)


@given(st.lists(finite | refused, min_size=1, max_size=60), st.integers(1, 12), st.data())
def test_skipped_steps_between_two_writes_shift_no_mean(tmp_path_factory, norms, window, data):
    every = data.draw(st.integers(1, window))
    log = write(tmp_path_factory.mktemp("log") / "zenith.csv", norms, window, every)
    valid = [norm for norm in norms if 0 <= norm < math.inf]
    written = np.float32(log.grad_norm[np.isfinite(log.grad_norm)])
    np.testing.assert_array_equal(written, [n if n >= 2.0**-100 else 0 for n in valid])
    assert not log.lost.any()
    assert log.skipped[-1] == len(norms) - len(valid)
    run, expected = log.complete(), by_the_oracle(norms, window)
    at = np.flatnonzero((log.step % every == 0) | (log.step == len(norms)))
    assert_same(run, expected[:, log.step - 1], at)
    # Between the writes the computed mean is that of the same norms in the same order.
    means = by_the_oracle(valid, window)[0] if valid else []
    np.testing.assert_allclose(run.mean[np.isfinite(log.grad_norm)], means, rtol=1e-6)


def test_with_every_above_the_window_it_says_what_is_lost(tmp_path):
    norms = np.linspace(3, 1, 50)
    log = write(tmp_path / "zenith.csv", norms, window=4, every=10)
    assert log.step.tolist() == [t for t in range(1, 51) if (t - 1) % 10 >= 6]
    assert log.lost.tolist() == [6, 0, 0, 0] * 5
    at = log.step % 10 == 0
    mean, peak, scale, _ = by_the_oracle(norms, 4)[:, log.step - 1]
    run = log.complete()
    np.testing.assert_allclose(run.mean[at], mean[at], rtol=1e-6)
    np.testing.assert_allclose(run.scale[at], scale[at], rtol=1e-6)
    assert np.isnan(log.replay().mean[~at]).all()  # of fewer norms than W
    np.testing.assert_allclose(run.peak[at], peak[at], rtol=1e-6)


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("checkpoint", [20, 25, 33])
def test_a_resumed_run_reads_like_one_that_never_stopped(every, checkpoint, tmp_path):
    norms, window = np.random.default_rng(0).lognormal(size=60), 10
    whole = write(tmp_path / "whole.csv", norms, window, every).complete()
    path = tmp_path / "zenith.csv"
    run = [*snapshots(norms, window)]
    with LogWriter(path, every=every) as log:
        for snapshot in run[:33]:
            log.write(snapshot)
    with LogWriter(path, every=every) as log:
        for snapshot in run[checkpoint:]:
            log.write(snapshot)
    resumed = read_log(path).complete()
    assert not resumed.lost.any()
    for name in ("step", "grad_norm", "skipped", "mean", "peak", "scale", "lr"):
        mine, theirs = getattr(resumed, name), getattr(whole, name)
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, err_msg=name)


def test_a_new_run_in_an_old_file_replaces_it(tmp_path):
    path = tmp_path / "zenith.csv"
    write(path, [9.0] * 20, 5, every=10)
    log = write(path, [1.0] * 12, 5, every=4)
    assert log.step.tolist() == [*range(1, 13)]
    assert log.grad_norm.tolist() == [1.0] * 12


def test_a_writer_that_comes_late_has_what_the_window_holds(tmp_path):
    with LogWriter(tmp_path / "zenith.csv") as log:
        log.write([*snapshots([5.0, 4.0, 3.0, 2.0, 1.0], 3)][-1])
    log = read_log(tmp_path / "zenith.csv")
    assert log.step.tolist() == [3, 4, 5]
    assert log.grad_norm.tolist() == [3.0, 2.0, 1.0]
    assert log.lost.tolist() == [2, 0, 0]
    assert log.complete().peak[-1] == 4.0  # from before the log


def test_the_zenith_of_before_the_log_holds_in_the_rows_between_two_looks(tmp_path):
    run = [*snapshots([9.0] * 5 + [3.0, 2.0, 1.0, 2.0, 3.0], 3)]
    with LogWriter(tmp_path / "zenith.csv") as log:
        log.write(run[6])  # the window holds 9, 3 and 2
        log.write(run[9])
    late = read_log(tmp_path / "zenith.csv").complete()
    assert late.step.tolist() == [5, 6, 7, 8, 9, 10]
    assert late.peak[2:].tolist() == [9.0] * 4
    assert late.scale[3:] == pytest.approx([2 / 9, (5 / 3) / 9, 2 / 9], rel=1e-6)


def test_a_window_that_was_resized_goes_on_from_its_norms(tmp_path):
    norms = np.random.default_rng(0).lognormal(size=40)
    run = [*snapshots(norms[:20], 8)]
    state = resize(run[-1].state, 4)
    path = tmp_path / "zenith.csv"
    with LogWriter(path) as log:
        for snapshot in run:
            log.write(snapshot)
        resized = [*snapshots(norms[20:], 4, 20, state)]
        for snapshot in resized:
            log.write(snapshot)
    log = read_log(path)
    assert log.step.tolist() == [*range(1, 41)]
    # The rule again from the norms alone is what every row says.
    replayed = log.replay()
    np.testing.assert_allclose(replayed.mean, log.mean, rtol=1e-6)
    np.testing.assert_allclose(replayed.scale, log.scale, rtol=1e-6)
    np.testing.assert_allclose(replayed.peak, log.peak, rtol=1e-6)


def test_another_history_in_mid_run_claims_no_more_than_the_last_norm(tmp_path):
    path = tmp_path / "zenith.csv"
    with LogWriter(path, every=2) as log:
        for snapshot in [*snapshots([1.0] * 4, 4)]:
            log.write(snapshot)
        other = [*snapshots([7.0, 8.0, 9.0, 6.0, 5.0], 4)][-1]
        log.write(Snapshot(5, LR, other.state))
        log.write(Snapshot(6, LR, other.state))
    log = read_log(path)
    assert log.grad_norm.tolist() == [1.0, 1.0, 1.0, 1.0, 5.0]
    assert log.step.tolist() == [1, 2, 3, 4, 6]


def test_a_step_that_a_device_skipped_moves_nothing(tmp_path):
    run = [*snapshots([1.0, 2.0, 3.0], 4)]
    with LogWriter(tmp_path / "zenith.csv") as log:
        log.write(run[0])
        log.write(run[1])
        log.write(run[1]._replace(step=3))
        log.write(run[2]._replace(step=4))
    log = read_log(tmp_path / "zenith.csv")
    np.testing.assert_array_equal(log.grad_norm, [1.0, 2.0, np.nan, 3.0])


def test_a_call_without_a_new_step_writes_nothing(tmp_path):
    path = tmp_path / "zenith.csv"
    with LogWriter(path) as log:
        log.write(Snapshot(0, LR, init(3)))
        for snapshot in snapshots([1.0, 2.0], 3):
            log.write(snapshot)
            log.write(snapshot)
    assert path.read_text().count("\n") == 3


class Counting:
    def __init__(self, norms, window):
        self.run, self.looks, self.calls = [*snapshots(norms, window)], 0, 0

    def snapshot(self):
        self.looks += 1
        return self.run[self.calls - 1]


class Loss:
    reads = 0

    def __float__(self):
        Loss.reads += 1
        return 0.5


def test_the_run_and_its_loss_are_looked_at_once_in_every(tmp_path):
    run = Counting([1.0] * 25, 10)
    log = LogWriter(tmp_path / "zenith.csv", every=10)
    for _ in range(25):
        run.calls += 1
        log.write(run, loss=Loss())
    assert (run.looks, Loss.reads) == (2, 2)
    log.close()
    log.close()
    assert (run.looks, Loss.reads) == (3, 3)
    assert len(read_log(tmp_path / "zenith.csv")) == 25


def test_a_killed_run_leaves_every_row(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from tests.see.test_log import snapshots\n"
        "from zenith.log import LogWriter\n"
        "log = LogWriter(sys.argv[1])\n"
        "for snapshot in snapshots([1.0] * 50, 10): log.write(snapshot)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "zenith.csv"
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)  # noqa: S603
    assert killed.returncode == -signal.SIGKILL
    assert read_log(path).step.tolist() == [*range(1, 51)]


def test_half_a_row_is_left_out_and_cut_off(tmp_path):
    path = tmp_path / "zenith.csv"
    write(path, [3.0, 2.0], 5)
    whole = path.read_bytes()
    path.write_bytes(whole + b"3,0.1,1.23")
    assert read_log(path).step.tolist() == [1, 2]
    with LogWriter(path) as log:
        log.write([*snapshots([3.0, 2.0, 1.0], 5)][-1])
    assert path.read_bytes().startswith(whole)
    assert read_log(path).grad_norm.tolist() == [3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"every": 0}, ValueError, "every must be at least 1. Received: 0"),
        ({"every": 1.5}, TypeError, "every must be an int.*Received: 1.5"),
        ({"every": True}, TypeError, "every must be an int.*Received: True"),
    ],
)
def test_a_wrong_every_makes_no_file(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        LogWriter(tmp_path / "zenith.csv", **arguments)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("content", ["step,lr\n1,0.1\n", "hello", HEADER + "x,,,,,,,,\n"])
def test_a_file_of_another_kind_is_left_alone(content, tmp_path):
    path = tmp_path / "zenith.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match="path must be"):
        LogWriter(path)
    assert path.read_text() == content


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        LogWriter(tmp_path / "none" / "zenith.csv")


STATE = update(init(3), 1.0)


@pytest.mark.parametrize(
    ("run", "loss", "error", "message"),
    [
        (3, None, TypeError, "run must be a zenith.log.Snapshot.*Received: 3"),
        (Snapshot(-1, LR, STATE), None, ValueError, "step must be at least 0. Received: -1"),
        (Snapshot(1, -0.1, STATE), None, ValueError, "lr must be finite.*Received: -0.1"),
        (Snapshot(1, math.nan, STATE), None, ValueError, "lr must be finite.*Received: nan"),
        (Snapshot(1, LR, to_portable(STATE)), None, TypeError, "state must be the ZenithState"),
        (Snapshot(1, LR, STATE), "low", TypeError, "loss must be one number. Received: 'low'"),
        (Snapshot(1, LR, STATE), [1, 2], TypeError, "loss must be one number"),
    ],
)
def test_what_is_no_step_is_refused_and_nothing_is_written(run, loss, error, message, tmp_path):
    path = tmp_path / "zenith.csv"
    with LogWriter(path) as log, pytest.raises(error, match=message):
        log.write(run, loss=loss)
    assert path.read_text() == HEADER


def test_after_close_it_says_so(tmp_path):
    log = LogWriter(tmp_path / "zenith.csv")
    log.close()
    with pytest.raises(RuntimeError, match="the log is closed"):
        log.write(Snapshot(1, LR, STATE))


# Reading what others write.

NORMS = np.random.default_rng(1).lognormal(size=30).astype("float32")


@pytest.mark.parametrize("name", ["zenith.csv", "zenith.jsonl", "zenith.json"])
def test_norms_alone_are_enough_once_the_window_is_told(name, tmp_path):
    path = tmp_path / name
    if path.suffix == ".csv":
        path.write_text("step,grad_norm\n" + "".join(f"{t},{g}\n" for t, g in enumerate(NORMS, 1)))
    else:
        rows = [{"step": t, "grad_norm": float(g)} for t, g in enumerate(NORMS, 1)]
        path.write_text("\n".join(map(json.dumps, rows)))
    assert np.isnan(read_log(path).complete().mean).all()
    assert_same(read_log(path, window=7).complete(), by_the_oracle(NORMS, 7))


def test_a_norm_that_is_not_finite_counts_as_skipped(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("step,grad_norm,window\n1,1.0,2\n2,nan,2\n3,inf,2\n4,3.0,2\n")
    log = read_log(path)
    assert log.skipped.tolist() == [0, 1, 2, 2]
    np.testing.assert_array_equal(log.complete().mean, [1.0, 1.0, 1.0, 2.0])


def test_a_full_portable_state_is_its_window(tmp_path):
    state = [*snapshots(NORMS, 7)][-1].state
    path = tmp_path / "state.json"
    path.write_text(json.dumps(to_portable(state)))
    for source in (to_portable(state), path, str(path)):
        log = read_log(source).complete()
        assert log.step.tolist() == [*range(-6, 1)]
        assert log.unit == "step before now"
        np.testing.assert_array_equal(log.grad_norm, NORMS[-7:])
        assert log.mean[-1] == pytest.approx(float(np.mean(NORMS[-7:], dtype="f8")))
        assert log.scale[-1] == state.scale
        assert log.peak[-1] == pytest.approx(float(state.peak) / 7)
        assert np.isnan(log.mean[:-1]).all()


def test_a_young_portable_state_is_a_run_from_its_start():
    state = [*snapshots([1.0, math.nan, 3.0], 7)][-1].state
    log = read_log(to_portable(state)).complete()
    assert log.step.tolist() == [2, 3]
    assert log.mean.tolist() == [1.0, 2.0]
    assert log.peak.tolist() == [0.0, 0.0]


def test_the_csv_logger_of_keras_is_read_by_the_epoch(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,grad_norm,learning_rate,loss\n0,2.5,0.1,1.0\n1,1.5,0.05,NA\n")
    with pytest.raises(ValueError, match=r"log.csv, line 3, column 'loss'.*Received: 'NA'"):
        read_log(path)
    path.write_text("epoch,grad_norm,learning_rate,loss\n0,2.5,0.1,1.0\n1,1.5,0.05,0.5\n")
    log = read_log(path, window=500)
    assert (log.unit, log.step.tolist(), log.lr.tolist()) == ("epoch", [0, 1], [0.1, 0.05])
    assert np.isnan(log.complete().mean).all()


def test_the_csv_logger_of_lightning_has_other_rows_between(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(
        "epoch,grad_norm,lr,step,train_loss,val_acc,zenith/mean,zenith/peak,zenith/skipped\n"
        ",2.0,0.1,50,,,2.0,2.5,0\n0,,,50,0.7,,,,\n0,,,51,,0.9,,,\n,1.0,0.05,100,,,1.25,2.5,1\n"
    )
    log = read_log(path)
    assert log.step.tolist() == [50, 100]
    np.testing.assert_array_equal(log.loss, [0.7, np.nan])
    assert (log.mean.tolist(), log.skipped.tolist()) == ([2.0, 1.25], [0, 1])


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_a_folder_of_tensorboard_events(prefix, tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    write_events(tmp_path / "run", {f"{prefix}grad_norm": 2.0, f"{prefix}zenith/mean": 3.0})
    log = read_log(tmp_path)
    assert log.step.tolist() == [10, 20]
    assert (log.grad_norm.tolist(), log.mean.tolist()) == ([2.0, 2.0], [3.0, 3.0])


def test_a_folder_of_several_runs_or_none(tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    write_events(tmp_path / "other", {"accuracy": 0.5})
    with pytest.raises(ValueError, match=r"one run.*none have it, among the tags.*accuracy"):
        read_log(tmp_path)
    for run in ("a", "b"):
        write_events(tmp_path / run, {"grad_norm": 2.0})
    with pytest.raises(ValueError, match=r"one run.*/a'.*/b'"):
        read_log(tmp_path)


def test_a_folder_without_tensorboard_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_accumulator", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        read_log(tmp_path)


def write_events(folder, values):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for step in (10, 20):
        summary = Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values.items()])
        writer.add_event(Event(step=step, summary=summary))
    writer.close()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "'step' or 'epoch'"),
        ("a.csv", "step,accuracy\n1,0.5\n", "'step' or 'epoch'.*Received.*accuracy"),
        ("a.csv", "step,lr\n", "at least one step"),
        ("a.csv", "step,lr\n1,fast\n", "line 2, column 'lr' must hold numbers. Received: 'fast'"),
        ("a.csv", "step,lr\n1.5,0.1\n", "column 'step' must hold whole numbers"),
        ("a.csv", "step,lr\n-1,0.1\n", "column 'step' must hold whole numbers"),
        ("a.jsonl", '{"step": 1}\n', "at least one of"),
        ("a.jsonl", '{"step": 1, "lr": 1}\nx\n', "line 2 must be a JSON object"),
        ("a.jsonl", "[1]\n", "line 1 must be a JSON object"),
        ("a.json", '{"format": 1}', "portable state has exactly the keys"),
    ],
)
def test_a_file_that_is_no_log_is_refused(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_log(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_log(tmp_path / "zenith.csv")


def test_another_window_than_that_of_the_log_is_refused(tmp_path):
    log = write(tmp_path / "zenith.csv", NORMS, 7)
    assert isinstance(read_log(log, window=7), Log)
    with pytest.raises(ValueError, match=r"window must be.*\[7\]. Received: 8"):
        read_log(log, window=8)
    with pytest.raises(ValueError, match="window must be at least 1"):
        read_log(log, window=0)
