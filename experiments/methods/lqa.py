"""LQA: a parabola through three losses along the gradient."""

from typing import Literal

import torch
from torch import Tensor

from experiments.methods._by_hand import by_hand
from experiments.methods._one_step_size import (
    Closure,
    OneStepSize,
    Params,
    check,
    divide,
    dot,
    finite,
)

_EPS = 1e-24


class LQA(OneStepSize):
    """Local quadratic approximation.

    With the losses L+ and L- at w + delta d and w - delta d, the step size is
    delta (L+ - L-) / (2 (L+ + L- - 2 L_0) + eps), and w -= step size * g.

    `mode` "published" is the authors' code: d = g / max|g|, delta = max(1 - 0.02 epoch, 0.1), and
    the absolute value of the step size, which is measured in units of d but applied to g.
    "consistent" probes along what it steps along: d = g, delta = 0.1, and a step size that is not
    positive is replaced by delta.

    Args:
      params: parameters or groups of them.
      max_lr: cap of the step size; 0.5 in the authors' code, 0.1 in the paper on ZENITH.
      mode: "published" or "consistent".
      steps_per_epoch: minibatches of an epoch, by which "published" counts epochs.
      weight_decay: lambda of the penalty lambda / 2 |w|^2 that is added to the loss.

    Raises:
      TypeError: a parameter is not real.
      ValueError: an option is out of range.

    Source: Zhu et al., Automatic, Dynamic, and Nearly Optimal Learning Rate Specification by Local
    Quadratic Approximation, arXiv 2004.03260, and the authors' code for "published".
    """

    def __init__(
        self,
        params: Params,
        max_lr: float = 0.1,
        mode: Literal["published", "consistent"] = "published",
        steps_per_epoch: int = 1,
        weight_decay: float = 0.0,
    ) -> None:
        check("max_lr", max_lr, max_lr > 0, "a finite number above 0")
        check("mode", mode, mode in ("published", "consistent"), "'published' or 'consistent'")
        check("steps_per_epoch", steps_per_epoch, steps_per_epoch >= 1, "at least 1")
        options: dict[str, float | str] = {
            "max_lr": max_lr,
            "mode": mode,
            "steps_per_epoch": steps_per_epoch,
            "steps": 0,
        }
        super().__init__(params, options, weight_decay)

    @torch.no_grad()
    def step(self, closure: Closure, probe: Closure) -> Tensor | float:
        """Move the weights once; see `PAL.step` for the arguments."""
        returned, loss = self._evaluate(closure)
        params, grads = self._gradients()
        if not params:
            return returned
        published = self._get("mode") == "published"
        delta, scale = 0.1, 1.0
        if published:
            delta = max(1 - 0.02 * (self._get("steps") // self._get("steps_per_epoch")), 0.1)
            scale = max(g.abs().max().item() for g in grads)
        if not finite(loss, dot(grads, grads)) or scale == 0:
            self._skip()
            return returned
        offset = delta / scale
        ahead, behind = self._losses_at([offset, -offset], params, grads, probe)
        step_size = divide(delta * (ahead - behind), 2 * (ahead + behind - 2 * loss) + _EPS)
        if published:
            step_size = abs(step_size)
        elif step_size <= 0:
            step_size = delta
        if not finite(ahead, behind) or step_size != step_size:
            self._skip()
            return returned
        self._move(params, grads, min(step_size, self._get("max_lr")))
        self._remember(steps=self._get("steps") + 1)
        return returned


METHODS = tuple(
    by_hand(
        name,
        label,
        "arXiv 2004.03260",
        lambda model, plan, mode=mode: LQA(
            model.parameters(), plan.lr, mode, plan.steps_per_epoch, plan.weight_decay
        ),
        needs="probes",
        probes=2.0,
        capped=True,
    )
    for name, label, mode in (
        ("lqa", "LQA", "published"),
        ("lqa-consistent", "LQA, consistent", "consistent"),
    )
)
