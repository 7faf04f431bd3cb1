"""Tiny runs on images made up on the spot, and results without their clock."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.results import EpochRow, Identity, Run, Setting, StepRow

TINY: Mapping[str, Setting] = {"epochs": 3, "batch": 8, "images": 40, "window": 4}


def write_data(folder: Path, count: int = 60) -> None:
    """Files of CIFAR-10 and of the CIFAR-100 subset, a brightness for each of ten classes."""
    for name, classes in (("cifar10", 10), ("cifar100-subset", 100)):
        rng = np.random.default_rng(classes)
        arrays: dict[str, np.ndarray] = {}
        for part in ("train", "test"):
            labels = np.arange(count) % 10
            noise = rng.integers(0, 56, (count, 32, 32, 3))
            arrays[f"x_{part}"] = (noise + 20 * labels[:, None, None, None]).astype(np.uint8)
            arrays[f"y_{part}"] = labels
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]


def identity(method: str = "zenith", seed: int = 0, **changes: Setting) -> Identity:
    """A tiny run on CIFAR-10, augmented."""
    return Identity("cifar10", "laptop", method, seed, {**TINY, **changes})


def without_clock(run: Run) -> Run:
    """The run with every number that is a time set to 0."""
    return dataclasses.replace(
        run,
        seconds=0.0,
        steps=[StepRow(*row)._replace(seconds=0.0) for row in run.steps],
        epochs=[EpochRow(*row)._replace(seconds=0.0) for row in run.epochs],
    )
