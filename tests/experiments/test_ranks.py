"""Two processes of torchrun that share each minibatch, against loops on one."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="data parallel training needs PyTorch")

from torch import nn  # noqa: E402

from experiments import loop  # noqa: E402
from experiments.results import Identity, Run, read_all  # noqa: E402
from experiments.run import run  # noqa: E402
from experiments.tasks import find  # noqa: E402
from experiments.threads import one_thread  # noqa: E402
from tests.experiments.runs import without_clock, write_data  # noqa: E402

SETTINGS = {"epochs": 40, "batch": 8, "images": 40, "lr": 0.01}

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


def torchrun(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    arguments = [f"--{name}={value}" for name, value in SETTINGS.items()]
    return subprocess.Popen(  # noqa: S603 (our own command, as the user runs it)
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"),
            *("-m", "experiments", "run", "cifar10", "zenith", *arguments, "--window", "20"),
            *("--data-dir", str(data), "--out", str(out), *more),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finished(process: subprocess.Popen[str], out: Path) -> tuple[Run, str]:
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    (made,) = read_all(out)
    assert made.status == "finished"
    return made, printed


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    out = tmp_path_factory.mktemp("undisturbed")
    return finished(torchrun(data, out), out)


def test_without_normalisation_two_processes_train_as_one(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "two"
    two, _ = finished(torchrun(data, out, "--normalisation", "none", "--epochs", "3"), out)
    changes = {**SETTINGS, "window": 20, "normalisation": "none", "epochs": 3}
    one = run(Identity("cifar10", "laptop", "zenith", 0, changes), data, tmp_path / "one")
    assert two.changes == {**changes, "ranks": 2}
    np.testing.assert_allclose(
        [row[2:] for row in two.steps], [row[2:] for row in one.steps], rtol=1e-4
    )
    for ours, theirs in zip(two.epochs, one.epochs, strict=True):
        assert ours.validation == pytest.approx(theirs.validation, rel=1e-4)
        assert ours.test == pytest.approx(theirs.test, rel=1e-4)


def test_batchnorm_is_that_of_each_half_and_its_averages_those_of_rank_0(
    data: Path, undisturbed: tuple[Run, str]
) -> None:
    made, _ = undisturbed
    task = replace(find("cifar10", "laptop"), **SETTINGS)
    problem = task.open(data)
    torch.manual_seed(loop._noise(0))
    model = problem.model()
    expected: list[list[float]] = []
    with one_thread():
        for step in range(problem.steps_per_epoch):
            losses: list[float] = []
            gradients = [torch.zeros_like(p) for p in model.parameters()]
            for rank in (1, 0):
                before = [buffer.clone() for buffer in model.buffers()]
                model.zero_grad()
                loss = problem.loss(model, problem.batch(0, step, slice(4 * rank, 4 * rank + 4)))
                loss.backward()
                losses.append(loss.item())
                for total, p in zip(gradients, model.parameters(), strict=True):
                    total += p.grad / 2
                if rank == 1:
                    for buffer, old in zip(model.buffers(), before, strict=True):
                        buffer.copy_(old)
            with torch.no_grad():
                for p, gradient in zip(model.parameters(), gradients, strict=True):
                    p -= 0.01 * gradient
            norm = torch.cat([g.flatten().double() for g in gradients]).norm().item()
            expected.append([float(np.mean(losses)), norm])
        model.eval()
        validation = problem.evaluate(model, "validation")
    found = [[row.loss, row.grad_norm] for row in made.steps[: len(expected)]]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert made.epochs[0].validation == pytest.approx(validation, rel=1e-4)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())


def test_one_process_of_the_two_speaks(undisturbed: tuple[Run, str]) -> None:
    _, printed = undisturbed
    assert sum(line.startswith("epoch 1,") for line in printed.splitlines()) == 1
    assert sum("test accuracy" in line for line in printed.splitlines()) == 1


def test_two_processes_that_were_ended_go_on_where_they_were(
    data: Path, tmp_path: Path, undisturbed: tuple[Run, str]
) -> None:
    cut = torchrun(data, tmp_path, "--saved-every", "0")
    while cut.poll() is None and not list(tmp_path.glob(".running/cifar10*.checkpoint")):
        time.sleep(0.01)
    cut.terminate()
    cut.communicate()
    assert list(tmp_path.rglob("seed0.jsonl")) == []
    made, printed = finished(torchrun(data, tmp_path), tmp_path)
    assert "going on after step" in printed
    assert repr(without_clock(made)) == repr(without_clock(undisturbed[0]))


def test_what_cannot_be_met_is_said_in_one_line(data: Path, tmp_path: Path) -> None:
    refused = torchrun(data, tmp_path, "--batch", "9")
    printed, _ = refused.communicate()
    assert refused.returncode != 0
    said = "experiments: --batch must be a multiple of the 2 processes. Received: 9"
    assert said in printed.splitlines()
