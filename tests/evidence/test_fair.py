"""Comparisons in which one could fool oneself: by annealing, and each at its own eta_0."""

import pytest

pytest.importorskip("scipy", reason="the intervals need scipy: zenith-lr[experiments]")

from experiments.evidence.against import matches
from experiments.evidence.by_annealing import annealing_table
from experiments.evidence.study import Study
from experiments.evidence.tuned import tuned, tuned_table
from experiments.results import Run
from tests.evidence.made_up import run


def at(task: str, scale: float, zenith: float, cosine: float) -> list[Run]:
    rates = [0.1] * 10 + [0.1 * scale] * 10
    return [
        run([0.3, zenith], task=task, rates=rates),
        run([0.3, cosine], task=task, method="cosine"),
    ]


def test_settings_are_grouped_by_how_far_zenith_annealed() -> None:
    runs = [
        *at("mnist", 0.91, 0.50, 0.40),  # +10
        *at("fashion-mnist", 0.9, 0.50, 0.52),  # -2: at the edge, not above it
        *at("cifar10", 0.6, 0.50, 0.54),  # -4
        *at("cifar100", 0.5, 0.50, 0.47),  # +3
    ]
    study = Study((*runs, run([0.3, 0.51], task="mnist", method="constant")))
    against = {other: matches(study, other) for other in ("cosine", "constant")}
    high, middle, low = annealing_table(against).rows
    assert high[1:] == ["1", "+10.00 (+10.00 to +10.00)", "-1.00 (-1.00 to -1.00)"]
    assert middle[1:] == ["2", "-3.00 (-4.00 to -2.00)", "\N{EN DASH}"]
    assert low[1:] == ["1", "+3.00 (+3.00 to +3.00)", "\N{EN DASH}"]


def tried(method: str, results: dict[float, tuple[float, float]]) -> list[Run]:
    """Validation and test metric at the end for each eta_0, from two seeds a point apart."""
    return [
        run(
            [0.1, validation + 0.01 * seed],
            test=[0.1, test + 0.01 * seed],
            method=method,
            seed=seed,
            changes={} if lr == 0.1 else {"lr": lr},
        )
        for lr, (validation, test) in results.items()
        for seed in (0, 1)
    ]


def test_each_method_has_the_first_rate_that_its_validation_prefers() -> None:
    runs = [
        *tried("zenith", {0.03: (0.7, 0.75), 0.1: (0.8, 0.7), 0.3: (0.6, 0.9)}),
        *tried("cosine", {0.03: (0.5, 0.5), 0.1: (0.6, 0.6), 0.3: (0.9, 0.65)}),
        *tried("constant", {0.1: (0.9, 0.9), 0.3: (0.9, 0.9)}),  # two values are no choice
    ]
    zenith, cosine = found = tuned(Study(tuple(runs)))
    assert (zenith.method, zenith.lr, zenith.tried) == ("zenith", 0.1, 3)
    assert (cosine.method, cosine.lr) == ("cosine", 0.3)
    assert zenith.test.median == pytest.approx(0.705)
    assert zenith.worst == pytest.approx(0.705)  # the test metric has no say in the choice
    assert cosine.worst == pytest.approx(0.505)
    own, other = tuned_table(found).rows
    assert own[2:] == ["0.1", "70.50 (70.25\N{EN DASH}70.75)", "70.50", "\N{EN DASH}"]
    assert other[2] == "0.3"
    assert other[-1] == "**+5.00** (+5.00 to +5.00)"


def test_a_run_that_diverged_is_not_chosen() -> None:
    runs = tried("zenith", {0.03: (0.7, 0.7), 0.1: (0.8, 0.8)})
    gone = [run([0.95], seed=s, changes={"lr": 1.0}, status="diverged") for s in (0, 1)]
    (zenith,) = tuned(Study((*runs, *gone)))
    assert (zenith.lr, zenith.tried, zenith.worst) == (0.1, 3, 0.0)


def test_other_settings_and_studies_without_the_sweep_are_left_out() -> None:
    results = {0.03: (0.7, 0.7), 0.1: (0.8, 0.8), 0.3: (0.6, 0.6)}
    momentum = [
        run([0.1, value], changes={"lr": lr, "momentum": 0.9}) for lr, (value, _) in results.items()
    ]
    assert tuned(Study(tuple(momentum))) == []
    assert tuned(Study(tuple(tried("cosine", results)))) == []  # nothing to compare with
