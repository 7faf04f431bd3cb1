"""Table 5: what L2 regularisation does to each method."""

from collections.abc import Mapping

from experiments.evidence.comparison import paired_differences
from experiments.evidence.labels import budget_note, condition_label, method_label, value_label
from experiments.evidence.sensitivity import varied
from experiments.evidence.statistics import Difference, Spread
from experiments.evidence.study import Study, ends_of
from experiments.evidence.table import Table
from experiments.evidence.wording import DIFFERENCE_NOTE, SPREAD_NOTE, difference_text, spread_text
from experiments.results import Run

FACTOR = "l2"


def regularisation_tables(study: Study) -> list[Table]:
    """The test metric at each L2, and what it gains over none: one table a task."""
    tables: list[Table] = []
    for base, cells in varied(study, FACTOR).items():
        values = sorted({value for by_value in cells.values() for value in by_value})
        methods = [method for method in study.methods if method in cells]
        rows: list[list[str]] = []
        records: list[dict[str, object]] = []
        for method in methods:
            row = [method_label(method)]
            for value in values:
                runs = cells[method].get(value, {})
                row.append(_metric(runs))
                if value != 0:
                    row.append(_gain(runs, cells[method].get(0.0, {})))
                for seed, run in sorted(runs.items()):
                    records.append(
                        {
                            "task": base.task,
                            "scale": base.scale,
                            **dict(base.changes),
                            "method": method,
                            "l2": value,
                            "seed": seed,
                            **{
                                f"test_at_{key}": end for key, end in ends_of(run)._asdict().items()
                            },
                        }
                    )
            rows.append(row)
        headers = ["method"]
        for value in values:
            headers.append(f"L2 {value_label(value)}" if value else "no L2")
            headers += ["gain"] if value else []
        tables.append(
            Table(
                "table5",
                f"L2 in the loss, {condition_label(base)}: test metric at the end, %, and its gain "
                "over no L2, percentage points.",
                headers,
                rows,
                "" if tables else f"{SPREAD_NOTE} Gain: {DIFFERENCE_NOTE} {budget_note(methods)}",
                records=records,
            )
        )
    return tables


def _metric(runs: Mapping[int, Run]) -> str:
    if not runs:
        return "\N{EN DASH}"
    diverged = sum(run.status == "diverged" for run in runs.values())
    text = spread_text(Spread.of([ends_of(run).last for run in runs.values()]), factor=100)
    return text + (f", {diverged} of {len(runs)} diverged" if diverged else "")


def _gain(runs: Mapping[int, Run], plain: Mapping[int, Run]) -> str:
    gains = paired_differences(runs, plain, "last")
    return difference_text(Difference.of(gains)) if gains else "\N{EN DASH}"
