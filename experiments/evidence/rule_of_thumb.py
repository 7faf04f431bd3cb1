"""A check after one epoch: which simple number tells whether ZENITH will keep up with a cosine."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.evidence.against import Match
from experiments.evidence.chart import Chart, Line, Look, Panel
from experiments.evidence.facts import STATISTICS, Statistic
from experiments.evidence.labels import condition_label, task_label
from experiments.evidence.looks import PALETTE
from experiments.evidence.study import Condition
from experiments.evidence.table import Table

LEAST_CASES = 4
_SHUFFLES = 499
_LEVEL = 0.05


class Hits(NamedTuple):
    """How many conditions of either outcome are told right."""

    kept_up: int
    behind: int


class Rule(NamedTuple):
    """ZENITH keeps up where the statistic is on one side of the threshold."""

    statistic: Statistic
    threshold: float
    below: bool  # whether that side is below
    here: Hits  # on the conditions that it was chosen on
    elsewhere: Hits  # with the threshold chosen on the other tasks, or conditions

    @property
    def says_one_thing(self) -> bool:
        """Whether no threshold did better than saying the same of every condition."""
        return 0 in self.here

    def __str__(self) -> str:
        if self.says_one_thing:
            return f"{self.statistic.label}: no threshold tells them apart"
        return f"{self.statistic.label} {'below' if self.below else 'above'} {self.threshold:.3g}"


class Verdict(NamedTuple):
    """How well each rule does; the best first, by the mean share of either outcome."""

    rules: list[Rule]
    outcomes: Hits  # how many conditions there are of either
    groups: str  # what is left out for `elsewhere`: "task" or "condition"
    chance: float  # of a best rule that good if the outcomes had nothing to do with the numbers

    @property
    def cases(self) -> int:
        return sum(self.outcomes)

    @property
    def useful(self) -> bool:
        """Whether the best rule beats chance, and saying the same of every condition, elsewhere."""
        better = bool(self.rules) and sum(self.rules[0].elsewhere) > max(self.outcomes)
        return better and self.chance < _LEVEL


def verdict(found: Sequence[Match]) -> Verdict | None:
    """Try every statistic on the conditions that have a cosine beside ZENITH.

    A condition counts as kept up if the mean difference, ZENITH minus cosine, is 0 or more. Those
    with another window than the task's own are left out.

    Returns:
      None where there are too few conditions, or all have the same outcome.
    """
    # Other windows meet the same cosine run: counted as cases of their own, eight of them made
    # chance look like 1.8 % where it is 22 %.
    cases = [
        match
        for match in found
        if match.difference is not None and "window" not in dict(match.condition.changes)
    ]
    kept = np.array([m.difference is not None and m.difference.mean >= 0 for m in cases])
    if len(cases) < LEAST_CASES or kept.all() or not kept.any():
        return None
    tasks = np.array(["/".join(match.condition[:2]) for match in cases])
    several = len(set(tasks)) > 1
    groups = tasks if several else np.arange(len(cases)).astype(str)
    tables = {
        statistic: values
        for statistic in STATISTICS
        if np.isfinite(values := np.array([_mean(statistic, match) for match in cases])).all()
    }
    outcomes = Hits(int(kept.sum()), int((~kept).sum()))
    rules: list[Rule] = []
    for statistic, values in tables.items():
        threshold, below = best_threshold(values, kept)
        here = _hits(_says(values, threshold, below), kept)
        elsewhere = _hits(_said_elsewhere(values, kept, groups), kept)
        rules.append(Rule(statistic, threshold, below, here, elsewhere))
    rules.sort(key=lambda r: (-_balanced(r.elsewhere, outcomes), -_balanced(r.here, outcomes)))
    chance = _chance(list(tables.values()), kept, groups) if rules else 1.0
    return Verdict(rules, outcomes, "task" if several else "condition", chance)


def _said_elsewhere(
    values: NDArray[np.float64], kept: NDArray[np.bool_], groups: NDArray[np.str_]
) -> NDArray[np.bool_]:
    """What is said of each group with the threshold chosen on all others."""
    said = np.empty_like(kept)
    for group in np.unique(groups):
        out = groups == group
        said[out] = _says(values[out], *best_threshold(values[~out], kept[~out]))
    return said


def _chance(
    tables: Sequence[NDArray[np.float64]], kept: NDArray[np.bool_], groups: NDArray[np.str_]
) -> float:
    """How often the best of the statistics does as well elsewhere when outcomes are shuffled."""
    rng = np.random.default_rng(0)
    outcomes = Hits(int(kept.sum()), int((~kept).sum()))

    def best(outcome: NDArray[np.bool_]) -> float:
        return max(
            _balanced(_hits(_said_elsewhere(values, outcome, groups), outcome), outcomes)
            for values in tables
        )

    reached = best(kept)
    as_good = sum(best(rng.permutation(kept)) >= reached for _ in range(_SHUFFLES))
    return (as_good + 1) / (_SHUFFLES + 1)


def best_threshold(values: NDArray[np.float64], kept: NDArray[np.bool_]) -> tuple[float, bool]:
    """The threshold and side with the highest mean share of either outcome told right.

    Args:
      values: f64[N], finite.
      kept: bool[N].

    Returns:
      A threshold halfway between two neighbouring values (or beyond all of them, which says the
      same of every case), and whether `kept` is said below it. Of equally good ones that with the
      widest space around it.
    """
    ordered = np.unique(values)
    beyond = 1.0 + abs(ordered).max()
    inner = (ordered[1:] + ordered[:-1]) / 2
    thresholds = np.concatenate([[ordered[0] - beyond], inner, [ordered[-1] + beyond]])
    width = np.concatenate([[0.0], np.diff(ordered), [0.0]])
    kept_below, behind_below = (
        np.searchsorted(np.sort(values[outcome]), thresholds) / max(1, int(outcome.sum()))
        for outcome in (kept, ~kept)
    )
    lead = np.round(kept_below - behind_below, 12)  # of saying "kept up" below over saying nothing
    best = max(lead.max(), -lead.min())
    place = int(np.argmax(np.where(abs(lead) == best, width, -1.0)))
    return float(thresholds[place]), bool(lead[place] >= 0)


def rule_table(found: Verdict) -> Table:
    """How well each statistic does."""
    kept, behind = found.outcomes
    return Table(
        "when-rule",
        "",
        [
            "ZENITH keeps up with the cosine where, after one epoch",
            f"right of {kept} that kept up",
            f"right of {behind} behind",
            "elsewhere: kept up",
            "behind",
            "all",
        ],
        [
            [str(rule), *map(str, rule.here), *map(str, rule.elsewhere), str(sum(rule.elsewhere))]
            for rule in found.rules
        ],
        f"Elsewhere: the threshold was chosen without the {found.groups} that it is tried on. "
        f"Saying the same of every condition is right in {max(found.outcomes)} of {found.cases}. "
        "The first rule is the best of several by what they do elsewhere; with the outcomes "
        f"shuffled at random, the best of them does as well in {100 * found.chance:.1f} % of "
        f"{_SHUFFLES} trials.",
        records=[
            {
                "statistic": rule.statistic.label,
                "threshold": rule.threshold,
                "below": rule.below,
                "kept_up_right": rule.here.kept_up,
                "behind_right": rule.here.behind,
                "kept_up_right_elsewhere": rule.elsewhere.kept_up,
                "behind_right_elsewhere": rule.elsewhere.behind,
                "kept_up": kept,
                "behind": behind,
            }
            for rule in found.rules
        ],
    )


def rule_chart(found: Verdict, cases: Sequence[Match]) -> Chart:
    """The difference to the cosine against the two best statistics."""
    return Chart(
        "when-rule",
        "After one epoch, and at the end",
        "Each point is a condition: mean over the seeds, the bar is the 95 % interval. Dashed: "
        "the threshold, and where ZENITH and cosine are equal.",
        [
            Panel(
                f"is it {'below' if rule.below else 'above'} {rule.threshold:.3g}?",
                rule.statistic.label,
                "ZENITH minus cosine, points",
                scatter(cases, lambda match, rule=rule: _mean(rule.statistic, match)),
                level=0,
                upright=rule.threshold,
            )
            for rule in found.rules[:2]
        ],
        row_height=3.4,
    )


def scatter(cases: Sequence[Match], across: Callable[[Match], float]) -> list[Line]:
    """A point a condition, in the colour of its task: the difference to the cosine, in points."""
    lines: list[Line] = []
    tasks = list(dict.fromkeys(m.condition[:2] for m in cases))
    marks = ("circle", "square", "diamond", "triangle-up", "x", "cross")
    for number, task in enumerate(tasks):
        own = [m for m in cases if m.condition[:2] == task and m.difference is not None]
        if not own:
            continue
        differences = [m.difference for m in own if m.difference is not None]
        lines.append(
            Line(
                np.array([across(match) for match in own]),
                np.array([100 * d.mean for d in differences]),
                task_label(Condition(*task, ())),
                Look(PALETTE[number % len(PALETTE)]),
                bars=(
                    np.array([100 * d.low for d in differences]),
                    np.array([100 * d.high for d in differences]),
                ),
                marks=marks[number % len(marks)],  # type: ignore[arg-type]
                joined=False,
                texts=[condition_label(match.condition) for match in own],
            )
        )
    return lines


def _hits(said: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Hits:
    return Hits(int((said & kept).sum()), int((~said & ~kept).sum()))


def _balanced(hits: Hits, outcomes: Hits) -> float:
    return hits.kept_up / outcomes.kept_up + hits.behind / outcomes.behind


def _says(values: NDArray[np.float64], threshold: float, below: bool) -> NDArray[np.bool_]:
    return values < threshold if below else values > threshold


def _mean(statistic: Statistic, match: Match) -> float:
    values = [statistic.read(run) for run in match.runs.values()]
    return sum(values) / len(values) if values else math.nan
