"""The runs of a sweep on this machine, each in one of a few processes."""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from time import monotonic

from experiments.attempt import TRIES, Conditions, Outcome, attempt, give_up
from experiments.loop import Watcher
from experiments.results import Identity

OnStep = Callable[[Identity, int, int], None]
_TOLD_EVERY = 0.25  # seconds


def on_this_machine(
    runs: Sequence[Identity], conditions: Conditions, jobs: int, on_step: OnStep
) -> Iterator[Outcome]:
    """Make runs, `jobs` at a time, and yield what becomes of each as it ends.

    A process that dies takes no other run with it: its run goes on in a new one, from its last
    checkpoint, and counts as failed when it has taken three with it. The processes end with the
    one that called, even if that one is killed.
    """
    waiting = deque(runs)
    deaths: Counter[str] = Counter()
    busy: dict[Connection, _Worker] = {}
    idle: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                taken = {worker.number for worker in busy.values()}
                free = next(number for number in range(jobs) if number not in taken)
                worker = idle.pop() if idle else _Worker(free, conditions)
                worker.begin(waiting.popleft())
                busy[worker.connection] = worker
            for ready in connection.wait(list(busy)):
                worker = busy[ready]  # type: ignore[index] (only connections were waited for)
                try:
                    told = worker.connection.recv()
                except (EOFError, OSError):
                    del busy[worker.connection]
                    identity, cause = worker.end()
                    deaths[identity.title] += 1
                    if deaths[identity.title] < TRIES:
                        waiting.appendleft(identity)
                    else:
                        yield give_up(
                            identity, conditions.out, f"its process {cause}, {TRIES} times"
                        )
                    continue
                if isinstance(told, Outcome):
                    idle.append(busy.pop(worker.connection))
                    yield told
                else:
                    on_step(worker.identity, *told)
    finally:
        for worker in (*busy.values(), *idle):
            worker.end()


class _Worker:
    def __init__(self, number: int, conditions: Conditions) -> None:
        self.number = number
        context = get_context("spawn")  # a fork would inherit torch's threads, and their locks
        self.connection, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_work, args=(theirs, number, conditions), daemon=False
        )
        self._process.start()
        theirs.close()  # so that its death is the end of the pipe
        self.identity: Identity

    def begin(self, identity: Identity) -> None:
        self.identity = identity
        with suppress(OSError):  # it is dead, and its end of the pipe says so to whoever waits
            self.connection.send(identity)

    def end(self) -> tuple[Identity, str]:
        self.connection.close()
        self._process.join(timeout=0.5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode or 0
        cause = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return self.identity, cause


class _Teller(Watcher):
    def __init__(self, parent: Connection) -> None:
        self._parent = parent
        self._told = 0.0

    def on_step(self, step: int, total_steps: int) -> None:
        if monotonic() - self._told >= _TOLD_EVERY:
            self.tell((step, total_steps))
            self._told = monotonic()

    def tell(self, what: tuple[int, int] | Outcome) -> None:
        try:
            self._parent.send(what)
        except OSError:
            # The parent is dead. Raised here it would be recorded as a failure of the run.
            os._exit(1)


def _work(parent: Connection, number: int, conditions: Conditions) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this one
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ["LOCAL_RANK"] = str(number)
    teller = _Teller(parent)
    while True:
        try:
            identity = parent.recv()
        except EOFError:
            return
        teller.tell(attempt(identity, conditions, teller))


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
