"""Data that are missing, incomplete or damaged: one line that names what is expected where."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from PIL import Image

from experiments.errors import RequestError
from experiments.tasks import find
from experiments.tasks.vision.pictures import read_picture
from tests.vision import folders
from tests.vision.tiny import CLASSIFICATION, problem


def refused(request: Callable[[], object], *parts: str) -> None:
    with pytest.raises(RequestError) as caught:
        request()
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def opening(name: str, folder: Path) -> Callable[[], object]:
    return lambda: problem(name, "paper", folder)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mnist", "train-images-idx3-ubyte"),
        ("cifar10", "cifar10.npz"),
        ("cifar100", "cifar100-subset.npz"),
        ("food101", "food-101"),
        ("tiny-imagenet", "tiny-imagenet-200"),
        ("imagenet100", "imagenet100"),
    ],
)
def test_an_empty_folder_is_refused(name: str, expected: str, tmp_path: Path) -> None:
    refused(opening(name, tmp_path), expected, str(tmp_path))


def test_imagenet100_needs_a_folder() -> None:
    refused(lambda: find("imagenet100", "paper").open(None), "--data-dir", "imagenet100/train")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100", "food101", "tiny-imagenet"])
@pytest.mark.parametrize(
    "failure",
    [URLError("no network"), RuntimeError("File not found or corrupted."), OSError(28, "full")],
)
def test_a_download_that_fails_is_one_line(
    name: str, failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision.datasets as datasets
    from torchvision.datasets import cifar, food101, mnist, utils

    def fail(*_: Any, **__: Any) -> None:
        raise failure

    for module in (cifar, food101, mnist, utils, datasets.utils):
        monkeypatch.setattr(module, "download_and_extract_archive", fail, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    refused(
        lambda: find(name, "paper").open(None),
        f"{name}: could not be downloaded to {tmp_path}",
        "--data-dir",
    )


def test_a_cifar_folder_of_torchvision_that_is_incomplete_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"half")
    refused(opening("cifar10", tmp_path), str(tmp_path / "cifar-10-batches-py"), "not the whole")


@pytest.fixture
def food(tmp_path: Path) -> Path:
    folders.write_food101(tmp_path)
    return tmp_path


def test_a_dish_without_its_file_is_refused(food: Path) -> None:
    picture = food / "food-101" / "images" / "dish_007" / "71.jpg"
    picture.unlink()
    listed_in = food / "food-101" / "meta" / "train.json"
    refused(opening("food101", food), str(listed_in), "202 images", "1 are not there", str(picture))


@pytest.mark.parametrize("content", ["{", "[]", '{"dish_000": 3}'])
def test_a_list_of_dishes_that_cannot_be_read_is_refused(content: str, food: Path) -> None:
    path = food / "food-101" / "meta" / "test.json"
    path.write_text(content)
    refused(opening("food101", food), str(path))


def test_lists_of_other_dishes_are_refused(food: Path) -> None:
    path = food / "food-101" / "meta" / "test.json"
    content = json.loads(path.read_text())
    content["pizza"] = content.pop("dish_000")
    path.write_text(json.dumps(content))
    refused(opening("food101", food), "expected the same classes", "2 in one of them alone")


def test_a_dish_too_many_is_refused(food: Path) -> None:
    for split in ("train", "test"):
        path = food / "food-101" / "meta" / f"{split}.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "zabaglione": content["dish_000"]}))
    refused(opening("food101", food), "expected 101 classes, found 102")


def test_food101_without_its_lists_is_refused(food: Path) -> None:
    shutil.rmtree(food / "food-101" / "meta")
    refused(opening("food101", food), str(food / "food-101" / "meta"))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folders.write_tiny_imagenet(tmp_path)
    return tmp_path


def test_tiny_imagenet_without_a_class_is_refused(tiny: Path) -> None:
    gone = tiny / "tiny-imagenet-200" / "train" / "n00000042"
    shutil.rmtree(gone)
    refused(opening("tiny-imagenet", tiny), str(gone), "found none")


def test_tiny_imagenet_with_too_few_classes_is_refused(tiny: Path) -> None:
    path = tiny / "tiny-imagenet-200" / "wnids.txt"
    path.write_text("n00000001\n")
    refused(opening("tiny-imagenet", tiny), str(path), "expected 200 classes, found 1")


def test_tiny_imagenet_without_the_list_of_classes_is_refused(tiny: Path) -> None:
    path = tiny / "tiny-imagenet-200" / "wnids.txt"
    path.unlink()
    refused(opening("tiny-imagenet", tiny), str(path))


def test_a_validation_line_of_no_class_is_refused(tiny: Path) -> None:
    path = tiny / "tiny-imagenet-200" / "val" / "val_annotations.txt"
    path.write_text(path.read_text() + "val_0.JPEG\tn99999999\t0\t0\t1\t1\n")
    refused(opening("tiny-imagenet", tiny), str(path), "n99999999")


def test_a_validation_picture_without_its_file_is_refused(tiny: Path) -> None:
    picture = tiny / "tiny-imagenet-200" / "val" / "images" / "val_5.JPEG"
    picture.unlink()
    refused(opening("tiny-imagenet", tiny), "200 images", "1 are not there", str(picture))


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    folders.write_imagenet100(tmp_path)
    return tmp_path


def test_imagenet100_with_another_number_of_classes_is_refused(imagenet: Path) -> None:
    train = imagenet / "imagenet100" / "train"
    shutil.rmtree(train / "n00000042")
    refused(opening("imagenet100", imagenet), str(train), "expected 100 folders, found 99")


def test_imagenet100_without_validation_images_is_refused(imagenet: Path) -> None:
    shutil.rmtree(imagenet / "imagenet100" / "val")
    refused(opening("imagenet100", imagenet), str(imagenet / "imagenet100" / "val"))


def test_a_class_without_validation_images_is_refused(imagenet: Path) -> None:
    gone = imagenet / "imagenet100" / "val" / "n00000042"
    shutil.rmtree(gone)
    refused(opening("imagenet100", imagenet), str(gone), "found none")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "missing", "folder"])
def test_a_picture_that_cannot_be_read_is_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    folders.write_picture(path, 60, 80, 1)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        cut = {"truncated": content[: len(content) // 2], "text": b"<html>", "empty": b""}
        path.write_bytes(cut[damage])
    refused(lambda: read_picture(path), str(path), "expected a picture")


def test_a_damaged_picture_stops_the_training_with_its_name(imagenet: Path) -> None:
    path = imagenet / "imagenet100" / "train" / "n00000042"
    for picture in path.iterdir():
        picture.write_bytes(picture.read_bytes()[:200])
    opened = problem("imagenet100", "paper", imagenet)
    refused(
        lambda: [opened.batch(0, step) for step in range(opened.steps_per_epoch)], str(path / "")
    )


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "LA"])
def test_pictures_of_any_colours_have_three_channels(mode: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{'jpg' if mode in ('L', 'CMYK') else 'png'}"
    Image.fromarray(folders.noise(20, 30, 1)).convert(mode).save(path)
    picture = read_picture(path)
    assert picture.shape == (3, 20, 30)
    assert picture.dtype == torch.uint8


@pytest.mark.parametrize(("name", "scale"), CLASSIFICATION)
def test_a_batch_of_more_than_all_images_is_refused(name: str, scale: Any, data: Path) -> None:
    from dataclasses import replace

    task = replace(find(name, scale), batch=100_000, partial=True)
    refused(lambda: task.open(data), "the batch must be at most", "Received: 100000")
