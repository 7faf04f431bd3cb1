"""Result files: what was written comes back, and what is damaged is said in one line."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import RequestError
from experiments.results import EpochRow, Identity, Run, StepRow, path_of, read, read_all, write

RUN = Run(
    identity=Identity("mnist", "laptop", "zenith", 3, {"window": 100, "lr": 0.25}),
    settings={"lr": 0.25, "window": 100, "minutes": None, "augment": False},
    status="finished",
    reason="",
    seconds=1.5,
    every=2,
    environment={"torch": "2.13.0"},
    steps=[StepRow(2, 0.1, 2.3, 0.25, 1.5), StepRow(4, 0.2, math.nan, 0.25, math.inf)],
    epochs=[EpochRow(1, 4, 0.2, 2.25, {"accuracy": 0.5, "loss": 2.0}, {"accuracy": 0.25})],
)


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = write(RUN, tmp_path)
    assert path == tmp_path / "mnist" / "laptop" / "zenith+lr=0.25+window=100" / "seed3.jsonl"
    # repr, since NaN equals nothing.
    assert repr(read(path)) == repr(RUN)
    assert (RUN.task, RUN.scale, RUN.method, RUN.seed) == ("mnist", "laptop", "zenith", 3)


def test_every_line_is_json_without_the_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    lines = write(RUN, tmp_path).read_text().splitlines()
    kinds = [json.loads(line, parse_constant=refuse)["kind"] for line in lines]
    assert kinds == ["run", "epoch", "step", "step"]


@given(st.floats(width=32))
def test_a_float32_comes_back_bit_for_bit_in_nine_digits(
    tmp_path_factory: pytest.TempPathFactory, value: float
) -> None:
    row = StepRow(1, value, value, value, value)
    path = write(replace(RUN, steps=[row]), tmp_path_factory.mktemp("results"))
    back = np.array(read(path).steps[0][1:], np.float32)
    np.testing.assert_array_equal(back, np.full(4, value, np.float32))
    written = path.read_text().splitlines()[-1].split('"loss": ')[1].split(",")[0]
    digits = written.split("e")[0].replace("-", "").replace(".", "").strip("0")
    normal = math.isfinite(value) and abs(value) >= np.finfo(np.float32).tiny
    assert not normal or len(digits) <= 9


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float64_is_never_more_than_a_float32_ulp_off(
    tmp_path_factory: pytest.TempPathFactory, value: float
) -> None:
    row = StepRow(1, 0.0, value, 0.0, 0.0)
    path = write(replace(RUN, steps=[row]), tmp_path_factory.mktemp("results"))
    assert read(path).steps[0].loss == pytest.approx(value, rel=2**-23, abs=1e-300)


def test_settings_keep_every_digit(tmp_path: Path) -> None:
    settings = {"lr": 0.1 + 1e-12, "epochs": 2**40, "augment": True, "normalisation": "none"}
    assert read(write(replace(RUN, settings=settings), tmp_path)).settings == settings


def test_changes_are_in_the_name_in_one_order(tmp_path: Path) -> None:
    backwards = replace(RUN.identity, changes={"lr": 0.25, "window": 100})
    assert path_of(backwards, tmp_path) == path_of(RUN.identity, tmp_path)
    changes = {"l2": 5e-4, "augment": False, "normalisation": "none"}
    variant = replace(RUN.identity, changes=changes).variant
    assert variant == "zenith+augment=false+l2=0.0005+normalisation=none"
    assert replace(RUN.identity, changes={}).variant == "zenith"


def test_all_results_come_sorted_and_other_files_are_left_alone(tmp_path: Path) -> None:
    runs = [
        replace(RUN, identity=Identity(task, "laptop", method, seed))
        for task in ("cifar10", "mnist")
        for method in ("cosine", "zenith")
        for seed in (0, 1)
    ]
    for run in reversed(runs):
        write(run, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mnist" / "laptop" / "zenith" / "seed0.checkpoint").write_bytes(b"\0")
    assert [run.identity for run in read_all(tmp_path)] == [run.identity for run in runs]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nowhere"):
        read_all(tmp_path / "nowhere")


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        (0, {"format": 2}, "of format 1, found format 2"),
        (0, {"kind": "table"}, "not that of a run"),
        (0, {"status": "lost"}, "'lost'"),
        (0, {"seed": "first"}, "first"),
        (0, {"settings": None}, "damaged"),
        (1, {"validation": None}, "damaged"),
        (1, {"kind": "month"}, "expected the rows"),
        (2, {"loss": "low"}, "low"),
        (2, {"loss": None}, "damaged"),
    ],
)
def test_a_file_with_a_wrong_value_is_refused_in_one_line(
    tmp_path: Path, line: int, change: dict[str, object], said: str
) -> None:
    path = write(RUN, tmp_path)
    lines = lines_of(path)
    lines[line] |= change
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(RequestError) as refusal:
        read_all(tmp_path)
    assert said in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", sorted({"rows", "task", "changes", "every", "environment"}))
def test_a_header_without_a_key_is_refused(tmp_path: Path, key: str) -> None:
    path = write(RUN, tmp_path)
    header, *rest = lines_of(path)
    del header[key]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (header, *rest)))
    with pytest.raises(RequestError, match=f"damaged: no {key}"):
        read(path)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = write(RUN, tmp_path)
    whole = path.read_bytes()
    for kept in range(len(whole) - 1):  # without its last line end it is still whole
        path.write_bytes(whole[:kept])
        with pytest.raises(RequestError, match="seed3"):
            read(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mnist" / "laptop" / "zenith" / "seed0.jsonl"
    path.parent.mkdir(parents=True)
    for content in (b"", b"\xff\xfe", b"hello\n", b"[1, 2]\n", b"{}\n", b'{"kind": "run"}\n'):
        path.write_bytes(content)
        with pytest.raises(RequestError) as refusal:
            read_all(tmp_path)
        assert "\n" not in str(refusal.value)


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(RUN, tmp_path)
    old = path.read_bytes()

    def full(self: Path, text: str, encoding: str) -> int:
        with self.open("wb") as file:
            file.write(b"half a")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write(replace(RUN, reason="another"), tmp_path)
    assert path.read_bytes() == old
    assert [entry.name for entry in path.parent.iterdir()] == ["seed3.jsonl"]
