"""PAL: a parabola through the loss along the direction of descent."""

import math

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


class PAL(OneStepSize):
    """Parabolic approximation line search.

    With d = beta d + g from 0, n = |d|, the slope b = -<g, d> / n and the loss L_mu at
    w - mu d / n, a = (L_mu - L_0 - b mu) / mu^2 is half the curvature. The step along -d / n is
    -alpha b / (2 a) where the parabola has its minimum ahead (a > 0, b < 0), mu where it falls
    without one (a <= 0, b < 0), 0 where it rises; `max_step` at most.

    `param_groups[i]["step_size"]` is the step over n: the factor on d.

    Args:
      params: parameters or groups of them.
      mu: length of the probing step, in weights; the authors recommend 0.1 to 1.
      max_step: longest step, in weights.
      beta: share of the old direction that is kept, in [0, 1).
      alpha: factor on the step to the minimum; the authors recommend 1, 1.2 or 1.7.
      weight_decay: lambda of the penalty lambda / 2 |w|^2 that is added to the loss.

    Raises:
      TypeError: a parameter is not real.
      ValueError: an option is out of range.

    Example:
      >>> import torch
      >>> from experiments.methods.pal import PAL
      >>> w = torch.nn.Parameter(torch.tensor([3.0]))
      >>> optimizer = PAL([w], alpha=1.0)
      >>> def loss():
      ...     return 0.5 * (w * w).sum()
      >>> def closure():
      ...     optimizer.zero_grad()
      ...     value = loss()
      ...     value.backward()
      ...     return value
      >>> _ = optimizer.step(closure, loss)
      >>> round(w.item(), 3)  # the minimum of a parabola, found in one step
      0.0

    Source: Mutschler and Zell, Parabolic Approximation Line Search for DNNs, arXiv 1903.11991,
    the rule and the defaults of section 3.
    """

    def __init__(
        self,
        params: Params,
        mu: float = 0.1,
        max_step: float = 3.16,
        beta: float = 0.4,
        alpha: float = 1 / 0.6,
        weight_decay: float = 0.0,
    ) -> None:
        check("mu", mu, mu > 0, "a finite number above 0")
        check("max_step", max_step, max_step > 0, "a finite number above 0")
        check("beta", beta, 0 <= beta < 1, "in [0, 1)")
        check("alpha", alpha, alpha > 0, "a finite number above 0")
        options = {"mu": mu, "max_step": max_step, "beta": beta, "alpha": alpha}
        super().__init__(params, options, weight_decay)

    @torch.no_grad()
    def step(self, closure: Closure, probe: Closure) -> Tensor | float:
        """Move the weights once.

        Args:
          closure: zeroes the gradients, runs forward and backward, returns the loss.
          probe: runs the same minibatch forward, with the same random numbers, returns the loss.

        Returns:
          What `closure` returned.
        """
        returned, loss = self._evaluate(closure)
        params, grads = self._gradients()
        if not params:
            return returned
        mu, beta = self._get("mu"), self._get("beta")
        directions = [
            g.clone()
            if beta == 0 or (d := self.state[p].get("direction")) is None
            else beta * d + g
            for p, g in zip(params, grads, strict=True)
        ]
        norm = math.sqrt(dot(directions, directions)) or 1e-10
        slope = divide(-dot(grads, directions), norm)
        (ahead,) = self._losses_at([divide(-mu, norm)], params, directions, probe)
        curvature = (ahead - loss - slope * mu) / (mu * mu)
        if not finite(loss, slope, curvature):
            self._skip()
            return returned
        for p, d in zip(params, directions, strict=True):
            self.state[p]["direction"] = d
        self._move(params, directions, self._length(curvature, slope) / norm)
        return returned

    def _length(self, curvature: float, slope: float) -> float:
        if slope >= 0:
            return 0.0
        if curvature <= 0:
            return min(self._get("mu"), self._get("max_step"))
        return min(-self._get("alpha") * slope / (2 * curvature), self._get("max_step"))


METHODS = (
    by_hand(
        "pal",
        "PAL",
        "arXiv 1903.11991",
        lambda model, plan: PAL(model.parameters(), weight_decay=plan.weight_decay),
        needs="probes",
        probes=1.0,
    ),
)
