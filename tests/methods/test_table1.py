"""`python -m experiments table1`: what is measured, how it is told, and what is refused."""

import csv
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="table1 needs torch: zenith-lr[experiments]")
pytest.importorskip("matplotlib", reason="table1 needs matplotlib: zenith-lr[experiments]")
pytest.importorskip("rich", reason="table1 needs rich: zenith-lr[experiments]")

import torch
from torch import nn

from experiments.__main__ import main
from experiments.methods import METHODS, ModelBatch, Plan, state_size
from experiments.table1.measure import SGD, Cost, measure
from experiments.table1.tables import Quartiles, summarize

CHEAP = ["constant", "zenith", "pal", "gen", "dowg", "lqa"]


def network(classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, classes), nn.BatchNorm1d(classes))


def test_every_method_is_measured_once_a_round_from_the_same_weights() -> None:
    torch.manual_seed(0)
    net = network()
    x, y = torch.randn(4, 3, 32, 32), torch.arange(4)
    weights = [p.detach().clone() for p in net.parameters()]
    done: list[str] = []
    seen: list[bool] = []

    def on_step(name: str) -> None:
        done.append(name)

    forward = net.forward

    def watched(images: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            seen.extend(torch.equal(p, w) for p, w in zip(net.parameters(), weights, strict=True))
        return forward(images)

    net.forward = watched  # type: ignore[method-assign]
    costs = measure(CHEAP, net, x, y, 3, on_step)
    assert all(seen)
    assert [cost.method for cost in costs] == CHEAP
    for cost in costs:
        assert len(cost.step_seconds) == len(cost.own_seconds) == 3
        assert all(0 <= a <= b for a, b in zip(cost.own_seconds, cost.step_seconds, strict=True))
    assert len(done) == 4 * len(CHEAP)  # the first round warms up
    assert all(set(done[i : i + len(CHEAP)]) == set(CHEAP) for i in range(0, 24, len(CHEAP)))
    assert done[:6] != done[6:12] or done[6:12] != done[12:18]


def test_extra_time_is_that_outside_the_pass_over_a_step_of_sgd_in_the_same_round() -> None:
    sgd = Cost(SGD, [1.0, 2.0, 4.0], [0.1, 0.1, 0.2])
    other = Cost("pal", [9.0, 9.0, 9.0], [0.2, 0.5, 0.6], 1.0)
    first, second = summarize([other, sgd])
    assert (first.method, second.method) == (SGD, "pal")
    assert first.extra_percent == (0, 0, 0)
    assert second.extra_percent == pytest.approx((10, 10, 15))  # of 10, 20 and 10 %
    assert second.step_milliseconds.median == 9000
    assert Quartiles.of([3.0]) == (3, 3, 3)


def test_state_counts_what_is_held_once_and_nothing_of_the_model() -> None:
    net = nn.Linear(40, 50, bias=False)
    training = METHODS["constant"].start(net, Plan(momentum=0.9))
    assert state_size(training, net) == 0
    training.step(ModelBatch(net, lambda: net(torch.ones(1, 40)).sum()))
    assert state_size(training, net) == 1
    momentum = training.optimizer.state[net.weight]["momentum_buffer"]
    training.again = [momentum, momentum[3:], {"view": momentum.T}]  # type: ignore[attr-defined]
    assert state_size(training, net) == 1
    training.more = (torch.zeros(20, 50), net.weight.grad)  # type: ignore[attr-defined]
    assert state_size(training, net) == 1.5


def test_the_command_leaves_a_table_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.models.vgg19", network)
    arguments = ["--methods", "zenith,pal", "--batch", "4", "--rounds", "2"]
    assert main(["table1", *arguments, "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"table1.md", "table1.csv", "table1.png"}
    with (tmp_path / "table1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {"constant", "zenith", "pal"}
    assert rows[0]["method"] == "constant"
    assert {row["method"]: float(row["probes"]) for row in rows}["pal"] == 1
    text = (tmp_path / "table1.md").read_text(encoding="utf-8")
    assert "--methods=zenith,pal --batch=4 --rounds=2" in text
    assert "not at hand" in text
    assert (tmp_path / "table1.png").read_bytes().startswith(b"\x89PNG")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "adam"], "names among zenith, cocob"),
        (["--rounds", "0"], "--rounds"),
        (["--batch", "x"], "--batch"),
        (["--data-dir", "no/such"], "no/such"),
        (["--out", "file/below"], "Received: file/below"),
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
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("benchmarks.models.vgg19", lambda: pytest.fail("measuring started"))
    assert main(["table1", *arguments]) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert said in output.err
