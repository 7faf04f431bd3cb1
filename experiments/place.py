"""Where a run keeps what it needs to go on, and where its result goes."""

import io
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from filelock import FileLock, Timeout

from experiments.errors import RequestError
from experiments.files import replace
from experiments.results import Identity, Run, path_of, read, write

CHECKPOINT_FORMAT = 1
_RUNNING = ".running"  # beside the results, which are all that is left when every run is done


class StorageError(RequestError):
    """Nothing can be written any more, so that no other run can end well either."""


class Place:
    """The files of one run, this process' alone within a `with` statement.

    Args:
      identity: of the run.
      out: the folder of results.
      patience: seconds to wait for another process that makes the same run.
    """

    def __init__(self, identity: Identity, out: Path, patience: float = 10.0) -> None:
        self._identity = identity
        self._out = out
        self.result_path = path_of(identity, out)
        self._name = path_of(identity, Path()).with_suffix("").as_posix().replace("/", ".")
        self._checkpoint = out / _RUNNING / f"{self._name}.checkpoint"
        self._lock = FileLock(out / _RUNNING / f"{self._name}.lock", timeout=patience)

    def __enter__(self) -> Self:
        try:
            self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            raise RequestError(f"{self.result_path}: another process makes this run") from error
        except OSError as error:
            raise _unwritable(self._out, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
        if not self._checkpoint.exists():
            with suppress(OSError):  # not the last one to leave, on some systems
                Path(self._lock.lock_file).unlink()

    def result(self) -> Run | None:
        """The result, if the run is done.

        Raises:
          RequestError: the file is damaged, of another format or of another run; it stays.
        """
        if not self.result_path.exists():
            return None
        done = read(self.result_path)
        if done.identity != self._identity:
            raise RequestError(
                f"{self.result_path}: expected {self._identity}, found {done.identity}"
            )
        return done

    def finish(self, run: Run) -> None:
        """Write the result, and let go of what was needed to go on.

        Raises:
          StorageError: it cannot be written; the last checkpoint stays.
        """
        try:
            write(run, self._out)
        except OSError as error:
            raise _unwritable(self.result_path, error) from error
        self._forget()

    def _forget(self) -> None:
        self._checkpoint.unlink(missing_ok=True)
        self._checkpoint.with_name(f".new-{self._checkpoint.name}").unlink(missing_ok=True)

    def save(self, state: dict[str, Any]) -> None:
        """Save what the next process is to go on from.

        Raises:
          StorageError: it cannot be written; the checkpoint before it stays.
        """
        content = {
            "format": CHECKPOINT_FORMAT,
            "run": self._name,
            **state,
        }
        whole = io.BytesIO()  # torch's own writer does not say that the disk is full
        torch.save(content, whole)
        try:
            replace(self._checkpoint, lambda new: new.write_bytes(whole.getbuffer()))
        except OSError as error:
            raise _unwritable(self._checkpoint, error) from error

    def has_checkpoint(self) -> bool:
        """Whether an earlier process left anything to go on from."""
        return self._checkpoint.exists()

    def load(self) -> dict[str, Any] | None:
        """What an earlier process saved, on the CPU; None without one that this run can use."""
        if not self._checkpoint.exists():
            return None
        try:
            content = torch.load(self._checkpoint, map_location="cpu", weights_only=True)
        except Exception:  # torch.load raises whatever the damage leads it to
            return None
        ours = {"format": CHECKPOINT_FORMAT, "run": self._name}
        if not isinstance(content, dict) or any(content.get(k) != v for k, v in ours.items()):
            return None
        return content


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {path}: {error.strerror or error}; "
        "what was done before is kept, and the same command goes on"
    )
