"""Tables 3, 4 and 5 by name, with what is known of the paper's own."""

from collections.abc import Callable, Mapping, Sequence

from experiments.evidence.comparison import comparison_tables
from experiments.evidence.regularisation import regularisation_tables
from experiments.evidence.study import Study
from experiments.evidence.table import Table

_SOURCE = (
    "Source: the index of results at https://www.wizwand.com/paper/6971af39e25ad2fa9d1edbfc, read "
    "in November 2026. It lists one result a data set for arXiv 2601.15212 and does not say of "
    "which method and setting. The tables of the paper itself could not be read here, so nothing "
    "else of them is shown. The figures are of the paper's networks and data at full size."
)
_KNOWN = {
    "table3": [
        ("MNIST, test accuracy, %", "99.57"),
        ("CIFAR-10, test accuracy, %", "92.4"),
        ("ImageNet-100, test accuracy, %", "78.2"),
    ],
    "table4": [
        ("COCO, Mask R-CNN, box mAP50, %", "59.3"),
        ("COCO, Keypoint R-CNN, box mAP50, %", "81.3"),
    ],
}


def _table3(study: Study) -> list[Table]:
    return comparison_tables(study, "table3", lambda names: [n for n in names if "map" not in n])


def _table4(study: Study) -> list[Table]:
    return comparison_tables(study, "table4", _mean_average_precisions)


# Classification, detection, and L2: what Table 5 of the paper shows was not to be read here; its
# abstract names the subject, regularisation; the range of L2 is that of the study, 1e-4 to 3e-4.
TABLES: Mapping[str, Callable[[Study], list[Table]]] = {
    "table3": _table3,
    "table4": _table4,
    "table5": regularisation_tables,
}


def paper_table(name: str) -> Table | None:
    """What is known of the paper's own table of that name."""
    if name not in _KNOWN:
        return None
    return Table(
        f"{name}-paper",
        f"What is known of the paper's {name.replace('table', 'Table ')}.",
        ["result", "the paper's"],
        _KNOWN[name],
        _SOURCE,
    )


def _mean_average_precisions(names: Sequence[str]) -> Sequence[str]:
    return [name for name in names if "map" in name]
