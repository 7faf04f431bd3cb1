"""Append what a run does to a CSV file, a row a step."""

import math
import operator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from zenith.core import ZenithState
from zenith.log._log import COLUMNS

_HEADER = ",".join(COLUMNS)


class Snapshot(NamedTuple):
    """What a run shows of itself after a step."""

    step: int  # updates of the optimizer so far
    lr: float  # eta_t, of the first parameter group
    state: ZenithState  # arrays that NumPy can read


class _Run(Protocol):
    def snapshot(self) -> Snapshot: ...


class LogWriter:
    """Writes a run to a CSV file that `zenith.plot` and `zenith.diagnose` read.

    The history of ZENITH holds the last W gradient norms, so a log with the norm of every step does
    not need a write in every step: with `every=100` the run is looked at, and its device waited
    for, once in 100 steps, and 100 rows are written then. Those between carry the norm alone; the
    rest follows from it. With `every` above the window, norms are lost, and the log says so.

    A write is one call of the operating system: a run that is killed leaves whole rows. An existing
    log is continued. When a run resumes from a checkpoint before the end of its log, the steps that
    it repeats are written again, and the reader takes the later ones.

    Args:
      path: the file; its folder must exist. With several processes, write in one of them.
      every: calls of `write` for each look at the run, at least 1. With a float learning rate in
        PyTorch every value is on the host already, and 1 costs no waiting.

    Raises:
      TypeError: `every` is no integer.
      ValueError: `every` is below 1, or the file exists and is no log of this kind.
      FileNotFoundError: the folder does not exist.

    Example:
      >>> import tempfile
      >>> from zenith.core import init, update
      >>> from zenith.log import LogWriter, Snapshot, read_log
      >>> state = update(init(2), 0.5)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     with LogWriter(f"{folder}/zenith.csv") as log:
      ...         log.write(Snapshot(step=1, lr=0.1, state=state))
      ...     read_log(f"{folder}/zenith.csv").grad_norm
      array([0.5])
    """

    def __init__(self, path: str | PathLike[str], *, every: int = 1) -> None:
        self._every = _check_every(every)
        self._last = _open_end(Path(path))
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115  (close() closes it)
        if self._file.tell() == 0:
            self._file.write(f"{_HEADER}\n".encode())
        self._calls = 0
        self._unwritten: tuple[Snapshot | _Run, Any] | None = None

    def write(self, run: Snapshot | _Run, *, loss: Any = None) -> None:
        """Write the steps since the last write; a call without a new step writes nothing.

        Args:
          run: what has a `snapshot()`, such as `zenith.torch.Zenith`, or a snapshot.
          loss: of this step, a number or a tensor of one; read only when rows are written.

        Raises:
          TypeError: `run` is neither, or `loss` is no number.
          ValueError: a snapshot has a step below 0, or a learning rate that is negative or not
            finite.
          RuntimeError: the log is closed.
        """
        if self._file.closed:
            raise RuntimeError("the log is closed: write before close(), or open another LogWriter")
        if not isinstance(run, Snapshot) and not callable(getattr(run, "snapshot", None)):
            raise TypeError(
                "run must be a zenith.log.Snapshot or have a snapshot(), as zenith.torch.Zenith "
                f"has. Received: {run!r}"
            )
        self._calls += 1
        if self._calls % self._every:
            self._unwritten = run, loss
        else:
            self._append(run, loss)

    def close(self) -> None:
        """Write what `every` has kept waiting, and close the file."""
        if self._file.closed:
            return
        try:
            if self._unwritten is not None:
                self._append(*self._unwritten)
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, run: Snapshot | _Run, loss: Any) -> None:
        snapshot = run if isinstance(run, Snapshot) else run.snapshot()
        step, lr, state = _check_snapshot(snapshot)
        number = _check_loss(loss)
        self._unwritten = None
        norms = np.asarray(state.norms)
        last, skipped = self._last, int(state.skipped)
        if step == 0 or (step == last.step and last.norms is not None):
            return
        window, count = len(norms), int(state.count)
        fresh = _new_norms(last, step, norms, count, skipped)
        rows = [
            f"{step - len(fresh) + 1 + i},,{norm:.9g},,,,{skipped},{window},\n"
            for i, norm in enumerate(fresh[:-1])
        ]
        rows.append(
            f"{step},{lr!r},{_cell(fresh[-1] if len(fresh) else None)},"
            f"{_cell(float(state.total) / count if count else None)},"
            f"{_cell(float(state.peak) / window)},{_cell(float(state.scale))},"
            f"{skipped},{window},{_cell(number)}\n"
        )
        self._file.write("".join(rows).encode())
        self._last = _Last(step, skipped, norms.copy())


class _Last(NamedTuple):
    """Where the log ends."""

    step: int
    skipped: int
    norms: Any = None  # f32[W] then, if this writer wrote it


def _new_norms(last: _Last, step: int, norms: Any, count: int, skipped: int) -> Any:
    """Those of `norms` that came after `last`, as many as the window still has."""
    if step <= last.step:
        last = _Last(0, 0)  # resumed from before the end of the log
    window = len(norms)
    most = step - last.step - max(skipped - last.skipped, 0)
    if last.norms is None or len(last.norms) != window or most >= window:
        return norms[window - max(min(most, count), 0) :]
    # Fewer where a loss scaler skipped a step on the device, which the count of steps cannot know;
    # then the rest of the window tells.
    for n in range(most, -1, -1):
        if np.array_equal(norms[: window - n], last.norms[n:]):
            return norms[window - n :]
    return norms[window - 1 :]  # another history was loaded


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"  # exact for float32


def _open_end(path: Path) -> _Last:
    """Check the log at `path`, cut off an unfinished row, and say where it ends."""
    if not path.exists() or path.stat().st_size == 0:
        return _Last(0, 0)
    content = path.read_bytes()
    header, _, rows = content.partition(b"\n")
    if header.decode(errors="replace").rstrip("\r") != _HEADER:
        raise ValueError(
            f"path must be a new file, or a log with the header {_HEADER!r}. "
            f"Received: {str(path)!r}, which begins with {header[:80]!r}"
        )
    whole = rows[: rows.rfind(b"\n") + 1]
    if len(whole) < len(rows):
        with path.open("r+b") as file:
            file.truncate(len(header) + 1 + len(whole))
    if not whole:
        return _Last(0, 0)
    cells = whole.splitlines()[-1].decode().split(",")
    try:
        return _Last(int(cells[0]), int(cells[COLUMNS.index("skipped")]))
    except (IndexError, ValueError):
        raise ValueError(
            f"path must be a log that can be continued. Received: {str(path)!r}, whose last row is "
            f"{','.join(cells)!r}"
        ) from None


def _check_every(every: Any) -> int:
    try:
        if isinstance(every, bool):
            raise TypeError
        calls = operator.index(every)
    except TypeError:
        raise TypeError(f"every must be an int, of calls of write. Received: {every!r}") from None
    if calls < 1:
        raise ValueError(f"every must be at least 1. Received: {every!r}")
    return calls


def _check_snapshot(snapshot: Snapshot) -> Snapshot:
    step, lr, state = operator.index(snapshot.step), float(snapshot.lr), snapshot.state
    if step < 0:
        raise ValueError(f"step must be at least 0. Received: {step}")
    if not 0 <= lr < math.inf:
        raise ValueError(f"lr must be finite and at least 0. Received: {lr}")
    if not isinstance(state, ZenithState) or np.ndim(state.norms) != 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"state must be the ZenithState of one run. Received: {state!r}")
    return Snapshot(step, lr, state)


def _check_loss(loss: Any) -> float | None:
    if loss is None:
        return None
    try:
        # torch warns of float() of what still has a graph.
        return float(loss.item() if hasattr(loss, "item") else loss)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"loss must be one number. Received: {loss!r}") from None
