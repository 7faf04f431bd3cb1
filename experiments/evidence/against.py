"""ZENITH against one other method, at every setting that both were run at."""

from collections.abc import Mapping
from typing import NamedTuple

from experiments.evidence.comparison import paired_differences
from experiments.evidence.facts import final_scale, final_train_loss, norm_ratio
from experiments.evidence.statistics import Difference, Spread
from experiments.evidence.study import Condition, Study, ends_of
from experiments.results import Run


class Match(NamedTuple):
    """ZENITH at one setting; the runs are those that finished."""

    condition: Condition  # ZENITH's, its window among the changes
    runs: Mapping[int, Run]  # ZENITH's, by seed
    scale: Spread  # last learning rate over eta_0
    norm: Spread  # last norm over first
    train_loss: Spread
    test: Spread  # at the end, a share
    difference: Difference | None  # test metric at the end, ZENITH minus the other, a share


def matches(study: Study, other: str) -> list[Match]:
    """One for each condition under which ZENITH has a finished run.

    Args:
      study: the runs.
      other: the method to compare with, at the same settings but for the window.
    """
    found: list[Match] = []
    for condition in study.conditions:
        runs = study.cell(condition, "zenith")
        finished = {seed: run for seed, run in runs.items() if run.status == "finished"}
        if not finished:
            continue
        pairs = paired_differences(runs, study.rival(condition, other), "last")
        found.append(
            Match(
                condition,
                finished,
                Spread.of([final_scale(run) for run in finished.values()]),
                Spread.of([norm_ratio(run) for run in finished.values()]),
                Spread.of([final_train_loss(run) for run in finished.values()]),
                Spread.of([ends_of(run).last for run in runs.values()]),
                Difference.of(pairs) if pairs else None,
            )
        )
    return found


class Score(NamedTuple):
    """How often ZENITH is ahead, over conditions."""

    ahead: int  # the interval lies above 0
    behind: int
    undecided: int

    @property
    def total(self) -> int:
        return sum(self)

    @classmethod
    def of(cls, found: list[Match]) -> "Score":
        signs = [match.difference.sign for match in found if match.difference is not None]
        return cls(signs.count(1), signs.count(-1), signs.count(0))
