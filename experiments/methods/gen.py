"""GeN: a Newton step along the gradient, now and then, smoothed."""

import torch
from torch import Tensor

from experiments.methods._by_hand import by_hand
from experiments.methods._one_step_size import Closure, OneStepSize, Params, check, dot, finite


class GeN(OneStepSize):
    """Generalised Newton step size on SGD.

    Every `every` steps, from the first on, the losses L+ and L- at w - eta g and w + eta g give
    H = (L+ + L- - 2 L_0) / eta^2 and G = (L- - L+) / (2 eta). Where both are positive,
    eta = smoothing eta + (1 - smoothing) clip(G / H, eta / 2, 2 eta).

    Args:
      params: parameters or groups of them.
      lr: eta of the first step.
      every: steps from one pair of probes to the next.
      smoothing: share of the old eta that is kept, in [0, 1).
      weight_decay: lambda of the penalty lambda / 2 |w|^2 that is added to the loss.

    Raises:
      TypeError: a parameter is not real.
      ValueError: an option is out of range.

    Source: Bu and Xu, Gradient Descent with Generalized Newton's Method, arXiv 2407.02772.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 0.1,
        every: int = 4,
        smoothing: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        check("lr", lr, lr > 0, "a finite number above 0")
        check("every", every, every >= 1, "at least 1")
        check("smoothing", smoothing, 0 <= smoothing < 1, "in [0, 1)")
        options = {"eta": lr, "every": every, "smoothing": smoothing, "steps": 0}
        super().__init__(params, options, weight_decay)

    @torch.no_grad()
    def step(self, closure: Closure, probe: Closure) -> Tensor | float:
        """Move the weights once; see `PAL.step` for the arguments."""
        returned, loss = self._evaluate(closure)
        params, grads = self._gradients()
        if not params:
            return returned
        if not finite(loss, dot(grads, grads)):
            self._skip()
            return returned
        eta = self._get("eta")
        if self._get("steps") % self._get("every") == 0:
            ahead, behind = self._losses_at([-eta, eta], params, grads, probe)
            if not finite(ahead, behind):
                self._skip()
                return returned
            curvature = (ahead + behind - 2 * loss) / (eta * eta)
            slope = (behind - ahead) / (2 * eta)
            if curvature > 0 and slope > 0:
                newton = min(max(slope / curvature, eta / 2), 2 * eta)
                eta = self._get("smoothing") * eta + (1 - self._get("smoothing")) * newton
        self._move(params, grads, eta)
        self._remember(eta=eta, steps=self._get("steps") + 1)
        return returned


METHODS = (
    by_hand(
        "gen",
        "GeN",
        "arXiv 2407.02772",
        lambda model, plan: GeN(model.parameters(), plan.lr, weight_decay=plan.weight_decay),
        needs="probes",
        probes=0.5,
    ),
)
