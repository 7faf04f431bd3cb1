"""Convergence time and time to target, against cases worked out by hand."""

import math

import pytest

from experiments.evidence.convergence import convergence_time, time_to_target
from tests.evidence.made_up import run


@pytest.mark.parametrize(
    ("accuracies", "seconds"),
    [
        ([0.5, 0.98, 0.995, 1.0], 6.0),  # 0.99 is first reached in the third epoch of 2 s
        ([0.5, 0.99, 0.2, 1.0], 4.0),  # what comes after the first time does not matter
        ([1.0, 0.1, 0.1], 2.0),  # a run that gets worse converged when it was best
        ([0.5, 0.495, 0.4], 2.0),  # the share is of the run's own best
        ([0.0, 0.0], 2.0),  # never better than nothing
        ([0.1, math.nan, 0.9], 6.0),
    ],
)
def test_it_is_the_end_of_the_first_epoch_within_one_percent_of_the_best(
    accuracies: list[float], seconds: float
) -> None:
    finished = run(accuracies, seconds=2.0)
    assert convergence_time(finished) == seconds
    assert convergence_time(finished, "step") == 5 * seconds


def test_a_run_that_diverged_or_failed_has_not_converged() -> None:
    for status in ("diverged", "failed"):
        assert convergence_time(run([0.5, 0.9], status=status)) is None
    assert convergence_time(run([])) is None


def test_a_target_is_reached_when_it_is_met_exactly_or_never() -> None:
    finished = run([0.2, 0.5, 0.4, 0.8])
    assert time_to_target(finished, 0.5) == 2.0
    assert time_to_target(finished, 0.500001) == 4.0
    assert time_to_target(finished, 0.81) is None
    assert time_to_target(run([0.2, 0.5, math.nan], status="diverged"), 0.5) == 2.0


def test_the_metric_is_the_validation_split_s() -> None:
    assert time_to_target(run([0.1, 0.9], test=[0.9, 0.9]), 0.9) == 2.0


def test_a_detection_task_is_ranked_by_its_own_metric() -> None:
    assert convergence_time(run([0.1, 0.5, 0.5], metric="box_map50")) == 2.0
