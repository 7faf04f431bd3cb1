"""The tests of the tasks that need torchvision; without it there are none."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

if find_spec("torchvision") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from tests.vision import folders

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # pycocotools 2.0.11 hands NumPy an array in the manner of NumPy 1.
    quiet = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    for item in items:
        item.add_marker(quiet)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few images of every data set, in the layout of the real one."""
    folder = tmp_path_factory.mktemp("data")
    folders.write_all(folder)
    return folder
