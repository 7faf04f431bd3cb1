"""Each method at its own eta_0: what a person has who tries several."""

import statistics
from collections.abc import Mapping
from typing import NamedTuple

from experiments.evidence.comparison import paired_differences
from experiments.evidence.labels import budget_note, condition_label, method_label
from experiments.evidence.metrics import ranking_metric
from experiments.evidence.sensitivity import varied
from experiments.evidence.statistics import Difference, Spread
from experiments.evidence.study import Condition, Study, ends_of, in_order
from experiments.evidence.table import Table
from experiments.evidence.wording import DIFFERENCE_NOTE, difference_text, spread_text
from experiments.results import Run

LEAST_VALUES = 3


class Tuned(NamedTuple):
    """One method of one task, with eta_0 chosen by the validation split."""

    condition: Condition
    method: str
    lr: float
    runs: Mapping[int, Run]  # at that eta_0, by seed
    test: Spread  # of them at the end, a share
    worst: float  # the lowest median over all values that were tried
    tried: int


def tuned(study: Study) -> list[Tuned]:
    """One for each method with three values of eta_0 or more, ZENITH among them, tasks as they are.

    The eta_0 is that with the highest median validation metric after the last epoch, the lowest of
    equals; a run that diverged counts as 0.
    """
    found: list[Tuned] = []
    for base, by_method in varied(study, "lr").items():
        several = {m: cells for m, cells in by_method.items() if len(cells) >= LEAST_VALUES}
        if base.changes or "zenith" not in several:
            continue
        for method in in_order(several):
            cells = several[method]
            lr = max(cells, key=lambda lr: statistics.median(map(_validation, cells[lr].values())))
            tests = {
                value: Spread.of([ends_of(run).last for run in runs.values()])
                for value, runs in cells.items()
            }
            found.append(
                Tuned(
                    base,
                    method,
                    lr,
                    cells[lr],
                    tests[lr],
                    min(spread.median for spread in tests.values()),
                    len(cells),
                )
            )
    return found


def tuned_table(found: list[Tuned]) -> Table:
    """One row a task and method; ZENITH minus method, each at its own eta_0."""
    zenith = {one.condition: one.runs for one in found if one.method == "zenith"}
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for one in found:
        pairs = paired_differences(zenith[one.condition], one.runs, "last")
        difference = Difference.of(pairs) if pairs and one.method != "zenith" else None
        rows.append(
            [
                condition_label(one.condition),
                method_label(one.method),
                f"{one.lr:g}",
                spread_text(one.test, factor=100),
                f"{100 * one.worst:.2f}",
                difference_text(difference) if difference else "\N{EN DASH}",
            ]
        )
        records.append(
            {
                "task": one.condition.task,
                "scale": one.condition.scale,
                "method": one.method,
                "lr": one.lr,
                "tried": one.tried,
                "test": one.test.median,
                "worst_test": one.worst,
                "zenith_minus_it": difference.mean if difference else "",
                "seeds": one.test.count,
            }
        )
    tried = max(one.tried for one in found)
    return Table(
        "when-tuned",
        "",
        [
            "task",
            "method",
            "its \N{GREEK SMALL LETTER ETA}\N{SUBSCRIPT ZERO}",
            "test, %",
            f"at the worst of {tried}",
            "ZENITH minus it, points",
        ],
        rows,
        f"\N{GREEK SMALL LETTER ETA}\N{SUBSCRIPT ZERO}: of {tried} values that with the highest "
        f"validation metric at the end. {DIFFERENCE_NOTE} "
        f"{budget_note(one.method for one in found)}",
        text_columns=2,
        records=records,
    )


def _validation(run: Run) -> float:
    """The validation metric after the last epoch; 0 for a run that diverged."""
    if run.status != "finished":
        return 0.0
    return run.epochs[-1].validation.get(ranking_metric(run), 0.0)
