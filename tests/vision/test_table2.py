"""Table 2: the tasks, counted."""

import csv
from pathlib import Path
from typing import Any

import pytest
from torchvision.models import DenseNet121_Weights, EfficientNet_B0_Weights

from experiments.__main__ import main
from experiments.evidence.task_table import task_table
from experiments.tasks import TASKS


def linear(inputs: int, classes: int) -> int:
    return (inputs + 1) * classes


# What torchvision says of its networks of 1000 classes, with another last layer.
PARAMETERS = {
    "mnist": EfficientNet_B0_Weights.DEFAULT.meta["num_params"]
    - linear(1280, 1000)
    + linear(1280, 10),
    "imagenet100": DenseNet121_Weights.DEFAULT.meta["num_params"]
    - linear(1024, 1000)
    + linear(1024, 100),
    # By hand: 3 x 3 convolutions with bias and BatchNorm, and one linear layer.
    "cifar10": sum(
        9 * inputs * outputs + 3 * outputs
        for inputs, outputs in zip(
            [3, 64, 64, 128, 128] + [256] * 4 + [512] * 7,
            [64, 64, 128, 128] + [256] * 4 + [512] * 8,
            strict=True,
        )
    )
    + linear(512, 10),
}


def records(data: Path | None, partial: bool = True) -> dict[str, dict[str, Any]]:
    return {record["task"]: record for record in task_table(["paper"], data, partial).records}


def test_every_task_of_the_scale_has_a_row(data: Path) -> None:
    for scale in ("laptop", "paper"):
        table = task_table([scale], None, False)
        assert [row[0] for row in table.rows] == [name for name, at in TASKS if at == scale]
        assert len({len(row) for row in table.rows} | {len(table.headers)}) == 1


def test_parameters_are_counted_without_data() -> None:
    counted = records(None)
    for name, parameters in PARAMETERS.items():
        assert counted[name]["parameters"] == parameters
    assert all(record["train"] is record["steps"] is None for record in counted.values())


def test_without_a_folder_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_nothing(*_: object) -> None:
        raise AssertionError("a data set was opened")

    monkeypatch.setattr("experiments.tasks.vision.classification.Classification", open_nothing)
    monkeypatch.setattr("experiments.tasks.vision.detection.Detection", open_nothing)
    task_table(["paper", "laptop"], None, True)


def test_images_and_steps_are_counted_in_the_data(data: Path) -> None:
    counted = records(data)
    # 60 images of ten classes, one of each held out; 20 test images; batches of 128 do not fit.
    assert counted["mnist"]["train"] is None
    assert [counted["cifar100"][key] for key in ("train", "validation", "test")] == [200, 100, 100]
    assert counted["cifar100"]["steps"] == 200 // 128 * counted["cifar100"]["epochs"]


def test_what_could_not_be_counted_is_said(data: Path) -> None:
    table = task_table(["paper"], data, False)
    assert "Not counted: cifar100: expected the 50,000 train images" in table.note
    assert "time limits of the paper's Table 2 are not at hand" in table.note
    row = next(row for row in table.rows if row[0] == "cifar100")
    assert row.count("\N{EN DASH}") == 5  # three counts of images, steps, the time limit


def test_the_command_writes_both_files(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder"
    assert main(["table2", "--scale", "laptop", "--data-dir", str(data), "--out", str(out)]) == 0
    assert "small Inception" in capsys.readouterr().out
    page = (out / "table2.md").read_text()
    assert page.endswith("Made by `python -m experiments table2 --scale=laptop`.\n")
    with (out / "table2.csv").open() as file:
        rows = {row["task"]: row for row in csv.DictReader(file)}
    assert int(rows["tiny-imagenet"]["train"]) == 200


def test_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table2", "--data-dir", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("experiments: --data-dir must be a folder")
    assert list(tmp_path.iterdir()) == []
