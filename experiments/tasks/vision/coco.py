"""COCO 2017: photographs with the objects in them, their outlines, and the joints of people."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.errors import RequestError
from experiments.tasks.vision._places import existing_folder
from experiments.tasks.vision.folders import files_that_exist
from experiments.tasks.vision.packed import Packed
from experiments.tasks.vision.pictures import read_picture

Annotations = Literal["instances", "person_keypoints"]

_KEYPOINTS = 17
# A photograph is trained on if that many joints in it are marked: torchvision's references do so.
_LEAST_KEYPOINTS = 10


class CocoPart:
    """The images of one annotation file, each with its annotations.

    Args:
      file: `annotations/instances_train2017.json` or another one of that format.
      images: the folder of its pictures.
      kind: what the file is about.

    Raises:
      RequestError: a file is missing, or not what it should be.
    """

    def __init__(self, file: Path, images: Path, kind: Annotations) -> None:
        content = _read(file)
        self.kind = kind
        self.categories: list[dict[str, Any]] = content["categories"]
        of_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            of_image[annotation["image_id"]].append(annotation)
        known = {image["id"] for image in content["images"]}
        if lost := of_image.keys() - known:
            raise RequestError(
                f"{file}: {len(lost)} images have annotations and are not listed, the first of "
                f"them {min(lost)}"
            )
        paths = files_that_exist([images / image["file_name"] for image in content["images"]], file)
        self.paths = np.array([str(path) for path in paths])
        self.records = Packed(
            {**{key: image[key] for key in ("id", "height", "width")}, "all": of_image[image["id"]]}
            for image in content["images"]
        )

    def __len__(self) -> int:
        return len(self.records)

    def trainable(self) -> NDArray[np.int64]:
        """The images with something to learn from."""
        return np.array(
            [index for index in range(len(self)) if self._teaches(self.records[index])],
            dtype=np.int64,
        )

    def read(self, index: int) -> Tensor:
        """The picture as u8[3, H, W]; RequestError if it is not the one that was annotated."""
        path, record = Path(self.paths[index]), self.records[index]
        picture = read_picture(path)
        if picture.shape[-2:] != (record["height"], record["width"]):
            raise RequestError(
                f"{path}: expected a picture of {record['height']} x {record['width']} pixels, as "
                f"its annotations say, found {picture.shape[-2]} x {picture.shape[-1]}"
            )
        return picture

    def target(self, index: int) -> dict[str, Tensor]:
        """What torchvision's R-CNNs are trained on, of the n objects that are not crowds.

        Returns:
          boxes f32[n, 4] as left, top, right, bottom; labels i64[n], the categories' own numbers;
          and masks u8[n, H, W] or keypoints f32[n, 17, 3] as x, y, visible or not.
        """
        record = self.records[index]
        height, width = record["height"], record["width"]
        objects = [annotation for annotation in record["all"] if _box_in(annotation, record)]
        boxes = [_box_in(annotation, record) for annotation in objects]
        target = {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor([entry["category_id"] for entry in objects], dtype=torch.int64),
        }
        if self.kind == "instances":
            masks = [_mask(annotation["segmentation"], height, width) for annotation in objects]
            target["masks"] = torch.from_numpy(
                np.array(masks, dtype=np.uint8).reshape(-1, height, width)
            )
        else:
            keypoints = torch.tensor(
                [annotation["keypoints"] for annotation in objects], dtype=torch.float32
            ).reshape(-1, _KEYPOINTS, 3)
            keypoints[..., 2].clamp_(max=1)
            target["keypoints"] = keypoints
        return target

    def ground_truth(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        """The chosen images in the format of an annotation file, crowds and all."""
        records = [self.records[index] for index in chosen.tolist()]
        annotations = [annotation for record in records for annotation in record["all"]]
        # COCOeval takes a match with the annotation 0 for none.
        numbered = [{**annotation, "id": n} for n, annotation in enumerate(annotations, start=1)]
        images = [{key: record[key] for key in ("id", "height", "width")} for record in records]
        return {"images": images, "annotations": numbered, "categories": self.categories}

    def _teaches(self, record: dict[str, Any]) -> bool:
        objects = [annotation for annotation in record["all"] if _box_in(annotation, record)]
        if self.kind == "instances":
            return bool(objects)
        visible = sum(v > 0 for annotation in objects for v in annotation["keypoints"][2::3])
        return visible >= _LEAST_KEYPOINTS


class Coco(NamedTuple):
    """Both parts of COCO that have labels."""

    train: CocoPart
    test: CocoPart


def coco(folder: Path | None, kind: Annotations) -> Coco:
    """COCO 2017 from `folder/coco`, or from `folder` itself.

    The labels of its test images are secret: val2017 is the test set here.

    Raises:
      RequestError: no folder was named, or files are missing or not what they should be.
    """
    if folder is None:
        raise RequestError(
            "COCO cannot be downloaded from here: --data-dir names a folder with coco/annotations, "
            "coco/train2017 and coco/val2017 (25 GB, https://cocodataset.org/#download)"
        )
    root = existing_folder(
        "coco",
        [folder / "coco" / "annotations", folder / "annotations"],
        "the annotation files of COCO 2017",
    ).parent
    train, test = (
        CocoPart(root / "annotations" / f"{kind}_{split}.json", root / split, kind)
        for split in ("train2017", "val2017")
    )
    return Coco(train, test)


def _read(file: Path) -> dict[str, Any]:
    """The annotation file, if it has what is used of it later."""
    try:
        content = json.loads(file.read_bytes())
        for image in content["images"]:
            image["id"], image["height"], image["width"], image["file_name"]
        for annotation in content["annotations"]:
            annotation["image_id"], annotation["category_id"], annotation["bbox"]
        content["categories"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{file}: expected an annotation file of COCO: "
            f"{'lacks ' if isinstance(error, KeyError) else ''}{error}"
        ) from error
    return content


def _box_in(annotation: dict[str, Any], image: dict[str, Any]) -> list[float] | None:
    """Left, top, right, bottom within the image; None for a crowd or if nothing is left of it."""
    left, top, width, height = annotation["bbox"]
    right, bottom = min(left + width, image["width"]), min(top + height, image["height"])
    left, top = max(left, 0), max(top, 0)
    if annotation.get("iscrowd", 0) or right <= left or bottom <= top:
        return None
    return [left, top, right, bottom]


def _mask(outline: Any, height: int, width: int) -> NDArray[np.uint8]:
    from pycocotools import mask

    return mask.decode(mask.merge(mask.frPyObjects(outline, height, width)))
