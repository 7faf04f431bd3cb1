"""Data sets and weights that are downloaded, with the network replaced by a function."""

import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10
from torchvision.models import ResNet50_Weights, resnet50
from torchvision.ops import FrozenBatchNorm2d

from experiments.errors import RequestError
from tests.vision import folders
from tests.vision.tiny import problem


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where downloads go, with the network switched off."""

    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", fail)
    folder = tmp_path / "zenith-experiments"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("name", "write", "images"),
    [
        ("mnist", folders.write_mnist, 50),
        ("food101", folders.write_food101, 101),
        ("tiny-imagenet", folders.write_tiny_imagenet, 200),
    ],
)
def test_what_was_downloaded_before_is_found_again(
    name: str, write: Any, images: int, cache: Path
) -> None:
    write(cache)
    opened = problem(name, "paper", None)  # type: ignore[arg-type]
    assert opened.images["train"] == images
    assert opened.batch(0, 0)[0].shape[0] == 4


def test_tiny_imagenet_is_downloaded_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def unpack(url: str, root: str, extract_root: str, md5: str) -> None:
        calls.append(url)
        folders.write_tiny_imagenet(Path(extract_root))
        if len(calls) == 1:
            raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", unpack)
    with pytest.raises(RequestError, match="could not be downloaded"):
        problem("tiny-imagenet", "paper", None)  # type: ignore[arg-type]
    assert not (cache / "tiny-imagenet-200").exists()
    shutil.rmtree(cache / ".partial")
    for _ in range(2):
        problem("tiny-imagenet", "paper", None)  # type: ignore[arg-type]
    assert len(calls) == 2


def test_a_cifar_folder_of_torchvision_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 3, 32, 32), dtype=np.uint8)

    def write(name: str, content: dict[str, Any]) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]  # noqa: S324

    labels = [n % 10 for n in range(30)]
    batch = {"data": pixels.reshape(30, -1), "labels": labels}
    monkeypatch.setattr(CIFAR10, "train_list", [write("data_batch_1", batch)])
    monkeypatch.setattr(CIFAR10, "test_list", [write("test_batch", batch)])
    name, md5 = write("batches.meta", {"label_names": list("abcdefghij")})
    meta = {"filename": name, "key": "label_names", "md5": md5}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    opened = problem("cifar10", "paper", tmp_path)
    assert opened.train.labels.tolist() == labels
    for index in range(30):
        assert torch.equal(opened.train.read(index), torch.from_numpy(pixels[index]))


@pytest.mark.parametrize("name", ["keypoint-rcnn", "mask-rcnn"])
def test_pretrained_weights_fill_the_backbone_and_fix_its_first_layers(
    name: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = resnet50().state_dict()
    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", lambda *_, **__: weights)
    network = problem(name, "paper", data, pretrained=True).model()
    body = network.backbone.body
    assert torch.equal(body.layer4[2].conv3.weight, weights["layer4.2.conv3.weight"])
    assert isinstance(body.bn1, FrozenBatchNorm2d)
    fixed = {key.split(".")[0] for key, w in body.named_parameters() if not w.requires_grad}
    assert fixed == {"conv1", "layer1"}
    scratch = problem(name, "paper", data).model()
    assert all(weight.requires_grad for weight in scratch.parameters())
    assert isinstance(scratch.backbone.body.bn1, torch.nn.BatchNorm2d)


def test_weights_that_cannot_be_downloaded_are_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(RequestError, match=r"^the weights of ResNet-50: could not be downloaded"):
        problem("mask-rcnn", "paper", data, pretrained=True).model()


@pytest.mark.parametrize("name", ["keypoint-rcnn", "mask-rcnn"])
def test_there_are_no_weights_for_the_laptop(name: str, data: Path) -> None:
    with pytest.raises(RequestError, match="--pretrained is for the networks of the paper"):
        problem(name, "laptop", data, pretrained=True).model()
