"""A sweep on a local Ray of two workers, one of which is killed."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the sweeps need PyTorch")
pytest.importorskip("ray", reason="sweeps on a cluster need Ray: zenith-lr[cluster]")

from ray.cluster_utils import Cluster

from experiments import cluster
from experiments.__main__ import main
from experiments.attempt import Conditions, Outcome
from experiments.cluster import on_a_cluster
from experiments.results import Identity, read_all
from experiments.run import run
from tests.experiments.runs import identity, without_clock, write_data

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="finds the worker to kill through /proc"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    head = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield head.address
    head.shutdown()


def workers_at(file: str, out: Path) -> list[int]:
    """The processes that have a file of the folder of results open."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            links = [link.readlink() for link in (process / "fd").iterdir()]
            if any(link.is_relative_to(out) and file in link.name for link in links):
                found.append(int(process.name))
    return found


class Killer(threading.Thread):
    """Kills the worker of a run, a number of times, each when it has saved something."""

    def __init__(self, file: str, out: Path, times: int) -> None:
        super().__init__()
        self.file, self.out, self.times = file, out, times
        self.killed: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        while len(self.killed) < self.times and not self.over.wait(0.01):
            if not list(self.out.glob(f".running/cifar10*{self.file}.checkpoint")):
                continue
            for worker in workers_at(f"{self.file}.lock", self.out):
                if worker not in self.killed:
                    os.kill(worker, signal.SIGKILL)
                    self.killed.append(worker)


def killing(
    file: str, out: Path, times: int, runs: list[Identity], data: Path, address: str
) -> tuple[dict[int, Outcome], list[int]]:
    killer = Killer(file, out, times)
    killer.start()
    try:
        conditions = Conditions(data, out, 0.0)
        made = {o.identity.seed: o for o in on_a_cluster(runs, conditions, address)}
    finally:
        killer.over.set()
        killer.join()
    return made, killer.killed


def test_a_worker_that_is_killed_takes_no_run_with_it(
    tmp_path: Path, data: Path, address: str
) -> None:
    runs = [identity("constant", seed=seed, epochs=60) for seed in range(4)]
    for each in runs:
        run(each, data, tmp_path / "whole")
    made, killed = killing("seed1", tmp_path / "cut", 1, runs, data, address)
    assert len(killed) == 1
    assert [made[seed].kind for seed in range(4)] == ["finished"] * 4
    assert [repr(without_clock(r)) for r in read_all(tmp_path / "cut")] == [
        repr(without_clock(r)) for r in read_all(tmp_path / "whole")
    ]


def test_a_run_that_takes_its_worker_with_it_every_time_is_recorded_as_failed(
    tmp_path: Path, data: Path, address: str
) -> None:
    runs = [identity("constant", epochs=10_000), identity("constant", seed=1)]
    made, killed = killing("seed0", tmp_path, 3, runs, data, address)
    assert len(killed) == 3
    assert (made[0].kind, made[1].kind) == ("failed", "finished")
    recorded = read_all(tmp_path)
    assert [(r.seed, r.status) for r in recorded] == [(0, "failed"), (1, "finished")]
    assert "WorkerCrashedError" in recorded[0].reason
    assert "\n" not in recorded[0].reason


def test_a_result_on_a_node_with_a_disk_of_its_own_comes_back(tmp_path: Path, data: Path) -> None:
    which = identity("constant")
    node = Conditions(data, tmp_path / "node", 15.0)
    outcome, content = cluster._remote(which, node)
    assert outcome.kind == "finished"
    for _ in range(2):
        cluster._fetch(which, tmp_path / "here", content)
        assert read_all(tmp_path / "here") == read_all(tmp_path / "node")
    outcome, content = cluster._remote(identity(images=1000), node)
    assert (outcome.kind, content) == ("refused", None)
    cluster._fetch(identity(images=1000), tmp_path / "here", content)
    assert len(read_all(tmp_path / "here")) == 1


def test_a_cluster_that_is_not_there_is_said_in_one_line(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sweep", "study-window", "--seeds", "1", "--ray", "localhost:1"]
    assert main([*arguments, "--data-dir", str(data), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("experiments: --ray: no Ray cluster at localhost:1: ")


def test_ray_that_is_not_installed_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "experiments.cluster")
    assert main(["sweep", "study-window", "--ray", "auto"]) == 2
    assert "sweep needs ray: pip install 'zenith-lr[cluster]'" in capsys.readouterr().err
