"""`python -m experiments demo`, from the command line to the files."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.demo.schedules import METHODS

for _package in ("torch", "sklearn", "matplotlib", "rich"):
    pytest.importorskip(_package, reason=f"the demo needs {_package}: zenith-lr[experiments]")

TINY = ["demo", "--epochs", "1", "--batch", "200", "--window", "3", "--seeds", "2"]


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_demo_leaves_a_table_and_a_picture_and_prints_where(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    done = subprocess.run(  # noqa: S603 (our own command, as the user runs it, warnings being errors)
        [sys.executable, "-W", "error", "-m", "experiments", *TINY, "--out", str(out)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout  # no control characters in a log file
    names = {"demo.png", "demo.svg", "table.md", "table.csv"}
    assert {path.name for path in out.iterdir()} == names
    assert all(str(out / name) in done.stdout for name in names)
    assert all(f"{method}, seed 1" in done.stdout for method in METHODS)
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "demo.svg").read_text()

    table = rows(out)
    assert [row["method"] for row in table] == list(METHODS)
    for row in table:
        assert row["seeds"] == "2"
        low, middle, high = (float(row[f"test_accuracy_{x}"]) for x in ("low", "median", "high"))
        assert 0 <= low <= middle <= high <= 1
        assert float(row["step_milliseconds_median"]) > 0
    markdown = (out / "table.md").read_text(encoding="utf-8")
    assert "--epochs=1 --batch=200" in markdown
    assert all(line.count("|") == 6 for line in markdown.splitlines()[2:8])


def test_divergence_is_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--lr", "1e30", "--out", str(tmp_path)]) == 0
    assert "diverged at step" in capsys.readouterr().out
    assert all(row["diverged"] == "2" for row in rows(tmp_path))
    assert all(math.isinf(float(row["train_loss_median"])) for row in rows(tmp_path))
    assert "2 of 2 diverged" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_a_window_that_never_fills_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, "--window", "500", "--out", str(tmp_path)]) == 0
    assert "window of 500 is longer than the 7 steps" in capsys.readouterr().out
    zenith, constant = rows(tmp_path)[:2]
    assert zenith["train_loss_median"] == constant["train_loss_median"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs", "0"], "--epochs: must be a whole number of at least 1. Received: 0"),
        (["--window", "0"], "--window"),
        (["--window", "2.5"], "2.5"),
        (["--seeds", "-1"], "--seeds"),
        (["--batch", "many"], "many"),
        (["--batch", "1438"], "at most 1437"),
        (["--lr", "-0.1"], "--lr: must be a finite number above 0. Received: -0.1"),
        (["--lr", "nan"], "nan"),
        (["--lr", "inf"], "inf"),
        (["--data", "imagenet"], "fashion-mnist"),
        (["--framework", "caffe"], "torch"),
        (["--data", "mnist"], "--data-dir"),
        (["--data", "cifar10", "--data-dir", "no/such/folder"], "no/such/folder"),
        (["--data", "mnist", "--data-dir", "."], "train-images-idx3-ubyte"),
        (["--data", "cifar10", "--data-dir", "."], "cifar10.npz"),
        (["--out", "file"], "--out must be a folder that can be written to. Received: file"),
        (["--out", "file/below"], "Received: file/below"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_what_cannot_be_met_is_refused_in_one_line_before_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("precious")
    monkeypatch.setattr("experiments.demo.run.run_all", lambda *_: pytest.fail("training started"))
    assert main(["demo", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert said in output.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "precious"


def test_no_command_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_framework_that_is_not_installed_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "experiments.demo.trainers.torch", raising=False)
    assert main([*TINY, "--out", str(tmp_path)]) == 2
    assert "zenith-lr[torch]" in capsys.readouterr().err


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    from experiments.files import replace

    path = tmp_path / "table.md"
    path.write_text("old")

    def fail_half_way(new: Path) -> None:
        new.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(path, fail_half_way)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
