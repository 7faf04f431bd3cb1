"""The paper's smaller data sets at laptop scale: a part of the images and a small network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.data import Images, read
from experiments.errors import RequestError
from experiments.tasks._l2 import l2_term
from experiments.tasks._order import held_out, indices
from experiments.tasks._task import WHOLE, Split, Task

Normalisation = Literal["batchnorm", "none"]

_CHANNELS = (32, 64, 128)
_VALIDATION = 1_000
_TEST = 4_000
_SHIFT = 4  # pixels by which a crop is moved at most
_NOT_MIRRORED = {"mnist"}  # a mirrored 2 is no 2
_EVALUATED_AT_ONCE = 500


@dataclass(frozen=True)
class SmallImages(Task):
    """Image classification by a small convolutional net."""

    images: int = 10_000  # to train on; those of the validation split are others
    augment: bool = False  # random crops, and mirroring where a mirrored image is a like one
    normalisation: Normalisation = "batchnorm"

    def open(self, folder: Path | None) -> "SmallImagesProblem":
        """Read the data; see `Task.open`."""
        return SmallImagesProblem(self, read(self.name, folder))


class SmallImagesProblem:
    """The images of a `SmallImages` task, split three ways by a fixed seed.

    The validation images, about 1,000 of the training set and the same share of each class, do not
    depend on how many images are trained on; the test images are at most 4,000 of the test set.
    """

    def __init__(self, task: SmallImages, data: Images) -> None:
        share = min(_VALIDATION / len(data.y_train), 0.2)
        rest, validation = held_out(data.y_train, share)
        rest = np.random.default_rng(0).permutation(rest)
        if not task.batch <= task.images <= len(rest):
            raise RequestError(
                f"{task.name}: expected a batch of at most the training images, and at most "
                f"{len(rest)} of these. Received: batch {task.batch}, images {task.images}"
            )
        train = rest[: task.images]
        test = np.random.default_rng(1).permutation(len(data.x_test))[:_TEST]
        self._task = task
        self._classes = data.classes
        self._x, self._y = data.x_train[train], data.y_train[train]
        self._splits: dict[Split, tuple[NDArray[np.uint8], NDArray[np.int64]]] = {
            "validation": (data.x_train[validation], data.y_train[validation]),
            "test": (data.x_test[test], data.y_test[test]),
        }
        self._mean = self._x.mean((0, 1, 2), dtype=np.float64).astype(np.float32)
        self._std = self._x.std((0, 1, 2), dtype=np.float64).astype(np.float32) + 1e-3
        self.steps_per_epoch = task.images // task.batch  # what fills no batch waits an epoch

    @property
    def images(self) -> dict[str, int]:
        """How many there are; see `Problem.images`."""
        return {"train": len(self._x), **{split: len(x) for split, (x, _) in self._splits.items()}}

    def model(self) -> nn.Module:
        """Three 3 x 3 convolutions, the first with stride 2, with pooling after the first two.

        The mean over height and width and a linear layer end it. Channels come last in memory: a
        step takes a fifth to a half less time than with channels first on the CPU.
        """
        normalised = self._task.normalisation == "batchnorm"
        layers: list[nn.Module] = []
        height, width, channels = self._x.shape[1:]
        for block, out in enumerate(_CHANNELS):
            convolution = nn.Conv2d(
                channels, out, 3, stride=2 if block == 0 else 1, padding=1, bias=not normalised
            )
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            layers.append(convolution)
            if normalised:
                layers.append(nn.BatchNorm2d(out))
            layers.append(nn.ReLU())
            if block < 2:
                layers.append(nn.MaxPool2d(2))
            channels = out
        height, width = ((side + 1) // 2 // 4 for side in (height, width))
        linear = nn.Linear(channels * height * width, self._classes)
        nn.init.zeros_(linear.weight)
        layers += [nn.Flatten(), linear]
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def batch(self, seed: int, step: int, part: slice = WHOLE) -> tuple[Tensor, Tensor]:
        """Images f32[B, C, H, W], standardised, and labels i64[B]; see `Problem.batch`."""
        size = self._task.batch
        chosen = indices(len(self._x), size, seed, step)[part]
        images = self._x[chosen]
        if self._task.augment:
            rng = np.random.default_rng([seed, 2, step])
            # Drawn for the whole minibatch, so that each part gets its own of the same numbers.
            shifts = rng.integers(0, 2 * _SHIFT + 1, (size, 2))[part]
            mirrored = rng.random(size)[part] < 0.5
            if self._task.name in _NOT_MIRRORED:
                mirrored[:] = False
            images = augmented(images, shifts, mirrored)
        return self._standardised(images), torch.from_numpy(self._y[chosen])

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy in nats, and the L2 term if there is one."""
        images, labels = batch
        loss = cross_entropy(model(images), labels)
        return loss + l2_term(model, self._task.l2) if self._task.l2 else loss

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: Split) -> dict[str, float]:
        """Accuracy in [0, 1] and mean cross-entropy in nats, without the L2 term."""
        x, y = self._splits[split]
        device = next(model.parameters()).device
        right, loss = 0, 0.0
        for start in range(0, len(x), _EVALUATED_AT_ONCE):
            part = slice(start, start + _EVALUATED_AT_ONCE)
            labels = torch.from_numpy(y[part]).to(device)
            logits = model(self._standardised(x[part]).to(device)).float()
            right += int((logits.argmax(1) == labels).sum())
            loss += float(cross_entropy(logits, labels, reduction="sum"))
        return {"accuracy": right / len(x), "loss": loss / len(x)}

    def _standardised(self, images: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy((images - self._mean) / self._std).permute(0, 3, 1, 2)


def augmented(
    images: NDArray[np.uint8], shifts: NDArray[np.int64], mirrored: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Crop each image out of itself with a black border of 4 pixels, and mirror some.

    Args:
      images: u8[N, H, W, C].
      shifts: i64[N, 2] in [0, 8], the upper left corner of each crop in the image with its border;
        4 leaves it in its place.
      mirrored: bool[N], which ones to turn left to right, after the crop.

    Returns:
      u8[N, H, W, C].
    """
    n, height, width, _ = images.shape
    border = (_SHIFT, _SHIFT)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)))
    rows = shifts[:, :1] + np.arange(height)
    columns = shifts[:, 1:] + np.where(mirrored[:, None], np.arange(width)[::-1], np.arange(width))
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


# About 1,000 steps each, 20 seconds of one core. The window is a tenth of them: the paper's 500
# would be half of a run.
TASKS = tuple(
    SmallImages(
        name, label, "laptop", epochs, 64, "accuracy", window=100, images=images, augment=augment
    )
    for name, label, epochs, images, augment in (
        ("mnist", "MNIST", 5, 10_000, False),  # fitted after two epochs
        ("fashion-mnist", "Fashion-MNIST", 6, 10_000, False),
        ("cifar10", "CIFAR-10", 7, 10_000, True),  # never fitted
        ("cifar100", "CIFAR-100", 14, 5_000, False),  # fitted in the end, as few images a class are
    )
)
