"""Parameter shapes of the networks on which costs are measured."""

from collections.abc import Iterator

Shape = tuple[int, ...]


def mlp() -> list[Shape]:
    """6 tensors, 85 k parameters."""
    return [(256, 64), (256,), (256, 256), (256,), (10, 256), (10,)]


def vgg19(classes: int = 10) -> list[Shape]:
    """VGG-19 with batch normalisation for 32x32 images: 66 tensors, 20 M parameters."""

    def layers() -> Iterator[Shape]:
        channels = 3
        for width, depth in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
            for _ in range(depth):
                yield from ((width, channels, 3, 3), (width,), (width,), (width,))
                channels = width
        yield from ((classes, 512), (classes,))

    return [*layers()]


def resnet50(classes: int = 1000) -> list[Shape]:
    """ResNet-50: 161 tensors, 25.6 M parameters."""

    def block(inputs: int, width: int, downsample: bool) -> Iterator[Shape]:
        kernels = [(width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
        for kernel in kernels + [(4 * width, inputs, 1, 1)] * downsample:
            yield from (kernel, kernel[:1], kernel[:1])

    def layers() -> Iterator[Shape]:
        yield from ((64, 3, 7, 7), (64,), (64,))
        channels = 64
        for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for index in range(depth):
                yield from block(channels, width, downsample=index == 0)
                channels = 4 * width
        yield from ((classes, 2048), (classes,))

    return [*layers()]
