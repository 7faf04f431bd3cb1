"""The loaders: what is written comes back, and what is wrong is said in one line."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from experiments.data import CLASSES, load
from experiments.errors import RequestError

PARTS = {"train": 7, "t10k": 3}
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


def idx(array: NDArray[np.uint8]) -> bytes:
    sizes = np.array(array.shape, ">i4").tobytes()
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


def images(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def write_idx_set(folder: Path, suffix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in PARTS.items():
        for name, array in {
            f"{part}-images-idx3-ubyte": images(count, count, 28, 28),
            f"{part}-labels-idx1-ubyte": np.arange(count, dtype=np.uint8),
        }.items():
            content = idx(array)
            (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)


def npz_arrays() -> dict[str, NDArray[np.generic]]:
    return {
        "x_train": images(0, 5, 32, 32, 3),
        "y_train": np.arange(5, dtype=np.int32),
        "x_test": images(1, 4, 32, 32, 3),
        "y_test": np.arange(4, dtype=np.uint8)[:, np.newaxis],
    }


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", "."),
        ("mnist", "MNIST/raw"),
        ("fashion-mnist", "."),
        ("fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_idx_files_round_trip_wherever_torchvision_or_the_user_puts_them(
    tmp_path: Path, name: str, place: str, suffix: str
) -> None:
    write_idx_set(tmp_path / place, suffix)
    data = load(name, tmp_path)
    assert data.name == name
    assert data.x_train.dtype == np.float32
    assert data.y_train.dtype == np.int64
    np.testing.assert_array_equal(np.rint(data.x_train[..., 0] * 255), images(7, 7, 28, 28))
    np.testing.assert_array_equal(np.rint(data.x_test[..., 0] * 255), images(3, 3, 28, 28))
    np.testing.assert_array_equal(data.y_train, np.arange(7))
    np.testing.assert_array_equal(data.y_test, np.arange(3))


def test_cifar10_round_trips(tmp_path: Path) -> None:
    arrays = npz_arrays()
    np.savez(tmp_path / "cifar10.npz", **arrays)
    data = load("cifar10", tmp_path)
    np.testing.assert_array_equal(np.rint(data.x_train * 255), arrays["x_train"])
    np.testing.assert_array_equal(data.y_test, np.arange(4))
    assert data.y_test.dtype == np.int64
    assert data.x_test.max() <= 1


def test_digits_are_split_the_same_way_each_time() -> None:
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    first, second = load("digits"), load("digits")
    assert first.x_train.shape == (1437, 8, 8, 1)
    assert first.x_test.shape == (360, 8, 8, 1)
    assert first.x_train.min() == 0
    assert first.x_train.max() == 1
    np.testing.assert_array_equal(first.x_train, second.x_train)
    # Stratified: every class has its tenth of the test set.
    assert set(np.bincount(first.y_test, minlength=CLASSES)) <= {35, 36, 37}


def changed_file(change: Callable[[bytes], bytes], name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return apply


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "t10k-labels-idx1-ubyte").unlink(), "t10k-labels-idx1-ubyte.gz"),
        (changed_file(lambda old: old[:-1], "train-images-idx3-ubyte"), "truncated"),
        (changed_file(lambda old: old + b"x", "train-images-idx3-ubyte"), "changed"),
        (changed_file(lambda old: old[:9], "train-images-idx3-ubyte"), "header of 16 bytes"),
        (changed_file(lambda old: b"", "train-images-idx3-ubyte"), "an empty file"),
        (
            changed_file(lambda old: b"\0\0\x0d\3" + old[4:], "t10k-images-idx3-ubyte"),
            "00 00 08 03",
        ),
        (
            changed_file(lambda old: idx(images(0, 7, 27, 28)), "train-images-idx3-ubyte"),
            "N x 28 x 28, found 7 x 27 x 28",
        ),
        (
            changed_file(lambda old: idx(images(0, 0, 28, 28)), "train-images-idx3-ubyte"),
            "found 0 x 28 x 28",
        ),
        (
            changed_file(lambda old: idx(np.arange(6, dtype=np.uint8)), "train-labels-idx1-ubyte"),
            "expected 7 labels, found 6",
        ),
        (
            changed_file(
                lambda old: idx(np.arange(5, 12, dtype=np.uint8)), "train-labels-idx1-ubyte"
            ),
            "labels from 0 to 9, found 5 to 11",
        ),
    ],
)
def test_a_malformed_idx_set_is_refused_in_one_line(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    write_idx_set(tmp_path)
    damage(tmp_path)
    with pytest.raises(RequestError) as refusal:
        load("mnist", tmp_path)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(kept=st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_a_gz_file_cut_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, kept: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    write_idx_set(folder, ".gz")
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RequestError, match=r"t10k-images-idx3-ubyte\.gz"):
        load("mnist", folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y_test": None}, "y_test"),
        ({"x_train": images(0, 5, 32, 32)}, "x_train: expected at least one uint8 image"),
        ({"x_train": images(0, 5, 32, 32, 3) / 255}, "found float64"),
        ({"y_train": np.arange(4)}, "expected 5 labels, found 4"),
        ({"y_train": np.linspace(0, 1, 5)}, "whole numbers"),
        ({"y_train": np.array([0, 1, 2, 3, 10])}, "found 0 to 10"),
        ({"y_train": np.array([{}] * 5)}, "npz file with the arrays"),
        ({"x_test": images(0, 0, 32, 32, 3), "y_test": np.arange(0)}, "x_test"),
    ],
)
def test_a_malformed_npz_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, NDArray[np.generic] | None], said: str
) -> None:
    arrays = {k: array for k, array in (npz_arrays() | change).items() if array is not None}
    np.savez(tmp_path / "cifar10.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(RequestError) as refusal:
        load("cifar10", tmp_path)
    assert said in str(refusal.value)
    assert "cifar10.npz" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kept", [0, 1, 100, 5000, -1])
def test_a_truncated_npz_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cifar10.npz"
    np.savez(path, **npz_arrays())  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RequestError, match="npz file with the arrays x_train"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_absent_data_are_told_by_where_they_were_expected(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="--data-dir DIR"):
        load(name)
    with pytest.raises(RequestError, match="nowhere"):
        load(name, tmp_path / "nowhere")
    with pytest.raises(RequestError, match=re.escape(str(tmp_path))):
        load(name, tmp_path)
