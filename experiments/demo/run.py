"""Train every method from every seed, with live progress."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from experiments.data import Data
from experiments.demo.record import Record, Settings, Trainer


def run_all(
    trainer: Trainer,
    data: Data,
    methods: Sequence[str],
    settings: Settings,
    seeds: int,
    console: Console,
) -> list[Record]:
    """Train each method from seeds 0 to `seeds` - 1, one run after the other.

    On a terminal, one bar shows the whole and one the run in progress; a line is left for each run
    that is done, and a terminal is not needed for that.

    Returns:
      One record a run, method by method within a seed: a machine that gets slower on the way slows
      every method.
    """
    # Bars mean nothing in a log file, where each refresh would be one more line.
    bars = _bars(console)
    records: list[Record] = []
    plan = [(seed, method) for seed in range(seeds) for method in methods]
    total_steps = settings.total_steps(data)
    with bars:
        whole = bars.add_task(f"all {len(plan)} runs", total=len(plan) * total_steps)
        for done, (seed, method) in enumerate(plan):
            one = bars.add_task(f"{method}, seed {seed}", total=total_steps)

            def on_step(step: int, done: int = done, one: int = one) -> None:
                bars.update(one, completed=step)
                bars.update(whole, completed=done * total_steps + step)

            record = trainer(data, method, settings, seed, on_step)
            bars.remove_task(one)
            bars.update(whole, completed=(done + 1) * total_steps)
            bars.console.print(_line(record), highlight=False)
            records.append(record)
    return records


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _line(record: Record) -> str:
    run = f"{record.method}, seed {record.seed}"
    end = record.evaluations[-1]
    if record.diverged:
        return f"{run:<18} diverged at step {end.step}"
    return (
        f"{run:<18} test accuracy {100 * end.test_accuracy:6.2f} %   "
        f"training loss {end.train_loss:.2e}   {record.seconds:6.1f} s"
    )
