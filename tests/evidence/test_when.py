"""The page "When ZENITH helps": its words follow from its numbers."""

import math
import random
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("plotly", reason="the page's module needs plotly: zenith-lr[experiments]")
pytest.importorskip("matplotlib", reason="the pictures need matplotlib: zenith-lr[experiments]")

from experiments.__main__ import main
from experiments.evidence import facts
from experiments.evidence.effects import FACTORS, effect_sentence, effect_table, effects
from experiments.evidence.page import markdown_page
from experiments.evidence.study import Study
from experiments.evidence.when import when_page
from experiments.results import Run, write
from tests.evidence.made_up import run, whole_study


def page_of(runs: list[Run]) -> str:
    return markdown_page(when_page(Study(tuple(runs)), "the command"), "images")


def test_the_facts_of_a_run_are_what_the_words_say() -> None:
    norms = [4.0] * 10 + [2.0] * 10 + [1.0] * 80
    rates = [0.1] * 50 + [0.02] * 50
    one = run([0.1 * i for i in range(10)], norms=norms, rates=rates, changes={"window": 10})
    assert facts.final_scale(one) == pytest.approx(0.2)
    assert facts.norm_ratio(one) == pytest.approx(1 / 4)
    long = run([0.1] * 10, norms=norms, changes={"window": 500})  # never full: the first tenth
    assert facts.norm_ratio(long) == pytest.approx(1 / 4)
    by_label = {statistic.label: statistic.read(one) for statistic in facts.STATISTICS}
    assert by_label["training loss, mean of the epoch"] == pytest.approx(2.3)
    assert by_label["training loss, mean of the epoch over that of the first steps"] == 1
    assert by_label["validation metric after the epoch"] == 0
    assert by_label["validation loss minus training loss"] == pytest.approx(1 - 2.3)
    assert by_label["gradient norm, second half of the epoch over the first"] == 1
    trend = run([0.1, 0.2], norms=[4.0] * 5 + [1.0, 3.0, 2.0, 2.0, 2.0] + [9.0] * 10)
    read = {statistic.label: statistic.read(trend) for statistic in facts.STATISTICS}
    assert read["gradient norm, second half of the epoch over the first"] == 0.5
    assert read["gradient norm, standard deviation over mean in the second half"] == pytest.approx(
        math.sqrt(2 / 5) / 2
    )


def falling(scale: float, value: float, **more) -> list[Run]:
    """ZENITH ends at `scale` of eta_0 with an accuracy; the cosine has 0.5."""
    rates = np.linspace(0.1, 0.1 * scale, 20).tolist()
    return [
        *(run([0.3, value + 0.001 * s], seed=s, rates=rates, **more) for s in (0, 1, 2)),
        *(run([0.3, 0.5 + 0.001 * s], seed=s, method="cosine", **more) for s in (0, 1, 2)),
    ]


def test_what_is_said_in_short_is_counted() -> None:
    runs = [
        *falling(0.05, 0.6),
        *falling(0.7, 0.45, task="cifar10"),
        *falling(0.95, 0.4, task="cifar100"),
    ]
    page = page_of(runs)
    assert (
        "Of 3 settings, ZENITH's last learning rate is below 0.9 of the first in 2, below a half "
        "in 1, below a tenth in 1. The median is 0.70, the range 0.05 to 0.95." in page
    )
    assert (
        "**Against a cosine that is told the budget**, at 3 settings: ahead in 1, behind in 2, "
        "undecided in 0. Median difference -5.00 points of the test metric, from -10.00 to +10.00."
    ) in page
    assert "Best for ZENITH: MNIST (+10.00 (+10.00 to +10.00) points)" in page
    assert "Worst: CIFAR-100 (-10.00" in page
    assert "At the tasks' own settings: MNIST +10.00, CIFAR-10 -5.00, CIFAR-100 -10.00." in page
    assert "correlation" not in page  # three settings say nothing
    assert "constant learning rate**" not in page  # there is none


@pytest.mark.parametrize(
    ("values", "correlation", "words"),
    [
        ((0.7, 0.6, 0.55, 0.5, 0.4), "-1.00", "the further ZENITH anneals by itself, the better"),
        ((0.4, 0.5, 0.55, 0.6, 0.7), "1.00", "how far ZENITH anneals does not decide"),
    ],
)
def test_the_words_follow_the_correlation(
    values: tuple[float, ...], correlation: str, words: str
) -> None:
    runs: list[Run] = []
    for number, value in enumerate(values):
        runs += falling(0.1 + 0.2 * number, value, changes={"l2": 1e-4 * number})
    page = page_of(runs)
    said = f"There is a rank correlation of {correlation} (Spearman) between last LR / \u03b7\u2080"
    assert f"{said} and the difference to the cosine: {words}" in page


def test_too_little_to_learn_a_rule_from_is_said() -> None:
    page = page_of([*falling(0.05, 0.4), *falling(0.7, 0.55, task="cifar10")])
    assert "No rule can be learnt from these runs" in page


def test_every_method_of_the_main_comparison_is_counted() -> None:
    runs = [
        *falling(0.2, 0.6),
        *falling(0.2, 0.7, changes={"l2": 1e-4}),  # two methods of five: not the main comparison
        *(run([0.9], method="plateau", seed=s) for s in (0, 1, 2)),
        *(run([0.9], method="step", seed=s, status="diverged") for s in (0, 1, 2)),
        run([0.5], method="constant"),
    ]
    page = page_of(runs)
    assert "| cosine \u2020 | 1 | 1 | 0 | 0 | +10.00 | +10.00 to +10.00 |" in page
    assert "| plateau | 1 | 0 | 1 | 0 | -29.90 | -29.90 to -29.90 |" in page
    assert "| step decay \u2020 | 1 | 1 | 0 | 0 | +60.10 | +60.10 to +60.10 |" in page


def test_an_effect_compares_cells_that_differ_in_that_setting_alone() -> None:
    runs = [
        *falling(0.2, 0.6),
        *falling(0.5, 0.5, changes={"batch": 32}),
        *falling(0.9, 0.4, changes={"batch": 512, "momentum": 0.9}),  # differs in two
    ]
    (effect,) = effects(Study(tuple(runs)), "batch")
    assert [*effect.values] == [32, 128]
    assert effect_sentence("batch", [effect]).startswith(
        "From 32 to 128, the last learning rate over the first rose in 0 and fell in 1 of 1, on "
        "median from 0.50 to 0.20. ZENITH's test metric rose in 1 and fell in 0 of 1, on median "
        "from 50.10 to 60.10 %. Its distance to the cosine rose in 1 and fell in 0 of 1, on "
        "median from 0.00 to 10.00 points."
    )
    rows = effect_table("batch", [effect]).rows
    assert [row[1] for row in rows] == ["32", "128"]
    assert rows[0][5] == "+0.00 (+0.00 to +0.00)"


def test_a_factor_that_was_not_varied_has_no_section() -> None:
    page = page_of(falling(0.2, 0.6))
    assert "does the batch size" not in page
    whole = page_of(whole_study(seeds=1))
    assert whole.count("\n## What do") == 8  # no sweep varies images or epochs
    assert {"images", "epochs"} <= set(FACTORS)


@pytest.mark.parametrize("seed", range(5))
def test_any_part_of_a_study_makes_a_page(seed: int) -> None:
    runs = whole_study(seeds=2)
    part = random.Random(seed).sample(runs, (1, 2, 10, 60, 200)[seed])
    page = page_of(part)
    assert page.startswith("# When ZENITH helps")
    assert "nan" not in page
    assert "inf" not in re.sub("information|infinit", "", page).split()


def test_runs_that_diverged_and_failed_are_no_obstacle() -> None:
    runs = [*falling(0.2, 0.6)]
    runs += [
        run([0.3, math.nan], seed=7, status="diverged"),
        run([], seed=8, status="failed"),
        run([], seed=9, status="diverged", method="cosine"),
        run([math.nan], task="cifar10", status="diverged"),
    ]
    page = page_of(runs)
    assert "2 diverged" not in page
    assert "3 diverged, 1 failed" in page


def test_the_command_writes_the_page_its_pictures_and_its_numbers(tmp_path: Path) -> None:
    for one in falling(0.2, 0.6) + falling(0.5, 0.4, changes={"momentum": 0.9}):
        write(one, tmp_path / "results")
    out = tmp_path / "docs"
    assert main(["when", f"--results={tmp_path / 'results'}", f"--out={out}"]) == 0
    page = (out / "when-it-helps.md").read_text("utf-8")
    named = set(re.findall(r"\]\((images/[\w-]+\.png)\)", page))
    assert named == {f"images/{path.name}" for path in (out / "images").glob("*.png")}
    assert "images/when-momentum.png" in named
    assert (out / "data" / "when-momentum.csv").is_file()
    assert "python -m experiments when" in page
