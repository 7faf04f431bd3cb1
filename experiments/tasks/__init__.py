"""The tasks of the paper, at its scale and at that of a laptop, by name."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from experiments.errors import RequestError
from experiments.tasks._task import WHOLE as WHOLE
from experiments.tasks._task import Problem as Problem
from experiments.tasks._task import Scale as Scale
from experiments.tasks._task import Split as Split
from experiments.tasks._task import Task as Task

__all__ = ["TASKS", "WHOLE", "Problem", "Scale", "Split", "Task", "find"]

# Which module has the task in its `TASKS`. A module is imported when one of its tasks is asked for:
# no laptop task waits for torchvision, and none needs it.
_MODULES: dict[tuple[str, Scale], str] = {
    ("mnist", "laptop"): "_small_images",
    ("fashion-mnist", "laptop"): "_small_images",
    ("cifar10", "laptop"): "_small_images",
    ("cifar100", "laptop"): "_small_images",
    ("mnist", "paper"): "vision.paper_scale",
    ("cifar10", "paper"): "vision.paper_scale",
    ("cifar100", "paper"): "vision.paper_scale",
    ("food101", "paper"): "vision.paper_scale",
    ("tiny-imagenet", "paper"): "vision.paper_scale",
    ("imagenet100", "paper"): "vision.paper_scale",
    ("food101", "laptop"): "vision.laptop_scale",
    ("tiny-imagenet", "laptop"): "vision.laptop_scale",
    ("imagenet100", "laptop"): "vision.laptop_scale",
    ("keypoint-rcnn", "laptop"): "vision.coco_tasks",
    ("keypoint-rcnn", "paper"): "vision.coco_tasks",
    ("mask-rcnn", "laptop"): "vision.coco_tasks",
    ("mask-rcnn", "paper"): "vision.coco_tasks",
}


class _Registry(Mapping[tuple[str, Scale], Task]):
    def __getitem__(self, key: tuple[str, Scale]) -> Task:
        module = import_module(f"experiments.tasks.{_MODULES[key]}")
        return next(task for task in module.TASKS if (task.name, task.scale) == key)

    def __iter__(self) -> Iterator[tuple[str, Scale]]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


TASKS: Mapping[tuple[str, Scale], Task] = _Registry()


def find(name: str, scale: Scale) -> Task:
    """The task of that name and scale.

    Raises:
      RequestError: there is none, or what it is made with is not installed.
    """
    if (name, scale) not in _MODULES:
        known = ", ".join(other for other, at in _MODULES if at == scale)
        raise RequestError(f"TASK must be one of {known} at {scale} scale. Received: {name}")
    try:
        return TASKS[name, scale]
    except ModuleNotFoundError as error:
        raise RequestError(
            f"{name} at {scale} scale needs {error.name}: pip install 'zenith-lr[experiments]'"
        ) from error
