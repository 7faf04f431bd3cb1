"""Figures 1 to 6 by name.

The paper's own figures could not be read here: what each shows is taken from what the paper is said
to show, and no picture of the paper stands beside ours.
"""

from pathlib import Path

from experiments.evidence.chart import Chart
from experiments.evidence.curvature.charts import landscape_charts, sharpness_charts
from experiments.evidence.curvature.measure import read_all
from experiments.evidence.norm_and_rate import norm_charts
from experiments.evidence.rival_rates import rival_charts
from experiments.evidence.sensitivity import sensitivity_charts
from experiments.evidence.study import read_study
from experiments.evidence.training_curves import training_charts

_OF_CURVATURE = {"figure3": sharpness_charts, "figure4": landscape_charts}
_OF_STUDY = {
    "figure1": lambda study: training_charts(study, every_method=False),
    "figure2": norm_charts,
    "figure5": rival_charts,
    "figure6": sensitivity_charts,
}


def charts_of(name: str, folder: Path) -> list[Chart]:
    """The charts of a figure, one a task and setting; none where the results have none.

    Raises:
      RequestError: there are no result files, or one is damaged.
    """
    if name in _OF_CURVATURE:
        return _OF_CURVATURE[name](read_all(folder))
    return _OF_STUDY[name](read_study(folder))
