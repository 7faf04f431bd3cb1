"""Keypoint R-CNN and Mask R-CNN on COCO, at the paper's scale and at a laptop's.

Networks, data and the batch of 16 are the paper's; "ours" is what its text at hand does not say
(docs/paper-scale.md). On a laptop a part of COCO is enough to see all of it work: from so few
images no network learns to find anything in others.
"""

from experiments.tasks.vision.detection import DetectionRecipe, DetectionTask
from experiments.tasks.vision.rcnn import keypoint_rcnn, mask_rcnn
from experiments.tasks.vision.small_rcnn import small_keypoint_rcnn, small_mask_rcnn

_PUBLISHED = {"train": 118_287, "test": 5_000}
_FEW = (100, 50)
_KEYPOINTS = "keypoint_map50"
_MASKS = "mask_map50"
_BOXES = "box_map50"


class _KeypointRcnn(DetectionTask):
    recipe = DetectionRecipe(
        annotations="person_keypoints",
        published=_PUBLISHED,
        most=(None, None),
        network=keypoint_rcnn,
        metrics={_KEYPOINTS: "keypoints", _BOXES: "bbox"},
    )


class _MaskRcnn(DetectionTask):
    recipe = DetectionRecipe(
        annotations="instances",
        published=_PUBLISHED,
        most=(None, None),
        network=mask_rcnn,
        metrics={_MASKS: "segm", _BOXES: "bbox"},
    )


class _SmallKeypointRcnn(DetectionTask):
    recipe = _KeypointRcnn.recipe._replace(published={}, most=_FEW, network=small_keypoint_rcnn)


class _SmallMaskRcnn(DetectionTask):
    recipe = _MaskRcnn.recipe._replace(published={}, most=_FEW, network=small_mask_rcnn)


TASKS = (
    _KeypointRcnn(
        "keypoint-rcnn",
        "COCO, Keypoint R-CNN",
        "paper",
        epochs=46,  # ours: that of torchvision's references
        batch=16,
        metric=_KEYPOINTS,
    ),
    _MaskRcnn(
        "mask-rcnn",
        "COCO, Mask R-CNN",
        "paper",
        epochs=26,  # ours: that of torchvision's references
        batch=16,
        metric=_MASKS,
    ),
    _SmallKeypointRcnn(
        "keypoint-rcnn",
        "COCO (128 px), small Keypoint R-CNN",
        "laptop",
        epochs=20,
        batch=4,
        metric=_KEYPOINTS,
        lr=0.01,  # at 0.1 plain SGD diverges within six steps
        window=50,  # of at most 400 steps
        held_out=0.2,
    ),
    _SmallMaskRcnn(
        "mask-rcnn",
        "COCO (128 px), small Mask R-CNN",
        "laptop",
        epochs=20,
        batch=4,
        metric=_MASKS,
        lr=0.01,  # at 0.1 plain SGD diverges within six steps
        window=50,  # of at most 400 steps
        held_out=0.2,
    ),
)
