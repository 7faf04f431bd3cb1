"""Accelerate on one and two processes, against the plain loop that does the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import Accelerator
from torch import nn
from torch.optim import SGD

from tests.torch.problem import make_net
from tests.torch_accelerate.worker import BATCH, LR, STEPS, WINDOW, dataset, train
from zenith.torch import Zenith

ROOT = Path(__file__).parents[2]
PREPARED = ["before", "after", "apart"]


def plain_loop(clip=None):
    net = make_net()
    optimizer = SGD(net.parameters(), lr=LR, momentum=0.9)
    zenith = Zenith(optimizer, window=WINDOW)
    x, y = dataset().tensors
    lrs = []
    for batch in zip(x.split(BATCH), y.split(BATCH), strict=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(batch[0]), batch[1]).backward()
        if clip:
            zenith.observe(nn.utils.clip_grad_norm_(net.parameters(), clip))
        optimizer.step()
        lrs.append(optimizer.param_groups[0]["lr"])
    assert min(lrs) < 0.9 * LR
    return lrs


def floats(result):
    return [float.fromhex(lr) for lr in result["lrs"]]


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("prepared", PREPARED)
def test_one_process_has_the_learning_rates_of_the_plain_loop(prepared, accumulate, clip):
    result = train(prepared, accumulate, clip)
    assert floats(result) == pytest.approx(plain_loop(clip), rel=2e-6)
    assert result["counted"] == STEPS


@pytest.mark.parametrize(("prepared", "accumulate", "clip"), [("before", 2, 0.5), ("after", 1, 0)])
def test_two_processes_have_them_too_and_the_same_bits(prepared, accumulate, clip, tmp_path):
    file = tmp_path / "rank"
    worker = Path(__file__).with_name("worker.py")
    subprocess.run(  # noqa: S603
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(worker), str(file), prepared, str(accumulate), str(clip)),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=200,
    )
    first, second = (json.loads(Path(f"{file}-{rank}").read_text()) for rank in (0, 1))
    assert first["lrs"] == second["lrs"]
    assert floats(first) == pytest.approx(plain_loop(clip or None), rel=2e-6)
    # A prepared scheduler is stepped once a process, and the window moves once all the same.
    assert first["steps_of_schedule"] >= (2 * STEPS if prepared == "before" else STEPS)
    assert first["counted"] == STEPS


@pytest.mark.parametrize("prepared", PREPARED)
def test_resume_is_bit_exact(prepared, tmp_path):
    whole = train(prepared, folder=tmp_path / "state")
    resumed = train(prepared, folder=tmp_path / "state", resume=STEPS // 2)
    assert resumed["lrs"] == whole["lrs"][STEPS // 2 :]
    assert resumed["weights"] == whole["weights"]
    assert resumed["counted"] == STEPS


def test_zenith_sits_on_the_optimizer_inside():
    optimizer = SGD(make_net().parameters(), lr=LR)
    prepared = Accelerator(cpu=True).prepare(optimizer)
    assert type(prepared) is not SGD
    assert Zenith(prepared).optimizer is optimizer
    with pytest.raises(ValueError, match="has a Zenith already"):
        Zenith(optimizer)
