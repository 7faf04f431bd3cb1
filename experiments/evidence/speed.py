"""Performance profiles of the time to a common target."""

from collections.abc import Sequence

import numpy as np

from experiments.evidence.chart import Chart, Line, Panel
from experiments.evidence.convergence import Clock, time_to_target
from experiments.evidence.labels import budget_note, method_label
from experiments.evidence.looks import looks
from experiments.evidence.profiles import performance_profiles
from experiments.evidence.study import YARDSTICKS, Condition, Study, compared, in_order
from experiments.evidence.timing import common_target

_FEW = 8
_WIDEST = 10.0  # ratios beyond are drawn at the right edge


def profile_chart(study: Study, *, every_method: bool) -> Chart | None:
    """How often each method is within a factor of the fastest; None with fewer than two methods.

    A problem is a task at one setting and one seed. Methods that lack half of the problems are
    left out, and then the problems that one of the others lacks.

    Args:
      study: the runs.
      every_method: whether all are drawn, or ZENITH, constant, cosine and the five that solve most
        problems; the shortest time is that of any method all the same.
    """
    problems = [
        (condition, seed)
        for condition in compared(study)
        for seed in sorted({s for m in study.methods for s in study.cell(condition, m)})
    ]
    has = {
        method: {(c, seed) for c, seed in problems if seed in study.cell(c, method)}
        for method in study.methods
    }
    methods = [m for m in study.methods if 2 * len(has[m]) >= len(problems) > 0]
    kept = [problem for problem in problems if all(problem in has[m] for m in methods)]
    if len(methods) < 2 or not kept:
        return None
    left_out = [method_label(m) for m in study.methods if m not in methods]
    targets = {condition: common_target(study, condition) for condition, _ in kept}
    clocks: tuple[Clock, ...] = ("seconds", "step")
    panels = [
        Panel(
            {"seconds": "in seconds of training", "step": "in steps"}[clock],
            "time over the shortest",
            "share of problems",
            _lines(study, methods, kept, targets, clock, every_method),
            x_log=True,
            y_range=(-0.02, 1.02),
        )
        for clock in clocks
    ]
    return Chart(
        "profile",
        "Time to 99 % of the best method's validation metric",
        f"Performance profiles (Dolan and Mor\N{LATIN SMALL LETTER E WITH ACUTE}, 2002) over "
        f"{len(kept)} of {len(problems)} problems, each a task at one setting and seed: the "
        "share of problems that a method solves within a multiple of the shortest time of "
        "any. The curves end at the share "
        f"that it solves at all. {budget_note(methods)}"
        + (f" Left out for missing runs: {', '.join(left_out)}." if left_out else ""),
        panels,
        row_height=3.2,
    )


def _lines(
    study: Study,
    methods: Sequence[str],
    problems: Sequence[tuple[Condition, int]],
    targets: dict[Condition, float],
    clock: Clock,
    every_method: bool,
) -> list[Line]:
    profiles = performance_profiles(
        {
            method: [
                time_to_target(study.cell(c, method)[seed], targets[c], clock)
                for c, seed in problems
            ]
            for method in methods
        }
    )
    drawn = sorted(methods, key=lambda m: (m not in YARDSTICKS, -profiles[m].shares.sum()))
    drawn = methods if every_method else in_order(drawn[:_FEW])
    look = looks(drawn)
    lines: list[Line] = []
    for method in drawn:
        profile = profiles[method]
        edge = max(_WIDEST, float(profile.ratios[-1]))
        # A staircase: each step is held until the next one.
        x = np.repeat(np.append(profile.ratios, edge), 2)[1:-1]
        y = np.repeat(profile.shares, 2)
        lines.append(Line(x, y, method_label(method), look[method]))
    return lines
