"""Food-101, Tiny ImageNet and ImageNet-100 on a laptop: small relatives of the paper's tasks.

Each takes minutes on two cores, and at least 2,000 steps, so that a window of 500 is full after a
quarter of the run.
"""

from experiments.tasks.vision import small_networks
from experiments.tasks.vision.augment import ShiftedAndFlipped
from experiments.tasks.vision.classification import ClassificationTask, Recipe
from experiments.tasks.vision.food101 import food101
from experiments.tasks.vision.imagenet100 import imagenet100
from experiments.tasks.vision.paper_scale import IMAGENET_COLOURS
from experiments.tasks.vision.shrink import Shrunk
from experiments.tasks.vision.tiny_imagenet import tiny_imagenet

_BATCH = 32
_EPOCHS = 20
_HELD_OUT = 0.1  # a twentieth of twenty pictures would be a single one


class _Food101(ClassificationTask):
    recipe = Recipe(
        data="Food-101",
        classes=101,
        find=Shrunk(food101, size=64, train=40, test=10),
        published={},
        network=small_networks.small_dla,
        preparation=ShiftedAndFlipped(),
        colours=IMAGENET_COLOURS,
    )


class _TinyImageNet(ClassificationTask):
    recipe = Recipe(
        data="Tiny ImageNet",
        classes=200,
        find=Shrunk(tiny_imagenet, size=32, train=20, test=5),
        published={},
        network=small_networks.small_inception,
        preparation=ShiftedAndFlipped(),
        colours=IMAGENET_COLOURS,
    )


class _ImageNet100(ClassificationTask):
    recipe = Recipe(
        data="ImageNet-100",
        classes=100,
        find=Shrunk(imagenet100, size=32, train=40, test=10),
        published={},
        network=small_networks.small_densenet,
        preparation=ShiftedAndFlipped(),
        colours=IMAGENET_COLOURS,
    )


TASKS = (
    _Food101(
        "food101",
        "Food-101 (64 px), DLA-46-C",
        "laptop",
        epochs=_EPOCHS,
        batch=_BATCH,
        metric="accuracy",
        held_out=_HELD_OUT,
    ),
    _TinyImageNet(
        "tiny-imagenet",
        "Tiny ImageNet (32 px), small Inception",
        "laptop",
        epochs=_EPOCHS,
        batch=_BATCH,
        metric="accuracy",
        held_out=_HELD_OUT,
    ),
    _ImageNet100(
        "imagenet100",
        "ImageNet-100 (32 px), small DenseNet",
        "laptop",
        epochs=_EPOCHS,
        batch=_BATCH,
        metric="accuracy",
        held_out=_HELD_OUT,
    ),
)
