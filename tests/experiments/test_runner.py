"""A run: repeatable, resumable at every step, and honest about what went wrong."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the runner needs PyTorch")


from experiments.loop import Watcher  # noqa: E402
from experiments.methods import METHODS  # noqa: E402
from experiments.place import Place  # noqa: E402
from experiments.results import Identity, read  # noqa: E402
from experiments.run import run  # noqa: E402
from tests.experiments.runs import identity, without_clock, write_data  # noqa: E402

STEPS = 15


class Cut(BaseException):
    """Stands for the end of the process: nothing catches it."""


class CutAt(Watcher):
    """Ends the run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.notes: list[str] = []

    def on_step(self, step: int, total_steps: int) -> None:
        assert total_steps == STEPS
        if step == self.step:
            raise Cut

    def on_note(self, note: str) -> None:
        self.notes.append(note)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


def result(which: Identity, data: Path, out: Path) -> str:
    """A whole run, its result file read back, without its clock; NaN equals NaN in it."""
    run(which, data, out)
    return repr(without_clock(read(Place(which, out).result_path)))


def cut(which: Identity, data: Path, out: Path, step: int) -> CutAt:
    watcher = CutAt(step)
    with pytest.raises(Cut):
        run(which, data, out, watcher, saved_every=0.0)
    return watcher


@pytest.mark.parametrize("method", METHODS)
def test_a_run_cut_and_resumed_is_the_undisturbed_one(
    tmp_path: Path, data: Path, method: str
) -> None:
    which = identity(method, momentum=0.9, weight_decay=1e-3)
    whole = result(which, data, tmp_path / "whole")
    for step in (1, 7, 11):
        cut(which, data, tmp_path / "cut", step)
    assert result(which, data, tmp_path / "cut") == whole
    assert list((tmp_path / "cut" / ".running").iterdir()) == []
