"""The schedules that ZENITH is compared with. They are told the budget; ZENITH is not."""

import math
from collections.abc import Callable

Multiplier = Callable[
    [int, int], float
]  # (step from 0, total steps) -> factor on the learning rate


def constant(step: int, total_steps: int) -> float:
    """1 throughout."""
    return 1.0


def cosine(step: int, total_steps: int) -> float:
    """Half a cosine, from 1 at step 0 to 0 at `total_steps`."""
    return 0.5 * (1.0 + math.cos(math.pi * step / total_steps))


def step_decay(step: int, total_steps: int) -> float:
    """A tenth of the learning rate from half the budget on, a hundredth from three quarters on."""
    return 0.1 ** ((2 * step >= total_steps) + (4 * step >= 3 * total_steps))


MULTIPLIERS: dict[str, Multiplier] = {"constant": constant, "cosine": cosine, "step": step_decay}
METHODS = ("zenith", *MULTIPLIERS)
