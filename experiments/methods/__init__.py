"""ZENITH, its rivals and the schedules people tune, behind one interface.

`METHODS` maps the name of a method to its `Method`, in the order of the tables.
"""

from experiments.methods import dowg, gen, l4, lqa, pal, qlabgrad, schedules, sps, zenith
from experiments.methods._batch import ModelBatch as ModelBatch
from experiments.methods._batch import without_trace as without_trace
from experiments.methods._method import Batch as Batch
from experiments.methods._method import Method as Method
from experiments.methods._method import Plan as Plan
from experiments.methods._method import Training as Training

_MODULES = (zenith, l4, pal, lqa, sps, gen, dowg, qlabgrad, schedules)

METHODS: dict[str, Method] = {
    method.name: method for module in _MODULES for method in module.METHODS
}

__all__ = ["METHODS", "Batch", "Method", "ModelBatch", "Plan", "Training", "without_trace"]
