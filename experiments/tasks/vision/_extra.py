"""What these tasks need beside torch."""

from collections.abc import Iterator
from contextlib import contextmanager

from experiments.errors import RequestError


@contextmanager
def vision_extra(task: str) -> Iterator[None]:
    """Turn the lack of torchvision, timm or pycocotools into a line that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise RequestError(f"{task} needs {error.name}: pip install 'zenith-lr[vision]'") from error
