"""SPS: Polyak's step size on a minibatch."""

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

_TOO_SMALL = 1e-8  # a gradient norm below which the authors' code does not step


class SPS(OneStepSize):
    """Stochastic Polyak step size: (L_0 - f*) / (c |g|^2 + eps), bounded.

    Where `growth` is None the bound is `max_lr`. Else it is growth^(1 / steps_per_epoch) times the
    last step size, from `max_lr` on: the authors' smoothing, with a growth of 2. A loss below f*
    gives no step.

    Args:
      params: parameters or groups of them.
      max_lr: largest step size; with `growth`, what the first step is bounded by, over the growth.
      c: 0.5 for the fastest convergence in theory, 0.2 in the authors' deep networks.
      f_star: f*, a lower bound of the loss of every minibatch.
      growth: factor by which the step size may grow in an epoch, above 1.
      steps_per_epoch: minibatches of an epoch, for `growth`.
      eps: added to the denominator.
      weight_decay: lambda of the penalty lambda / 2 |w|^2 that is added to the loss.

    Raises:
      TypeError: a parameter is not real.
      ValueError: an option is out of range.

    Source: Loizou et al., Stochastic Polyak Step-size for SGD, arXiv 2002.10542: SPS_max, and the
    smoothing of its deep-learning experiments.
    """

    def __init__(
        self,
        params: Params,
        max_lr: float = 1.0,
        c: float = 0.5,
        f_star: float = 0.0,
        growth: float | None = None,
        steps_per_epoch: int = 1,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        check("max_lr", max_lr, max_lr > 0, "a finite number above 0")
        check("c", c, c > 0, "a finite number above 0")
        check("f_star", f_star, True, "a finite number")
        check("growth", growth, growth is None or growth > 1, "above 1, or None")
        check("steps_per_epoch", steps_per_epoch, steps_per_epoch >= 1, "at least 1")
        check("eps", eps, eps >= 0, "a finite number of at least 0")
        factor = 1.0 if growth is None else growth ** (1 / steps_per_epoch)
        options = {"bound": max_lr, "c": c, "f_star": f_star, "growth": factor, "eps": eps}
        super().__init__(params, options, weight_decay)

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor | float:
        """Move the weights once; see `L4.step` for the argument."""
        returned, loss = self._evaluate(closure)
        params, grads = self._gradients()
        if not params:
            return returned
        square = dot(grads, grads)
        excess = loss - self._get("f_star")
        if not finite(loss, square) or square < _TOO_SMALL**2 or excess < 0:
            self._skip()
            return returned
        growth = self._get("growth")
        bound = growth * self._get("bound")
        step_size = min(divide(excess, self._get("c") * square + self._get("eps")), bound)
        self._move(params, grads, step_size)
        if growth > 1:
            self._remember(bound=step_size)
        return returned


METHODS = (
    by_hand(
        "sps",
        "SPS",
        "arXiv 2002.10542, SPS_max",
        lambda model, plan: SPS(model.parameters(), plan.lr, weight_decay=plan.weight_decay),
        needs="loss",
        capped=True,
    ),
    by_hand(
        "sps-smooth",
        "SPS, smoothed",
        "arXiv 2002.10542, smoothed",
        lambda model, plan: SPS(
            model.parameters(),
            1.0,
            c=0.2,
            growth=2.0,
            steps_per_epoch=plan.steps_per_epoch,
            weight_decay=plan.weight_decay,
        ),
        needs="loss",
    ),
)
