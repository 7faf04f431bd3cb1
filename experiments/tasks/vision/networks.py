"""The six networks of the paper, from torchvision and timm, without pretrained weights.

Where torchvision has a network for 224 x 224 images only, its first and last layers are those that
the field uses on 32 x 32 (docs/paper-scale.md says which and why).
"""

from torch import nn


def efficientnet_b0(classes: int) -> nn.Module:
    """EfficientNet-B0 (arXiv 1905.11946) as torchvision has it."""
    from torchvision.models import efficientnet_b0

    return efficientnet_b0(weights=None, num_classes=classes)


def vgg19(classes: int) -> nn.Module:
    """VGG-19 (arXiv 1409.1556) with BatchNorm, its 16 convolutions as torchvision has them.

    A 32 x 32 image leaves them as one vector of 512, so one layer does what the three fully
    connected ones do for 7 x 7 vectors.
    """
    from torchvision.models import vgg19_bn

    network = vgg19_bn(weights=None)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Linear(512, classes)
    return network


def resnet50(classes: int) -> nn.Module:
    """ResNet-50 (arXiv 1512.03385), its first layer for 32 x 32: 3 x 3, no stride, no pooling."""
    from torchvision.models import resnet50

    network = resnet50(weights=None, num_classes=classes)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
    return network


def dla34(classes: int) -> nn.Module:
    """DLA-34 (arXiv 1707.06484) as timm has it."""
    from timm.models.dla import dla34

    return dla34(num_classes=classes)


def inception_v1(classes: int) -> nn.Module:
    """GoogLeNet, the first Inception (arXiv 1409.4842), with BatchNorm, as torchvision has it.

    Its five halvings leave 2 x 2 of a 64 x 64 image, where Inception-v3 needs 75 x 75 at least. The
    auxiliary classifiers are left out: BatchNorm does what they were for.
    """
    from torchvision.models import googlenet

    return googlenet(weights=None, num_classes=classes, aux_logits=False, init_weights=True)


def densenet121(classes: int) -> nn.Module:
    """DenseNet-121 (arXiv 1608.06993) as torchvision has it."""
    from torchvision.models import densenet121

    return densenet121(weights=None, num_classes=classes)
