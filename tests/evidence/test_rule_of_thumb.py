"""The check after one epoch: found where there is one, and said where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.evidence.against import Score, matches
from experiments.evidence.rule_of_thumb import (
    Hits,
    best_threshold,
    rule_chart,
    rule_table,
    verdict,
)
from experiments.evidence.study import Study
from experiments.results import Run
from tests.evidence.made_up import run


def settings_of(task: str, count: int, rule) -> list[Run]:
    """`count` settings of a task; ZENITH is ahead where `rule` of the norms' trend says so."""
    runs: list[Run] = []
    for number in range(count):
        trend = 0.3 + number / count
        changes = {"lr": 0.1 + number} if number else {}
        norms = [1.0] * 5 + [trend] * 15
        ahead = rule(trend, number)
        for seed in (0, 1):
            value = 0.5 + (0.1 if ahead else -0.1) + 0.001 * seed
            runs += [
                run([0.4, value], task=task, seed=seed, changes=changes, norms=norms),
                run([0.4, 0.5], task=task, seed=seed, changes=changes, method="cosine"),
            ]
    return runs


TASKS = ("mnist", "cifar10", "cifar100")


def test_a_rule_that_is_there_is_found_and_holds_on_a_task_it_was_not_chosen_on() -> None:
    runs = [r for task in TASKS for r in settings_of(task, 6, lambda trend, _: trend < 0.6)]
    found = matches(Study(tuple(runs)), "cosine")
    judged = verdict(found)
    assert judged is not None
    best = judged.rules[0]
    assert best.statistic.label.startswith("gradient norm, second half of the epoch over the first")
    assert best.below
    # Trends are 0.3, 0.467 | 0.633, 0.8, ...
    assert best.threshold == pytest.approx((0.3 + 1 / 6 + 0.3 + 2 / 6) / 2)
    assert best.here == best.elsewhere == judged.outcomes == Hits(6, 12)
    assert judged.useful
    assert judged.chance == 1 / 500
    assert Score.of(found) == Score(ahead=6, behind=12, undecided=0)
    table = rule_table(judged)
    assert table.rows[0][1:] == ["6", "12", "6", "12", "18"]
    assert rule_chart(judged, found).panels[0].upright == best.threshold


def test_a_rule_that_another_task_turns_round_is_wrong_there() -> None:
    runs = settings_of("mnist", 6, lambda trend, _: trend < 0.72)
    runs += settings_of("cifar10", 6, lambda trend, _: trend > 0.72)
    judged = verdict(matches(Study(tuple(runs)), "cosine"))
    assert judged is not None
    trend = next(r for r in judged.rules if r.statistic.label.startswith("gradient norm, second"))
    assert trend.elsewhere == Hits(0, 0)
    assert sum(trend.here) >= 6


def test_where_there_is_none_that_is_said() -> None:
    trusted = 0
    for draw in range(8):
        coin = np.random.default_rng(draw).random(24) < 0.3
        runs: list[Run] = []
        for place, task in enumerate(TASKS):
            runs += settings_of(task, 8, lambda _, n, p=place, c=coin: bool(c[8 * p + n]))
        judged = verdict(matches(Study(tuple(runs)), "cosine"))
        assert judged is not None
        trusted += judged.useful
    assert trusted <= 1  # of 8, at a level of 5 %


def test_too_few_settings_or_one_outcome_only_teach_nothing() -> None:
    few = settings_of("mnist", 3, lambda trend, _: trend < 0.5)
    assert verdict(matches(Study(tuple(few)), "cosine")) is None
    same = settings_of("mnist", 6, lambda trend, _: True)
    assert verdict(matches(Study(tuple(same)), "cosine")) is None
    assert verdict([]) is None


values = st.lists(st.integers(-50, 50), min_size=1, max_size=12)


@given(values=values, data=st.data())
def test_no_other_threshold_tells_more_of_either_outcome_right(
    values: list[int], data: st.DataObject
) -> None:
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    numbers = np.array(values, float)

    def share(threshold: float, below: bool) -> float:
        said = numbers < threshold if below else numbers > threshold
        shares = [(said == kept)[kept == outcome].mean() for outcome in set(kept.tolist())]
        return float(sum(shares))

    best = share(*best_threshold(numbers, kept))
    for threshold in np.arange(-51.5, 52.5):
        for below in (True, False):
            assert share(threshold, below) <= best + 1e-12


def test_a_window_is_compared_with_the_one_cosine_there_is() -> None:
    runs = [run([0.6]), run([0.7], changes={"window": 50}), run([0.5], method="cosine")]
    found = matches(Study(tuple(runs)), "cosine")
    assert [m.difference.mean for m in found if m.difference] == pytest.approx([0.1, 0.2])


def test_other_windows_beside_one_cosine_are_no_cases_of_their_own() -> None:
    runs = [r for task in TASKS for r in settings_of(task, 6, lambda trend, _: trend < 0.6)]
    windows = [run([0.4, 0.9], task="mnist", changes={"window": w}) for w in (25, 50, 200)]
    alone = verdict(matches(Study(tuple(runs)), "cosine"))
    assert verdict(matches(Study((*runs, *windows)), "cosine")) == alone
