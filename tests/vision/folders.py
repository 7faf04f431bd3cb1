"""A few generated images of every data set, laid out as the real ones are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

JOINTS = 17


def write_all(folder: Path) -> None:
    write_mnist(folder)
    write_cifar(folder / "cifar10.npz", 10)
    write_cifar(folder / "cifar100-subset.npz", 100)
    write_food101(folder)
    write_tiny_imagenet(folder)
    write_imagenet100(folder)
    write_coco(folder / "coco")


def noise(height: int, width: int, number: int) -> NDArray[np.uint8]:
    """The picture of that number: u8[height, width, 3]."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_picture(path: Path, height: int, width: int, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(height, width, number)).save(path, format="JPEG")


def write_mnist(folder: Path) -> None:
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60), ("t10k", 20)):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        header = bytes((0, 0, 8, 3)) + np.array([count, 28, 28], ">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = bytes((0, 0, 8, 1)) + np.array([count], ">i4").tobytes()
        labels += (np.arange(count) % 10).astype(np.uint8).tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def write_cifar(path: Path, classes: int) -> None:
    rng = np.random.default_rng(classes)
    arrays = {}
    for part, count in (("train", 3 * classes), ("test", classes)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % classes
    np.savez(path, **arrays)


def write_food101(folder: Path) -> None:
    """Two training images of each class, and one test image of every tenth."""
    root = folder / "food-101"
    lists: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for label in range(101):
        name = f"dish_{label:03}"
        lists["train"][name] = [f"{name}/{label}1", f"{name}/{label}2"]
        lists["test"][name] = [f"{name}/{label}3"] if label % 10 == 0 else []
    (root / "meta").mkdir(parents=True)
    for split, of_class in lists.items():
        (root / "meta" / f"{split}.json").write_text(json.dumps(of_class))
        for paths in of_class.values():
            for path in paths:
                number = int(path.rpartition("/")[2])
                width = 80 + number % 7
                write_picture(root / "images" / f"{path}.jpg", 60, width, number)


def write_tiny_imagenet(folder: Path) -> None:
    root = folder / "tiny-imagenet-200"
    names = [f"n{label:08}" for label in range(200)]
    lines = []
    for label, name in enumerate(names):
        for number in range(2):
            path = root / "train" / name / "images" / f"{name}_{number}.JPEG"
            write_picture(path, 64, 64, 2 * label + number)
        write_picture(root / "val" / "images" / f"val_{label}.JPEG", 64, 64, 1000 + label)
        lines.append(f"val_{label}.JPEG\t{name}\t0\t0\t62\t62\n")
    (root / "wnids.txt").write_text("".join(f"{name}\n" for name in reversed(names)))
    (root / "val" / "val_annotations.txt").write_text("".join(lines))


def write_imagenet100(folder: Path) -> None:
    root = folder / "imagenet100"
    for label in range(100):
        name = f"n{label:08}"
        for number in range(2):
            write_picture(root / "train" / name / f"{number}.JPEG", 70, 90, 2 * label + number)
        write_picture(root / "val" / name / "0.JPEG", 90, 70, 500 + label)


def write_coco(root: Path) -> None:
    """Twelve training and four validation images, of two people each, one of these a crowd."""
    for split, count in (("train2017", 12), ("val2017", 4)):
        for kind in ("instances", "person_keypoints"):
            content = coco_annotations(count)
            path = root / "annotations" / f"{kind}_{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        for image in content["images"]:
            write_picture(root / split / image["file_name"], 64, 96, image["id"])


def coco_annotations(count: int) -> dict[str, Any]:
    """The content of an annotation file of `count` images of 96 x 64, numbered from 1."""
    annotations: list[dict[str, Any]] = []
    for image in range(1, count + 1):
        left, top, width, height = 8 + image, 6, 30, 40
        corners = [left, top, left + width, top, left + width, top + height, left, top + height]
        joints = np.zeros((JOINTS, 3), int)
        joints[:, 0] = left + np.arange(JOINTS)
        joints[:, 1] = top + 2 * np.arange(JOINTS)
        joints[:12, 2] = 2
        joints[12:] = 0
        person = {
            "image_id": image,
            "category_id": 1,
            "bbox": [left, top, width, height],
            "area": width * height,
            "segmentation": [corners],
            "keypoints": joints.flatten().tolist(),
            "num_keypoints": 12,
            "iscrowd": 0,
        }
        crowd = {
            **person,
            "bbox": [60, 10, 20, 20],
            "area": 400,
            "segmentation": {"size": [64, 96], "counts": [60 * 64, 64, 35 * 64]},
            "keypoints": [0] * 3 * JOINTS,
            "num_keypoints": 0,
            "iscrowd": 1,
        }
        annotations += [
            {**entry, "id": 2 * image + n} for n, entry in enumerate((person, crowd), start=-1)
        ]
    return {
        "images": [
            {"id": n, "file_name": f"{n:012}.jpg", "height": 64, "width": 96}
            for n in range(1, count + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    }
