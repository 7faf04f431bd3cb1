"""How many images there are, and whether these are enough."""

from collections.abc import Mapping

from experiments.errors import RequestError
from experiments.tasks._task import Task


def check_published(
    task: Task, data: str, found: Mapping[str, int], published: Mapping[str, int]
) -> None:
    """Refuse a data set that is not as large as it was published.

    Args:
      task: for its name.
      data: the name of the data set.
      found: images of each part.
      published: images that the parts should have, where that is known.

    Raises:
      RequestError: a part has fewer or more.
    """
    for part, number in published.items():
        if found[part] != number:
            raise RequestError(
                f"{task.name}: expected the {number:,} {part} images of {data}, found "
                f"{found[part]:,}; --partial takes what is there"
            )


def steps_per_epoch(task: Task, images: int) -> int:
    """Whole minibatches among the images to train on.

    Raises:
      RequestError: there is none.
    """
    if images < task.batch:
        raise RequestError(
            f"{task.name}: the batch must be at most {images}, the images to train on. "
            f"Received: {task.batch}"
        )
    return images // task.batch
