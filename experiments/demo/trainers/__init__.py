"""One trainer a framework, imported only when it is asked for."""

import importlib
import os
import sys

from experiments.demo.record import Trainer
from experiments.errors import RequestError

FRAMEWORKS = {
    "torch": "'zenith-lr[torch]'",
    "optax": "'zenith-lr[optax]' flax",
    "keras": "'zenith-lr[keras]'",
}
KERAS_BACKENDS = ("tensorflow", "jax", "torch")


def load_trainer(framework: str, backend: str | None = None) -> Trainer:
    """The `train` function of `experiments.demo.trainers.<framework>`.

    Args:
      framework: a key of `FRAMEWORKS`.
      backend: one of `KERAS_BACKENDS`, for Keras alone; by default the user's own choice.

    Raises:
      RequestError: the framework or its backend is not installed (the message says what to
        install), or the backend is not for this framework or comes too late.
    """
    if backend is not None:
        _choose_backend(framework, backend)
    try:
        module = importlib.import_module(f"experiments.demo.trainers.{framework}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] in ("experiments", "zenith"):
            raise
        missing = FRAMEWORKS[framework]
        if framework == "keras" and error.name in KERAS_BACKENDS:
            missing = error.name  # zenith-lr[keras] leaves the backend to the user
        raise RequestError(
            f"--framework {framework} needs {error.name}: pip install {missing}"
        ) from error
    trainer: Trainer = module.train
    return trainer


def _choose_backend(framework: str, backend: str) -> None:
    if framework != "keras":
        raise RequestError(f"--backend is for --framework keras. Received: --framework {framework}")
    if "keras" in sys.modules:  # which reads the variable once
        running = sys.modules["keras"].backend.backend()
        if running != backend:
            raise RequestError(f"--backend must be {running}, which runs. Received: {backend}")
    os.environ["KERAS_BACKEND"] = backend
