"""Train every method from every seed, with live progress."""

from collections.abc import Sequence

from rich.console import Console

from experiments.data import Data
from experiments.demo.record import Record, Settings, Trainer
from experiments.progress import bars


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
    progress = bars(console)
    records: list[Record] = []
    plan = [(seed, method) for seed in range(seeds) for method in methods]
    total_steps = settings.total_steps(data)
    with progress:
        whole = progress.add_task(f"all {len(plan)} runs", total=len(plan) * total_steps)
        for done, (seed, method) in enumerate(plan):
            one = progress.add_task(f"{method}, seed {seed}", total=total_steps)

            def on_step(step: int, done: int = done, one: int = one) -> None:
                progress.update(one, completed=step)
                progress.update(whole, completed=done * total_steps + step)

            record = trainer(data, method, settings, seed, on_step)
            progress.remove_task(one)
            progress.update(whole, completed=(done + 1) * total_steps)
            progress.console.print(_line(record), highlight=False)
            records.append(record)
    return records


def _line(record: Record) -> str:
    run = f"{record.method}, seed {record.seed}"
    end = record.evaluations[-1]
    if record.diverged:
        return f"{run:<23} diverged at step {end.step}"
    return (
        f"{run:<23} test accuracy {100 * end.test_accuracy:6.2f} %  "
        f"training loss {end.train_loss:.1e} {record.seconds:6.1f} s"
    )
