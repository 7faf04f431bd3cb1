"""When a run has converged: the one definition for every table and figure."""

from collections.abc import Sequence
from typing import Literal

from experiments.evidence.metrics import ranking_metric
from experiments.results import EpochRow, Run

SHARE = 0.99
DEFINITION = (
    "Convergence time: training seconds (evaluation left out) until the validation metric first "
    "reaches 99 % of the highest value that it takes in that run. "
    "Time to target: the same, with a target that is the same for every method."
)

Clock = Literal["seconds", "step"]


def convergence_time(run: Run, clock: Clock = "seconds") -> float | None:
    """Training time until the validation metric first is within 1 % of its highest value.

    Args:
      run: any run; its metric must be one that is better when higher.
      clock: `seconds` of training, or the number of optimizer steps.

    Returns:
      The clock at the end of the first such epoch; None for a run that diverged or failed.
    """
    if run.status != "finished" or not run.epochs:
        return None
    best = max(_values(run))
    return time_to_target(run, SHARE * best, clock)


def time_to_target(run: Run, target: float, clock: Clock = "seconds") -> float | None:
    """Training time until the validation metric first is `target` or better.

    A run that diverges later has reached what it reached.

    Returns:
      The clock at the end of the first such epoch; None where there is none.
    """
    for row, value in zip(run.epochs, _values(run), strict=True):
        if value >= target:
            return float(row.seconds if clock == "seconds" else row.step)
    return None


def _values(run: Run) -> Sequence[float]:
    name = ranking_metric(run)
    return [_value(row, name) for row in run.epochs]


def _value(row: EpochRow, name: str) -> float:
    value = row.validation.get(name, 0.0)
    return value if value == value else 0.0  # NaN: a broken model reaches nothing
