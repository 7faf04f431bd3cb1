"""`python -m experiments list`: what it says of the methods is so."""

import pytest

pytest.importorskip("torch", reason="list needs torch: zenith-lr[experiments]")
pytest.importorskip("rich", reason="list needs rich: zenith-lr[experiments]")

from experiments.__main__ import main
from experiments.errors import RequestError
from experiments.methods import METHODS, Plan

# baselines: parameter-sized state, by the papers and by the source of each library.
STATE = {
    "zenith": 0, "cocob": 5, "l4": 1, "l4-mom": 1, "pal": 1, "alig": 0, "lqa": 0,
    "lqa-consistent": 0, "sps": 0, "sps-smooth": 0, "dadapt-sgd": 3, "dog": 1, "dog-averaged": 2,
    "dowg": 1, "momo": 1, "prodigy": 4, "qlabgrad": 0, "qlabgrad-fixed": 0, "gen": 0,
    "schedule-free": 1, "constant": 0, "cosine": 0, "step": 0, "linear": 0, "one-cycle": 0,
    "polynomial": 0, "exponential": 0, "plateau": 0,
}  # fmt: skip


def markdown(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    assert main(["list", "--markdown"]) == 0
    header, _, *lines = capsys.readouterr().out.splitlines()
    keys = header.split(" | ")
    rows = [dict(zip(keys, line.split(" | "), strict=True)) for line in lines]
    return {row["| name"].removeprefix("| "): row for row in rows}


def test_every_method_is_listed_with_the_state_that_was_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = markdown(capsys)
    assert list(rows) == list(METHODS)
    for name, row in rows.items():
        try:
            METHODS[name].start(__import__("torch").nn.Linear(2, 1), Plan(total_steps=1))
        except RequestError:
            assert row["state"] == "?"
        else:
            assert int(row["state"]) == STATE[name]
        assert float(row["extra forwards"]) == METHODS[name].probes
        assert row["source"] == METHODS[name].source


def test_a_terminal_gets_the_same_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(f" {name} " in out for name in METHODS)
