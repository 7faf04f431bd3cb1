"""Figures 1, 2, 5 and 6 and the profile: what the lines are made of, and that they can be drawn."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="the pictures need matplotlib: zenith-lr[experiments]")

from experiments.__main__ import main
from experiments.evidence.chart import Chart, Heat, Line, Look, Panel
from experiments.evidence.curves import median_line, smooth
from experiments.evidence.looks import looks
from experiments.evidence.norm_and_rate import norm_charts
from experiments.evidence.pictures import write_pictures
from experiments.evidence.rival_rates import rival_charts
from experiments.evidence.sensitivity import sensitivity_charts, varied
from experiments.evidence.speed import profile_chart
from experiments.evidence.study import Condition, Study
from experiments.evidence.training_curves import training_charts
from experiments.methods import METHODS
from experiments.results import write
from tests.evidence.made_up import run, whole_study

BLACK = Look("#000000")


@given(
    values=st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=20),
    width=st.integers(1, 9),
)
def test_smoothing_is_the_mean_of_the_finite_neighbours(values: list[float], width: int) -> None:
    smoothed = smooth(np.array(values), width)
    for i, value in enumerate(smoothed):
        low = max(0, i - width // 2)
        near = [v for v in values[low : i - width // 2 + width] if math.isfinite(v)]
        if math.isnan(values[i]):
            assert math.isnan(value)
        else:
            assert value == pytest.approx(sum(near) / len(near), abs=1e-9)


def test_a_curve_is_the_median_over_seeds_and_outlives_a_run_that_ended_early() -> None:
    runs = [run([0.1, 0.5, 0.9]), run([0.6, 0.7, 0.8], seed=1), run([0.2], seed=2)]
    line = median_line(
        runs,
        lambda one: one.epochs,
        lambda row: row.step,
        lambda row: row.test["accuracy"],  # type: ignore[union-attr]
        "a",
        BLACK,
        band=True,
    )
    np.testing.assert_allclose(line.x, [10, 20, 30])
    np.testing.assert_allclose(line.y, [0.2, 0.6, 0.85])
    assert line.band is not None
    np.testing.assert_allclose(line.band[0], [0.15, 0.55, 0.825])


def test_what_is_not_finite_is_left_out_of_a_curve() -> None:
    runs = [run([0.1, math.nan, math.inf])]
    line = median_line(
        runs,
        lambda one: one.epochs,
        lambda row: row.step,
        lambda row: row.test["accuracy"],  # type: ignore[union-attr]
        "a",
        BLACK,
    )
    np.testing.assert_allclose(line.x, [10])


def test_no_two_methods_look_the_same() -> None:
    found = looks([*METHODS])
    assert len({(look.color, look.dash) for look in found.values()}) == len(found)
    assert looks(["plateau"])["plateau"] == found["plateau"]


def test_the_settings_that_were_varied_are_found_alone() -> None:
    runs = [
        run([0.5]),
        run([0.6], changes={"window": 20}),
        run([0.7], changes={"window": 400, "l2": 1e-4}),
        run([0.7], method="cosine"),
        run([0.7], method="cosine", changes={"window": 20}),  # has no window
        run([0.8], method="cosine", changes={"lr": 0.3}),
    ]
    study = Study(tuple(runs))
    mnist = Condition("mnist", "laptop", ())
    assert {
        base: {m: [*v] for m, v in by.items()} for base, by in varied(study, "window").items()
    } == {mnist: {"zenith": [20, 100]}}
    assert [*varied(study, "lr")[mnist]["cosine"]] == [0.1, 0.3]
    (chart,) = sensitivity_charts(study)
    assert [panel.x_ticks for panel in chart.panels] == [[0.1, 0.3], [20, 100]]
    np.testing.assert_allclose(chart.panels[1].lines[0].y, [60, 50])


def test_the_profile_is_over_the_problems_that_all_its_methods_have() -> None:
    runs = [
        *(run([0.5, 0.9], seed=s) for s in (0, 1, 2)),
        *(run([0.9, 0.9], seed=s, method="cosine") for s in (0, 1)),
        run([0.9], seed=0, method="step"),  # fewer than half of the problems
    ]
    chart = profile_chart(Study(tuple(runs)), every_method=True)
    assert chart is not None
    assert "over 2 of 3 problems" in chart.caption
    assert "Left out for missing runs: step decay" in chart.caption
    zenith, cosine = chart.panels[1].lines
    # ZENITH takes twice the steps: nothing within 1, everything within 2.
    np.testing.assert_allclose(zenith.x, [1, 2, 2, 10])
    np.testing.assert_allclose(zenith.y, [0, 0, 1, 1])
    np.testing.assert_allclose(cosine.y, [1, 1, 1, 1])


def test_a_method_that_diverges_does_not_hide_the_others(tmp_path: Path) -> None:
    runs = [run([0.5, 0.6, 0.7]), run([0.5, 0.6, 0.7], method="cosine")]
    lost = run([0.01, 0.001], method="step", status="diverged")
    lost.steps[:] = [row._replace(loss=1e9) for row in lost.steps[:1]]
    runs += [lost, run([], method="constant", status="diverged")]
    (chart,) = training_charts(Study(tuple(runs)), every_method=True)
    losses, metrics = (panel.y_range for panel in chart.panels)
    assert losses is not None
    assert losses[1] < 1e6
    assert metrics is not None
    assert metrics[1] > 70
    write_pictures([chart], tmp_path)
    dead = [run([], method=method, status="diverged") for method in ("zenith", "cosine")]
    for one in dead:
        one.steps.clear()
    (chart,) = training_charts(Study(tuple(dead)), every_method=True)
    write_pictures([chart], tmp_path)


def test_there_is_no_profile_of_one_method() -> None:
    assert profile_chart(Study((run([0.5]),)), every_method=True) is None


@pytest.mark.parametrize("seed", range(3))
def test_any_part_of_a_study_can_be_charted(seed: int) -> None:
    runs = whole_study(seeds=2)
    part = Study(tuple(random.Random(seed).sample(runs, (4, 40, 200)[seed])))
    for charts in (
        training_charts(part, every_method=True),
        norm_charts(part),
        rival_charts(part),
        sensitivity_charts(part),
    ):
        names = [chart.name for chart in charts]
        assert len(set(names)) == len(names)
        for chart in charts:
            assert chart.panels
            assert all(len(line.x) == len(line.y) for p in chart.panels for line in p.lines)


def test_the_same_chart_gives_the_same_files(tmp_path: Path) -> None:
    grid = np.linspace(-1, 1, 5)
    x = np.array([1.0, 2.0, 30.0])
    line = Line(x, x, "a", BLACK, band=(x / 2, x * 2), bars=(x / 2, x * 2), marks="circle")
    points = Line(x, x, "b", BLACK, bars=(x * math.nan, x), marks="x", joined=False)
    panels = [
        Panel("log", "x", "y", [line, points], x_log=True, y_log=True, x_ticks=(1, 30), level=3),
        Panel("names", "x", "y", [line], x_names=("p", "q"), upright=0.5),
        Panel("heat", "x", "y", heat=Heat(grid, grid, np.add.outer(grid**2, grid**2), "z", 1.5)),
    ]
    chart = Chart("all", "a title", "a caption", panels)
    files = [
        {path.name: path.read_bytes() for path in write_pictures([chart], tmp_path)}
        for _ in range(2)
    ]
    assert files[0] == files[1]
    assert {*files[0]} == {"all.png", "all.svg"}
    assert files[0]["all.png"].startswith(b"\x89PNG")


def test_each_figure_has_a_command_and_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    for number in (1, 2, 5):
        write(run([0.5, 0.6]), results)
        write(run([0.5, 0.7], method="sps"), results)
        out = tmp_path / f"figure{number}"
        assert main([f"figure{number}", f"--results={results}", f"--out={out}"]) == 0
        assert {p.name for p in out.iterdir()} == {
            f"figure{number}-mnist.png",
            f"figure{number}-mnist.svg",
        }
    capsys.readouterr()
    for number, needed in ((3, "curvature"), (4, "curvature"), (6, "sweep")):
        assert main([f"figure{number}", f"--results={results}", f"--out={tmp_path}"]) == 2
        assert f"`python -m experiments {needed}" in capsys.readouterr().err
