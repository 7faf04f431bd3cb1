"""What of a task a user may change, and what a run is called then."""

from collections.abc import Mapping
from dataclasses import fields, replace

from experiments.errors import RequestError
from experiments.results import Identity, Setting
from experiments.tasks import Scale, Task, find

_FIXED = {"name", "label", "scale", "metric"}


def settings(task: Task) -> dict[str, Setting]:
    """Every setting of a task by name."""
    return {f.name: getattr(task, f.name) for f in fields(task) if f.name not in _FIXED}


def change(task: Task, changes: Mapping[str, Setting]) -> Task:
    """The task with other settings.

    Raises:
      RequestError: the task has no such setting, or cannot be shared among that many ranks.
    """
    known = settings(task)
    for name in changes:
        if name not in known:
            raise RequestError(
                f"{task.name} at {task.scale} scale has the settings {', '.join(known)}. "
                f"Received: {name}"
            )
    changed = replace(task, **changes)
    if changed.batch % changed.ranks:
        raise RequestError(
            f"--batch must be a multiple of the {changed.ranks} processes. "
            f"Received: {changed.batch}"
        )
    return changed


def identify(
    name: str, scale: Scale, method: str, seed: int, wanted: Mapping[str, Setting]
) -> Identity:
    """The identity of a run; what is wanted as the task has it anyway is no change.

    Raises:
      RequestError: there is no such task, or it has no such setting.
    """
    task = find(name, scale)
    change(task, wanted)
    own = settings(task)
    changes = {key: value for key, value in wanted.items() if value != own[key]}
    return Identity(name, scale, method, seed, changes)
