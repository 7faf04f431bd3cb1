"""What one run showed of its gradient norm and learning rate, as single numbers."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.evidence.metrics import ranking_metric
from experiments.results import EpochRow, Run, StepRow

LAST_SHARE = 0.1  # of the steps that "at the end" takes


def eta_0(run: Run) -> float:
    return float(run.settings["lr"])  # type: ignore[arg-type]


def final_scale(run: Run) -> float:
    """The learning rate of the last step as a share of eta_0."""
    return run.steps[-1].lr / eta_0(run)


def norm_ratio(run: Run) -> float:
    """The mean gradient norm over the last tenth of the steps, over that of the first W steps.

    The first W steps are those before ZENITH's learning rate moves; of a run without a window, or
    with one as long as the run, the first tenth.
    """
    count = len(run.steps)
    window = run.settings.get("window")
    first = [row.grad_norm for row in run.steps if isinstance(window, int) and row.step <= window]
    if not 0 < len(first) < count:
        first = [row.grad_norm for row in run.steps[: max(1, round(LAST_SHARE * count))]]
    last = [row.grad_norm for row in run.steps[-max(1, round(LAST_SHARE * count)) :]]
    return _mean(last) / _mean(first)


def final_train_loss(run: Run) -> float:
    """The mean training loss over the last epoch, in nats."""
    return run.epochs[-1].train_loss


class Statistic(NamedTuple):
    """A number that a user can read off after one epoch, from any run at the constant eta_0."""

    label: str
    read: Callable[[Run], float]


def _first_epoch(run: Run) -> tuple[EpochRow, Sequence[StepRow]]:
    epoch = run.epochs[0]
    return epoch, [row for row in run.steps if row.step <= epoch.step]


def _norm_trend(run: Run) -> float:
    norms = [row.grad_norm for row in _first_epoch(run)[1]]
    half = len(norms) // 2
    return _mean(norms[half:]) / _mean(norms[:half]) if half else math.nan


def _norm_noise(run: Run) -> float:
    norms = np.array([row.grad_norm for row in _first_epoch(run)[1]])
    norms = norms[len(norms) // 2 :]
    return float(norms.std() / norms.mean()) if len(norms) > 1 else math.nan


def _loss_share(run: Run) -> float:
    epoch, _ = _first_epoch(run)
    return epoch.train_loss / run.steps[0].loss


def _validation(run: Run) -> float:
    return _first_epoch(run)[0].validation.get(ranking_metric(run), math.nan)


def _gap(run: Run) -> float:
    epoch, _ = _first_epoch(run)
    return epoch.validation.get("loss", math.nan) - epoch.train_loss


STATISTICS = (
    Statistic("gradient norm, second half of the epoch over the first", _norm_trend),
    Statistic("gradient norm, standard deviation over mean in the second half", _norm_noise),
    Statistic("training loss, mean of the epoch", lambda run: _first_epoch(run)[0].train_loss),
    Statistic("training loss, mean of the epoch over that of the first steps", _loss_share),
    Statistic("validation metric after the epoch", _validation),
    Statistic("validation loss minus training loss", _gap),
)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
