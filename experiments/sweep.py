"""Many runs: all that are missing, whatever becomes of any one of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from experiments.attempt import Outcome
from experiments.errors import RequestError
from experiments.place import Place
from experiments.results import Identity
from experiments.watch import WatchSweep

Pool = Callable[[Sequence[Identity]], Iterator[Outcome]]


def missing(
    runs: Sequence[Identity], out: Path, *, retry: bool
) -> tuple[list[Identity], list[str]]:
    """The runs without a result, in their order.

    Args:
      runs: of the sweep.
      out: the folder of results.
      retry: whether a run that failed is missing too.

    Returns:
      The runs to make, and a line for each result that cannot be read, which stays as it is.
    """
    to_make: list[Identity] = []
    unreadable: list[str] = []
    for identity in runs:
        place = Place(identity, out)
        try:
            done = place.result()
        except RequestError as error:
            unreadable.append(str(error))
            continue
        if done is None or (retry and done.status == "failed"):
            to_make.append(identity)
    return to_make, unreadable


def sweep(runs: Sequence[Identity], pool: Pool, watcher: WatchSweep) -> Counter[str]:
    """Make runs.

    Args:
      runs: to make.
      pool: makes them, in whatever order, and yields what becomes of each.
      watcher: is told how it goes.

    Returns:
      How many runs ended which way.

    Raises:
      RequestError: nothing can be written any more, or runs could not be made for a reason that
        the user can put right; the others are made then.
    """
    ends: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for outcome in pool(runs):
        watcher.on_end(outcome.identity, outcome.line)
        if outcome.kind == "full":
            raise RequestError(outcome.line)
        ends[outcome.kind] += 1
        if outcome.kind == "refused":
            refusals[outcome.line] += 1
    if refusals:
        lines = "; ".join(f"{count} x {line}" for line, count in refusals.items())
        raise RequestError(f"{refusals.total()} of {len(runs)} runs could not be made: {lines}")
    return ends
