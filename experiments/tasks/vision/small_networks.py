"""Small relatives of the paper's networks, for pictures of 32 x 32 and two cores."""

from torch import nn


def small_dla(classes: int) -> nn.Module:
    """DLA-46-C, the smallest DLA of arXiv 1707.06484, as timm has it."""
    from timm.models.dla import dla46_c

    return dla46_c(num_classes=classes)


def small_inception(classes: int) -> nn.Module:
    """Three Inception blocks of torchvision's GoogLeNet behind one convolution."""
    from torchvision.models.googlenet import BasicConv2d, Inception

    return nn.Sequential(
        BasicConv2d(3, 32, kernel_size=3, padding=1),
        nn.MaxPool2d(2),
        Inception(32, 16, 24, 32, 4, 8, 8),
        nn.MaxPool2d(2),
        Inception(64, 32, 48, 64, 8, 16, 16),
        nn.MaxPool2d(2),
        Inception(128, 64, 96, 128, 16, 32, 32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(256, classes),
    )


def small_densenet(classes: int) -> nn.Module:
    """A DenseNet-BC of growth 12 with three blocks of six layers, as torchvision builds it."""
    from torchvision.models import DenseNet

    network = DenseNet(12, (6, 6, 6), num_init_features=24, num_classes=classes)
    # The first layer for small pictures, as section 3 of arXiv 1608.06993 has it for CIFAR.
    network.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.features.conv0.weight)
    network.features.pool0 = nn.MaxPool2d(2)
    return network
