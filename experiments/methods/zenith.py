"""ZENITH on SGD."""

from torch import Tensor, nn

from experiments.methods._method import Batch, Method, Plan
from experiments.methods._training import BaseTraining
from experiments.methods.schedules import sgd
from zenith import __version__
from zenith.torch import Zenith


class ZenithTraining(BaseTraining):
    """SGD under `zenith.torch.Zenith`, which a log may ask for norm, mean and peak."""

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        optimizer = sgd(model, plan)
        self.scheduler = Zenith(optimizer, plan.window)
        super().__init__("zenith", optimizer, plan.lr, scheduler=self.scheduler)

    def step(self, batch: Batch) -> Tensor:
        loss = batch.gradient()
        self.optimizer.step()
        self._lr = self.optimizer.param_groups[0]["lr"]
        return loss


METHODS = (
    Method(
        name="zenith",
        label="ZENITH",
        kind="zenith",
        source=f"zenith-lr {__version__}",
        reference="arXiv 2601.15212, Algorithm 1",
        needs="gradient",
        probes=0.0,
        capped=True,
        knows_budget=False,
        resumable=True,
        start=ZenithTraining,
    ),
)
