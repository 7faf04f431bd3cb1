"""What is done to pictures, against torchvision where it does the same with its own numbers."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import v2

from experiments.tasks.vision.augment import (
    CutAndFlipped,
    Padded,
    Preparation,
    ShiftedAndFlipped,
    random_part,
)
from tests.vision.folders import noise

EVERY_PREPARATION = pytest.mark.parametrize(
    "preparation",
    [Padded(2), ShiftedAndFlipped(), CutAndFlipped(24, shorter_side=28), CutAndFlipped(40, 40)],
)


def picture(height: int, width: int, number: int = 0) -> torch.Tensor:
    return torch.from_numpy(noise(height, width, number)).permute(2, 0, 1)


@EVERY_PREPARATION
def test_the_same_numbers_give_the_same_picture_and_torch_draws_none(
    preparation: Preparation,
) -> None:
    original = picture(32, 32)
    kept = original.clone()
    state = torch.get_rng_state()
    first, again = (preparation.train(original, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert torch.equal(original, kept)
    assert first.dtype == torch.uint8
    assert first.shape == preparation.evaluate(original).shape


@EVERY_PREPARATION
def test_other_numbers_give_another_picture(preparation: Preparation) -> None:
    made = {
        tuple(preparation.train(picture(32, 32), np.random.default_rng(n)).flatten().tolist())
        for n in range(20)
    }
    assert len(made) == 1 if isinstance(preparation, Padded) else len(made) >= 18


def test_a_shifted_picture_is_one_of_the_162_there_are() -> None:
    original = picture(32, 32)
    padded = np.pad(original.numpy(), ((0, 0), (4, 4), (4, 4)))
    possible = {}
    for top in range(9):
        for left in range(9):
            window = padded[:, top : top + 32, left : left + 32]
            possible[window.tobytes()] = (top, left, False)
            possible[window[:, :, ::-1].tobytes()] = (top, left, True)
    assert len(possible) == 162
    rng = np.random.default_rng(0)
    drawn = [
        possible[ShiftedAndFlipped().train(original, rng).contiguous().numpy().tobytes()]
        for _ in range(3000)
    ]
    assert {(top, left) for top, left, _ in drawn} == {(t, s) for t in range(9) for s in range(9)}
    assert 1350 < sum(flipped for *_, flipped in drawn) < 1650  # 5 standard deviations


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    least=st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=200)
def test_a_part_lies_within_the_picture(height: int, width: int, least: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    top, left, h, w = random_part(height, width, (least, 1.0), rng)
    assert 0 <= top <= top + h <= height
    assert 0 <= left <= left + w <= width
    assert h >= 1
    assert w >= 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (375, 500), (500, 300)])
def test_parts_are_drawn_as_torchvision_draws_them(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    original = torch.empty(3, height, width, device="meta")
    area, ratio = [0.08, 1.0], [3 / 4, 4 / 3]
    ours = np.array([random_part(height, width, (0.08, 1.0), rng) for _ in range(3000)])
    theirs = np.array([part_of_torchvision(original, area, ratio) for _ in range(3000)])
    for column in range(4):
        assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3
    shapes = [numbers[:, 3] / numbers[:, 2] for numbers in (ours, theirs)]
    assert ks_2samp(*shapes).pvalue > 1e-3


def part_of_torchvision(image: Any, area: list[float], ratio: list[float]) -> tuple[int, ...]:
    from torchvision.transforms import RandomResizedCrop

    return RandomResizedCrop.get_params(image, area, ratio)


@pytest.mark.parametrize(("height", "width"), [(300, 10), (10, 300), (100, 60)])
@pytest.mark.parametrize("ratio", [3 / 4, 4 / 3])
def test_a_part_that_never_fits_gives_way_to_torchvisions_middle(
    height: int, width: int, ratio: float
) -> None:
    image = torch.empty(3, height, width, device="meta")
    # All of the area in one shape, which is not that of the picture.
    theirs = part_of_torchvision(image, [1.0, 1.0], [ratio, ratio])
    ours = random_part(height, width, (1.0, 1.0), np.random.default_rng(0), (ratio, ratio))
    assert ours == tuple(theirs)


@pytest.mark.parametrize(("height", "width"), [(60, 80), (90, 70), (64, 64), (30, 33)])
def test_the_middle_is_the_one_that_torchvision_cuts(height: int, width: int) -> None:
    original = picture(height, width)
    theirs = v2.Compose([v2.Resize(50, antialias=True), v2.CenterCrop(44)])(original)
    assert torch.equal(CutAndFlipped(44, shorter_side=50).evaluate(original), theirs)


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    original = picture(64, 64)
    assert torch.equal(CutAndFlipped(64, shorter_side=64).evaluate(original), original)


def test_padding_is_black() -> None:
    original = picture(28, 28)
    padded = Padded(2).evaluate(original)
    assert padded.shape == (3, 32, 32)
    assert torch.equal(padded[:, 2:-2, 2:-2], original)
    assert padded.sum() == original.sum()
