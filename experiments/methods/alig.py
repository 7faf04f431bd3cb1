"""ALI-G: Polyak's step size for a loss whose minimum is 0, capped."""

import torch
from torch import Tensor, nn

from experiments.methods._library import LibraryTraining, from_library, load_library
from experiments.methods._method import Plan

_DISTRIBUTION = "pytorch_optimizer"


class _AliG(LibraryTraining):
    """The library has no weight decay: the penalty joins loss and gradient here."""

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        library = load_library("alig", _DISTRIBUTION, "pytorch_optimizer")
        self._decay = plan.weight_decay
        super().__init__("alig", library.AliG(model.parameters(), max_lr=plan.lr), plan)

    @torch.no_grad()
    def _step_optimizer(self, loss: Tensor) -> None:
        value = float(loss)
        if self._decay:
            for p in self.optimizer.param_groups[0]["params"]:
                if p.grad is not None:
                    value += 0.5 * self._decay * float(p.square().sum())
                    p.grad.add_(p, alpha=self._decay)
        self.optimizer.step(lambda: value)

    def _read_lr(self) -> float:
        return float(self.optimizer.param_groups[0]["step_size"])


METHODS = (
    from_library(
        "alig", "ALI-G", _DISTRIBUTION, "arXiv 1906.05661", _AliG, needs="loss", capped=True
    ),
)
