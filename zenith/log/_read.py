"""Read a run from the file of a `LogWriter`, of another logger, or from a portable state."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
# (TensorBoard is optional, and not annotated)

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from zenith.core import check_window, from_portable
from zenith.log._log import COLUMNS, Floats, Log

# What our callbacks call the columns in other loggers: Lightning's, the Trainer's (with train/
# before it in TensorBoard), and those of Keras, by the epoch.
_NAMES = {
    "step": ("step", "epoch"),
    "lr": ("lr", "train/lr", "learning_rate", "train/learning_rate", "epoch_learning_rate"),
    "grad_norm": ("grad_norm", "train/grad_norm", "epoch_grad_norm"),
    "mean": ("mean", "zenith/mean", "train/zenith/mean"),
    "peak": ("peak", "zenith/peak", "train/zenith/peak"),
    "scale": ("scale", "zenith/scale", "train/zenith/scale"),
    "skipped": ("skipped", "zenith/skipped", "train/zenith/skipped"),
    "window": ("window",),
    "loss": ("loss", "train_loss", "train/loss", "epoch_loss"),
}
_SHOWS_ZENITH = ("lr", "grad_norm", "mean")

Row = Mapping[str, Any]


def read_log(
    source: "Log | Mapping[str, Any] | str | PathLike[str]", *, window: int | None = None
) -> Log:
    """The run that `source` tells of.

    Args:
      source: the path of a CSV file (of a `LogWriter`, Keras's `CSVLogger`, Lightning's
        `CSVLogger`), of JSON lines with the same keys, of a portable state as JSON, or of a folder
        of TensorBoard events (needs the package `tensorboard`); a portable state as `export_state`
        of any front end returns it; or a `Log`, which is returned.
      window: W, for a log that does not tell it: that of any logger but a `LogWriter`.

    Raises:
      FileNotFoundError: there is nothing at the path.
      ValueError: the file holds no such run; the message names the line and the column. Or it tells
        another window.
      ImportError: the path is a folder, and TensorBoard is not installed.

    Example:
      >>> from zenith.log import read_log
      >>> state = {"format": 1, "window": 3, "norms": [2.0, 1.0], "peak": 0.0, "skipped": 0}
      >>> read_log(state).grad_norm
      array([2., 1.])
    """
    if isinstance(source, Log):
        log = source
    elif isinstance(source, Mapping):
        log = _of_state(source)
    else:
        path = Path(source)
        log = _of_folder(path) if path.is_dir() else _of_file(path)
    return log if window is None else _with_window(log, check_window(window))


def _with_window(log: Log, window: int) -> Log:
    told = set(log.window.tolist()) - {0, window}
    if told:
        raise ValueError(
            f"window must be that of the log, which tells {sorted(told)}. Received: {window}"
        )
    columns = {name: getattr(log, name) for name in COLUMNS}
    return Log(**columns | {"window": np.full(len(log), window)}, unit=log.unit)


def _of_state(portable: Mapping[str, Any]) -> Log:
    state = from_portable(portable)
    window, count, skipped = len(state.norms), int(state.count), int(state.skipped)
    if count == 0:
        raise ValueError("source must have seen a gradient. Received: a state without norms")
    full = count == window
    nothing = np.full(count, np.nan)
    log = Log(
        # The steps of a full window are not known, only their order.
        step=np.arange(count) + (1 - count if full else 1 + skipped),
        lr=nothing,
        grad_norm=state.norms[window - count :].astype(np.float64),
        mean=nothing.copy(),
        peak=np.where(np.arange(count) < count - 1, np.nan, float(state.peak) / window),
        scale=nothing.copy(),
        skipped=np.full(count, skipped),
        window=np.full(count, window),
        loss=nothing,
        unit="step before now" if full else "step",
    )
    log.mean[-1], log.scale[-1] = float(state.total) / count, state.scale
    return log


def _of_file(path: Path) -> Log:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix in (".json", ".jsonl"):
        return _of_json(text, str(path))
    reader = csv.DictReader(text.splitlines())
    rows = [(reader.line_num, row) for row in reader]
    # A run that was killed by a full disk may have left half a row.
    if rows and None in rows[-1][1].values():
        rows.pop()
    return _of_rows(rows, reader.fieldnames or (), str(path))


def _of_json(text: str, source: str) -> Log:
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None  # several lines
    if isinstance(whole, dict) and not {"step", "epoch"} & whole.keys():
        return _of_state(cast("dict[str, Any]", whole))
    rows: list[tuple[int, Row]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            rows.append((number, _parse_object(line, f"{source}, line {number}")))
    return _of_rows(rows, dict.fromkeys(name for _, row in rows for name in row), source)


def _parse_object(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"a {type(row).__name__}")
    except ValueError as error:
        raise ValueError(f"{where} must be a JSON object. Received: {error}") from None
    return cast("Row", row)


def _of_rows(rows: Iterable[tuple[int, Row]], names: Iterable[str], source: str) -> Log:
    columns = _find_columns(names, source)
    by_step: dict[int, dict[str, float]] = {}
    highest = -1
    for line, row in rows:
        values = {
            name: _number(row.get(column), f"{source}, line {line}, column {column!r}")
            for name, column in columns.items()
        }
        step = values.pop("step")
        if math.isnan(step) or all(map(math.isnan, values.values())):
            continue
        number = int(step)
        if number != step or number < 0:
            raise ValueError(
                f"{source}, line {line}, column {columns['step']!r} must hold whole numbers of at "
                f"least 0. Received: {step}"
            )
        if number < highest:  # resumed from an earlier checkpoint: what follows counts
            for later in [earlier for earlier in by_step if earlier > number]:
                del by_step[later]
            by_step.pop(number, None)
        highest = number
        known = {name: value for name, value in values.items() if not math.isnan(value)}
        by_step[number] = by_step.get(number, {}) | known
    return _of_steps(by_step, "epoch" if columns["step"] == "epoch" else "step", source)


def _of_steps(
    by_step: Mapping[int, Mapping[str, float]], unit: Literal["step", "epoch"], source: str
) -> Log:
    if not by_step:
        raise ValueError(f"source must hold at least one step. Received: {source}, without any")
    steps = sorted(by_step)
    columns: dict[str, Floats] = {
        name: np.array([by_step[step].get(name, np.nan) for step in steps]) for name in COLUMNS[1:]
    }
    refused = np.isinf(columns["grad_norm"])
    skipped = columns.pop("skipped")
    counted = np.cumsum(refused) if np.isnan(skipped).all() else _carried_on(skipped)
    windows = _carried_on(columns.pop("window"))
    return Log(
        step=np.array(steps),
        **{name: np.where(np.isinf(column), np.nan, column) for name, column in columns.items()},
        skipped=counted.astype(np.int64),
        window=windows.astype(np.int64),
        unit=unit,
    )


def _carried_on(values: Floats) -> Floats:
    """Every NaN replaced by the last number before it, or 0."""
    index = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(index < 0, 0, values[index])


def _find_columns(names: Iterable[str], source: str) -> dict[str, str]:
    present = [*names]
    columns = {
        name: next((alias for alias in aliases if alias in present), None)
        for name, aliases in _NAMES.items()
    }
    found = {name: column for name, column in columns.items() if column is not None}
    if "step" not in found or not found.keys() & set(_SHOWS_ZENITH):
        raise ValueError(
            f"source must have a column 'step' or 'epoch', and at least one of {_SHOWS_ZENITH}. "
            f"Received: {source} with {present}"
        )
    return found


def _number(cell: Any, where: str) -> float:
    """NaN for an empty cell; infinity for every number that is not finite."""
    if cell is None or cell == "":
        return math.nan
    try:
        value = float(cell)
    except (TypeError, ValueError):
        raise ValueError(f"{where} must hold numbers. Received: {cell!r}") from None
    return value if math.isfinite(value) else math.inf


def _of_folder(path: Path) -> Log:
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util import tensor_util
    except ImportError:
        raise ImportError(
            f"a folder of TensorBoard events needs TensorBoard: pip install tensorboard. "
            f"Received: {str(path)!r}"
        ) from None
    runs: dict[Path, Any] = {}
    folders = sorted({file.parent for file in path.rglob("*tfevents*")})
    tags: dict[Path, list[str]] = {}
    for folder in folders:
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        tags[folder] = [*events.Tags()["scalars"], *events.Tags()["tensors"]]
        if _aliases("grad_norm") & {*tags[folder]}:
            runs[folder] = events
    if len(runs) != 1:
        raise ValueError(
            "source must be a folder with the TensorBoard events of one run, with one of the tags "
            f"{sorted(_aliases('grad_norm'))}. Received: {str(path)!r}, in which "
            f"{[str(folder) for folder in runs] or 'none'} have it, among the tags {tags}"
        )
    ((folder, events),) = runs.items()

    def scalars(tag: str) -> Iterator[tuple[int, float]]:
        if tag in events.Tags()["scalars"]:
            yield from ((event.step, event.value) for event in events.Scalars(tag))
        else:
            for event in events.Tensors(tag):
                yield event.step, float(tensor_util.make_ndarray(event.tensor_proto))

    by_step: dict[int, dict[str, float]] = {}
    columns = _find_columns(["step", *tags[folder]], str(path))
    for name, tag in columns.items():
        if name != "step":
            for step, value in scalars(tag):
                number = value if math.isfinite(value) else math.inf
                by_step.setdefault(step, {})[name] = number
    epochs = any(tag.startswith("epoch_") for tag in columns.values())
    return _of_steps(by_step, "epoch" if epochs else "step", str(path))


def _aliases(name: str) -> set[str]:
    return {*_NAMES[name]}
