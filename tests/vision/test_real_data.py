"""The tasks on real images, where there are any."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.tasks._task import Scale
from tests.vision.tiny import model, problem

DATA = Path(os.environ.get("ZENITH_DATA", ""))
pytestmark = pytest.mark.skipif(
    "ZENITH_DATA" not in os.environ, reason="ZENITH_DATA names no folder of real data sets"
)

# What has to be there, and the folder of data sets that it makes.
PLACES = {
    "mnist": ("MNIST", "."),
    "cifar10": ("cifar10.npz", "."),
    "cifar100": ("cifar100-subset.npz", "."),
    "tiny-imagenet": ("tiny-imagenet-200", "."),
    "keypoint-rcnn": ("tiny_coco", "tiny_coco"),
    "mask-rcnn": ("tiny_coco", "tiny_coco"),
}


def opened(name: str, scale: Scale) -> Any:
    needs, folder = PLACES[name]
    if not (DATA / needs).exists():
        pytest.skip(f"ZENITH_DATA has no {needs}")
    return problem(name, scale, DATA / folder)


@pytest.mark.parametrize("name", PLACES)
def test_a_step_at_paper_scale(name: str) -> None:
    torch.manual_seed(0)
    task = opened(name, "paper")
    network = model(task).train()
    batch = task.batch(0, 0)
    loss = task.loss(network, batch)
    loss.backward()
    assert loss.isfinite()
    if name in ("mnist", "cifar10", "cifar100", "tiny-imagenet"):
        images, labels = batch
        # Standardised over the whole set, so near 0 and 1 in any four of its images.
        assert abs(images.mean()) < 1.5
        assert 0.2 < images.std() < 2
        assert labels.unique().numel() > 1


@pytest.mark.parametrize("name", ["tiny-imagenet", "keypoint-rcnn", "mask-rcnn"])
def test_the_loss_falls_at_laptop_scale(name: str) -> None:
    torch.manual_seed(0)
    task = opened(name, "laptop")
    network = model(task).train()
    batch = task.batch(0, 0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    losses = []
    for _ in range(8):
        loss = task.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
