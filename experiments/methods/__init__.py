"""ZENITH, its rivals and the schedules people tune, behind one interface.

`METHODS` maps the name of a method to its `Method`, in the order of the tables.
"""

from experiments.methods import (
    alig,
    cocob,
    dadapt_sgd,
    dog,
    dowg,
    gen,
    l4,
    lqa,
    momo,
    pal,
    prodigy,
    qlabgrad,
    schedule_free,
    schedules,
    sps,
    zenith,
)
from experiments.methods._batch import ModelBatch as ModelBatch
from experiments.methods._batch import without_trace as without_trace
from experiments.methods._method import Batch as Batch
from experiments.methods._method import Method as Method
from experiments.methods._method import Plan as Plan
from experiments.methods._method import Training as Training
from experiments.methods._state import state_size as state_size

# Automatic methods by the year of their paper.
_MODULES = (
    zenith,
    cocob,
    l4,
    pal,
    alig,
    lqa,
    sps,
    dadapt_sgd,
    dog,
    dowg,
    momo,
    prodigy,
    qlabgrad,
    gen,
    schedule_free,
    schedules,
)

METHODS: dict[str, Method] = {
    method.name: method for module in _MODULES for method in module.METHODS
}

__all__ = [
    "METHODS",
    "Batch",
    "Method",
    "ModelBatch",
    "Plan",
    "Training",
    "state_size",
    "without_trace",
]
