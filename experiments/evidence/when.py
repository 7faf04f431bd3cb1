"""The page "When ZENITH helps": its questions, answered with figures of the study."""

import math
import statistics
from collections.abc import Sequence

from scipy.stats import spearmanr

from experiments.evidence.against import Match, Score, matches
from experiments.evidence.by_annealing import annealing_table
from experiments.evidence.chart import Chart, Panel
from experiments.evidence.convergence import DEFINITION
from experiments.evidence.effects import (
    FACTORS,
    effect_chart,
    effect_sentence,
    effect_table,
    effects,
)
from experiments.evidence.labels import (
    budget_note,
    condition_label,
    method_label,
    task_label,
)
from experiments.evidence.norms import RATE, norm_chart, norm_table
from experiments.evidence.page import Item
from experiments.evidence.rule_of_thumb import (
    LEAST_CASES,
    Verdict,
    rule_chart,
    rule_table,
    scatter,
    verdict,
)
from experiments.evidence.study import Study, compared
from experiments.evidence.table import Table
from experiments.evidence.tuned import LEAST_VALUES, tuned, tuned_table
from experiments.evidence.wording import DIFFERENCE_NOTE, difference_text, spread_text

_CORRELATED = 5  # settings, below which a correlation says nothing
_CLEAR = 0.4  # of a rank correlation
_QUESTIONS = {
    "window": "What does the window do?",
    "batch": "What does the batch size do?",
    "l2": "What does L2 in the loss do, where the norm sees it?",
    "weight_decay": "What does the optimizer's weight decay do, which the norm does not see?",
    "momentum": "What does momentum do?",
    "normalisation": "What does BatchNorm do?",
    "augment": "What does augmentation do?",
    "lr": "What does the first learning rate do?",
    "images": "What does the number of images do?",
    "epochs": "What does the number of epochs do?",
}


def when_page(study: Study, command: str) -> list[Item]:
    """The page, from the top down.

    Args:
      study: the runs; questions that they cannot answer are left open, and that is said.
      command: the command line that makes the page again.
    """
    against = {other: matches(study, other) for other in ("cosine", "constant")}
    found = against["cosine"]
    judged = verdict(found)
    return [
        "# When ZENITH helps",
        "Every figure on this page is computed from the result files of the study by "
        f"`{command}`. {_what_was_run(study)}",
        "## In short",
        _in_short(against, judged),
        *_norms(study, found),
        *_cosine(against),
        *_tuned(study),
        *_others(study),
        *_factors(study),
        *_rule(judged, found),
        "## What this does not say",
        _limits(study, judged),
        "## Definitions",
        _definitions(),
    ]


def _what_was_run(study: Study) -> str:
    counts = {s: sum(run.status == s for run in study.runs) for s in ("diverged", "failed")}
    seeds = sorted({run.seed for run in study.runs})
    tasks = {condition[:2] for condition in study.conditions}
    devices = sorted({run.environment.get("device", "unknown") for run in study.runs})
    hours = sum(run.seconds for run in study.runs) / 3600
    return (
        f"It has {len(study.runs)} runs of {len(study.methods)} methods on {len(tasks)} tasks, "
        f"at most {_counted(len(seeds), 'seed')} each, {hours:.1f} hours of training "
        f"({', '.join(devices)}); "
        f"{counts['diverged']} diverged, {counts['failed']} failed. Tasks: "
        + "; ".join(
            f"{condition_label(c._replace(changes=()))}"
            for c in {c[:2]: c for c in study.conditions}.values()
        )
        + "."
    )


def _in_short(against: dict[str, list[Match]], judged: Verdict | None) -> str:
    found = against["cosine"]
    lines: list[str] = []
    if found:
        scales = [match.scale.median for match in found]
        fell = {limit: sum(scale < limit for scale in scales) for limit in (0.9, 0.5, 0.1)}
        lines.append(
            "**Does the gradient norm fall?** Of "
            f"{len(found)} settings, ZENITH's last learning rate is below 0.9 of the first in "
            f"{fell[0.9]}, below a half in {fell[0.5]}, below a tenth in {fell[0.1]}. "
            f"The median is {statistics.median(scales):.2f}, the range {min(scales):.2f} to "
            f"{max(scales):.2f}."
        )
    for other, words in (
        ("cosine", "a cosine that is told the budget"),
        ("constant", "a constant learning rate"),
    ):
        score = Score.of(against[other])
        if score.total:
            means = [m.difference.mean for m in against[other] if m.difference is not None]
            lines.append(
                f"**Against {words}**, at {score.total} settings: ahead in {score.ahead}, behind "
                f"in {score.behind}, undecided in {score.undecided}. Median difference "
                f"{100 * statistics.median(means):+.2f} points of the test metric, from "
                f"{100 * min(means):+.2f} to {100 * max(means):+.2f}. {_plainly(against[other])}"
            )
    lines.append(f"**A check after one epoch**: {_rule_sentence(judged)}")
    return "\n".join(f"- {line.strip()}" for line in lines)


def _plainly(found: Sequence[Match]) -> str:
    """The same for the tasks as they are, without what was changed in order to learn from it."""
    plain = [m for m in found if not m.condition.changes and m.difference is not None]
    if not plain:
        return ""
    told = ", ".join(
        f"{task_label(m.condition)} {100 * m.difference.mean:+.2f}" for m in plain if m.difference
    )
    return f"At the tasks' own settings: {told}."


def _norms(study: Study, found: Sequence[Match]) -> list[Item]:
    plain = [match for match in found if not match.condition.changes]
    shown = {*compared(study), *(match.condition for match in plain)}
    main = [match for match in found if match.condition in shown]
    items: list[Item] = ["## Does the gradient norm fall?"]
    if not main:
        return [*items, "There are no runs of ZENITH yet."]
    fell = sum(match.norm.high < 1 for match in main)
    grew = sum(match.norm.low > 1 for match in main)
    ratio = statistics.median(match.norm.median for match in main)
    rate = statistics.median(match.scale.median for match in main)
    items.append(
        f"At the tasks' own settings and in the main comparison ({len(main)} in all), the norm of "
        "the minibatch gradient "
        f"was lower at the end than at the start in {fell}, higher in {grew} (by the quartiles "
        f"over the seeds), with a median ratio of {ratio:.2f}. ZENITH's last learning rate "
        f"follows: {RATE} is {rate:.2f} on median. The norm that counts is that of the minibatch: "
        "its noise stays when the mean gradient goes, unless every image is fitted."
    )
    losses = [match.train_loss.median for match in found]
    rates = [match.scale.median for match in found]
    if len(found) >= _CORRELATED:
        items.append(
            f"Over all {len(found)} settings of ZENITH there is {_correlation(rates, losses)} "
            f"between {RATE} and the last training loss: "
            + (
                "the learning rate falls where the network comes to fit its data."
                if _rank_correlation(rates, losses) > _CLEAR
                else "how well the data are fitted does not say how far the learning rate falls."
            )
        )
    items.append(norm_table(study, main))
    if plain:
        items.append(norm_chart(study, plain))
    return items


def _cosine(against: dict[str, list[Match]]) -> list[Item]:
    found = [match for match in against["cosine"] if match.difference is not None]
    items: list[Item] = ["## When does it beat a cosine that was told the budget?"]
    if not found:
        return [*items, "There are no runs of a cosine beside ZENITH's yet."]
    score = Score.of(found)
    gaps = [match.difference.mean for match in found if match.difference is not None]
    rates = [match.scale.median for match in found]
    best = max(found, key=lambda m: m.difference.mean if m.difference else -math.inf)
    worst = min(found, key=lambda m: m.difference.mean if m.difference else math.inf)
    items.append(
        f"At {score.total} settings that both were run at, ZENITH ends ahead of the cosine in "
        f"{score.ahead}, behind in {score.behind}; the other {score.undecided} are undecided: "
        f"the interval contains 0, or there is one seed. Best for ZENITH: {_told(best)}. "
        f"Worst: {_told(worst)}."
    )
    if len(found) >= _CORRELATED:
        items.append(
            f"There is {_correlation(rates, gaps)} between {RATE} and the difference to the "
            "cosine: "
            + (
                "the further ZENITH anneals by itself, the better it does beside the cosine."
                if _rank_correlation(rates, gaps) < -_CLEAR
                else "how far ZENITH anneals does not decide how it does beside the cosine."
            )
        )
    items.append(annealing_table(against))
    items.append(
        Chart(
            "when-cosine",
            "ZENITH against a cosine that is told the budget",
            "Each point is a setting: mean difference of the test metric at the end over the "
            "seeds; the bar is the 95 % interval. Above the dashed line ZENITH is ahead.",
            [
                Panel(
                    f"by {RATE}",
                    RATE,
                    "ZENITH minus cosine, points",
                    scatter(found, lambda match: match.scale.median),
                    level=0,
                ),
                Panel(
                    "by the last training loss",
                    "training loss, mean of the last epoch",
                    "ZENITH minus cosine, points",
                    scatter(found, lambda match: max(match.train_loss.median, 1e-6)),
                    level=0,
                    x_log=True,
                ),
            ],
            row_height=3.4,
        )
    )
    items.append(_difference_table(against))
    return items


def _difference_table(against: dict[str, list[Match]]) -> Table:
    constant = {match.condition: match.difference for match in against["constant"]}
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for match in against["cosine"]:
        other = constant.get(match.condition)
        if match.difference is None and other is None:
            continue
        rows.append(
            [
                condition_label(match.condition),
                spread_text(match.test, factor=100),
                difference_text(match.difference) if match.difference else "\N{EN DASH}",
                difference_text(other) if other else "\N{EN DASH}",
                spread_text(match.scale),
            ]
        )
        records.append(
            {
                "task": match.condition.task,
                "scale": match.condition.scale,
                **dict(match.condition.changes),
                "test": match.test.median,
                "minus_cosine": match.difference.mean if match.difference else "",
                "minus_constant": other.mean if other else "",
                "final_scale": match.scale.median,
                "seeds": match.test.count,
            }
        )
    return Table(
        "when-cosine",
        "",
        ["task", "ZENITH, test, %", "minus cosine, points", "minus constant, points", RATE],
        rows,
        DIFFERENCE_NOTE,
        records=records,
    )


def _tuned(study: Study) -> list[Item]:
    """Tuning eta_0 for one method and not for the other would be no comparison."""
    found = tuned(study)
    if not found:
        return []
    return [
        "## And when each has its own η₀?",
        f"Where at least {LEAST_VALUES} values were tried, each method with the one that its "
        "validation metric prefers, and what the worst of them would have cost.",
        tuned_table(found),
    ]


def _others(study: Study) -> list[Item]:
    """Every other method of the main comparison."""
    main = set(compared(study))
    rows: list[list[str]] = []
    for method in study.methods:
        found = [m for m in matches(study, method) if m.condition in main and m.difference]
        if method == "zenith" or not found:
            continue
        score = Score.of(found)
        means = [match.difference.mean for match in found if match.difference is not None]
        rows.append(
            [
                method_label(method),
                *map(str, (score.total, score.ahead, score.behind, score.undecided)),
                f"{100 * statistics.median(means):+.2f}",
                f"{100 * min(means):+.2f} to {100 * max(means):+.2f}",
            ]
        )
    if not rows:
        return []
    headers = ["method", "settings", "ZENITH ahead", "behind", "undecided", "median", "range"]
    return [
        "## And beside every other method?",
        Table(
            "when-others",
            f"Test metric at the end at the {len(main)} settings of the main comparison, ZENITH "
            "minus method, percentage points.",
            headers,
            rows,
            f"A method that diverged counts as 0. {budget_note(study.methods)}",
            records=[dict(zip(headers, row, strict=True)) for row in rows],
        ),
    ]


def _factors(study: Study) -> list[Item]:
    items: list[Item] = []
    for factor in FACTORS:
        found = effects(study, factor)
        if not found:
            continue
        items += [
            f"## {_QUESTIONS[factor]}",
            effect_sentence(factor, found),
            effect_table(factor, found),
            effect_chart(factor, found),
        ]
    return items


def _rule(judged: Verdict | None, found: Sequence[Match]) -> list[Item]:
    sentence = _rule_sentence(judged)
    items: list[Item] = ["## A check after one epoch", sentence[0].upper() + sentence[1:]]
    if judged is not None and judged.rules:
        items += [rule_table(judged), rule_chart(judged, found)]
    return items


def _rule_sentence(judged: Verdict | None) -> str:
    if judged is None:
        return (
            f"no rule can be learnt from these runs: it takes at least {LEAST_CASES} settings, and "
            "both outcomes among them."
        )
    same = max(judged.outcomes)
    always = "ZENITH" if judged.outcomes.kept_up >= judged.outcomes.behind else "the cosine"
    if not judged.rules:
        return "none of the statistics could be read off these runs."
    best = judged.rules[0]
    told = sum(best.elsewhere)
    if judged.useful:
        return (
            f"ZENITH keeps up with the cosine (mean difference of 0 or more) where {best}. With "
            f"the threshold chosen on the other {judged.groups}s this is right in {told} of "
            f"{judged.cases} settings ({best.elsewhere.kept_up} of {judged.outcomes.kept_up} that "
            f"kept up, {best.elsewhere.behind} of {judged.outcomes.behind} that did not); always "
            f"taking {always} is right in {same}. Outcomes shuffled at random give a "
            f"rule that good in {100 * judged.chance:.1f} % of trials."
        )
    return (
        "there is none that can be trusted. The best of "
        f"{len(judged.rules)} simple statistics ({best}) is right in {told} of {judged.cases} "
        f"settings when its threshold is chosen on the other {judged.groups}s; always taking "
        f"{always} is right in {same}. Outcomes shuffled at random give a rule that "
        f"good in {100 * judged.chance:.1f} % of trials."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _limits(study: Study, judged: Verdict | None) -> str:
    scales = {condition.scale for condition in study.conditions}
    lines = []
    if "paper" not in scales:
        lines.append(
            "All runs are at laptop scale: a small convolutional net, about ten thousand images, "
            "some thousand steps. The paper trains large networks for many epochs, where a network "
            "has more time to fit its data."
        )
    seeds = sorted({len(runs) for runs in study.cells.values()})
    number = " to ".join(str(n) for n in dict.fromkeys([seeds[0], seeds[-1]]))
    lines.append(
        f"Seeds a setting: {number}. An interval of three differences is their range: it "
        "leaves out 0 where all three agree, which chance alone makes one setting in four do. One "
        "bold figure among many is no proof."
    )
    if judged is not None:
        lines.append(
            "The check after one epoch was found among settings that are alike within a task, "
            "which the shuffling does not know: its share of trials flatters the check."
        )
    lines.append(
        "But where it says otherwise, every method has the same eta_0 where it has one; none was "
        "tuned. Seconds were measured on a machine that did other work too."
    )
    return "\n".join(f"- {line}" for line in lines)


def _definitions() -> str:
    return "\n".join(
        f"- {line}"
        for line in (
            f"{RATE}: the learning rate of the last step as a share of the first one.",
            "Test metric at the end: after the last epoch; 0 for a run that diverged.",
            "Keeps up: the mean difference of the test metric, ZENITH minus cosine, is 0 or more.",
            "Ahead, behind: the 95 % interval of that difference lies on one side of 0.",
            DEFINITION,
        )
    )


def _told(match: Match) -> str:
    assert match.difference is not None
    return (
        f"{condition_label(match.condition)} "
        f"({difference_text(match.difference).replace('**', '')} points)"
    )


def _correlation(first: Sequence[float], second: Sequence[float]) -> str:
    return f"a rank correlation of {_rank_correlation(first, second):.2f} (Spearman)"


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's; 0 where one of them is constant, or there are too few."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 0.0
    return float(spearmanr(first, second).statistic)
