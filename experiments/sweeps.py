"""The sweeps by name: which runs make a table of the paper, or answer a question of the study."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from experiments.errors import RequestError
from experiments.methods import METHODS
from experiments.results import Identity, Setting
from experiments.settings import identify
from experiments.tasks import TASKS, Scale

Cell = tuple[str, str, dict[str, Setting]]  # task, method, changes


@dataclass(frozen=True)
class Sweep:
    """What a sweep is for, and its runs of one seed, in the order in which they are made."""

    about: str
    cells: Callable[[Scale], Iterator[Cell]]


DETECTION = ("keypoint-rcnn", "mask-rcnn")
_PAPER_L2 = (1e-4, 2e-4, 3e-4)

# The study's tasks: one whose images the net fits in the end, one whose images it does not.
_BOTH = ("cifar100", "cifar10")
_SMALL = ("mnist", "fashion-mnist", *reversed(_BOTH))
# What a person would otherwise take: no schedule at all, or the one that is told the budget.
_YARDSTICKS = ("zenith", "constant", "cosine")


def _classification(scale: Scale) -> tuple[str, ...]:
    others = {*DETECTION, "fashion-mnist"}  # which is in no table of the paper
    return tuple(name for name, at in TASKS if at == scale and name not in others)


def _detection(scale: Scale) -> tuple[str, ...]:
    return tuple(name for name, at in TASKS if at == scale and name in DETECTION)


def _methods() -> tuple[str, ...]:
    """The yardsticks first, so that a sweep that is cut short has something to compare with."""
    return (*_YARDSTICKS, *(name for name in METHODS if name not in _YARDSTICKS))


def _each(
    tasks: tuple[str, ...], methods: tuple[str, ...], *changes: dict[str, Setting]
) -> Iterator[Cell]:
    for task in tasks:
        for change in changes or ({},):
            for method in methods:
                yield task, method, change


def _momentum_methods() -> tuple[str, ...]:
    return ("zenith", *(name for name, method in METHODS.items() if method.kind == "schedule"))


def _augmentation(scale: Scale) -> Iterator[Cell]:
    yield from _each(("cifar10",), _YARDSTICKS, {"augment": False})
    yield from _each(("cifar100", "fashion-mnist"), _YARDSTICKS, {"augment": True})


SWEEPS: dict[str, Sweep] = {
    "table3": Sweep(
        "every method on every classification task",
        lambda scale: _each(_classification(scale), _methods()),
    ),
    "table4": Sweep(
        "every method on the detection tasks", lambda scale: _each(_detection(scale), _methods())
    ),
    "table5": Sweep(
        "every method on every classification task, with L2 in the loss",
        lambda scale: _each(_classification(scale), _methods(), *({"l2": x} for x in _PAPER_L2)),
    ),
    "study-main": Sweep(
        "every method on the four small data sets, SGD without momentum or L2",
        lambda scale: _each(_SMALL, _methods()),
    ),
    "study-momentum": Sweep(
        "ZENITH and the schedules with momentum 0.9",
        lambda scale: _each(_SMALL, _momentum_methods(), {"momentum": 0.9}),
    ),
    "study-l2": Sweep(
        "L2 5e-4 in the loss, where the gradient norm sees it",
        lambda scale: _each(_BOTH, _YARDSTICKS, {"l2": 5e-4}),
    ),
    "study-weight-decay": Sweep(
        "the same 5e-4 as the optimizer's weight decay, where the gradient norm does not see it",
        lambda scale: _each(_BOTH, _YARDSTICKS, {"weight_decay": 5e-4}),
    ),
    "study-window": Sweep(
        "ZENITH's window from a fortieth of a run to nearly half of it",
        lambda scale: _each(_BOTH, ("zenith",), *({"window": w} for w in (25, 50, 200, 400))),
    ),
    "study-batch": Sweep(
        "minibatches of a quarter and of four times the size",
        lambda scale: _each(_BOTH, _YARDSTICKS, {"batch": 16}, {"batch": 256}),
    ),
    "study-normalisation": Sweep(
        "the net without BatchNorm",
        lambda scale: _each(_BOTH, _YARDSTICKS, {"normalisation": "none"}),
    ),
    "study-augmentation": Sweep(
        "augmentation where there was none, and the reverse", _augmentation
    ),
    "study-eta0": Sweep(
        "eta_0 from a tenth of the default to ten times as much",
        lambda scale: _each(_BOTH, _YARDSTICKS, *({"lr": lr} for lr in (0.01, 0.03, 0.3, 1.0))),
    ),
}
STUDY = tuple(name for name in SWEEPS if name.startswith("study-"))


def runs_of(
    name: str,
    scale: Scale,
    seeds: int,
    settings: dict[str, Setting],
    tasks: list[str] | None,
    methods: list[str] | None,
) -> list[Identity]:
    """The runs of a sweep, seed by seed: cut short, it has whole seeds rather than whole tasks.

    Args:
      name: a key of `SWEEPS`, or "study" for all of the study.
      scale: of the tasks.
      seeds: from 0 to `seeds` - 1.
      settings: of every run; a sweep's own come before them.
      tasks: only these, if any are given.
      methods: only these, if any are given.

    Raises:
      RequestError: there is no such sweep, task, method or setting, or no run is left.
    """
    if name != "study" and name not in SWEEPS:
        raise RequestError(f"NAME must be one of study, {', '.join(SWEEPS)}. Received: {name}")
    parts = STUDY if name == "study" else (name,)
    cells = [cell for part in parts for cell in SWEEPS[part].cells(scale)]
    for what, wanted, known in (
        ("--task", tasks, {task for task, _, _ in cells}),
        ("--method", methods, {method for _, method, _ in cells}),
    ):
        for one in wanted or ():
            if one not in known:
                raise RequestError(
                    f"{what} must be among those of {name} at {scale} scale, "
                    f"{', '.join(sorted(known))}. Received: {one}"
                )
    runs = [
        identify(task, scale, method, seed, settings | changes)
        for seed in range(seeds)
        for task, method, changes in cells
        if (not tasks or task in tasks) and (not methods or method in methods)
    ]
    if not runs:
        raise RequestError(f"{name} has no run at {scale} scale with these tasks and methods")
    unique = {(run.task, run.variant, run.seed): run for run in runs}
    return list(unique.values())
