"""Runs that were never trained, with answers that are known."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.results import EpochRow, Identity, Run, Setting, StepRow

DEFAULTS: dict[str, Setting] = {
    "epochs": 10,
    "batch": 128,
    "lr": 0.1,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "l2": 0.0,
    "window": 100,
    "augment": True,
    "normalisation": "batch",
}


def run(
    accuracies: Sequence[float],
    *,
    task: str = "mnist",
    method: str = "zenith",
    seed: int = 0,
    changes: dict[str, Setting] | None = None,
    test: Sequence[float] | None = None,
    status: Any = "finished",
    rates: Sequence[float] = (),
    norms: Sequence[float] = (),
    seconds: float = 1.0,
    metric: str = "accuracy",
) -> Run:
    """A run of given validation accuracies, one an epoch; 10 steps and `seconds` an epoch."""
    epochs = len(accuracies)
    tests = accuracies if test is None else test
    count = 10 * epochs
    lr = list(rates) or [0.1] * count
    norm = list(norms) or [1.0] * count
    return Run(
        identity=Identity(task, "laptop", method, seed, changes or {}),
        settings=DEFAULTS | (changes or {}),
        status=status,
        reason="" if status == "finished" else "the loss is not finite",
        seconds=seconds * epochs,
        every=1,
        environment={"torch": "2.13.0"},
        steps=[
            StepRow(i + 1, seconds * (i + 1) / 10, 2.3 * math.exp(-i / 30), lr[i], norm[i])
            for i in range(count)
        ],
        epochs=[
            EpochRow(
                epoch + 1,
                10 * (epoch + 1),
                seconds * (epoch + 1),
                2.3 * math.exp(-epoch / 3),
                {metric: accuracies[epoch], "loss": 1 - accuracies[epoch]},
                {metric: tests[epoch], "loss": 1 - tests[epoch]},
            )
            for epoch in range(epochs)
        ],
    )


METHODS = ("zenith", "constant", "cosine", "step", "plateau")
TASKS = ("mnist", "fashion-mnist", "cifar10", "cifar100")


def whole_study(seeds: int = 3) -> list[Run]:
    """Laid out as the real one: a comparison, and ZENITH and cosine at other settings."""
    runs: list[Run] = []
    variants: list[dict[str, Setting]] = [{}, {"momentum": 0.9}]
    ablations: list[dict[str, Setting]] = [
        *({"lr": lr} for lr in (0.03, 0.3)),
        *({"l2": l2} for l2 in (1e-4, 3e-4)),
        {"weight_decay": 3e-4},
        *({"batch": batch} for batch in (32, 512)),
        {"normalisation": "none"},
        {"augment": False},
    ]
    for number, task in enumerate(TASKS):
        for changes in variants:
            for method in METHODS:
                runs += [curve(number, task, method, seed, changes) for seed in range(seeds)]
        for changes in ablations:
            for method in ("zenith", "cosine"):
                runs += [curve(number, task, method, seed, changes) for seed in range(seeds)]
        for window in (20, 50, 400):
            runs += [curve(number, task, "zenith", s, {"window": window}) for s in range(seeds)]
    return runs


def curve(
    number: int, task: str, method: str, seed: int, changes: dict[str, Setting], epochs: int = 10
) -> Run:
    """A plausible run; the same arguments give the same one."""
    text = f"{task}{method}{sorted(changes.items())}{seed}"
    rng = np.random.default_rng(list(text.encode()))
    count = 10 * epochs
    at = np.arange(count)
    falls = 3.0 if changes.get("augment") is False else number / 2
    norms = np.exp(-falls * at / count) * rng.lognormal(0, 0.2, count)
    rates = {
        "zenith": 0.1 * np.minimum(1, np.exp(-falls * (at - 20) / count)),
        "cosine": 0.05 * (1 + np.cos(np.pi * at / count)),
        "step": 0.1 * 0.1 ** ((at >= count / 2) + 1.0 * (at >= 3 * count / 4)),
    }.get(method, np.full(count, 0.1))
    top = 0.9 - 0.1 * number + (0.02 if method == "cosine" else 0.01 * falls)
    top += rng.normal(0, 0.004)
    accuracy = top * (1 - np.exp(-np.arange(1, epochs + 1) / 2)) + rng.normal(0, 0.002, epochs)
    return run(
        accuracy.tolist(),
        task=task,
        method=method,
        seed=seed,
        changes=changes,
        test=(accuracy - 0.005).tolist(),
        rates=rates.tolist(),
        norms=norms.tolist(),
        seconds=float(10 * rng.lognormal(0, 0.1)),
    )
