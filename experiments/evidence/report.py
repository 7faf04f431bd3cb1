"""The report: every table and figure of the results on one page."""

from collections.abc import Sequence

from experiments.evidence.curvature.charts import landscape_charts, sharpness_charts
from experiments.evidence.curvature.measure import Curvature
from experiments.evidence.labels import condition_label, method_label
from experiments.evidence.norm_and_rate import norm_charts
from experiments.evidence.page import Item
from experiments.evidence.paper_tables import TABLES, paper_table
from experiments.evidence.rival_rates import rival_charts
from experiments.evidence.sensitivity import sensitivity_charts
from experiments.evidence.speed import profile_chart
from experiments.evidence.study import Study, condition_of
from experiments.evidence.table import Table
from experiments.evidence.training_curves import training_charts

_TITLES = {
    "table3": "Table 3: what every method reaches, and when",
    "table4": "Table 4: detection",
    "table5": "Table 5: L2 regularisation",
}


def report_page(
    study: Study, curvatures: Sequence[Curvature], command: str, *, every_method: bool
) -> list[Item]:
    """The page, from the top down; parts without results are left out, and that is said.

    Args:
      study: the runs.
      curvatures: what `python -m experiments curvature` measured.
      command: the command line that makes the page again.
      every_method: whether figure 1 shows all of them, as only a browser can.
    """
    items: list[Item] = [
        "# ZENITH and its rivals: the results",
        f"{len(study.runs)} runs of {len(study.methods)} methods. Made by `{command}`. What the "
        "figures say is on the page \u201cWhen ZENITH helps\u201d.",
    ]
    missing: list[str] = []
    for name, title in _TITLES.items():
        tables = TABLES[name](study)
        if tables:
            known = paper_table(name)
            items += [f"## {title}", *tables, *([known] if known else [])]
        else:
            missing.append(title)
    profile = profile_chart(study, every_method=every_method)
    if profile:
        items += ["## Time to a common target", profile]
    for title, charts in (
        ("Figure 1: loss and accuracy", training_charts(study, every_method=every_method)),
        ("Figure 2: gradient norm and learning rate", norm_charts(study)),
        ("Figure 3: sharpness", sharpness_charts(curvatures)),
        ("Figure 4: loss landscape", landscape_charts(curvatures)),
        ("Figure 5: step sizes of the rivals", rival_charts(study)),
        ("Figure 6: sensitivity", sensitivity_charts(study)),
    ):
        if charts:
            items += [f"## {title}", *charts]
        else:
            missing.append(title)
    unfinished = _unfinished(study)
    if unfinished.rows:
        items += ["## Runs that did not finish", unfinished]
    if missing:
        items += ["## Not here", "\n".join(f"- {title}: there are no results" for title in missing)]
    return items


def _unfinished(study: Study) -> Table:
    runs = [run for run in study.runs if run.status != "finished"]
    return Table(
        "unfinished",
        "",
        ["task", "method", "seed", "status", "why"],
        [
            [
                condition_label(condition_of(run)),
                method_label(run.method),
                str(run.seed),
                run.status,
                run.reason,
            ]
            for run in runs
        ],
        text_columns=5,
    )
