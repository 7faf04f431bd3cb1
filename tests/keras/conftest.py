import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports its CPU features

keras = pytest.importorskip("keras", reason="the tests of zenith.keras need Keras 3")
BACKEND = keras.backend.backend()
pytest.importorskip(BACKEND, reason=f"KERAS_BACKEND={BACKEND} is not installed")

# Warnings from inside the frameworks, which their users see without us as well.
_OF_THE_FRAMEWORKS = [
    # Keras's variables and NumPy 2
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",
    # KerasTuner
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning",
    # torch.compile looking at Keras's parameters, up to Keras 3.10 at least
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning",
    # torch.compile importing its own inductor
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning",
]


def pytest_collection_modifyitems(config, items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in _OF_THE_FRAMEWORKS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    # The nets are tiny; more threads only wait for each other.
    if BACKEND == "torch":
        import torch

        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fresh_names():
    keras.utils.clear_session()
