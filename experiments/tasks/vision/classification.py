"""Telling classes apart: the problem, and the task that opens it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from experiments.errors import RequestError
from experiments.tasks._l2 import l2_term
from experiments.tasks._order import held_out, image_generator, indices
from experiments.tasks._prefetch import prefetched, usable_cores
from experiments.tasks._task import WHOLE, Split, Task
from experiments.tasks.vision._counts import check_published, steps_per_epoch
from experiments.tasks.vision._extra import vision_extra
from experiments.tasks.vision.augment import Preparation
from experiments.tasks.vision.pictures import Pictures

_FEW = 4  # batches of a split for which worker processes are not worth their start


class Sets(NamedTuple):
    """A data set as it lies on the disk."""

    train: Pictures
    test: Pictures


class Colours(NamedTuple):
    """Mean and standard deviation of the channels of a data set, of values from 0 to 1."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


class Recipe(NamedTuple):
    """What a task is made of."""

    data: str  # in tables: "Food-101"
    classes: int
    find: Callable[[Path | None], Sets]
    published: Mapping[str, int]  # images of "train" and "test", where that is known
    network: Callable[[int], nn.Module]  # from the number of classes
    preparation: Preparation
    colours: Colours


@dataclass(frozen=True)
class ClassificationTask(Task):
    """A network that tells the classes of a data set apart; a subclass has the recipe."""

    recipe: ClassVar[Recipe]

    held_out: float = 0.05  # share of each class of the training set, for validation
    partial: bool = False  # take a data set of which a part is missing

    def open(self, folder: Path | None) -> "Classification":
        """Read the data; see `Task.open`."""
        with vision_extra(self.name):
            return Classification(self, self.recipe.find(folder))

    def model(self) -> nn.Module:
        """A fresh network; it needs no data."""
        with vision_extra(self.name):
            return self.recipe.network(self.recipe.classes)


class Classification:
    """A `Problem`: cross-entropy, and the share of pictures that are told right."""

    def __init__(self, task: ClassificationTask, sets: Sets) -> None:
        _check(task, sets)
        self.task = task
        self.train = sets.train
        self.trained_on, validation = held_out(sets.train.labels, task.held_out)
        self.splits: dict[Split, tuple[Pictures, NDArray[np.int64]]] = {
            "validation": (sets.train, validation),
            "test": (sets.test, np.arange(len(sets.test.labels))),
        }
        self.steps_per_epoch = steps_per_epoch(task, len(self.trained_on))

    @property
    def images(self) -> dict[str, int]:
        """How many there are to train on, to validate and to test with."""
        return {
            "train": len(self.trained_on),
            **{split: len(chosen) for split, (_, chosen) in self.splits.items()},
        }

    def model(self) -> nn.Module:
        return self.task.model()

    def batch(self, seed: int, step: int, part: slice = WHOLE) -> tuple[Tensor, Tensor]:
        """Images f32[B, 3, S, S], standardised, and labels i64[B]; see `Problem.batch`."""
        chosen = self.trained_on[indices(len(self.trained_on), self.task.batch, seed, step)][part]
        prepare = self.task.recipe.preparation.train
        images = [
            prepare(self.train.read(index), image_generator(seed, step, index))
            for index in chosen.tolist()
        ]
        return self._together(images, self.train.labels[chosen])

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy in nats, and the L2 term if there is one."""
        images, labels = batch
        loss = functional.cross_entropy(model(images), labels)
        return loss + l2_term(model, self.task.l2) if self.task.l2 else loss

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: Split) -> dict[str, float]:
        """Accuracy in [0, 1] and mean cross-entropy in nats, without the L2 term."""
        pictures, chosen = self.splits[split]
        batches = range(-(-len(chosen) // self.task.batch))
        workers = usable_cores() if pictures.in_files and len(batches) > _FEW else 0
        device = next(model.parameters()).device
        loss, right = 0.0, 0
        for images, labels in prefetched(partial(self._part, split), batches, workers):
            logits = model(images.to(device)).float().cpu()
            loss += functional.cross_entropy(logits, labels, reduction="sum").item()
            right += int((logits.argmax(1) == labels).sum())
        return {"loss": loss / len(chosen), "accuracy": right / len(chosen)}

    def _part(self, split: Split, number: int) -> tuple[Tensor, Tensor]:
        pictures, chosen = self.splits[split]
        part = chosen[number * self.task.batch : (number + 1) * self.task.batch]
        prepare = self.task.recipe.preparation.evaluate
        return self._together(
            [prepare(pictures.read(index)) for index in part.tolist()], pictures.labels[part]
        )

    def _together(self, images: list[Tensor], labels: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        colours = self.task.recipe.colours
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in colours)
        pixels = torch.stack(images).float().div_(255)
        return pixels.sub_(mean).div_(deviation), torch.from_numpy(labels)


def _check(task: ClassificationTask, sets: Sets) -> None:
    recipe = task.recipe
    for pictures in sets:
        if pictures.labels.max() >= recipe.classes:
            raise RequestError(
                f"{task.name}: expected {recipe.classes} classes, found {pictures.labels.max() + 1}"
            )
    if not task.partial:
        found = {part: len(pictures.labels) for part, pictures in sets._asdict().items()}
        check_published(task, recipe.data, found, recipe.published)
