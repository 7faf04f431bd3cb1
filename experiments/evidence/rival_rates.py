"""Figure 5: the step sizes that the rivals choose, each beside ZENITH's."""

import numpy as np

from experiments.evidence.chart import Chart, Line, Look, Panel
from experiments.evidence.curves import median_line
from experiments.evidence.labels import condition_label, method_label
from experiments.evidence.looks import BLUE, looks
from experiments.evidence.study import Condition, Study, compared
from experiments.methods import METHODS

_LOWEST = 1e-6  # of the highest step size: the cosine ends at 0
_RIVAL = Look(BLUE, "solid", 1.8)


def rival_charts(study: Study) -> list[Chart]:
    """One chart a condition under which methods are compared, one panel a rival."""
    return [
        _chart(study, condition)
        for condition in compared(study)
        if study.cell(condition, "zenith")
        and any(study.cell(condition, method) for method in automatic(study))
    ]


def automatic(study: Study) -> list[str]:
    """The rivals that choose their own step size; what a schedule does is known."""
    return [m for m in study.methods if m in METHODS and METHODS[m].kind == "automatic"]


def _chart(study: Study, condition: Condition) -> Chart:
    rivals = [m for m in automatic(study) if study.cell(condition, m)]
    zenith = _rate(study, condition, "zenith", "ZENITH", looks(["zenith"])["zenith"])
    rates = {rival: _rate(study, condition, rival, "the rival", _RIVAL) for rival in rivals}
    drawn = np.concatenate([zenith.y, *(rate.y for rate in rates.values())])
    lowest, highest = max(drawn.min(), _LOWEST * drawn.max()), drawn.max()
    panels = [
        Panel(
            method_label(rival),
            "step",
            "step size",
            [rates[rival], zenith],
            y_log=True,
            y_range=(lowest / 1.5, highest * 1.5),
        )
        for rival in rivals
    ]
    return Chart(
        f"figure5-{condition.slug}",
        f"{condition_label(condition)}: step size of each method",
        "Effective step size |dw| / |direction| of each rival in blue, ZENITH's in orange; median "
        "over the seeds. A step size of 0 or below has no place on the logarithmic axis.",
        panels,
        columns=3,
        row_height=1.9,
    )


def _rate(study: Study, condition: Condition, method: str, label: str, look: Look) -> Line:
    return median_line(
        list(study.cell(condition, method).values()),
        lambda run: run.steps,
        lambda row: row.step,
        lambda row: row.lr if row.lr > 0 else float("nan"),
        label,
        look,
    )
