"""One run of a sweep, whatever becomes of it."""

from pathlib import Path
from typing import Literal, NamedTuple

from experiments.errors import RequestError
from experiments.loop import Watcher
from experiments.place import Place, StorageError
from experiments.results import Identity, Status
from experiments.run import failed, run

TRIES = 3  # times that a run may take its process with it before it counts as failed


class Outcome(NamedTuple):
    """What became of a run."""

    identity: Identity
    # "refused": no result, something is for the user to put right; "full": nothing can be written.
    kind: Status | Literal["refused", "full"]
    line: str  # one line about it


class Conditions(NamedTuple):
    """What all runs of a sweep share, and what changes no result."""

    data: Path | None  # the folder of all data sets
    out: Path  # the folder of results
    saved_every: float  # seconds between two checkpoints of a run


def attempt(identity: Identity, conditions: Conditions, watcher: Watcher) -> Outcome:
    """Make a run, or go on with it; what is wrong with it is its outcome."""
    data, out, saved_every = conditions
    try:
        made = run(identity, data, out, watcher, saved_every=saved_every)
    except StorageError as error:
        return Outcome(identity, "full", str(error))
    except RequestError as error:
        return Outcome(identity, "refused", str(error))
    return Outcome(identity, made.status, made.told())


def give_up(identity: Identity, out: Path, reason: str) -> Outcome:
    """Record as failed a run whose process died each time."""
    with Place(identity, out) as place:
        place.finish(failed(identity, reason))
    return Outcome(identity, "failed", f"failed: {reason}")
