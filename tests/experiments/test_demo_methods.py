"""`demo --methods`: every rival in one table and one picture, and a divergence shown as one."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the demo needs torch: zenith-lr[experiments]")
pytest.importorskip("sklearn", reason="the demo needs sklearn: zenith-lr[experiments]")
pytest.importorskip("matplotlib", reason="the demo needs matplotlib: zenith-lr[experiments]")
pytest.importorskip("rich", reason="the demo needs rich: zenith-lr[experiments]")

import matplotlib.figure

from experiments.__main__ import main
from experiments.data import Data
from experiments.demo.curves import smooth
from experiments.demo.many import _geometric, draw_many
from experiments.demo.record import Evaluation, Record, Settings, Step
from experiments.demo.tables import summarize, write_tables
from experiments.demo.trainers.torch import train
from experiments.errors import RequestError
from experiments.methods import METHODS

SETTINGS = Settings(window=4, lr=0.1, epochs=2, batch=8)


def data() -> Data:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 50)
    x = (rng.random((50, 8, 8, 1)) * 0.5 + y[:, None, None, None] / 20).astype(np.float32)
    return Data("made up", x[:40], y[:40], x[40:], y[40:])


def run(method: str, settings: Settings = SETTINGS) -> Record:
    try:
        return train(data(), method, settings, 0, lambda step: None)
    except RequestError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_the_demo_and_tells_its_step_size(method: str) -> None:
    record = run(method)
    assert record.method == method
    assert all(math.isfinite(step.lr) for step in record.steps)
    assert all(step.grad_norm > 0 for step in record.steps)
    assert record.diverged or len(record.steps) == SETTINGS.total_steps(data())
    assert record.evaluations[-1].step == len(record.steps)
    assert 0 <= record.evaluations[-1].test_accuracy <= 1


def test_all_methods_begin_with_the_same_loss_and_gradient() -> None:
    starts = [run(method).steps[0] for method in METHODS if METHODS[method].source != "?"]
    assert len({step.loss for step in starts}) == 1
    assert len({step.grad_norm for step in starts}) == 1


def record_of(method: str, lrs: list[float], diverges: bool = False) -> Record:
    steps = [Step(lr, 1.0, 1.0) for lr in lrs]
    if diverges:
        steps[-1] = Step(lrs[-1], math.nan, math.nan)
    end = Evaluation(len(lrs), 0.5, 1.0, 1.0)
    return Record("torch", method, 0, steps, [end._replace(step=1), end], 1.0, diverges)


def texts(figure: matplotlib.figure.Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in (axes.get_legend() or _None).texts]


class _None:
    texts: tuple[()] = ()


def test_the_picture_names_every_method_once_and_zenith_in_every_row() -> None:
    records = [record_of(method, [0.1] * 8) for method in METHODS]
    labels = texts(draw_many(records, "title"))
    for method in METHODS.values():
        assert labels.count(method.label) == (4 if method.name == "zenith" else 1)


def test_no_row_has_two_methods_of_one_look() -> None:
    figure = draw_many([record_of(method, [0.1] * 8) for method in METHODS], "title")
    for axes in figure.axes:
        looks = [(line.get_color(), str(line._unscaled_dash_pattern)) for line in axes.lines]
        assert len(looks) == len(set(looks))


def test_a_run_that_diverged_is_called_so_and_ends_with_a_cross() -> None:
    records = [record_of("zenith", [0.1] * 9), record_of("dadapt-sgd", [0.1] * 5, diverges=True)]
    figure = draw_many(records, "title")
    assert "D-Adaptation SGD\n  diverged, step 5" in texts(figure)
    crosses = [
        tuple(float(at) for at in line.get_xydata()[0])
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "x"
    ]
    assert crosses == [(4.0, 1.0)]  # the last finite loss


def test_a_run_that_left_the_track_without_a_nan_is_called_worse_than_chance(
    tmp_path: Path,
) -> None:
    lost = record_of("l4", [0.1] * 9)
    lost.evaluations[-1] = Evaluation(9, 0.1, 5.0, 2.31)
    kept = record_of("l4-mom", [0.1] * 9)
    kept.evaluations[-1] = Evaluation(9, 0.1, 5.0, 2.30)  # ln 10 is 2.3026
    assert "L4\n  worse than chance" in texts(draw_many([lost, kept], "title"))
    write_tables(summarize([lost, kept]), "title", "command", tmp_path)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| L4 (worse than chance) |" in table
    assert "| L4Mom |" in table


def test_one_method_alone_is_drawn_too() -> None:
    assert texts(draw_many([record_of("zenith", [0.1] * 3)], "title")) == ["ZENITH"]


def test_a_step_size_is_smoothed_by_its_logarithm_and_without_zeros() -> None:
    values = np.array([1.0, 100.0, 0.0, -4.0, 4.0])
    assert _geometric(values, 2)[1] == pytest.approx(10)
    assert _geometric(values, 2)[2] == pytest.approx(100)  # 0 has no place on the axis
    assert _geometric(values, 2)[4] == pytest.approx(4)  # -4 counts as 4
    assert np.isnan(_geometric(np.zeros(3), 2)).all()
    assert smooth(np.array([1.0, 3.0]), 2).tolist() == [1.0, 2.0]


TINY = ["demo", "--epochs", "1", "--batch", "200", "--window", "3", "--seeds", "1"]


def test_chosen_methods_are_in_the_table_in_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = "pal,zenith,sps,pal"
    assert main([*TINY, "--methods", chosen, "--out", str(tmp_path)]) == 0
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [row["method"] for row in csv.DictReader(file)] == ["pal", "zenith", "sps"]
    assert "--methods=pal,zenith,sps" in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert "sps, seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "adam"], "names among zenith, cocob"),
        (["--methods", "zenith,"], "names among zenith, cocob"),
        (["--methods", "all,zenith"], "Received: all"),
        (["--methods", "pal", "--framework", "optax"], "the others are for torch. Received: pal"),
    ],
)
def test_a_method_that_is_not_there_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setattr("experiments.commands.demo.load_trainer", lambda *_: None)
    monkeypatch.setattr("experiments.demo.run.run_all", lambda *_: pytest.fail("training started"))
    assert main([*TINY, *arguments, "--out", str(tmp_path / "out")]) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert said in output.err
    assert not (tmp_path / "out").exists()
