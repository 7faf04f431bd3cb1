"""Cells, conditions and the two ends of a run."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.evidence.study import Condition, Ends, Study, compared, ends_of
from tests.evidence.made_up import METHODS, TASKS, run, whole_study

MNIST = Condition("mnist", "laptop", ())


def test_the_best_epoch_is_chosen_on_the_validation_split() -> None:
    finished = run([0.5, 0.8, 0.8, 0.7], test=[0.9, 0.6, 0.65, 0.55])
    assert ends_of(finished) == Ends(best=0.6, last=0.55)


def test_a_run_that_diverged_counts_as_nothing_at_the_end_and_with_its_best_before() -> None:
    diverged = run([0.5, 0.8, math.nan], test=[0.5, 0.7, 0.1], status="diverged")
    assert ends_of(diverged) == Ends(best=0.7, last=0.0)
    assert ends_of(run([], status="diverged")) == Ends(0.0, 0.0)


def test_another_metric_can_be_asked_for() -> None:
    finished = run([0.5, 0.8])
    finished.epochs[1].test["mask_map50"] = 0.25
    finished.epochs[1].validation["mask_map50"] = 0.3
    assert ends_of(finished, "mask_map50") == Ends(0.25, 0.25)


def test_a_window_is_a_setting_of_zenith_alone() -> None:
    study = Study(
        (
            run([0.5], changes={"window": 50}),
            run([0.6], method="cosine", changes={"window": 50}),
            run([0.7], method="cosine", changes={"l2": 1e-4, "window": 50}),
        )
    )
    narrow = MNIST._replace(changes=(("window", 50),))
    assert [*study.cell(narrow, "zenith")] == [0]
    assert not study.cell(narrow, "cosine")
    assert study.rival(narrow, "cosine")[0].epochs[0].test["accuracy"] == 0.6
    assert [*study.cell(MNIST._replace(changes=(("l2", 1e-4),)), "cosine")] == [0]


def test_failed_runs_are_counted_and_left_out() -> None:
    study = Study((run([0.5]), run([0.9], seed=1, status="failed")))
    assert [*study.cell(MNIST, "zenith")] == [0]
    assert study.failed(MNIST, "zenith") == 1
    assert study.failed(MNIST, "cosine") == 0


WHOLE = whole_study(seeds=1)


@given(st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_the_order_of_the_files_does_not_matter(random) -> None:
    runs = WHOLE
    shuffled = random.sample(runs, len(runs))
    first, second = Study(tuple(runs)), Study(tuple(shuffled))
    assert first.conditions == second.conditions
    assert first.methods == second.methods == [*METHODS]
    assert compared(first) == compared(second)


def test_tasks_come_in_the_order_of_the_paper_and_plain_settings_first() -> None:
    compare = compared(Study(tuple(whole_study(seeds=1))))
    assert [(c.task, c.changes) for c in compare] == [
        (task, changes) for task in TASKS for changes in ((), (("momentum", 0.9),))
    ]


def test_a_method_of_another_version_comes_last() -> None:
    runs = [run([0.5]), run([0.5], method="adam-of-old"), run([0.5], method="cosine")]
    assert Study(tuple(runs)).methods == ["zenith", "cosine", "adam-of-old"]


def test_the_yardsticks_lead_and_then_those_with_the_highest_medians() -> None:
    values = {"zenith": 0.1, "constant": 0.3, "cosine": 0.2, "step": 0.5, "plateau": 0.9}
    runs = [run([value], method=method) for method, value in values.items()]
    runs += [run([1.0], method="step", seed=seed, status="diverged") for seed in (1, 2)]
    study = Study(tuple(runs))
    assert study.leading(MNIST, 3) == ["zenith", "constant", "cosine"]
    assert study.leading(MNIST, 4) == ["zenith", "constant", "cosine", "plateau"]
    assert study.leading(MNIST, 9) == study.methods


def test_four_methods_make_a_main_comparison_and_three_yardsticks_none() -> None:
    few = {"momentum": ("zenith", "cosine", "step", "constant"), "l2": ("zenith", "cosine")}
    runs = [run([0.5], method=method) for method in METHODS]
    for key, methods in few.items():
        runs += [run([0.5], method=method, changes={key: 0.5}) for method in methods]
    assert compared(Study(tuple(runs))) == [MNIST, MNIST._replace(changes=(("momentum", 0.5),))]


def test_a_task_with_two_methods_is_compared_beside_one_with_many() -> None:
    two = [run([0.5], task="mask-rcnn", method=method) for method in ("zenith", "constant")]
    many = [run([0.5], method=method) for method in METHODS]
    assert compared(Study((*two, *many))) == [MNIST, MNIST._replace(task="mask-rcnn")]
