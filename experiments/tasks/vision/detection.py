"""Finding objects and people in photographs: the problem, and the task that opens it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.errors import RequestError
from experiments.tasks._l2 import l2_term
from experiments.tasks._order import held_out, image_generator, indices
from experiments.tasks._prefetch import prefetched, usable_cores
from experiments.tasks._task import WHOLE, Split, Task
from experiments.tasks.vision._counts import check_published, steps_per_epoch
from experiments.tasks.vision._extra import vision_extra
from experiments.tasks.vision.coco import Annotations, Coco, CocoPart, coco
from experiments.tasks.vision.map50 import Overlap, map50

Target = dict[str, Tensor]

# Eyes, ears, shoulders and so on change sides in a mirror; only the nose, the first, does not.
_MIRRORED_KEYPOINTS = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
_FEW = 64  # images of a split for which worker processes are not worth their start


class DetectionRecipe(NamedTuple):
    """What a task is made of."""

    annotations: Annotations
    published: Mapping[str, int]  # images of "train" and "test", where that is known
    most: tuple[int | None, int | None]  # images to use of each; None: all that there are
    network: Callable[[bool], nn.Module]  # from whether its backbone is pretrained
    metrics: dict[str, Overlap]  # the first is the one by which methods are ranked


@dataclass(frozen=True)
class DetectionTask(Task):
    """An R-CNN on COCO; a subclass has the recipe."""

    recipe: ClassVar[DetectionRecipe]

    held_out: float = 0.02  # share of the training images, for validation
    partial: bool = False  # take a data set of which a part is missing
    pretrained: bool = False  # start from torchvision's ImageNet weights, which are downloaded

    def open(self, folder: Path | None) -> "Detection":
        """Read the annotations; see `Task.open`."""
        with vision_extra(self.name):
            return Detection(self, coco(folder, self.recipe.annotations))

    def model(self) -> nn.Module:
        """A fresh network; it needs no data."""
        with vision_extra(self.name):
            return self.recipe.network(self.pretrained)


class Detection:
    """A `Problem`: the losses of torchvision's R-CNN, and mAP50 of boxes and masks or keypoints."""

    def __init__(self, task: DetectionTask, parts: Coco) -> None:
        if not task.partial:
            found = {name: len(part) for name, part in parts._asdict().items()}
            check_published(task, "COCO 2017", found, task.recipe.published)
        self.task = task
        self.train = parts.train
        train, test = task.recipe.most
        usable = self.train.trainable()[:train]
        if not len(usable):
            raise RequestError(f"{task.name}: none of the training images has anything to learn")
        trained_on, validation = held_out(np.zeros_like(usable), task.held_out)
        self.trained_on = usable[trained_on]
        self.splits: dict[Split, tuple[CocoPart, NDArray[np.int64]]] = {
            "validation": (parts.train, usable[validation]),
            "test": (parts.test, np.arange(len(parts.test))[:test]),
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

    def batch(self, seed: int, step: int, part: slice = WHOLE) -> tuple[list[Tensor], list[Target]]:
        """Images f32[3, H, W] from 0 to 1, each of its own size, and `CocoPart.target` of each."""
        chosen = self.trained_on[indices(len(self.trained_on), self.task.batch, seed, step)][part]
        images, targets = [], []
        for index in chosen.tolist():
            image, target = self.train.read(index), self.train.target(index)
            if image_generator(seed, step, index).random() < 0.5:
                image, target = mirrored(image, target)
            images.append(image / 255)
            targets.append(target)
        return images, targets

    def loss(self, model: nn.Module, batch: tuple[list[Tensor], list[Target]]) -> Tensor:
        """The sum of the losses of proposals, boxes and masks or keypoints, and the L2 term."""
        losses: dict[str, Tensor] = model(*batch)
        loss = torch.stack(list(losses.values())).sum()
        return loss + l2_term(model, self.task.l2) if self.task.l2 else loss

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: Split) -> dict[str, float]:
        """Each mAP50 in [0, 1]; no loss, which these networks have in training mode only."""
        part, chosen = self.splits[split]
        workers = usable_cores() if len(chosen) > _FEW else 0
        device = next(model.parameters()).device
        metrics = self.task.recipe.metrics
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in metrics}
        truth = part.ground_truth(chosen)
        # One by one: in a batch, the size of an image would depend on the others.
        pictures = prefetched(partial(_picture, part, chosen), range(len(chosen)), workers)
        for picture, image in zip(pictures, truth["images"], strict=True):
            (output,) = model([picture.to(device)])
            output = {key: value.cpu() for key, value in output.items()}
            for name, overlap in metrics.items():
                found[name] += _detections(image["id"], output, overlap)
        return {name: map50(truth, found[name], overlap) for name, overlap in metrics.items()}


def mirrored(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Image and target as in a mirror, left to right."""
    width = image.shape[-1]
    left, top, right, bottom = target["boxes"].unbind(1)
    target = {**target, "boxes": torch.stack([width - right, top, width - left, bottom], 1)}
    if "masks" in target:
        target["masks"] = target["masks"].flip(-1)
    if "keypoints" in target:
        keypoints = target["keypoints"][:, _MIRRORED_KEYPOINTS].clone()
        keypoints[..., 0] = width - keypoints[..., 0]
        keypoints[keypoints[..., 2] == 0] = 0  # what is not marked lies at (0, 0), as in COCO
        target["keypoints"] = keypoints
    return image.flip(-1), target


def _picture(part: CocoPart, chosen: NDArray[np.int64], number: int) -> Tensor:
    return part.read(int(chosen[number])) / 255


def _detections(image: int, output: Target, overlap: Overlap) -> list[dict[str, Any]]:
    """What the network found in an image, in COCO's format for results."""
    shapes: list[dict[str, Any]]
    if overlap == "bbox":
        left, top, right, bottom = output["boxes"].unbind(1)
        boxes = torch.stack([left, top, right - left, bottom - top], 1)
        shapes = [{"bbox": box} for box in boxes.tolist()]
    elif overlap == "segm":
        shapes = [{"segmentation": _run_lengths(mask[0] > 0.5)} for mask in output["masks"]]
    else:
        shapes = [{"keypoints": keypoints} for keypoints in output["keypoints"].flatten(1).tolist()]
    return [
        {"image_id": image, "category_id": label, "score": score, **shape}
        for label, score, shape in zip(
            output["labels"].tolist(), output["scores"].tolist(), shapes, strict=True
        )
    ]


def _run_lengths(mask: Tensor) -> Any:
    from pycocotools.mask import encode

    return encode(np.asfortranarray(mask.numpy(), dtype=np.uint8))
