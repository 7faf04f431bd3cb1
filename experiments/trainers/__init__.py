"""One trainer a framework, imported only when it is asked for."""

import importlib

from experiments.errors import RequestError
from experiments.record import Trainer

FRAMEWORKS = {"torch": "zenith-lr[torch]"}


def load_trainer(framework: str) -> Trainer:
    """The `train` function of `experiments.trainers.<framework>`.

    Raises:
      RequestError: the framework is not installed; the message says what to install.
    """
    try:
        module = importlib.import_module(f"experiments.trainers.{framework}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] in ("experiments", "zenith"):
            raise
        raise RequestError(
            f"--framework {framework} needs {error.name}: pip install '{FRAMEWORKS[framework]}'"
        ) from error
    trainer: Trainer = module.train
    return trainer
