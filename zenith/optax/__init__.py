"""ZENITH for JAX: gradient transformations and a schedule for optax."""

from zenith.core import ZenithState as ZenithState
from zenith.optax._grad_norm import grad_norm as grad_norm
from zenith.optax._portable import export_state as export_state
from zenith.optax._portable import import_state as import_state
from zenith.optax._schedule import ZenithSchedule as ZenithSchedule
from zenith.optax._snapshot import snapshot as snapshot
from zenith.optax._transform import ScaleByZenithState as ScaleByZenithState
from zenith.optax._transform import scale_by_zenith as scale_by_zenith
from zenith.optax._transform import zenith as zenith

__all__ = [
    "ScaleByZenithState",
    "ZenithSchedule",
    "ZenithState",
    "export_state",
    "grad_norm",
    "import_state",
    "scale_by_zenith",
    "snapshot",
    "zenith",
]
