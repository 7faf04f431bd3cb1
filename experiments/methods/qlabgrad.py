"""QLABGrad: the parabola through two losses and the slope along the gradient."""

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


class QLABGrad(OneStepSize):
    """Quadratic loss approximation along the gradient.

    With the loss L_b at w - beta g, a = (L_b - L_0 + beta |g|^2) / beta^2 and the step size is
    |g|^2 / (2 a + eps); beta where that is negative, `max_lr` at most. beta is the last step size,
    from `beta` on, or always `beta` where `fixed`.

    The authors' script normalises the slope but not the step, so that its step size halves at
    every step; this is the rule of the paper.

    Args:
      params: parameters or groups of them.
      max_lr: cap of the step size.
      beta: step size of the first probe.
      fixed: whether every probe takes that step size.
      weight_decay: lambda of the penalty lambda / 2 |w|^2 that is added to the loss.

    Raises:
      TypeError: a parameter is not real.
      ValueError: an option is out of range.

    Source: Fu and Wu, QLABGrad: a Hyperparameter-Free and Convergence-Guaranteed Scheme for Deep
    Learning, arXiv 2302.00252.
    """

    def __init__(
        self,
        params: Params,
        max_lr: float = 0.5,
        beta: float = 0.1,
        fixed: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        check("max_lr", max_lr, max_lr > 0, "a finite number above 0")
        check("beta", beta, beta > 0, "a finite number above 0")
        options = {"max_lr": max_lr, "beta": beta, "fixed": fixed}
        super().__init__(params, options, weight_decay)

    @torch.no_grad()
    def step(self, closure: Closure, probe: Closure) -> Tensor | float:
        """Move the weights once; see `PAL.step` for the arguments."""
        returned, loss = self._evaluate(closure)
        params, grads = self._gradients()
        if not params:
            return returned
        square, beta = dot(grads, grads), self._get("beta")
        if not finite(loss, square) or square == 0:
            self._skip()
            return returned
        (ahead,) = self._losses_at([-beta], params, grads, probe)
        if not finite(ahead):
            self._skip()
            return returned
        curvature = (ahead - loss + beta * square) / (beta * beta)
        step_size = divide(square, 2 * curvature + _EPS)
        step_size = min(beta if step_size < 0 else step_size, self._get("max_lr"))
        self._move(params, grads, step_size)
        if not self._get("fixed"):
            self._remember(beta=step_size)
        return returned


METHODS = tuple(
    by_hand(
        name,
        label,
        "arXiv 2302.00252",
        lambda model, plan, fixed=fixed: QLABGrad(
            model.parameters(), plan.lr, 0.1, fixed, plan.weight_decay
        ),
        needs="probes",
        probes=1.0,
        capped=True,
    )
    for name, label, fixed in (
        ("qlabgrad", "QLABGrad", False),
        ("qlabgrad-fixed", "QLABGrad, fixed", True),
    )
)
