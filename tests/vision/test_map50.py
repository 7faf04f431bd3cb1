"""mAP50 against cases whose answer is known, and against the whole of COCOeval."""

import contextlib
import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn

from experiments.tasks.vision.detection import _run_lengths
from experiments.tasks.vision.map50 import Overlap, map50
from tests.vision.folders import JOINTS, coco_annotations
from tests.vision.tiny import DETECTION, problem

OVERLAPS = pytest.mark.parametrize("overlap", ["bbox", "segm", "keypoints"])


def rectangle(box: list[int]) -> Any:
    left, top, width, height = box
    mask = torch.zeros(64, 96, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return _run_lengths(mask)


def found(annotation: dict[str, Any], overlap: Overlap, score: float = 0.9) -> dict[str, Any]:
    """A detection that is right to the pixel."""
    shape = {
        "bbox": lambda: {"bbox": list(annotation["bbox"])},
        "segm": lambda: {"segmentation": rectangle(annotation["bbox"])},
        "keypoints": lambda: {"keypoints": list(annotation["keypoints"])},
    }[overlap]()
    return {"image_id": annotation["image_id"], "category_id": 1, "score": score, **shape}


def moved(detection: dict[str, Any], overlap: Overlap) -> dict[str, Any]:
    """The same far away from where it was."""
    if overlap == "bbox":
        return {**detection, "bbox": [0, 50, 5, 5]}
    if overlap == "segm":
        return {**detection, "segmentation": rectangle([0, 50, 5, 5])}
    return {**detection, "keypoints": [90, 60, 2] * JOINTS}


def people(truth: dict[str, Any]) -> list[dict[str, Any]]:
    return [annotation for annotation in truth["annotations"] if not annotation["iscrowd"]]


@OVERLAPS
def test_perfect_detections_give_one(overlap: Overlap) -> None:
    truth = coco_annotations(6)
    detections = [found(annotation, overlap) for annotation in people(truth)]
    assert map50(truth, detections, overlap) == 1.0


@OVERLAPS
def test_no_detections_give_zero(overlap: Overlap) -> None:
    assert map50(coco_annotations(6), [], overlap) == 0.0


@OVERLAPS
def test_wrong_detections_give_zero(overlap: Overlap) -> None:
    truth = coco_annotations(6)
    detections = [moved(found(one, overlap), overlap) for one in people(truth)]
    assert map50(truth, detections, overlap) == 0.0


@OVERLAPS
def test_one_of_two_found_gives_the_recalls_up_to_one_half(overlap: Overlap) -> None:
    truth = coco_annotations(2)
    detections = [found(people(truth)[0], overlap)]
    # Precision is 1 at the recalls 0, 0.01 ... 0.50 and 0 at the other 50 of the 101.
    assert map50(truth, detections, overlap) == pytest.approx(51 / 101)


@OVERLAPS
def test_a_false_alarm_that_is_surer_halves_the_precision(overlap: Overlap) -> None:
    truth = coco_annotations(1)
    right = found(people(truth)[0], overlap, score=0.8)
    wrong = moved(found(people(truth)[0], overlap, score=0.9), overlap)
    assert map50(truth, [right, wrong], overlap) == pytest.approx(1 / 2)


@OVERLAPS
def test_nothing_to_find_is_no_number(overlap: Overlap) -> None:
    truth = coco_annotations(1)
    detections = [found(people(truth)[0], overlap)]
    crowd = [annotation for annotation in truth["annotations"] if annotation["iscrowd"]]
    assert np.isnan(map50({**truth, "annotations": []}, detections, overlap))
    assert np.isnan(map50({**truth, "annotations": crowd}, detections, overlap))


@OVERLAPS
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_figure_of_the_whole_evaluation(overlap: Overlap, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = coco_annotations(12)
    detections = []
    for annotation in people(truth) * 2:
        one = found(annotation, overlap, score=float(rng.random()))
        shift = rng.integers(-12, 13, 2)
        if overlap == "keypoints":
            joints = np.array(one["keypoints"]).reshape(-1, 3)
            joints[:, :2] += shift // 3
            one["keypoints"] = joints.flatten().tolist()
        else:
            left, top, *size = annotation["bbox"]
            box = [max(0, left + int(shift[0])), max(0, top + int(shift[1])), *size]
            one |= {"bbox": box} if overlap == "bbox" else {"segmentation": rectangle(box)}
        detections.append(one)
    ours = map50(copy.deepcopy(truth), copy.deepcopy(detections), overlap)
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCO()
        whole.dataset = truth
        whole.createIndex()
        evaluation = COCOeval(whole, whole.loadRes(detections), overlap)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert 0 < ours < 1
    assert ours == pytest.approx(evaluation.stats[1], abs=1e-12)  # AP at 0.50


class Oracle(nn.Module):
    """Finds what it is told to, in the order of the images."""

    def __init__(self, outputs: list[dict[str, Tensor]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.outputs = iter(outputs)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        (image,) = images
        assert image.dtype == torch.float32
        assert 0 <= image.min() <= image.max() <= 1
        return [next(self.outputs)]


@pytest.mark.parametrize(("name", "scale"), DETECTION[2:])
@pytest.mark.parametrize("seen", ["all of it", "nothing"])
def test_a_network_that_sees_everything_is_given_one(
    name: str, scale: Any, seen: str, data: Any
) -> None:
    opened = problem(name, scale, data)
    part, chosen = opened.splits["test"]
    outputs = []
    for index in chosen.tolist():
        target = part.target(index)
        count = len(target["boxes"]) if seen == "all of it" else 0
        output = {key: value[:count] for key, value in target.items()}
        output["scores"] = torch.full((count,), 0.9)
        if "masks" in output:
            output["masks"] = output["masks"][:, None].float()
        outputs.append(output)
    metrics = opened.evaluate(Oracle(outputs), "test")
    assert metrics == dict.fromkeys(opened.task.recipe.metrics, float(seen == "all of it"))
