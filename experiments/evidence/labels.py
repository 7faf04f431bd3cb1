"""What methods, tasks and settings are called in tables and pictures."""

from collections.abc import Iterable

from experiments.errors import RequestError
from experiments.evidence.study import Condition
from experiments.methods import METHODS
from experiments.results import Setting
from experiments.tasks import find

_SETTINGS = {
    "lr": "\N{GREEK SMALL LETTER ETA}\N{SUBSCRIPT ZERO}",
    "window": "W",
    "batch": "batch",
    "momentum": "momentum",
    "weight_decay": "weight decay in the optimizer",
    "l2": "L2 in the loss",
    "normalisation": "normalisation",
    "augment": "augmentation",
    "images": "training images",
    "epochs": "epochs",
}


def method_label(method: str) -> str:
    """The method's own label, marked where it is told the budget."""
    known = METHODS.get(method)
    if known is None:
        return method
    return known.label + (" \N{DAGGER}" if known.knows_budget else "")


def budget_note(methods: Iterable[str]) -> str:
    """What the mark means, where any of the methods has it."""
    marked = any(m in METHODS and METHODS[m].knows_budget for m in methods)
    return "\N{DAGGER} is told the number of steps." if marked else ""


def task_label(condition: Condition) -> str:
    """The task's own label, with its scale where that is the paper's."""
    try:
        name = find(condition.task, condition.scale).label  # type: ignore[arg-type]
    except RequestError:  # a task of another version, or of a library that is not installed
        name = condition.task
    return name if condition.scale == "laptop" else f"{name} ({condition.scale} scale)"


def changes_label(condition: Condition) -> str:
    """What is changed beside the task's own settings; "" where nothing is."""
    return ", ".join(setting_label(key, value) for key, value in condition.changes)


def condition_label(condition: Condition) -> str:
    """Task and changes."""
    return ", ".join(filter(None, [task_label(condition), changes_label(condition)]))


def setting_label(key: str, value: Setting) -> str:
    """A setting as a reader says it: "no augmentation", "W = 100"."""
    name = _SETTINGS.get(key, key)
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {value_label(value)}"


def setting_name(key: str) -> str:
    return _SETTINGS.get(key, key)


def value_label(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
