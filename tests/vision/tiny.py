"""The tasks with a few images and, where the network allows it, small ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from experiments.tasks import find
from experiments.tasks._task import Scale

CLASSIFICATION: list[tuple[str, Scale]] = [
    ("mnist", "paper"),
    ("cifar10", "paper"),
    ("cifar100", "paper"),
    ("food101", "paper"),
    ("tiny-imagenet", "paper"),
    ("imagenet100", "paper"),
    ("food101", "laptop"),
    ("tiny-imagenet", "laptop"),
    ("imagenet100", "laptop"),
]
DETECTION: list[tuple[str, Scale]] = [
    ("keypoint-rcnn", "paper"),
    ("mask-rcnn", "paper"),
    ("keypoint-rcnn", "laptop"),
    ("mask-rcnn", "laptop"),
]
BATCH = 4


def problem(name: str, scale: Scale, folder: Path, **changes: Any) -> Any:
    """The task on the generated images, with minibatches of four and short evaluations."""
    task = replace(find(name, scale), batch=BATCH, partial=True, **changes)
    opened: Any = task.open(folder)
    opened.splits = {split: (part, chosen[:3]) for split, (part, chosen) in opened.splits.items()}
    return opened


def model(opened: Any) -> nn.Module:
    """Its network as it is; the R-CNNs resize images to 64 pixels and not to 640 and more."""
    network = opened.model()
    if isinstance(network, GeneralizedRCNN):
        network.transform.min_size, network.transform.max_size = (64,), 96
    return network
