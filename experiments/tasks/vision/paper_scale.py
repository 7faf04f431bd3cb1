"""The paper's six classification tasks at the paper's scale (arXiv 2601.15212, section 4).

Data, network and batch size are the paper's. What is marked "ours" the paper's text at hand does
not say; docs/paper-scale.md gives the reason for each.
"""

from experiments.tasks.vision import networks
from experiments.tasks.vision.augment import CutAndFlipped, Padded, ShiftedAndFlipped
from experiments.tasks.vision.classification import ClassificationTask, Colours, Recipe
from experiments.tasks.vision.food101 import food101
from experiments.tasks.vision.imagenet100 import imagenet100
from experiments.tasks.vision.small_sets import cifar10, cifar100, mnist
from experiments.tasks.vision.tiny_imagenet import tiny_imagenet

IMAGENET_COLOURS = Colours((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

_BATCH = 128


class _Mnist(ClassificationTask):
    recipe = Recipe(
        data="MNIST",
        classes=10,
        find=mnist,
        published={"train": 60_000, "test": 10_000},
        network=networks.efficientnet_b0,
        preparation=Padded(2),  # ours: 32 x 32, no augmentation
        colours=Colours((0.1307,) * 3, (0.3081,) * 3),
    )


class _Cifar10(ClassificationTask):
    recipe = Recipe(
        data="CIFAR-10",
        classes=10,
        find=cifar10,
        published={"train": 50_000, "test": 10_000},
        network=networks.vgg19,
        preparation=ShiftedAndFlipped(),  # ours
        colours=Colours((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    )


class _Cifar100(ClassificationTask):
    recipe = Recipe(
        data="CIFAR-100",
        classes=100,
        find=cifar100,
        published={"train": 50_000, "test": 10_000},
        network=networks.resnet50,
        preparation=ShiftedAndFlipped(),  # ours
        colours=Colours((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    )


class _Food101(ClassificationTask):
    recipe = Recipe(
        data="Food-101",
        classes=101,
        find=food101,
        published={"train": 75_750, "test": 25_250},
        network=networks.dla34,  # ours: which DLA
        preparation=CutAndFlipped(224, shorter_side=256),  # ours
        colours=IMAGENET_COLOURS,
    )


class _TinyImageNet(ClassificationTask):
    recipe = Recipe(
        data="Tiny ImageNet",
        classes=200,
        find=tiny_imagenet,
        published={"train": 100_000, "test": 10_000},
        network=networks.inception_v1,  # ours: which Inception
        preparation=CutAndFlipped(64, shorter_side=64),  # ours
        colours=IMAGENET_COLOURS,
    )


class _ImageNet100(ClassificationTask):
    recipe = Recipe(
        data="ImageNet-100",
        classes=100,
        find=imagenet100,
        published={"test": 5_000},
        network=networks.densenet121,
        preparation=CutAndFlipped(224, shorter_side=256),  # ours
        colours=IMAGENET_COLOURS,
    )


TASKS = (
    _Mnist(
        "mnist",
        "MNIST, EfficientNet-B0",
        "paper",
        epochs=30,  # ours
        batch=_BATCH,
        metric="accuracy",
    ),
    _Cifar10(
        "cifar10",
        "CIFAR-10, VGG-19",
        "paper",
        epochs=200,  # ours
        batch=_BATCH,
        metric="accuracy",
    ),
    _Cifar100(
        "cifar100",
        "CIFAR-100, ResNet-50",
        "paper",
        epochs=200,  # ours
        batch=_BATCH,
        metric="accuracy",
    ),
    _Food101(
        "food101",
        "Food-101, DLA-34",
        "paper",
        epochs=90,  # ours
        batch=_BATCH,
        metric="accuracy",
    ),
    _TinyImageNet(
        "tiny-imagenet",
        "Tiny ImageNet, Inception-v1",
        "paper",
        epochs=90,  # ours
        batch=_BATCH,
        metric="accuracy",
    ),
    _ImageNet100(
        "imagenet100",
        "ImageNet-100, DenseNet-121",
        "paper",
        epochs=90,  # ours
        batch=_BATCH,
        metric="accuracy",
    ),
)
