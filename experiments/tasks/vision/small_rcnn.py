"""Small R-CNNs for two cores: a ResNet-18, images of 128 pixels, few and narrow heads."""

from typing import Any

from torch import nn

from experiments.errors import RequestError
from experiments.tasks.vision.rcnn import CATEGORIES

_PIXELS = {"min_size": 128, "max_size": 192}
_WIDTH = 256  # of the feature pyramid, which torchvision fixes
_HIDDEN = 128
_FEWER: dict[str, Any] = {
    **_PIXELS,
    "rpn_pre_nms_top_n_train": 200,
    "rpn_post_nms_top_n_train": 200,
    "rpn_pre_nms_top_n_test": 100,
    "rpn_post_nms_top_n_test": 100,
    "rpn_batch_size_per_image": 64,
    "box_batch_size_per_image": 64,
    "box_detections_per_img": 20,
}


def small_keypoint_rcnn(pretrained: bool) -> nn.Module:
    """A Keypoint R-CNN; `pretrained` must be False, as in `small_mask_rcnn`."""
    from torchvision.models.detection import KeypointRCNN
    from torchvision.models.detection.keypoint_rcnn import (
        KeypointRCNNHeads,
        KeypointRCNNPredictor,
    )

    return KeypointRCNN(
        _backbone(pretrained),
        **_box_head(2),
        keypoint_head=KeypointRCNNHeads(_WIDTH, (64, 64)),
        keypoint_predictor=KeypointRCNNPredictor(64, 17),
        **_FEWER,
    )


def small_mask_rcnn(pretrained: bool) -> nn.Module:
    """A Mask R-CNN.

    Raises:
      RequestError: pretrained weights are asked for; there are none for the laptop.
    """
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

    return MaskRCNN(
        _backbone(pretrained),
        **_box_head(CATEGORIES),
        mask_head=MaskRCNNHeads(_WIDTH, (64, 64), 1),
        mask_predictor=MaskRCNNPredictor(64, 64, CATEGORIES),
        **_FEWER,
    )


def _backbone(pretrained: bool) -> nn.Module:
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    if pretrained:
        raise RequestError("--pretrained is for the networks of the paper's scale")
    return resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )


def _box_head(categories: int) -> dict[str, nn.Module]:
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead

    return {
        "box_head": TwoMLPHead(_WIDTH * 7**2, _HIDDEN),
        "box_predictor": FastRCNNPredictor(_HIDDEN, categories),
    }
