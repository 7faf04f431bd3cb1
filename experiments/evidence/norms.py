"""Does the gradient norm fall? ZENITH's own, and that under a constant learning rate."""

from collections.abc import Sequence

from experiments.evidence.against import Match
from experiments.evidence.chart import Chart, Panel
from experiments.evidence.curves import SMOOTHING, full_window, method_lines
from experiments.evidence.facts import norm_ratio
from experiments.evidence.labels import budget_note, condition_label, task_label
from experiments.evidence.statistics import Spread
from experiments.evidence.study import YARDSTICKS, Study, without
from experiments.evidence.table import Table
from experiments.evidence.wording import spread_text

RATE = "last LR / \N{GREEK SMALL LETTER ETA}\N{SUBSCRIPT ZERO}"


def norm_table(study: Study, found: Sequence[Match]) -> Table:
    """One row a condition: how far the norm fell, and what ZENITH made of it."""
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for match in found:
        constant = [
            norm_ratio(run)
            for run in study.rival(match.condition, "constant").values()
            if run.status == "finished"
        ]
        rows.append(
            [
                condition_label(match.condition),
                spread_text(match.norm),
                spread_text(Spread.of(constant)) if constant else "\N{EN DASH}",
                spread_text(match.scale),
                spread_text(match.train_loss, ".3f"),
                str(match.norm.count),
            ]
        )
        records.append(
            {
                "task": match.condition.task,
                "scale": match.condition.scale,
                **dict(match.condition.changes),
                "norm_ratio_zenith": match.norm.median,
                "norm_ratio_constant": Spread.of(constant).median if constant else "",
                "final_scale": match.scale.median,
                "train_loss": match.train_loss.median,
                "seeds": match.norm.count,
            }
        )
    return Table(
        "when-norm",
        "",
        ["task", "norm: last / first, ZENITH", "the same, constant LR", RATE, "training loss", "n"],
        rows,
        "Last: mean over the last tenth of the steps. First: mean over the first W steps. Training "
        "loss: mean of the last epoch. Median over n seeds, first to third quartile in brackets.",
        records=records,
    )


def norm_chart(study: Study, found: Sequence[Match]) -> Chart:
    """The norm over the steps, one panel for each task at its own settings."""
    plain = [m.condition for m in found if m.condition == without(m.condition, *_keys(m))]
    panels = [
        Panel(
            task_label(condition),
            "step",
            "gradient norm",
            method_lines(
                study,
                condition,
                YARDSTICKS,
                lambda run: run.steps,
                lambda row: row.step,
                lambda row: row.grad_norm,
                smoothing=SMOOTHING,
            ),
            y_log=True,
            upright=full_window(study, condition),
        )
        for condition in plain
    ]
    return Chart(
        "when-norm",
        "Norm of the minibatch gradient",
        f"Median over the seeds, smoothed over {SMOOTHING} recorded steps; band: quartiles of "
        f"ZENITH. Dashed: the window is full. {budget_note(YARDSTICKS)}",
        panels,
    )


def _keys(match: Match) -> list[str]:
    return [key for key, _ in match.condition.changes]
