"""L2 regularisation inside the loss, where the gradient norm sees it."""

from torch import Tensor, nn


def l2_term(model: nn.Module, l2: float) -> Tensor:
    """l2 / 2 times the sum of the squares of every parameter.

    With this factor, and over every parameter, its gradient is l2 w: plain SGD then makes the very
    step that it makes with `weight_decay=l2`, and whether the gradient norm sees the term is the
    only difference. Keras's `L2(c)` has no half: it is `l2 = 2 c` here.
    """
    return 0.5 * l2 * sum(p.square().sum() for p in model.parameters() if p.requires_grad)
