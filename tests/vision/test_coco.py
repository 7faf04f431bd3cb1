"""What the R-CNNs are trained on, and what is wrong with an annotation file."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import RequestError
from experiments.tasks.vision.coco import CocoPart, coco
from experiments.tasks.vision.detection import mirrored
from experiments.tasks.vision.packed import Packed
from tests.vision.folders import coco_annotations, write_coco, write_picture
from tests.vision.tiny import problem


def one_image(folder: Path, annotations: list[dict[str, Any]], kind: Any = "instances") -> CocoPart:
    content = {**coco_annotations(1), "annotations": annotations}
    write_picture(folder / "images" / content["images"][0]["file_name"], 64, 96, 1)
    file = folder / "file.json"
    file.write_text(json.dumps(content))
    return CocoPart(file, folder / "images", kind)


def test_a_target_is_what_the_annotations_say(tmp_path: Path) -> None:
    person, crowd = coco_annotations(1)["annotations"]
    part = one_image(tmp_path, [person, crowd])
    target = part.target(0)
    left, top, width, height = person["bbox"]
    assert target["boxes"].tolist() == [[left, top, left + width, top + height]]
    assert target["labels"].tolist() == [1]
    mask = torch.zeros(64, 96, dtype=torch.uint8)
    mask[top : top + height, left : left + width] = 1
    assert torch.equal(target["masks"], mask[None])


def test_keypoints_are_marked_or_not(tmp_path: Path) -> None:
    person, crowd = coco_annotations(1)["annotations"]
    joints = one_image(tmp_path, [person, crowd], "person_keypoints").target(0)["keypoints"]
    given = np.array(person["keypoints"]).reshape(17, 3)
    assert joints.shape == (1, 17, 3)
    assert joints[0, :, :2].tolist() == given[:, :2].tolist()
    assert joints[0, :, 2].tolist() == [1] * 12 + [0] * 5


def test_boxes_end_where_the_image_does_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    person = coco_annotations(1)["annotations"][0]
    part = one_image(
        tmp_path,
        [
            {**person, "bbox": [-5, 60, 20, 20]},
            {**person, "bbox": [10, 10, 0, 5]},
            {**person, "bbox": [96, 10, 5, 5]},
        ],
    )
    assert part.target(0)["boxes"].tolist() == [[0, 60, 15, 64]]


@pytest.mark.parametrize(("marked", "teaches"), [(10, True), (9, False)])
def test_an_image_teaches_joints_from_ten_marked_ones_on(
    marked: int, teaches: bool, tmp_path: Path
) -> None:
    person = coco_annotations(1)["annotations"][0]
    joints = np.array(person["keypoints"]).reshape(17, 3)
    joints[marked:, 2] = 0
    person["keypoints"] = joints.flatten().tolist()
    part = one_image(tmp_path, [person], "person_keypoints")
    assert part.trainable().tolist() == ([0] if teaches else [])


def test_an_image_of_crowds_alone_teaches_nothing(tmp_path: Path) -> None:
    crowd = coco_annotations(1)["annotations"][1]
    assert one_image(tmp_path, [crowd]).trainable().tolist() == []
    assert one_image(tmp_path, []).trainable().tolist() == []


def test_a_mirror_changes_sides_and_twice_changes_nothing(tmp_path: Path) -> None:
    person = coco_annotations(1)["annotations"][0]
    for kind in ("instances", "person_keypoints"):
        part = one_image(tmp_path, [person], kind)
        image, target = part.read(0), part.target(0)
        if kind == "person_keypoints":
            target["keypoints"][0, 12:, :2] = 0
        other, changed = mirrored(image, target)
        assert torch.equal(other, image.flip(-1))
        left, top, right, bottom = target["boxes"][0].tolist()
        assert changed["boxes"][0].tolist() == [96 - right, top, 96 - left, bottom]
        if kind == "instances":
            rows, columns = np.nonzero(changed["masks"][0].numpy())
            assert (columns.min(), columns.max() + 1) == (96 - right, 96 - left)
            assert (rows.min(), rows.max() + 1) == (top, bottom)
        else:
            nose, left_eye, right_eye = 0, 1, 2
            old, new = target["keypoints"][0], changed["keypoints"][0]
            for mine, theirs in ((nose, nose), (left_eye, right_eye), (right_eye, left_eye)):
                assert new[mine].tolist() == [96 - old[theirs, 0], old[theirs, 1], 1]
        back, again = mirrored(other, changed)
        assert torch.equal(back, image)
        assert all(torch.equal(again[key], target[key]) for key in target)


def test_half_of_the_images_are_mirrored(data: Path) -> None:
    opened = problem("mask-rcnn", "laptop", data)
    turned, straight = 0, 0
    for step in range(100):
        images, targets = opened.batch(0, step)
        for image, target in zip(images, targets, strict=True):
            # Undisturbed, the person stands left of the middle.
            at_left = bool(target["boxes"][0, [0, 2]].mean() < 48)
            straight, turned = straight + at_left, turned + (not at_left)
            assert image.shape == (3, 64, 96)
    assert turned + straight == 400
    assert 160 < turned < 240  # four standard deviations of 400 fair draws


@given(st.lists(st.recursive(st.integers() | st.text() | st.none(), st.lists, max_leaves=5)))
def test_packed_records_are_what_they_were(records: list[Any]) -> None:
    packed = Packed(records)
    assert len(packed) == len(records)
    assert [packed[index] for index in range(len(packed))] == records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco")
    return tmp_path


def annotation_file(folder: Path) -> Path:
    return folder / "coco" / "annotations" / "instances_train2017.json"


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder: Path | None, *parts: str) -> None:
    with pytest.raises(RequestError) as caught:
        coco(folder, "instances")
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_without_a_folder_there_is_no_coco(tmp_path: Path) -> None:
    refused(None, "--data-dir", "coco/annotations", "coco/train2017")
    refused(tmp_path, str(tmp_path / "coco" / "annotations"))


def test_a_missing_annotation_file_is_named(folder: Path) -> None:
    annotation_file(folder).unlink()
    refused(folder, str(annotation_file(folder)), "No such file")


def test_half_an_annotation_file_is_refused(folder: Path) -> None:
    path = annotation_file(folder)
    path.write_bytes(path.read_bytes()[:500])
    refused(folder, str(path), "expected an annotation file of COCO")


@pytest.mark.parametrize("lacking", ["images", "annotations", "categories"])
def test_an_annotation_file_without_a_part_is_refused(lacking: str, folder: Path) -> None:
    path = annotation_file(folder)
    content = json.loads(path.read_text())
    del content[lacking]
    path.write_text(json.dumps(content))
    refused(folder, str(path), f"lacks '{lacking}'")


def test_an_annotation_of_no_image_is_refused(folder: Path) -> None:
    path = annotation_file(folder)
    annotations = json.loads(path.read_text())["annotations"]
    edit(path, annotations=[*annotations, {**annotations[0], "image_id": 99}])
    refused(folder, str(path), "1 images have annotations and are not listed", "99")


def test_an_image_without_its_file_is_refused(folder: Path) -> None:
    picture = folder / "coco" / "train2017" / f"{3:012}.jpg"
    picture.unlink()
    refused(folder, str(annotation_file(folder)), "12 images", "1 are not there", str(picture))


def test_a_folder_of_images_that_is_missing_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "coco" / "val2017")
    refused(folder, "instances_val2017.json", "4 are not there")


def test_a_picture_of_another_size_is_refused(folder: Path) -> None:
    write_picture(folder / "coco" / "train2017" / f"{1:012}.jpg", 32, 48, 1)
    with pytest.raises(RequestError, match=r"expected a picture of 64 x 96 pixels.*found 32 x 48"):
        coco(folder, "instances").train.read(0)


def test_images_with_nothing_to_learn_are_refused(folder: Path) -> None:
    edit(annotation_file(folder), annotations=[])
    with pytest.raises(RequestError, match="none of the training images"):
        problem("mask-rcnn", "laptop", folder)
