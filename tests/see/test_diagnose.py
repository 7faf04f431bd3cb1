"""Every finding on a recorded run that shows it, and none on one that does not."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

from tests.oracle import algorithm_1
from tests.see.test_log import snapshots
from zenith.core import init, to_portable, update
from zenith.diagnose import diagnose
from zenith.log import Log, LogWriter, read_log

RECORDED = Path(__file__).parents[1] / "recorded"  # by `python -m tests.recorded.record`
SHOWN = {
    "clipped": ["clipped"],
    "falling": [],
    "floor": ["floor"],
    "noise_floor": ["noise-floor"],
    "rising": ["rising"],
    "sampled": ["sampled"],
    "short": ["window-not-full"],
    "skipped": ["skipped"],
    "spike": ["spike"],
}


def codes(source, **options):
    return [finding.code for finding in diagnose(source, **options)]


def recorded(name):
    return read_log(RECORDED / f"{name}.csv")


def varied(steps, jitter=0.02):
    return 1 + jitter * (np.arange(steps) % 5 - 2) / 2


def run_of(norms, window=10, *, jitter=0.02, **safeguards):
    """What the log of a run with these norms holds, the norms varied such that means stay."""
    norms = np.array(norms) * varied(len(norms), jitter)
    state, rows = init(window), []
    for norm in norms:
        state = update(state, norm, **safeguards)
        rows.append(state)
    nothing = np.full(len(rows), np.nan)
    return Log(
        step=np.arange(1, len(rows) + 1),
        lr=np.array([0.1 * float(state.scale) for state in rows]),
        grad_norm=np.where(np.isfinite(norms), norms, np.nan),
        mean=np.array([float(state.total) / max(int(state.count), 1) for state in rows]),
        peak=np.array([float(state.peak) / window for state in rows]),
        scale=np.array([float(state.scale) for state in rows]),
        skipped=np.array([int(state.skipped) for state in rows]),
        window=np.full(len(rows), window),
        loss=nothing,
    )


@pytest.mark.parametrize("name", SHOWN)
def test_a_recorded_run_shows_what_it_was_recorded_for_and_nothing_else(name):
    assert codes(RECORDED / f"{name}.csv") == SHOWN[name]


def test_every_recorded_run_is_tried_and_every_one_is_small():
    files = {path.stem: path.stat().st_size for path in RECORDED.glob("*.csv")}
    assert files.keys() == SHOWN.keys()
    assert max(files.values()) < 30_000


def test_the_damage_is_what_the_same_run_would_have_without_the_spike():
    run = recorded("spike")
    with_it, without = (algorithm_1(60) for _ in range(2))
    for norm in run.grad_norm:
        scale, undisturbed = with_it(norm), without(0.257 if norm > 100 else norm)
    damage = 1 - scale / undisturbed
    (finding,) = diagnose(run)
    assert "The norm of step 300 has pinned the zenith: 1.14e+03 where 0.257 is" in finding.seen
    assert f"every later learning rate is {damage:.0%} lower" in finding.seen
    assert 0.9 < damage < 1


@pytest.mark.parametrize("size", [61.0, 100.0, 501.0, 5001.0])
def test_a_spike_of_s_costs_what_the_formula_says(size):
    # One norm of S among ones, in a window of W, leaves 1 / (1 + (S - 1) / W).
    window = 500
    (finding,) = [
        finding
        for finding in diagnose(run_of([1.0] * 600 + [size] + [1.0] * 600, window, jitter=0.0))
        if finding.code == "spike"
    ]
    damage = 1 - 1 / (1 + (size - 1) / window)
    assert f"is {damage:.0%} lower" in finding.seen


@pytest.mark.parametrize("size", [9.9, 55.0])
def test_a_spike_that_is_small_or_does_little_is_none(size):
    norms = [1.0] * 600 + [size] + [1.0] * 600
    assert "spike" not in codes(run_of(norms, 500))  # 55: 9.7 %


def test_spikes_of_an_excursion_count_together():
    norms = [1.0] * 200 + [50.0, 40.0, 30.0] + [1.0] * 200
    (finding,) = [f for f in diagnose(run_of(norms, 100, jitter=0.0)) if f.code == "spike"]
    assert "The norms of step 201 and of 2 more have pinned the zenith: 50 where 1" in finding.seen
    assert "It is 2.17 instead of 1," in finding.seen  # (97 + 120) / 100
    assert "54% lower" in finding.seen


def test_spike_factor_leaves_no_damage_to_report():
    norms = [1.0] * 200 + [500.0] + [1.0] * 200
    assert "spike" in codes(run_of(norms, 100))
    assert "spike" not in codes(run_of(norms, 100, spike_factor=10.0))


@pytest.mark.parametrize("transient", [1, 20, 60])
def test_a_high_start_is_no_spike(transient):
    norms = [20.0] * transient + [1.0] * 500
    assert "spike" not in codes(run_of(norms, 50))


@pytest.mark.parametrize("steps", [48, 200])
def test_a_norm_that_stays_high_is_no_spike(steps):
    assert "spike" not in codes(run_of([1.0] * 200 + [30.0] * steps + [1.0] * 100, 50))


def test_with_a_spike_the_trend_is_that_of_the_others():
    flat = [1.0] * 300
    flat[150] = 300.0
    assert codes(run_of(flat, 50)) == ["spike", "noise-floor"]


def test_the_safeguard_is_named_with_its_first_step():
    norms = [4.0] * 20 + [1.0] * 40
    run = run_of(norms, 10, min_scale=0.5)
    (finding,) = diagnose(run)
    assert finding.code == "floor"
    # Of the last ten norms seven are 1 at step 27: 1.9 / 4 is the first below a half.
    assert "floor of 0.5 eta_0" in finding.seen
    assert "ask for 0.25; it first was at step 27." in finding.seen
    assert codes(run_of(norms, 10)) == []


def test_the_floor_is_found_between_the_rows_that_tell_it(tmp_path):
    state, log = init(10), LogWriter(tmp_path / "zenith.csv", every=10)
    from zenith.log import Snapshot

    for step, norm in enumerate(np.array([4.0] * 20 + [1.0] * 40) * varied(60), 1):
        state = update(state, norm, min_scale=0.5)
        log.write(Snapshot(step, 0.1 * float(state.scale), state))
    log.close()
    (finding,) = diagnose(tmp_path / "zenith.csv")
    assert "it first was at step 27." in finding.seen


@pytest.mark.parametrize(
    ("steps", "found"), [(19, []), (20, ["noise-floor"]), (60, ["noise-floor"])]
)
def test_a_flat_norm_is_told_once_a_second_window_is_seen(steps, found):
    assert codes(run_of([1.0] * steps, 10)) == found


@pytest.mark.parametrize(("end", "found"), [(0.81, ["noise-floor"]), (0.79, [])])
def test_flat_means_above_four_fifths_of_the_zenith(end, found):
    assert codes(run_of([1.0] * 100 + [end] * 100, 10)) == found


@pytest.mark.parametrize(("growth", "found"), [(1.25, ["rising"]), (1.15, ["noise-floor"])])
def test_rising_means_a_fifth_in_half_of_the_run(growth, found):
    assert codes(run_of([1.0] * 150 + [growth] * 150, 10)) == found


@pytest.mark.parametrize(("share", "found"), [(0.6, ["clipped"]), (0.4, ["noise-floor"])])
def test_clipped_means_half_of_the_window(share, found):
    norms = np.minimum(np.random.default_rng(0).uniform(0, 1, 400), 1 - share)
    assert codes(run_of(norms, 100, jitter=0.0)) == found


def test_clipping_hides_no_spike_of_before():
    norms = [1.0] * 200 + [500.0] + [1.0] * 200
    assert codes(run_of(norms, 50, jitter=0.0)) == ["spike", "clipped"]


def test_skipped_steps_are_counted_and_placed():
    norms = [3.0] * 10 + [math.nan, math.inf] + [*np.linspace(3, 1, 50)] + [math.nan] + [1.0] * 10
    (finding,) = diagnose(run_of(norms, 5))
    assert finding.code == "skipped"
    assert finding.seen.startswith("3 gradient norms")
    assert "the first by step 11, the last by step 63" in finding.seen
    assert codes(run_of([norm for norm in norms if math.isfinite(norm)], 5)) == []


@pytest.mark.parametrize("seen", [1, 9, 10])
def test_the_window_is_full_at_its_last_norm(seen):
    findings = diagnose(run_of([1.0] * seen, 10))
    if seen == 10:
        assert findings == []
    else:
        (finding,) = findings
        assert f"has {seen} of 10 norms" in finding.seen


def test_a_portable_state_tells_what_one_window_can():
    assert codes(to_portable([*snapshots([1.0] * 4, 10)][-1].state)) == ["window-not-full"]
    norms = varied(40).tolist()
    assert codes(to_portable([*snapshots(norms, 10)][-1].state)) == []
    assert codes(to_portable([*snapshots([*norms, math.nan], 10)][-1].state)) == ["skipped"]
    assert codes(to_portable([*snapshots([1.0] * 40, 10)][-1].state)) == ["clipped"]


def test_another_logger_that_samples_tells_trends_but_no_spikes():
    norms = [1.0] * 600
    norms[300] = 1e4
    whole = run_of(norms, 50)
    rows = slice(49, None, 51)
    sampled = Log(
        **{f.name: getattr(whole, f.name)[rows] for f in dataclasses.fields(Log)[:-1]},
    )
    unknown = dataclasses.replace(sampled, window=0 * sampled.window)
    assert codes(whole) == ["spike", "noise-floor"]
    assert codes(sampled) == ["sampled"]
    flat = dataclasses.replace(unknown, peak=np.ones(11), mean=np.ones(11))
    assert codes(flat) == ["noise-floor", "sampled"]


def test_epochs_alone_claim_nothing(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,grad_norm,learning_rate\n0,2.5,0.1\n1,1.5,0.05\n")
    assert codes(path) == ["sampled"]


def test_norms_without_a_window_tell_nothing_and_say_so(tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text(
        "step,grad_norm\n" + "".join(f"{t},{norm}\n" for t, norm in enumerate(varied(39), 1))
    )
    assert codes(path) == ["window-unknown"]
    assert codes(path, window=10) == ["noise-floor"]
    assert codes(path, window=100) == ["window-not-full"]


def test_every_finding_has_a_figure_and_a_remedy():
    for name, shown in SHOWN.items():
        for finding in diagnose(RECORDED / f"{name}.csv"):
            assert finding.code in shown
            assert re.search(r"\d", finding.seen)
            assert finding.seen.endswith(".")
            assert finding.advice.endswith(".")
            assert str(finding) == f"{finding.code}: {finding.seen} {finding.advice}"
