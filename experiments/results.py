"""Result files: what a run leaves behind, one JSON-lines file each.

A file lies at `TASK/SCALE/METHOD[+key=value...]/seedN.jsonl`, where the keys are the settings that
differ from the task's own. Its first line is the run, each other one an epoch or a step. The first
line counts the others, so that a file that lost its end is not taken for a whole one. Floats have
the fewest digits that give the same float32 back; those that are not finite are the strings "NaN",
"Infinity" and "-Infinity", which JSON has no numbers for.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from experiments.errors import RequestError
from experiments.files import replace_text

FORMAT = 1
Status = Literal["finished", "diverged", "failed"]
Setting = str | int | float | bool | None


class StepRow(NamedTuple):
    """A stretch of training steps."""

    step: int  # the last of the stretch, counted from 1
    seconds: float  # of training alone, since the start
    loss: float  # mean over the stretch, each before its step
    lr: float  # step size of the last step
    grad_norm: float  # of the raw gradient of the last minibatch


class EpochRow(NamedTuple):
    """The model after an epoch; metrics by name."""

    epoch: int  # counted from 1
    step: int
    seconds: float  # of training alone, since the start
    train_loss: float  # mean over the minibatches of the epoch, each before its step
    validation: dict[str, float]
    test: dict[str, float]


@dataclass(frozen=True)
class Identity:
    """Which run it is: two runs with one identity have one result file."""

    task: str
    scale: str
    method: str
    seed: int
    changes: Mapping[str, Setting] = field(default_factory=dict)  # beside the task's own settings

    @property
    def variant(self) -> str:
        """The method with what was changed, keys sorted: "zenith+lr=0.2+window=100"."""
        return "+".join(
            [self.method, *(f"{k}={_plain(v)}" for k, v in sorted(self.changes.items()))]
        )

    @property
    def title(self) -> str:
        """The run in a line of a log."""
        return f"{self.task} {self.variant}, seed {self.seed}"


@dataclass(frozen=True)
class Run:
    """One run from beginning to end; its identity's fields can be read off the run itself."""

    identity: Identity
    settings: Mapping[str, Setting]  # all of them: lr, momentum, window, batch, epochs, ...
    status: Status
    reason: str  # why it ended before its last step, in one line; "" if it did not
    seconds: float  # of training alone
    every: int  # steps in a stretch, the last one may be shorter
    environment: Mapping[str, str]  # versions and device
    steps: list[StepRow]
    epochs: list[EpochRow]

    @property
    def task(self) -> str:
        return self.identity.task

    @property
    def scale(self) -> str:
        return self.identity.scale

    @property
    def method(self) -> str:
        return self.identity.method

    @property
    def seed(self) -> int:
        return self.identity.seed

    @property
    def changes(self) -> Mapping[str, Setting]:
        return self.identity.changes

    def told(self) -> str:
        """How it ended, in a few words."""
        if self.status != "finished":
            return f"{self.status}: {self.reason}"
        metrics = self.epochs[-1].test if self.epochs else {}
        figures = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        early = f", ended early by {self.reason}" if self.reason else ""
        return f"test {figures}, {self.seconds:.1f} s{early}"


def path_of(run: Identity, folder: Path) -> Path:
    """Where the result of a run lies within the folder of results."""
    return folder / run.task / run.scale / run.variant / f"seed{run.seed}.jsonl"


def write(run: Run, folder: Path) -> Path:
    """Put the result file of a run in its place, whole or not at all.

    Args:
      run: the run.
      folder: the folder of results; folders below it are made.

    Returns:
      Where it lies.

    Raises:
      OSError: it cannot be written; a file that was there before is as it was.
    """
    path = path_of(run.identity, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, "".join(f"{json.dumps(line)}\n" for line in _lines(run)))
    return path


def read(path: Path) -> Run:
    """Read a result file.

    Raises:
      RequestError: the file is not there, is damaged or has another format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: expected a readable result file: {error}") from error
    lines = [_parsed(path, number, line) for number, line in enumerate(text.splitlines(), 1)]
    header = lines[0] if lines else {}
    if header.get("kind") != "run" or "format" not in header:
        raise RequestError(f"{path}: expected a result file; its first line is not that of a run")
    if header["format"] != FORMAT:
        raise RequestError(
            f"{path}: expected a result file of format {FORMAT}, found format {header['format']}; "
            "read it with the version that wrote it, or move it away and run again"
        )
    try:
        return _run(header, lines[1:])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{path}: the file is damaged: {_reason(error)}") from error


def read_all(folder: Path) -> list[Run]:
    """Read every result file below a folder, sorted by path; other files are left alone.

    Raises:
      RequestError: there is no such folder, or a file is damaged or has another format.
    """
    if not folder.is_dir():
        raise RequestError(f"expected a folder of results, found none at {folder}")
    return [read(path) for path in sorted(folder.glob("*/*/*/seed*.jsonl"))]


def _lines(run: Run) -> list[dict[str, Any]]:
    identity = {f.name: getattr(run.identity, f.name) for f in fields(Identity)}
    rest = {f.name: getattr(run, f.name) for f in fields(Run) if f.name not in _ELSEWHERE}
    counts = {"epochs": len(run.epochs), "steps": len(run.steps)}
    rows = [("epoch", row) for row in run.epochs] + [("step", row) for row in run.steps]
    return [
        {"kind": "run", "format": FORMAT, **identity, **rest, "rows": counts},
        *({"kind": kind, **_short(row._asdict())} for kind, row in rows),
    ]


_ELSEWHERE = {"identity", "steps", "epochs"}


def _short(value: Any) -> Any:
    """Numbers of a row as JSON has them, floats with the digits of a float32."""
    if isinstance(value, Mapping):
        return {key: _short(part) for key, part in value.items()}
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    with np.errstate(over="ignore", under="ignore"):
        short = float(str(np.float32(value)))
    # Beyond the range of float32 a float keeps all its digits, lest 1e300 become infinite; so it
    # does below its normal numbers, where a float32 has fewer than seven.
    return short if math.isclose(short, value, rel_tol=1e-6) else value


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise RequestError(f"{path}: the file is damaged in line {number}: {error.msg}") from error
    if not isinstance(value, dict):
        raise RequestError(f"{path}: the file is damaged in line {number}: expected an object")
    return value


def _run(header: dict[str, Any], rows: list[dict[str, Any]]) -> Run:
    if header["status"] not in get_args(Status):
        raise ValueError(f"expected a status of {get_args(Status)}, found {header['status']!r}")
    epochs = [_epoch(row) for row in rows if row["kind"] == "epoch"]
    steps = [_step(row) for row in rows if row["kind"] == "step"]
    found = {"epochs": len(epochs), "steps": len(steps)}
    if header["rows"] != found or len(rows) != len(epochs) + len(steps):
        raise ValueError(f"expected the rows {header['rows']}, found {found}")
    return Run(
        identity=Identity(
            str(header["task"]),
            str(header["scale"]),
            str(header["method"]),
            int(header["seed"]),
            dict(header["changes"]),
        ),
        settings=dict(header["settings"]),
        status=header["status"],
        reason=str(header["reason"]),
        seconds=float(header["seconds"]),
        every=int(header["every"]),
        environment=dict(header["environment"]),
        steps=steps,
        epochs=epochs,
    )


def _step(row: dict[str, Any]) -> StepRow:
    return StepRow(int(row["step"]), *(float(row[name]) for name in StepRow._fields[1:]))


def _epoch(row: dict[str, Any]) -> EpochRow:
    return EpochRow(
        int(row["epoch"]),
        int(row["step"]),
        float(row["seconds"]),
        float(row["train_loss"]),
        {name: float(value) for name, value in row["validation"].items()},
        {name: float(value) for name, value in row["test"].items()},
    )


def _plain(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _reason(error: Exception) -> str:
    return f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)
