"""L4: as far as the loss would have to fall by a fixed share of its excess, were it linear."""

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


class L4(OneStepSize):
    """L4 on SGD, or on a mean of the gradients (L4Mom).

    With the bias-corrected mean ghat of the gradients and the direction v, g or ghat, the step size
    is alpha (L_0 - gamma L_min) / (<ghat, v> + eps). L_min is the lowest loss so far, from
    `initial` L_0 on, and grows by 1 + 1 / tau after each step, to forget. The step size may be
    negative, where g points away from its own mean, and has no cap: both are the authors' rule.

    Args:
      params: parameters or groups of them.
      direction: "gradient" (v = g) or "mean" (v = ghat, the authors' L4Mom).
      alpha: share of the excess loss that a step is to take away.
      gamma: factor on the lowest loss, which makes the target lie below it.
      tau: steps in which the lowest loss is forgotten.
      beta: share of the old mean that is kept, in [0, 1).
      initial: first lowest loss, over the first loss.
      eps: added to the denominator.
      weight_decay: lambda of the penalty lambda / 2 |w|^2 that is added to the loss.

    Raises:
      TypeError: a parameter is not real.
      ValueError: an option is out of range.

    Source: Rolinek and Martius, L4: Practical Loss-based Stepsize Adaptation for Deep Learning,
    arXiv 1802.05074; the bias correction and the first L_min are those of the authors' code.
    """

    def __init__(
        self,
        params: Params,
        direction: Literal["gradient", "mean"] = "gradient",
        alpha: float = 0.15,
        gamma: float = 0.9,
        tau: float = 1000.0,
        beta: float = 0.9,
        initial: float = 0.75,
        eps: float = 1e-12,
        weight_decay: float = 0.0,
    ) -> None:
        check("direction", direction, direction in ("gradient", "mean"), "'gradient' or 'mean'")
        check("alpha", alpha, alpha > 0, "a finite number above 0")
        check("gamma", gamma, 0 <= gamma <= 1, "in [0, 1]")
        check("tau", tau, tau > 0, "a finite number above 0")
        check("beta", beta, 0 <= beta < 1, "in [0, 1)")
        check("initial", initial, 0 <= initial <= 1, "in [0, 1]")
        check("eps", eps, eps > 0, "a finite number above 0")
        options: dict[str, float | str] = {
            "direction": direction,
            "alpha": alpha,
            "gamma": gamma,
            "tau": tau,
            "beta": beta,
            "initial": initial,
            "eps": eps,
            "steps": 0,
            "lowest": 0.0,
        }
        super().__init__(params, options, weight_decay)

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor | float:
        """Move the weights once.

        Args:
          closure: zeroes the gradients, runs forward and backward, returns the loss. After
            `loss.backward()`, `lambda: loss` does.

        Returns:
          What `closure` returned.
        """
        returned, loss = self._evaluate(closure)
        params, grads = self._gradients()
        if not params:
            return returned
        if not finite(loss, dot(grads, grads)):
            self._skip()
            return returned
        beta, steps = self._get("beta"), self._get("steps") + 1
        means: list[Tensor] = []
        for p, g in zip(params, grads, strict=True):
            state = self.state[p]
            if "mean" not in state:
                state["mean"] = torch.zeros_like(p)
            means.append(state["mean"].mul_(beta).add_(g, alpha=1 - beta))
        # Of the raw mean, as a step on it is one on ghat with the step size over this.
        correction = 1 - beta**steps
        lowest = self._get("initial") * loss if steps == 1 else min(self._get("lowest"), loss)
        excess = self._get("alpha") * (loss - self._get("gamma") * lowest)
        if self._get("direction") == "gradient":
            inner = dot(means, grads) / correction
            self._move(params, grads, divide(excess, inner + self._get("eps")))
        else:
            inner = dot(means, means) / correction**2
            step_size = divide(excess, inner + self._get("eps"))
            self._move(params, means, step_size / correction)
            self._remember(step_size=step_size)
        self._remember(steps=steps, lowest=(1 + 1 / self._get("tau")) * lowest)
        return returned


METHODS = tuple(
    by_hand(
        name,
        label,
        "arXiv 1802.05074",
        lambda model, plan, direction=direction: L4(
            model.parameters(), direction, weight_decay=plan.weight_decay
        ),
        needs="loss",
    )
    for name, label, direction in (("l4", "L4", "gradient"), ("l4-mom", "L4Mom", "mean"))
)
