"""ZENITH for PyTorch: a learning-rate scheduler for any `torch.optim` optimizer."""

from zenith.torch._grad_norm import grad_norm as grad_norm
from zenith.torch._scheduler import Zenith as Zenith
from zenith.torch._scheduler import export_state as export_state
from zenith.torch._scheduler import import_state as import_state

__all__ = ["Zenith", "export_state", "grad_norm", "import_state"]
