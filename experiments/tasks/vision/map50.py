"""COCO's average precision at an overlap of one half."""

import contextlib
import io
from typing import Any, Literal

import numpy as np

Overlap = Literal["bbox", "segm", "keypoints"]


def map50(
    ground_truth: dict[str, Any], detections: list[dict[str, Any]], overlap: Overlap
) -> float:
    """The mean over the categories of the average precision at an overlap of 0.5.

    pycocotools does it, cut down to this one figure: the whole of COCOeval takes ten overlaps and
    four ranges of sizes, and prints.

    Args:
      ground_truth: images, annotations (numbered from 1) and categories of an annotation file.
      detections: image_id, category_id, score, and bbox (left, top, width, height), segmentation
        (run lengths) or keypoints (x, y, v of each joint).
      overlap: of boxes, of masks, or of keypoints (their similarity).

    Returns:
      From 0 to 1; NaN if there is nothing to find.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not ground_truth["annotations"]:
        return float("nan")
    if not detections:
        return 0.0  # pycocotools refuses an empty list
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), overlap)
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.maxDets = evaluation.params.maxDets[-1:]
        evaluation.params.areaRng = evaluation.params.areaRng[:1]  # all sizes
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    # -1 stands for a category with nothing to find.
    found = precision[precision > -1]
    return float(found.mean()) if found.size else float("nan")
