"""ZENITH, its rivals and the schedules people tune, behind one interface.

`METHODS` maps the name of a method to its `Method`, in the order of the tables.
"""

from experiments.methods._method import Batch as Batch
from experiments.methods._method import Method as Method
from experiments.methods._method import Plan as Plan
from experiments.methods._method import Training as Training

__all__ = ["Batch", "Method", "Plan", "Training"]
