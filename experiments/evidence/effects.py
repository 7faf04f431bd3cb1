"""What one setting does to ZENITH: cells that differ in that setting alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.evidence.against import Match, matches
from experiments.evidence.chart import Chart, Line, Look, Panel
from experiments.evidence.labels import condition_label, setting_name, value_label
from experiments.evidence.looks import PALETTE
from experiments.evidence.study import Condition, Study, rank_of_value, without
from experiments.evidence.table import Table
from experiments.evidence.wording import DIFFERENCE_NOTE, SPREAD_NOTE, difference_text, spread_text
from experiments.results import Setting

FACTORS = (
    "window",
    "batch",
    "l2",
    "weight_decay",
    "momentum",
    "normalisation",
    "augment",
    "lr",
    "images",
    "epochs",
)
_MARKS = ("circle", "square", "diamond", "triangle-up", "x", "cross")


class Effect(NamedTuple):
    """ZENITH under one condition at several values of one setting."""

    factor: str
    base: Condition  # without that setting
    values: Mapping[Setting, Match]  # at least two, rising


def effects(study: Study, factor: str) -> list[Effect]:
    """One for each condition at which the factor was varied, conditions in their order."""
    found: dict[Condition, dict[Setting, Match]] = {}
    for match in matches(study, "cosine"):
        value = next(iter(match.runs.values())).settings.get(factor)
        if value is not None:
            found.setdefault(without(match.condition, factor), {})[value] = match
    return [
        Effect(factor, base, dict(sorted(values.items(), key=lambda item: rank_of_value(item[0]))))
        for base in study.sorted_conditions(found)
        if len(values := found[base]) > 1
    ]


def effect_table(factor: str, found: Sequence[Effect]) -> Table:
    """One row a value."""
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for effect in found:
        for value, match in effect.values.items():
            difference = match.difference
            rows.append(
                [
                    condition_label(effect.base),
                    value_text(factor, value),
                    spread_text(match.scale, ".2f"),
                    spread_text(match.train_loss, ".3f"),
                    spread_text(match.test, factor=100),
                    difference_text(difference) if difference else "\N{EN DASH}",
                    str(match.test.count),
                ]
            )
            records.append(
                {
                    "task": effect.base.task,
                    "scale": effect.base.scale,
                    "others": condition_label(effect.base),
                    "factor": factor,
                    "value": value,
                    "final_scale": match.scale.median,
                    "train_loss": match.train_loss.median,
                    "test": match.test.median,
                    "minus_cosine": difference.mean if difference else "",
                    "seeds": match.test.count,
                }
            )
    return Table(
        f"when-{factor}",
        "",
        [
            "task",
            setting_name(factor),
            "last LR / \N{GREEK SMALL LETTER ETA}\N{SUBSCRIPT ZERO}",
            "training loss",
            "test, %",
            "minus cosine, points",
            "seeds",
        ],
        rows,
        f"{SPREAD_NOTE} Minus cosine, at the same setting: {DIFFERENCE_NOTE}",
        text_columns=2,
        records=records,
    )


def effect_sentence(factor: str, found: Sequence[Effect]) -> str:
    """From the lowest value to the highest: what the learning rate and the distance did."""
    span = " to ".join(value_text(factor, v) for v in _outer(found))
    text = f"From {span}, the last learning rate over the first "
    text += _moved(_ends(found, lambda match: match.scale.median)) + "."
    tests = _ends(found, lambda match: match.test.median)
    text += f" ZENITH's test metric {_moved(tests, 100, ' %')}."
    gaps = _ends(found, lambda match: match.difference.mean if match.difference else None)
    if gaps:
        text += f" Its distance to the cosine {_moved(gaps, 100, ' points')}."
    return text


def value_text(factor: str, value: Setting) -> str:
    if factor == "augment":
        return "with" if value else "without"
    return "none" if value in (0, 0.0) else value_label(value)


def effect_chart(factor: str, found: Sequence[Effect]) -> Chart:
    """Last learning rate and distance to the cosine at each value, one line a task."""
    names = list(
        dict.fromkeys(value_text(factor, v) for v in sorted(_values(found), key=rank_of_value))
    )
    scales: list[Line] = []
    gaps: list[Line] = []
    for number, effect in enumerate(found):
        look = Look(PALETTE[number % len(PALETTE)], "solid", 1.4)
        marks = _MARKS[number % len(_MARKS)]
        at = np.array([names.index(value_text(factor, v)) for v in effect.values], np.float64)
        cells = list(effect.values.values())
        label = condition_label(effect.base)
        scales.append(
            Line(
                at,
                np.array([m.scale.median for m in cells]),
                label,
                look,
                bars=(
                    np.array([m.scale.low for m in cells]),
                    np.array([m.scale.high for m in cells]),
                ),
                marks=marks,  # type: ignore[arg-type]
            )
        )
        with_gap = [(x, m.difference) for x, m in zip(at, cells, strict=True) if m.difference]
        if with_gap:
            gaps.append(
                Line(
                    np.array([x for x, _ in with_gap]),
                    np.array([100 * d.mean for _, d in with_gap]),
                    label,
                    look,
                    bars=(
                        np.array([100 * d.low for _, d in with_gap]),
                        np.array([100 * d.high for _, d in with_gap]),
                    ),
                    marks=marks,  # type: ignore[arg-type]
                )
            )
    name = setting_name(factor)
    eta = "\N{GREEK SMALL LETTER ETA}\N{SUBSCRIPT ZERO}"
    return Chart(
        f"when-{factor.replace('_', '-')}",
        f"What {name} does",
        "Left: ZENITH's last learning rate as a share of the first, median and quartiles. Right: "
        "test metric at the end, ZENITH minus cosine at the same setting, mean and 95 % interval.",
        [
            Panel(f"last LR / {eta}", name, f"last LR / {eta}", scales, x_names=names),
            Panel("ZENITH minus cosine", name, "points", gaps, x_names=names, level=0),
        ],
    )


def _outer(found: Sequence[Effect]) -> tuple[Setting, Setting]:
    values = sorted(_values(found), key=rank_of_value)
    return values[0], values[-1]


def _values(found: Sequence[Effect]) -> set[Setting]:
    return {value for effect in found for value in effect.values}


def _ends(
    found: Sequence[Effect], read: Callable[[Match], float | None]
) -> list[tuple[float, float]]:
    """At the first and the last value of each effect that has both."""
    ends: list[tuple[float, float]] = []
    for effect in found:
        values = [value for match in effect.values.values() if (value := read(match)) is not None]
        if len(values) > 1:
            ends.append((values[0], values[-1]))
    return ends


def _moved(ends: Sequence[tuple[float, float]], factor: float = 1, unit: str = "") -> str:
    """ "rose in 3 of 4 rows, on median from 0.20 to 0.55"."""
    rose = sum(last > first for first, last in ends)
    fell = sum(last < first for first, last in ends)
    first, last = (factor * float(np.median(side)) for side in zip(*ends, strict=True))
    return (
        f"rose in {rose} and fell in {fell} of {len(ends)}, on median from {first:.2f} to "
        f"{last:.2f}{unit}"
    )
