"""The paper's two R-CNNs, as torchvision has them, on a ResNet-50 with a feature pyramid."""

from typing import Any

from torch import nn

from experiments.tasks.vision._places import downloading

CATEGORIES = 91  # COCO numbers its 80 categories from 1 to 90; 0 is the background


def keypoint_rcnn(pretrained: bool) -> nn.Module:
    """Keypoint R-CNN (arXiv 1703.06870, section 5): people, and 17 joints of each.

    Args:
      pretrained: start the backbone from ImageNet's weights, its BatchNorm and first layers fixed.

    Raises:
      RequestError: the weights could not be downloaded.
    """
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    return keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=_backbone(pretrained), num_classes=2, num_keypoints=17
    )


def mask_rcnn(pretrained: bool) -> nn.Module:
    """Mask R-CNN (arXiv 1703.06870); the argument and the error as in `keypoint_rcnn`."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    return maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=_backbone(pretrained), num_classes=CATEGORIES
    )


def _backbone(pretrained: bool) -> Any:
    from pathlib import Path

    from torch.hub import get_dir
    from torchvision.models import ResNet50_Weights

    if not pretrained:
        return None
    weights = ResNet50_Weights.IMAGENET1K_V1
    with downloading("the weights of ResNet-50", Path(get_dir())):
        weights.get_state_dict(progress=True, check_hash=True)  # into the cache
    return weights
