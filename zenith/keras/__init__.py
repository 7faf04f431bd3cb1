"""ZENITH for Keras 3 on TensorFlow, JAX and PyTorch: a callback, an SGD and a schedule."""

from zenith.keras._callback import Zenith as Zenith
from zenith.keras._logger import ZenithLogger as ZenithLogger
from zenith.keras._optimizer import ZenithSGD as ZenithSGD
from zenith.keras._optimizer import attach as attach
from zenith.keras._optimizer import export_state as export_state
from zenith.keras._optimizer import import_state as import_state
from zenith.keras._schedule import ZenithSchedule as ZenithSchedule

__all__ = [
    "Zenith",
    "ZenithLogger",
    "ZenithSGD",
    "ZenithSchedule",
    "attach",
    "export_state",
    "import_state",
]
