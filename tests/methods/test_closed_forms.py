"""Steps whose length is known beforehand, on random quadratics."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the methods need PyTorch")

import torch

from experiments.methods._one_step_size import OneStepSize
from experiments.methods.dowg import DoWG
from experiments.methods.gen import GeN
from experiments.methods.l4 import L4
from experiments.methods.lqa import LQA
from experiments.methods.pal import PAL
from experiments.methods.qlabgrad import QLABGrad
from experiments.methods.sps import SPS

seeds = st.integers(0, 2**31)
FAR = 1e6  # a cap that is never met


class Bowl:
    """1/2 w' A w + floor at a random w, A with eigenvalues from 1/2 to 2."""

    def __init__(self, seed: int, floor: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        q, _ = np.linalg.qr(rng.standard_normal((5, 5)))
        a = q * rng.uniform(0.5, 2.0, 5) @ q.T
        start = rng.standard_normal(5) + 1
        self.gradient = a @ start
        self.square = self.gradient @ self.gradient
        self.exact = self.square / (self.gradient @ a @ self.gradient)  # the minimum along -g
        self.start_loss = start @ a @ start / 2 + floor
        self.w = torch.nn.Parameter(torch.from_numpy(start))
        self._a, self._floor = torch.from_numpy(a), floor

    def loss(self) -> torch.Tensor:
        return self.w @ self._a @ self.w / 2 + self._floor

    def closure(self) -> torch.Tensor:
        self.w.grad = None
        loss = self.loss()
        loss.backward()
        return loss


@pytest.mark.parametrize(
    "make",
    [
        lambda w: PAL(w, alpha=1.0, beta=0.0, max_step=FAR),
        lambda w: LQA(w, FAR, "consistent"),
        lambda w: QLABGrad(w, FAR),
        lambda w: QLABGrad(w, FAR, fixed=True),
    ],
    ids=["PAL", "LQA", "QLABGrad", "QLABGrad, fixed"],
)
@given(seed=seeds)
def test_a_parabola_is_searched_to_its_minimum(
    make: Callable[[list[torch.Tensor]], OneStepSize], seed: int
) -> None:
    bowl = Bowl(seed, floor=0.3)
    optimizer = make([bowl.w])
    optimizer.step(bowl.closure, bowl.loss)  # type: ignore[call-arg]
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(bowl.exact, rel=1e-9)
    bowl.closure()
    assert bowl.w.grad.numpy() @ bowl.gradient == pytest.approx(0, abs=1e-9 * bowl.square)


@given(seed=seeds, alpha=st.floats(0.5, 1.9))
def test_pal_oversteps_by_alpha(seed: int, alpha: float) -> None:
    bowl = Bowl(seed)
    optimizer = PAL([bowl.w], alpha=alpha, beta=0.0, max_step=FAR)
    optimizer.step(bowl.closure, bowl.loss)
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(alpha * bowl.exact, rel=1e-9)


@given(seed=seeds, longest=st.floats(1e-3, 0.05))
def test_pal_goes_no_further_than_its_longest_step(seed: int, longest: float) -> None:
    bowl = Bowl(seed)
    before = bowl.w.detach().clone()
    PAL([bowl.w], max_step=longest).step(bowl.closure, bowl.loss)
    assert float((bowl.w.detach() - before).norm()) == pytest.approx(longest, rel=1e-9)


@given(seed=seeds, lr=st.floats(0.01, 10.0))
def test_gen_without_smoothing_takes_the_newton_step_or_half_or_twice_the_old(
    seed: int, lr: float
) -> None:
    bowl = Bowl(seed)
    optimizer = GeN([bowl.w], lr, smoothing=0.0)
    optimizer.step(bowl.closure, bowl.loss)
    newton = min(max(bowl.exact, lr / 2), 2 * lr)
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(newton, rel=1e-8)


@given(seed=seeds)
def test_sps_halves_the_distance_rule_of_polyak(seed: int) -> None:
    bowl = Bowl(seed, floor=0.7)
    optimizer = SPS([bowl.w], FAR, c=0.5, f_star=0.7, eps=0.0)
    optimizer.step(bowl.closure)
    expected = 2 * (bowl.start_loss - 0.7) / bowl.square
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(expected, rel=1e-12)


def test_sps_solves_a_sphere_in_one_step_and_then_rests() -> None:
    w = torch.nn.Parameter(torch.tensor([3.0, -4.0], dtype=torch.float64))
    optimizer = SPS([w], FAR, c=0.5, eps=0.0)

    def closure() -> torch.Tensor:
        w.grad = None
        loss = w @ w
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.equal(w.detach(), torch.zeros(2, dtype=torch.float64))
    optimizer.step(closure)  # a gradient of 0
    assert optimizer.param_groups[0]["step_size"] == 0
    assert torch.isfinite(w).all()


def test_sps_does_not_step_below_its_bound() -> None:
    bowl = Bowl(0)
    before = bowl.w.detach().clone()
    optimizer = SPS([bowl.w], FAR, f_star=bowl.start_loss + 1)
    optimizer.step(bowl.closure)
    assert torch.equal(bowl.w.detach(), before)


@given(seed=seeds, steps_per_epoch=st.integers(1, 50))
def test_sps_smoothed_doubles_in_an_epoch_at_most(seed: int, steps_per_epoch: int) -> None:
    bowl = Bowl(seed, floor=1e6)  # so that only the growth bounds the step
    optimizer = SPS([bowl.w], 1e-6, growth=2.0, steps_per_epoch=steps_per_epoch)
    for _ in range(steps_per_epoch):
        optimizer.step(bowl.closure)
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(2e-6, rel=1e-9)


@pytest.mark.parametrize("direction", ["gradient", "mean"])
@given(seed=seeds)
def test_the_first_step_of_l4_takes_alpha_times_the_excess(seed: int, direction: str) -> None:
    bowl = Bowl(seed)
    optimizer = L4([bowl.w], direction)  # type: ignore[arg-type]
    optimizer.step(bowl.closure)
    expected = 0.15 * (1 - 0.9 * 0.75) * bowl.start_loss / bowl.square
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(expected, rel=1e-9)


@given(seed=seeds)
def test_the_first_step_of_dowg_is_as_long_as_the_distance_it_assumes(seed: int) -> None:
    bowl = Bowl(seed)
    optimizer = DoWG([bowl.w], r_eps=1e-3, eps=0.0)
    before = bowl.w.detach().clone()
    bowl.closure()
    optimizer.step()
    assert float((bowl.w.detach() - before).norm()) == pytest.approx(1e-3, rel=1e-9)
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(
        1e-3 / math.sqrt(bowl.square), rel=1e-9
    )


@given(seed=seeds)
def test_lqa_as_published_measures_in_units_of_the_largest_gradient(seed: int) -> None:
    bowl = Bowl(seed)
    optimizer = LQA([bowl.w], FAR)
    optimizer.step(bowl.closure, bowl.loss)
    expected = bowl.exact * float(np.abs(bowl.gradient).max())
    assert optimizer.param_groups[0]["step_size"] == pytest.approx(expected, rel=1e-9)
