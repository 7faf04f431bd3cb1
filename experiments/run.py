"""One run: a method trains the network of a task, from one seed, to a result file."""

import platform
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path

import torch

from experiments.errors import RequestError
from experiments.loop import Loop, Record, Watcher
from experiments.methods import METHODS, Method
from experiments.place import Place
from experiments.ranks import Ranks, joined
from experiments.results import EpochRow, Identity, Run, Status, StepRow
from experiments.settings import change, settings
from experiments.tasks import Problem, Task, find
from experiments.tasks._prefetch import usable_cores
from experiments.threads import one_thread
from zenith import __version__


def run(
    identity: Identity,
    data: Path | None,
    out: Path,
    watcher: Watcher | None = None,
    *,
    workers: int | None = None,
    saved_every: float = 15.0,
) -> Run:
    """Make one run, or go on with it where an earlier process was cut.

    The result is the same however often it was cut, seconds aside. On several ranks each of them
    calls this function; rank 0 evaluates, saves and writes, and returns what counts.

    Args:
      identity: task, method, seed and settings.
      data: the folder of all data sets.
      out: the folder of results.
      watcher: is told how it goes.
      workers: processes that prepare minibatches; by default none at laptop scale, and one a core
        at paper scale.
      saved_every: seconds between two checkpoints.

    Returns:
      The run as it lies in its result file; without training, if it was there and had not failed.

    Raises:
      RequestError: something that the user can put right: an unknown task, method or setting,
        missing data, a result file of another version, a full disk. Nothing is lost.
    """
    task = change(find(identity.task, identity.scale), identity.changes)
    method = find_method(identity.method)
    watcher = watcher or Watcher()
    place = Place(identity, out)
    with (
        one_thread() if task.scale == "laptop" else nullcontext(),
        _reproducible(),
        joined(task.ranks) as ranks,
        place if ranks.rank == 0 else nullcontext(),
    ):
        done = place.result()
        if ranks.agree(done is not None and done.status != "failed"):
            return done or _run(identity, task, method, ranks, None, "finished", "see rank 0")
        problem = task.open(data)
        if workers is None:
            workers = 0 if task.scale == "laptop" else usable_cores()
        loop: Loop | None = None
        try:
            loop = _started(task, problem, method, identity.seed, ranks, watcher, workers, place)
            saves = ranks.rank == 0 and method.resumable
            status, reason = loop.train(place if saves else None, saved_every)
        except RequestError:
            raise
        except Exception as error:
            status, reason = "failed", _told(error)
        made = _run(identity, task, method, ranks, loop, status, reason)
        if ranks.rank == 0:
            place.finish(made)
        return made


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
      RequestError: there is none.
    """
    if name not in METHODS:
        raise RequestError(f"METHOD must be one of {', '.join(METHODS)}. Received: {name}")
    return METHODS[name]


def failed(identity: Identity, reason: str) -> Run:
    """The result of a run whose process died each time it was started."""
    task = change(find(identity.task, identity.scale), identity.changes)
    ranks = Ranks(0, task.ranks, torch.device("cpu"))
    return _run(identity, task, find_method(identity.method), ranks, None, "failed", reason)


def _started(
    task: Task,
    problem: Problem,
    method: Method,
    seed: int,
    ranks: Ranks,
    watcher: Watcher,
    workers: int,
    place: Place,
) -> Loop:
    """A loop at the step of the last checkpoint, or at the first if there is none of use."""

    def fresh() -> Loop:
        return Loop(task, problem, method, seed, ranks, watcher, workers)

    loop = fresh()
    checkpoint = place.load() if method.resumable else None
    try:
        if checkpoint is not None:
            loop.load_state_dict(checkpoint)
    except (KeyError, RuntimeError, TypeError, ValueError):
        checkpoint, loop = None, fresh()
    # Also a barrier: no rank overwrites the checkpoint before every rank has read it.
    if ranks.agree(checkpoint is None):
        if place.has_checkpoint():
            watcher.on_note("the checkpoint is not one of this run: starting again")
        return loop if checkpoint is None else fresh()
    watcher.on_note(f"going on after step {loop.record.step}")
    return loop


def _run(
    identity: Identity,
    task: Task,
    method: Method,
    ranks: Ranks,
    loop: Loop | None,
    status: Status,
    reason: str,
) -> Run:
    record = loop.record if loop else Record()
    return Run(
        identity=identity,
        settings=settings(task),
        status=status,
        reason=reason,
        seconds=record.seconds,
        every=loop.every if loop else 1,
        environment=_environment(method, ranks),
        steps=[StepRow(*row) for row in record.steps],
        epochs=[EpochRow(*row) for row in record.epochs],
    )


def _environment(method: Method, ranks: Ranks) -> dict[str, str]:
    cuda = ranks.device.type == "cuda"
    return {
        "zenith": __version__,
        "method": method.source,
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(ranks.device) if cuda else "cpu",
        "threads": str(torch.get_num_threads()),
    }


def _told(error: Exception) -> str:
    """One line: what was raised, and the last line of our own code that it came through."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "experiments" in f.filename]
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{text} ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else text


@contextmanager
def _reproducible() -> Iterator[None]:
    """The same sums in the same order each time, and the caller's random state left alone."""
    cudnn = torch.backends.cudnn
    deterministic = cudnn.deterministic
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices):
        cudnn.deterministic = True
        try:
            yield
        finally:
            cudnn.deterministic = deterministic
