"""The laptop tasks: splits, minibatches as pure functions, and metrics against slow references."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="the tasks need PyTorch")

from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from experiments.data import READERS, read  # noqa: E402
from experiments.errors import RequestError  # noqa: E402
from experiments.tasks import TASKS, find  # noqa: E402
from experiments.tasks._l2 import l2_term  # noqa: E402
from experiments.tasks._small_images import SmallImages, SmallImagesProblem, augmented  # noqa: E402
from experiments.threads import one_thread  # noqa: E402
from tests.experiments.runs import write_data  # noqa: E402


@pytest.fixture(autouse=True)
def _on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


SMALL = ("mnist", "fashion-mnist", "cifar10", "cifar100")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder, 200)
    return folder


def problem(data: Path, name: str = "cifar10", **changes: object) -> SmallImagesProblem:
    task = find(name, "laptop")
    assert isinstance(task, SmallImages)
    small = {"images": 90, "batch": 20, **changes}
    return replace(task, **small).open(data)  # type: ignore[arg-type]


def rows(images: torch.Tensor) -> set[bytes]:
    """Images as a set; those that were made up are all different."""
    return {image.numpy().tobytes() for image in images.contiguous()}


@pytest.mark.parametrize("name", SMALL)
def test_the_four_small_data_sets_are_laptop_tasks(name: str) -> None:
    task = find(name, "laptop")
    assert (task.name, task.scale, task.metric) == (name, "laptop", "accuracy")
    assert name in READERS
    assert TASKS[name, "laptop"] == task


def test_no_laptop_task_of_small_images_imports_torchvision() -> None:
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from experiments.tasks import find\n"
        f"for name in {SMALL}: find(name, 'laptop')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 (our own code)


def test_an_unknown_task_is_refused_with_those_of_its_scale() -> None:
    with pytest.raises(RequestError, match=r"mnist, .* at laptop scale\. Received: emnist"):
        find("emnist", "laptop")


def test_a_package_that_a_task_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "experiments.tasks._small_images")
    monkeypatch.setitem(sys.modules, "experiments.tasks._l2", None)
    with pytest.raises(RequestError, match=r"needs experiments\.tasks\._l2: pip install"):
        find("mnist", "laptop")


def test_the_splits_are_disjoint_and_do_not_depend_on_the_size_of_the_training_set(
    data: Path,
) -> None:
    small, large = problem(data, images=40), problem(data, images=160)
    for split in ("validation", "test"):
        for one, other in zip(small._splits[split], large._splits[split], strict=True):
            np.testing.assert_array_equal(one, other)
    validation, labels = large._splits["validation"]
    train = {image.tobytes() for image in large._x}
    assert len(train) == 160
    assert len(validation) == 40
    assert train.isdisjoint(image.tobytes() for image in validation)
    assert train.isdisjoint(image.tobytes() for image in large._splits["test"][0])
    assert list(np.bincount(labels)) == [4] * 10  # the same share of each class
    assert {image.tobytes() for image in small._x} < train


@pytest.mark.parametrize("augment", [False, True])
def test_a_batch_is_a_pure_function_of_seed_and_step(data: Path, augment: bool) -> None:
    one, other = problem(data, augment=augment), problem(data, augment=augment)
    forwards = [one.batch(3, step) for step in range(9)]
    torch.manual_seed(5)
    np.random.seed(5)
    backwards = [other.batch(3, step) for step in reversed(range(9))][::-1]
    for (x, y), (x2, y2) in zip(forwards, backwards, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)
    assert not torch.equal(one.batch(4, 0)[0], forwards[0][0])
    assert not torch.equal(forwards[4][0], forwards[0][0])  # a new epoch, a new order


def test_each_epoch_shows_each_image_at_most_once(data: Path) -> None:
    task = problem(data, augment=False)
    assert task.steps_per_epoch == 4
    for epoch in range(2):
        shown = [task.batch(0, 4 * epoch + step)[0] for step in range(4)]
        assert len(set.union(*map(rows, shown))) == 80


@given(cuts=st.lists(st.integers(0, 20), max_size=3), step=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_the_parts_of_a_batch_are_the_whole_one(data: Path, cuts: list[int], step: int) -> None:
    task = problem(data, augment=True)
    edges = [0, *sorted(cuts), 20]
    parts = [task.batch(1, step, slice(*pair)) for pair in pairwise(edges)]
    x, y = task.batch(1, step)
    assert torch.equal(torch.cat([part[0] for part in parts]), x)
    assert torch.equal(torch.cat([part[1] for part in parts]), y)


def slowly_augmented(
    image: NDArray[np.uint8], shift: NDArray[np.int64], mirrored: bool
) -> NDArray[np.uint8]:
    height, width, _ = image.shape
    moved = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row + shift[0] - 4, column + shift[1] - 4
            if 0 <= y < height and 0 <= x < width:
                moved[row, column] = image[y, x]
    return moved[:, ::-1] if mirrored else moved


@given(seed=st.integers(0, 2**32 - 1), channels=st.sampled_from([1, 3]))
@settings(max_examples=20, deadline=None)
def test_augmentation_is_the_slow_one(seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (4, 9, 7, channels)).astype(np.uint8)
    shifts, mirrored = rng.integers(0, 9, (4, 2)), rng.random(4) < 0.5
    expected = [slowly_augmented(*each) for each in zip(images, shifts, mirrored, strict=True)]
    np.testing.assert_array_equal(augmented(images, shifts, mirrored), np.stack(expected))


def test_images_are_standardised_by_the_training_images(data: Path) -> None:
    task = problem(data, batch=90, augment=False)
    x, _ = task.batch(0, 0)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_mirroring_comes_with_the_crops_but_not_for_digits(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NDArray[np.bool_]] = []

    def spy(
        images: NDArray[np.uint8], shifts: NDArray[np.int64], mirrored: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        seen.append(mirrored)
        return images

    monkeypatch.setattr("experiments.tasks._small_images.augmented", spy)
    images = read("cifar10", data)
    for name in ("cifar10", "mnist"):
        task = replace(find(name, "laptop"), images=90, batch=64, augment=True)
        assert isinstance(task, SmallImages)
        SmallImagesProblem(task, images).batch(0, 0)
    assert 16 < seen[0].sum() < 48
    assert not seen[1].any()


def test_l2_in_the_loss_is_weight_decay_that_the_gradient_sees(data: Path) -> None:
    plain, penalised = problem(data), problem(data, l2=0.3)
    torch.manual_seed(0)
    model = plain.model()
    batch = plain.batch(0, 0)
    plain.loss(model, batch).backward()
    expected = [p.grad + 0.3 * p.detach() for p in model.parameters()]
    model.zero_grad()
    loss = penalised.loss(model, batch)
    loss.backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    squares = sum(float(p.detach().double().square().sum()) for p in model.parameters())
    added = (loss - plain.loss(model, batch)).item()
    assert added == pytest.approx(0.15 * squares, rel=1e-5)


def test_l2_leaves_frozen_parameters_out() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    squares = model.weight.square().sum().item()
    assert l2_term(model, 2.0).item() == pytest.approx(squares)


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_metrics_are_those_of_a_slow_loop(data: Path, name: str, classes: int, split: str) -> None:
    task = problem(data, name)
    torch.manual_seed(0)
    model = task.model()
    nn.init.normal_(model[-1].weight)
    assert model[-1].out_features == classes
    model.eval()
    x, y = task._splits[split]
    right, losses = 0, []
    for image, label in zip(x, y, strict=True):
        standard = (image.astype(np.float64) - task._mean) / task._std
        logits = model(torch.from_numpy(standard.astype(np.float32)).permute(2, 0, 1)[None])
        right += int(logits.argmax()) == label
        losses.append(cross_entropy(logits, torch.tensor([label])).item())
    metrics = task.evaluate(model, split)
    assert metrics["accuracy"] == right / len(x)
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_net_has_normalisation_only_where_it_is_asked_for(data: Path) -> None:
    def normalised(choice: str) -> int:
        net = problem(data, normalisation=choice).model()
        return sum(isinstance(layer, nn.BatchNorm2d) for layer in net)

    assert normalised("batchnorm") == 3
    assert normalised("none") == 0


@pytest.mark.parametrize("changes", [{"images": 161}, {"images": 10}, {"batch": 91}])
def test_sizes_that_the_data_do_not_have_are_refused(data: Path, changes: dict[str, int]) -> None:
    with pytest.raises(RequestError, match=r"at most 160 of these\. Received: batch"):
        problem(data, **changes)


@pytest.mark.parametrize("name", SMALL)
def test_data_that_are_not_there_are_told_by_where_they_were_expected(
    tmp_path: Path, name: str
) -> None:
    task = find(name, "laptop")
    for folder in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(RequestError, match=re.escape(name)) as refusal:
            task.open(folder)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kept", [0, 1000, -1])
def test_a_data_set_that_was_downloaded_by_half_is_refused(
    tmp_path: Path, data: Path, kept: int
) -> None:
    whole = (data / "cifar100-subset.npz").read_bytes()
    (tmp_path / "cifar100-subset.npz").write_bytes(whole[:kept])
    with pytest.raises(RequestError, match=r"cifar100-subset\.npz: expected an npz file"):
        find("cifar100", "laptop").open(tmp_path)
