"""DoWG: the distance travelled over the gradients, weighted by the distance."""

import math

import torch
from torch import Tensor

from experiments.methods._by_hand import by_hand
from experiments.methods._one_step_size import Closure, OneStepSize, Params, check, dot, finite


class DoWG(OneStepSize):
    """Distance over weighted gradients.

    With the largest squared distance r2 = max(r2, |w - w_0|^2) so far, from r_eps^2 on, and
    v += r2 |g|^2, the step size is r2 / (sqrt(v) + eps).

    Args:
      params: parameters or groups of them.
      r_eps: distance that is assumed at the start, in weights.
      eps: added to the denominator.
      weight_decay: lambda of lambda w, which is added to the gradient.

    Raises:
      TypeError: a parameter is not real.
      ValueError: an option is out of range.

    Source: Khaled et al., DoWG Unleashed, arXiv 2305.16284, Algorithm 1; eps is that of the
    authors' code.
    """

    def __init__(
        self, params: Params, r_eps: float = 1e-4, eps: float = 1e-4, weight_decay: float = 0.0
    ) -> None:
        check("r_eps", r_eps, r_eps > 0, "a finite number above 0")
        check("eps", eps, eps >= 0, "a finite number of at least 0")
        options = {"distance": r_eps * r_eps, "eps": eps, "weighted": 0.0}
        super().__init__(params, options, weight_decay)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | float | None:
        """Move the weights once.

        Args:
          closure: zeroes the gradients, runs forward and backward, returns the loss; not needed
            where the gradients are there.

        Returns:
          What `closure` returned, or None without one.
        """
        returned = None if closure is None else self._evaluate(closure)[0]
        params, grads = self._gradients()
        if not params:
            return returned
        for p in params:
            if "start" not in self.state[p]:
                self.state[p]["start"] = p.clone()
        travelled = [p - self.state[p]["start"] for p in params]
        distance = max(self._get("distance"), dot(travelled, travelled))
        weighted = self._get("weighted") + distance * dot(grads, grads)
        if not finite(distance, weighted):
            self._skip()
            return returned
        denominator = math.sqrt(weighted) + self._get("eps")
        # Without a gradient so far there is nothing to move along, whatever the step size.
        self._move(params, grads, distance / denominator if denominator else 0.0)
        self._remember(distance=distance, weighted=weighted)
        return returned


METHODS = (
    by_hand(
        "dowg",
        "DoWG",
        "arXiv 2305.16284, Alg. 1",
        lambda model, plan: DoWG(model.parameters(), weight_decay=plan.weight_decay),
        needs="gradient",
    ),
)
