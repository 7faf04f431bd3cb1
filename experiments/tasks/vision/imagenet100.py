"""ImageNet-100: the photographs of a hundred classes of ImageNet."""

from pathlib import Path

from experiments.errors import RequestError
from experiments.tasks.vision._places import existing_folder
from experiments.tasks.vision.classification import Sets
from experiments.tasks.vision.folders import class_folders

CLASSES = 100


def imagenet100(folder: Path | None) -> Sets:
    """The layout of torchvision's ImageFolder: `train/CLASS/*.JPEG` and `val/CLASS/*.JPEG`.

    Which classes they are is the user's choice: ImageNet may not be handed on, so nothing is
    downloaded. Its test labels are secret: the validation images are the test set here.

    Raises:
      RequestError: no folder was named, or it is not such a layout of a hundred classes.
    """
    if folder is None:
        raise RequestError(
            "imagenet100 cannot be downloaded: --data-dir names a folder that holds "
            "imagenet100/train/CLASS/*.JPEG and imagenet100/val/CLASS/*.JPEG"
        )
    train = existing_folder(
        "imagenet100", [folder / "imagenet100" / "train", folder / "train"], "a folder a class"
    )
    classes = sorted(path.name for path in train.iterdir() if path.is_dir())
    if len(classes) != CLASSES:
        raise RequestError(f"{train}: expected {CLASSES} folders, found {len(classes)}")
    validation = existing_folder("imagenet100", [train.parent / "val"], "a folder a class")
    return Sets(class_folders(train, classes), class_folders(validation, classes))
