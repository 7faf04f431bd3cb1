"""What a run of Zenith shows to a logger."""

import math

from zenith.torch._scheduler import Zenith


def read_metrics(scheduler: Zenith) -> dict[str, float]:
    """The values of the last step, read from their device."""
    norm = scheduler.last_norm
    return {
        "lr": float(scheduler.get_last_lr()[0]),
        "grad_norm": math.nan if norm is None else norm,
        "zenith/mean": scheduler.mean,
        "zenith/peak": scheduler.zenith,
        "zenith/scale": scheduler.scale,
        "zenith/skipped": float(scheduler.skipped),
    }
