"""The frame of the optimizers written by hand: one step size for all parameters, from losses."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

Params: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]
Closure: TypeAlias = Callable[[], Tensor | float]
Tensors: TypeAlias = Sequence[Tensor]

_OWN_OF_A_GROUP = ("params", "weight_decay")


class OneStepSize(Optimizer):
    """An optimizer whose step size is one number, found from the loss as well as the gradient.

    `param_groups[i]["step_size"]` is the step size of the last step, on the gradient or on the
    direction of the rule; 0 for a step that was skipped. There is no "lr" on purpose: a scheduler
    that would set it finds nothing to set. What the rule remembers is in the groups too, as
    numbers, so that any tool that saves an optimizer saves it.

    A step whose loss, gradient or probes are not finite is skipped: weights and memory stay.
    Parameters without a gradient are left out of every norm, and do not move.

    Args:
      params: parameters, real and dense, or groups of them that differ in `weight_decay` at most.
      options: settings and memory of the rule, the same in all groups.
      weight_decay: lambda; lambda / 2 |w|^2 belongs to the loss then, at probes too.
    """

    def __init__(self, params: Params, options: dict[str, float | str], weight_decay: float):
        check("weight_decay", weight_decay, weight_decay >= 0, "at least 0")
        super().__init__(params, {"weight_decay": weight_decay, **options, "step_size": 0.0})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it may have a `weight_decay` of its own.

        Raises:
          TypeError: a parameter is not real.
          ValueError: the group has another option.
        """
        foreign = sorted(set(param_group) - {*_OWN_OF_A_GROUP, "param_names"})
        if foreign:
            raise ValueError(
                f"a parameter group of {type(self).__name__} may have 'params' and 'weight_decay': "
                f"there is one step size for all groups. Received: {foreign}"
            )
        decay = param_group.get("weight_decay", 0.0)
        check("weight_decay of a parameter group", decay, decay >= 0, "at least 0")
        groups = self.param_groups
        memory = {k: v for k, v in groups[0].items() if k not in _OWN_OF_A_GROUP} if groups else {}
        super().add_param_group(param_group)
        self.param_groups[-1].update({k: v for k, v in memory.items() if k != "param_names"})
        for parameter in self.param_groups[-1]["params"]:
            if not parameter.is_floating_point():
                del self.param_groups[-1]
                raise TypeError(
                    f"parameters of {type(self).__name__} must be real. Received: {parameter.dtype}"
                )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue bit for bit where `state_dict` was taken.

        Raises:
          ValueError: it is one of another optimizer, or of other groups; nothing is changed then.
        """
        expected = set(self.param_groups[0]) - {"param_names"}
        for group in cast(list[dict[str, Any]], state_dict["param_groups"]):
            if set(group) - {"param_names"} != expected:
                raise ValueError(
                    f"state_dict must be one of {type(self).__name__}, whose groups have the keys "
                    f"{sorted(expected)}. Received: {sorted(group)}"
                )
        super().load_state_dict(state_dict)

    def _get(self, name: str) -> Any:
        return self.param_groups[0][name]

    def _remember(self, **memory: float) -> None:
        for group in self.param_groups:
            group.update(memory)

    def _evaluate(self, closure: Closure | None) -> tuple[Tensor | float, float]:
        """What the closure returns, and the loss with the penalty."""
        if not callable(closure):
            raise TypeError(
                f"{type(self).__name__}.step needs a closure that returns the loss; gradients may "
                f"be there already, as in step(lambda: loss). Received: {closure!r}"
            )
        with torch.enable_grad():
            returned = closure()
        return returned, self._to_number(returned, "closure") + self._penalty()

    def _to_number(self, loss: object, name: str) -> float:
        if isinstance(loss, Tensor) and loss.numel() == 1:
            return loss.item()
        if isinstance(loss, float | int):
            return float(loss)
        raise TypeError(
            f"{name} must return the loss, a number or a Tensor of one element. Received: {loss!r}"
        )

    def _gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters that have a gradient, and their gradients, the penalty's among them."""
        params: list[Tensor] = []
        grads: list[Tensor] = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise TypeError(
                        f"gradients of {type(self).__name__} must be dense. Received: a sparse one"
                    )
                decay = group["weight_decay"]
                params.append(p)
                grads.append(p.grad.add(p, alpha=decay) if decay else p.grad)
        return params, grads

    def _penalty(self) -> float:
        return sum(
            0.5 * group["weight_decay"] * dot(params, params)
            for group in self.param_groups
            if group["weight_decay"]
            and (params := [p for p in group["params"] if p.grad is not None])
        )

    def _losses_at(
        self, offsets: Sequence[float], params: list[Tensor], directions: Tensors, probe: Closure
    ) -> list[float]:
        """The loss at w + offset * direction for each offset; the weights are put back by copy."""
        if not callable(probe):
            raise TypeError(
                f"{type(self).__name__}.step needs a probe: a forward pass of the same minibatch "
                f"that returns the loss. Received: {probe!r}"
            )
        weights = [p.clone() for p in params]
        losses: list[float] = []
        try:
            for offset in offsets:
                for p, weight, direction in zip(params, weights, directions, strict=True):
                    p.copy_(weight).add_(direction, alpha=offset)
                losses.append(self._to_number(probe(), "probe") + self._penalty())
        finally:
            for p, weight in zip(params, weights, strict=True):
                p.copy_(weight)
        return losses

    def _move(self, params: list[Tensor], directions: Tensors, step_size: float) -> None:
        """w -= step_size * direction."""
        for p, direction in zip(params, directions, strict=True):
            p.add_(direction, alpha=-step_size)
        self._remember(step_size=step_size)

    def _skip(self) -> None:
        self._remember(step_size=0.0)


def dot(xs: Tensors, ys: Tensors) -> float:
    """Inner product over all tensors: of each in its own precision, of them all in float64."""
    parts = [torch.dot(_wide(x), _wide(y)) for x, y in zip(xs, ys, strict=True)]
    return torch.stack([part.to(parts[0].device, torch.float64) for part in parts]).sum().item()


def _wide(tensor: Tensor) -> Tensor:
    flat = tensor.reshape(-1)
    return flat.float() if flat.dtype in (torch.float16, torch.bfloat16) else flat


def divide(a: float, b: float) -> float:
    """a / b as IEEE 754 has it: infinite or NaN for b = 0."""
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


def finite(*values: float) -> bool:
    return all(map(math.isfinite, values))


def check(name: str, value: object, accepted: bool, said: str) -> None:
    """Refuse an option.

    Raises:
      ValueError: `accepted` is false, or the value is a number that is not finite.
    """
    if not accepted or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{name} must be {said}. Received: {value!r}")
