"""The metrics of a run by name: which one ranks, and how it is written."""

from collections.abc import Collection

from experiments.results import Run

_LABELS = {
    "accuracy": "accuracy, %",
    "box_map50": "box mAP50, %",
    "mask_map50": "mask mAP50, %",
    "keypoint_map50": "keypoint mAP50, %",
}


def ranking_metric(run: Run) -> str:
    """The name of the metric that methods are ranked by: the first of the task but its loss."""
    return next(iter(metrics_of([run])), "accuracy")


def metrics_of(runs: Collection[Run]) -> list[str]:
    """The names of all metrics that are better when higher, in the order of the files."""
    rows = [row for run in runs for row in run.epochs[:1]]
    return list(dict.fromkeys(name for row in rows for name in row.test if name != "loss"))


def metric_label(name: str) -> str:
    """How a table names it; all are shares, shown in percent."""
    return _LABELS.get(name, f"{name}, %")
