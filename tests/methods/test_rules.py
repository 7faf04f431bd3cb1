"""The hand-written rules beside their equations, step by step, in float64."""

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("torch", reason="the methods need PyTorch")

from experiments.methods import METHODS, ModelBatch, Plan
from tests.methods import oracles
from tests.methods.oracles import Rule
from tests.methods.problems import Network, Problem, Quadratic, Waves, flat

STEPS = 120
PLAN = Plan(lr=0.1, steps_per_epoch=10)
WIDE = Plan(lr=0.6, steps_per_epoch=10)  # a cap that hides less, and still keeps LQA in

RULES: dict[str, Callable[[float], Rule]] = {
    "pal": lambda lr: oracles.pal(),
    "lqa": lambda lr: oracles.lqa(lr, True, 10),
    "lqa-consistent": lambda lr: oracles.lqa(lr, False),
    "gen": lambda lr: oracles.gen(lr),
    "l4": lambda lr: oracles.l4(False),
    "l4-mom": lambda lr: oracles.l4(True),
    "sps": lambda lr: oracles.sps(lr),
    "sps-smooth": lambda lr: oracles.sps_smoothed(10),
    "qlabgrad": lambda lr: oracles.qlabgrad(lr, False),
    "qlabgrad-fixed": lambda lr: oracles.qlabgrad(lr, True),
    "dowg": lambda lr: oracles.dowg(),
}


def test_every_method_written_by_hand_has_an_oracle() -> None:
    assert set(RULES) == {name for name, m in METHODS.items() if m.source == "by hand"}


@pytest.mark.parametrize("plan", [PLAN, WIDE], ids=["cap 0.1", "cap 0.6"])
@pytest.mark.parametrize("problem", [Quadratic, Network, Waves])
@pytest.mark.parametrize("name", RULES)
def test_the_rule_follows_its_equations(
    name: str, problem: Callable[[], Problem], plan: Plan
) -> None:
    on = problem()
    training = METHODS[name].start(on.module, plan)
    rule = RULES[name](plan.lr)(flat(on.module), on.minibatches(STEPS))
    eta, weights = next(rule)
    etas: list[float] = []
    for t in range(STEPS):
        training.step(ModelBatch(on.module, lambda t=t: on.loss(t)))
        reached = flat(on.module)
        assert np.linalg.norm(reached - weights) <= 1e-12 * np.linalg.norm(weights), t
        # Where the curvature is next to 0, what is left of L+ + L- - 2 L_0 has fewer digits.
        assert training.effective_lr() == pytest.approx(eta, rel=1e-11, abs=0), t
        etas.append(eta)
        if t < STEPS - 1:
            # From the same weights again: some of these runs are chaotic, and double a difference
            # of 1e-16 at every step.
            eta, weights = rule.send(reached)
    assert np.count_nonzero(etas) > STEPS / 2
