"""Sweeps: what is missing is made, whatever happens to any one run or to the sweep itself."""

import io
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe, active_children
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the sweeps need PyTorch")
pytest.importorskip("rich", reason="the progress bars need rich: zenith-lr[experiments]")

from rich.console import Console  # noqa: E402

from experiments.__main__ import main  # noqa: E402
from experiments.attempt import Conditions, Outcome  # noqa: E402
from experiments.errors import RequestError  # noqa: E402
from experiments.methods import METHODS  # noqa: E402
from experiments.place import Place  # noqa: E402
from experiments.results import Identity, read_all, write  # noqa: E402
from experiments.run import failed, run  # noqa: E402
from experiments.sweep import missing, sweep  # noqa: E402
from experiments.sweeps import STUDY, SWEEPS, runs_of  # noqa: E402
from experiments.tasks import TASKS  # noqa: E402
from experiments.watch import WatchSweep, duration  # noqa: E402
from experiments.workers import _Teller, on_this_machine  # noqa: E402
from tests.experiments.runs import identity, without_clock, write_data  # noqa: E402

TINY = ["--task", "cifar10", "--epochs", "3", "--batch", "8", "--images", "40"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


def results(out: Path) -> dict[str, str]:
    return {run.identity.title: repr(without_clock(run)) for run in read_all(out)}


def watcher(runs: int, shown: io.StringIO | None = None, *, terminal: bool = False) -> WatchSweep:
    console = Console(file=shown or io.StringIO(), force_terminal=terminal, width=100)
    return WatchSweep("a sweep", runs, console)


def outcomes(
    runs: Sequence[Identity], data: Path, out: Path, jobs: int = 1, saved_every: float = 0.0
) -> dict[str, Outcome]:
    made = on_this_machine(runs, Conditions(data, out, saved_every), jobs, lambda *_: None)
    return {outcome.identity.title: outcome for outcome in made}


# ---- which runs


@pytest.mark.parametrize("name", SWEEPS)
def test_every_named_sweep_consists_of_runs_that_there_are(name: str) -> None:
    scale = "laptop" if name in STUDY else "paper"
    if scale == "paper":
        for package in ("torchvision", "timm", "pycocotools"):
            pytest.importorskip(package, reason=f"the paper's tasks need {package}")
    runs = runs_of(name, scale, 2, {}, None, None)
    assert {run.method for run in runs} <= set(METHODS)
    assert {(run.task, run.scale) for run in runs} <= set(TASKS)
    assert {run.seed for run in runs} == {0, 1}


def test_the_main_comparison_is_every_method_on_every_small_data_set_seed_by_seed() -> None:
    runs = runs_of("study-main", "laptop", 3, {}, None, None)
    assert len(runs) == 3 * 4 * len(METHODS)
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    assert all(run.changes == {} for run in runs)
    assert {run.task for run in runs} == {"mnist", "fashion-mnist", "cifar10", "cifar100"}


def test_the_study_is_all_of_its_parts_each_run_once() -> None:
    whole = {run.title for run in runs_of("study", "laptop", 2, {}, None, None)}
    parts = [{run.title for run in runs_of(name, "laptop", 2, {}, None, None)} for name in STUDY]
    assert whole == set.union(*parts)
    assert "cifar10 zenith+window=25, seed 1" in whole
    assert "cifar100 cosine+batch=16, seed 0" in whole


def test_a_sweep_is_narrowed_and_its_settings_changed() -> None:
    runs = runs_of("study-l2", "laptop", 1, {"epochs": 2, "lr": 0.1}, ["cifar10"], ["cosine"])
    assert [run.title for run in runs] == ["cifar10 cosine+epochs=2+l2=0.0005, seed 0"]


# ---- what becomes of them


def test_one_run_that_fails_or_cannot_be_made_does_not_stop_the_others(
    tmp_path: Path, data: Path
) -> None:
    runs = [
        identity("constant", seed=0),
        identity("constant", images=1000),  # more than there are
        identity("constant", lr=1e30),  # diverges
        identity("constant", seed=1),
    ]
    made = outcomes(runs, data, tmp_path)
    assert [made[run.title].kind for run in runs] == ["finished", "refused", "diverged", "finished"]
    assert set(results(tmp_path)) == {run.title for run in (runs[0], runs[2], runs[3])}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_dies_takes_no_run_with_it(tmp_path: Path, data: Path, jobs: int) -> None:
    runs = [identity("constant", seed=seed) for seed in range(3)]
    expected = {}
    for each in runs:
        run(each, data, tmp_path / "whole")
    expected = results(tmp_path / "whole")

    killed: list[int] = []

    def kill_once(which: Identity, step: int, total_steps: int) -> None:
        if which.seed == 1 and not killed:
            (child, *_) = active_children()
            killed.append(child.pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    conditions = Conditions(data, tmp_path / "killed", 0.0)
    made = list(on_this_machine(runs, conditions, jobs, kill_once))
    assert killed
    assert {outcome.kind for outcome in made} == {"finished"}
    assert results(tmp_path / "killed") == expected
    assert active_children() == []


def test_a_run_that_takes_its_process_with_it_every_time_is_recorded_as_failed(
    tmp_path: Path, data: Path
) -> None:
    runs = [identity("constant", epochs=10_000), identity("constant", seed=1)]

    def kill(which: Identity, step: int, total_steps: int) -> None:
        if which is runs[0]:
            for child in active_children():
                os.kill(child.pid or 0, signal.SIGKILL)

    made = list(on_this_machine(runs, Conditions(data, tmp_path, 0.0), 1, kill))
    assert [outcome.kind for outcome in made] == ["failed", "finished"]
    recorded = {each.seed: each for each in read_all(tmp_path)}
    assert recorded[0].status == "failed"
    assert recorded[0].reason == "its process was killed by signal 9, 3 times"
    assert recorded[0].settings["epochs"] == 10_000
    assert list((tmp_path / ".running").iterdir()) == []


def test_a_parent_that_is_dead_is_no_failure_of_the_run(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        raise Ended(status)

    ours, theirs = Pipe()
    ours.close()
    monkeypatch.setattr(os, "_exit", end)
    with theirs, pytest.raises(Ended):
        run(identity(), data, tmp_path, _Teller(theirs))
    assert list(tmp_path.rglob("seed*.jsonl")) == []


def test_only_what_is_missing_is_made(tmp_path: Path, data: Path) -> None:
    done, broken, damaged, new = (identity("constant", seed=seed) for seed in range(4))
    run(done, data, tmp_path)
    write(failed(broken, "of no account"), tmp_path)
    path = Place(damaged, tmp_path).result_path
    path.write_text('{"kind": "run", "format": 9}\n')
    runs = [done, broken, damaged, new]
    for retry, expected in ((False, [new]), (True, [broken, new])):
        to_make, unreadable = missing(runs, tmp_path, retry=retry)
        assert to_make == expected
        assert len(unreadable) == 1
        assert "of format 1, found format 9" in unreadable[0]
    assert path.read_text() == '{"kind": "run", "format": 9}\n'
    outcomes([broken], data, tmp_path)
    assert missing(runs, tmp_path, retry=True)[0] == [new]


def pool_of(*ends: tuple[str, str]) -> partial[Iterator[Outcome]]:
    def pool(runs: Sequence[Identity]) -> Iterator[Outcome]:
        for each, (kind, line) in zip(runs, ends, strict=False):
            yield Outcome(each, kind, line)  # type: ignore[arg-type]

    return partial(pool)


RUNS = [identity(seed=seed) for seed in range(3)]


def test_the_ends_are_counted_and_what_could_not_be_made_is_said_once() -> None:
    fine, bad = ("finished", "test accuracy 1"), ("refused", "mnist needs --data-dir DIR")
    assert sweep(RUNS, pool_of(fine, ("failed", "x"), fine), watcher(3)) == {
        "finished": 2,
        "failed": 1,
    }
    with pytest.raises(RequestError, match="2 of 3 runs could not be made: 2 x mnist needs"):
        sweep(RUNS, pool_of(bad, fine, bad), watcher(3))


def test_a_full_disk_stops_the_sweep() -> None:
    shown = io.StringIO()
    ends = pool_of(("finished", "one"), ("full", "cannot write x"), ("finished", "three"))
    with pytest.raises(RequestError, match=r"^cannot write x$"):
        sweep(RUNS, ends, watcher(3, shown))
    assert "three" not in shown.getvalue()


def test_a_log_file_gets_one_line_a_run_with_the_time_that_is_left() -> None:
    shown = io.StringIO()
    fine = ("finished", "test accuracy 0.5 [red], 1.0 s")
    with watcher(3, shown) as watch:
        watch.on_step(RUNS[0], 1, 15)
        sweep(RUNS, pool_of(fine, fine, fine), watch)
    lines = shown.getvalue().splitlines()
    assert len(lines) == 3
    assert re.fullmatch(
        r"2 of 3, 0 s left: cifar10 zenith\+.*, seed 1: test accuracy 0\.5 \[red\], 1\.0 s",
        lines[1],
    )


def test_a_terminal_sees_the_whole_and_the_run_at_work() -> None:
    shown = io.StringIO()
    with watcher(3, shown, terminal=True) as watch:
        for step in range(1, 16):
            watch.on_step(RUNS[0], step, 15)
            time.sleep(0.02)
    assert "a sweep" in shown.getvalue()
    assert "15/15" in shown.getvalue()
    assert "100/300" in shown.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"), [(7.6, "8 s"), (60, "1 min"), (3599, "59 min"), (3900, "1 h 05 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


# ---- the command


def command(out: Path, data: Path, *more: str) -> list[str]:
    return [
        *("sweep", "study-main", *TINY, "--seeds", "2", "--saved-every", "0"),
        *("--method", "zenith", "--method", "cosine"),
        *("--out", str(out), "--data-dir", str(data), *more),
    ]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 (our own command, as the user runs it)
        [sys.executable, "-W", "error", "-m", "experiments", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_sweep_killed_at_random_moments_ends_with_the_results_of_an_undisturbed_one(
    tmp_path: Path, data: Path
) -> None:
    longer = ["--epochs", "25", "--saved-every", "0.02"]
    whole = start(command(tmp_path / "whole", data, *longer))
    started = time.monotonic()
    printed, errors = whole.communicate()
    takes = time.monotonic() - started
    assert (whole.returncode, errors) == (0, "")
    assert "4 finished" in printed
    moments = random.Random(0)
    for _ in range(3):
        cut = start(command(tmp_path / "cut", data, *longer))
        time.sleep(takes * moments.uniform(0.4, 0.8))
        cut.kill()
        cut.communicate()
    last = start(command(tmp_path / "cut", data, *longer, "--jobs", "2"))
    _, errors = last.communicate()
    assert (last.returncode, errors) == (0, "")
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert len(results(tmp_path / "cut")) == 4
    left = {path.relative_to(tmp_path / "cut") for path in (tmp_path / "cut").rglob("*")}
    whole_left = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}
    assert left == whole_left  # no temporary file, checkpoint or lock


def test_the_processes_of_a_sweep_end_with_it(tmp_path: Path, data: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(
        "from pathlib import Path\n"
        "from experiments import workers\n"
        "from experiments.attempt import Conditions\n"
        "from tests.experiments.runs import identity\n"
        "workers._TOLD_EVERY = 1e9  # seconds: no message finds out that nobody listens\n"
        "if __name__ == '__main__':\n"
        "    runs = [identity(epochs=10**6)]\n"
        f"    conditions = Conditions(Path({str(data)!r}), Path({str(tmp_path)!r}), 0.0)\n"
        "    list(workers.on_this_machine(runs, conditions, 1, print))\n"
    )
    endless = subprocess.Popen(  # noqa: S603 (our own code)
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    while endless.poll() is None and not list(tmp_path.glob(".running/cifar10*.checkpoint")):
        time.sleep(0.05)
    endless.kill()
    endless.communicate(timeout=60)  # to the end of its output, which its worker holds open too


def test_what_is_done_is_said_and_nothing_is_made_twice(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path, data)
    assert main(arguments) == 0
    assert "4 runs, 0 are there, 4 to make" in capsys.readouterr().out
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == ["study-main: 4 runs, 4 are there, 0 to make"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "table9"], "NAME must be one of study, table3, table4, table5, study-main"),
        (["sweep", "study-main", "--task", "emnist"], "--task must be among those of study-main"),
        (["sweep", "study-main", "--method", "adam"], "--method must be among those"),
        (["sweep", "study-window", "--method", "cosine"], "Received: cosine"),
        (["sweep", "study-main", "--seeds", "0"], "--seeds: must be a whole number of at least 1"),
        (["sweep", "study-main", "--jobs", "none"], "--jobs"),
        (["sweep", "study-main", "--scale", "phone"], "laptop"),
        (["run", "mnist", "adam"], "METHOD must be one of zenith, "),
        (["run", "emnist", "zenith"], "TASK must be one of mnist, "),
        (["run", "mnist", "zenith"], "mnist needs --data-dir DIR"),
        (["run", "mnist", "zenith", "--data-dir", "nowhere"], "found none at nowhere"),
        (["run", "mnist", "zenith", "--data-dir", "."], "train-images-idx3-ubyte"),
        (["run", "mnist", "zenith", "--seed", "-1"], "--seed: must be a whole number of at least"),
        (["run", "mnist", "zenith", "--l2", "-1"], "--l2: must be a finite number of at least 0"),
        (["run", "mnist", "zenith", "--momentum", "nan"], "Received: nan"),
        (["run", "mnist", "zenith", "--normalisation", "group"], "batchnorm"),
        (["run", "mnist", "zenith", "--out", "file"], "cannot write file"),
    ],
)
def test_what_cannot_be_met_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("precious")
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert said in output.err
    assert (tmp_path / "file").read_text() == "precious"
    assert list(tmp_path.rglob("seed*")) == []


def test_missing_data_are_said_once_after_the_other_runs(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path, data)
    mnist_too = [*arguments, "--task", "mnist"]
    assert main(mnist_too) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert "4 of 8 runs could not be made: 4 x mnist: expected the idx file" in output.err
    assert {run.task for run in read_all(tmp_path)} == {"cifar10"}


def test_a_run_on_the_command_line_leaves_its_result_and_says_where(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        *("run", "cifar10", "zenith", "--seed", "3", "--no-augment", "--lr", "0.05"),
        *("--epochs", "2", "--batch", "8", "--images", "40", "--window", "4"),
        *("--data-dir", str(data), "--out", str(tmp_path)),
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    (made,) = read_all(tmp_path)
    assert made.seed == 3
    assert made.changes == {
        **{"augment": False, "batch": 8, "epochs": 2, "images": 40, "lr": 0.05, "window": 4}
    }
    assert printed[-1] == str(Place(made.identity, tmp_path).result_path)
    assert "augment=false+batch=8" in printed[-1]
    assert re.match(r"epoch 2, step 10: training loss .*; validation accuracy .* left$", printed[1])


def test_a_run_that_fails_is_said_in_one_line_and_recorded(
    tmp_path: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("no root")

    monkeypatch.setitem(METHODS, "zenith", replace(METHODS["zenith"], start=fail))
    arguments = ["run", "cifar10", "zenith", *TINY[2:], "--data-dir", str(data)]
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "failed: ArithmeticError: no root (" in capsys.readouterr().err
    assert read_all(tmp_path)[0].status == "failed"


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize(("limit", "file"), [(2_000, "jsonl"), (40_000, "checkpoint")])
def test_a_disk_without_room_is_said_in_one_line_and_nothing_is_left_half_written(
    tmp_path: Path, data: Path, limit: int, file: str
) -> None:
    arguments = [*("run", "cifar10", "zenith", *TINY[2:]), *("--data-dir", str(data))]
    saved = "0" if file == "checkpoint" else "1000"
    code = (
        "import resource, sys\n"
        "from experiments.__main__ import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", code, *arguments, "--saved-every", saved, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    said = rf"experiments: cannot write .*\.{file}: File too large; .*goes on\n"
    assert re.fullmatch(said, done.stderr)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
