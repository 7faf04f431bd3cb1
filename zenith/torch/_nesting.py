"""Whether an optimizer's step runs inside another step of the same optimizer."""

import inspect

from torch.optim import Optimizer

# Every class of optimizer that defines `step` has it wrapped by torch, so a subclass whose step()
# calls super().step() fires the hooks twice. All wrappers share one code object.
_WRAPPER = Optimizer.profile_hook_step(Optimizer.step).__code__


def is_nested_step(optimizer: Optimizer) -> bool:
    """Whether more than one `step` of this optimizer is on the call stack.

    A flag that the first hook sets and the last one clears would stay set for ever after a step
    that raised; the stack cannot lie.
    """
    depth = 0
    frame = inspect.currentframe()
    while frame is not None and depth < 2:
        if frame.f_code is _WRAPPER and frame.f_locals.get("self") is optimizer:
            depth += 1
        frame = frame.f_back
    return depth > 1
