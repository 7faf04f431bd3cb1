"""The order of the runs and the live progress, with a trainer that only counts."""

import io
import re
import time
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("rich", reason="the progress bars need rich: zenith-lr[experiments]")

from rich.console import Console

from experiments.data import Data
from experiments.demo.record import Evaluation, Record, Settings
from experiments.demo.run import run_all

_X, _Y = np.zeros((4, 2, 2, 1), np.float32), np.zeros(4, np.int64)
DATA = Data("blank", _X, _Y, _X, _Y)
SETTINGS = Settings(window=1, lr=0.1, epochs=2, batch=1)


def count(
    data: Data, method: str, settings: Settings, seed: int, on_step: Callable[[int], None]
) -> Record:
    for step in range(settings.total_steps(data)):
        on_step(step + 1)
    time.sleep(0.25)  # the bars are drawn ten times a second
    return Record("none", method, seed, [], [Evaluation(8, 0.5, 1.0, 1.0)], 1.0)


def watch(terminal: bool) -> tuple[list[Record], str]:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    return run_all(count, DATA, ("zenith", "cosine"), SETTINGS, 2, console), shown.getvalue()


def test_each_seed_goes_through_every_method() -> None:
    records, _ = watch(terminal=False)
    assert [(record.seed, record.method) for record in records] == [
        (0, "zenith"),
        (0, "cosine"),
        (1, "zenith"),
        (1, "cosine"),
    ]


def test_a_terminal_sees_the_whole_and_the_run_in_progress() -> None:
    _, shown = watch(terminal=True)
    assert "all 4 runs" in shown
    assert "8/8" in shown
    counts = [int(done) for done in re.findall(r"(\d+)/32", shown)]
    assert set(counts) == {0, 8, 16, 24, 32}
    assert counts == sorted(counts)


def test_a_log_file_gets_one_line_a_run_and_nothing_else() -> None:
    _, shown = watch(terminal=False)
    lines = shown.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "zenith, seed 0",
        "cosine, seed 0",
        "zenith, seed 1",
        "cosine, seed 1",
    ]
