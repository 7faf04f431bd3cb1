"""How runs go, on a terminal as bars and in a log file as lines."""

from time import perf_counter
from typing import Self

from rich.console import Console
from rich.progress import TaskID

from experiments.loop import Watcher
from experiments.progress import bars
from experiments.results import EpochRow, Identity


class WatchOne(Watcher):
    """Shows one run: a bar with the time left, or a line an epoch where there is no terminal.

    Args:
      identity: of the run.
      console: where it is shown.
    """

    def __init__(self, identity: Identity, console: Console) -> None:
        self._title = identity.title
        self._console = console
        self._bars = bars(console)
        self._bar = self._bars.add_task(self._title, total=None)
        self._first: tuple[int, float] | None = None
        self._left = ""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def on_step(self, step: int, total_steps: int) -> None:
        self._bars.update(self._bar, completed=step, total=total_steps)
        now = perf_counter()
        if self._first is None:
            self._first = (step, now)
        elif step > self._first[0]:
            each = (now - self._first[1]) / (step - self._first[0])
            self._left = f", {duration(each * (total_steps - step))} left"

    def on_epoch(self, row: EpochRow) -> None:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in row.validation.items())
        self._console.print(
            f"epoch {row.epoch}, step {row.step}: training loss {row.train_loss:.4g}; "
            f"validation {metrics}; {row.seconds:.1f} s{self._left}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def on_note(self, note: str) -> None:
        self._console.print(f"{self._title}: {note}", highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "1 h 05 min", "12 min", "8 s"."""
    minutes, whole_seconds = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{whole_seconds} s"


class WatchSweep:
    """Shows a sweep: bars for the whole and for each run at work, and a line a run that ends.

    Args:
      name: of the sweep.
      runs: how many are to be made.
      console: where it is shown.
    """

    def __init__(self, name: str, runs: int, console: Console) -> None:
        self._runs = runs
        self._ended = 0
        self._started = perf_counter()
        self._bars = bars(console, speed_seconds=3600.0)
        self._whole = self._bars.add_task(name, total=runs * _PARTS)
        self._one: dict[str, tuple[TaskID, float]] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def on_step(self, identity: Identity, step: int, total_steps: int) -> None:
        """A run at work has come that far."""
        if identity.title not in self._one:
            self._one[identity.title] = (self._bars.add_task(identity.title, total=1), 0.0)
        bar, _ = self._one[identity.title]
        self._one[identity.title] = (bar, step / total_steps)
        self._bars.update(bar, completed=step, total=total_steps)
        self._show_whole()

    def on_end(self, identity: Identity, line: str) -> None:
        """A run has ended."""
        self._ended += 1
        if identity.title in self._one:
            self._bars.remove_task(self._one.pop(identity.title)[0])
        self._show_whole()
        left = (perf_counter() - self._started) / self._ended * (self._runs - self._ended)
        self._bars.console.print(
            f"{self._ended} of {self._runs}, {duration(left)} left: {identity.title}: {line}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def _show_whole(self) -> None:
        done = self._ended + sum(part for _, part in self._one.values())
        self._bars.update(self._whole, completed=round(done * _PARTS))


_PARTS = 100  # of a run in the bar of the whole
