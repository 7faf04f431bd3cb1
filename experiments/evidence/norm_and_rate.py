"""Figure 2: the gradient norm, and the learning rate that follows it."""

from experiments.evidence.chart import Chart, Panel
from experiments.evidence.curves import SMOOTHING, full_window, method_lines
from experiments.evidence.labels import budget_note, condition_label
from experiments.evidence.study import Condition, Study, compared

_METHODS = ("zenith", "cosine", "constant", "step")


def norm_charts(study: Study) -> list[Chart]:
    """One chart a condition under which methods are compared, ZENITH among them."""
    return [_chart(study, c) for c in compared(study) if study.cell(c, "zenith")]


def _chart(study: Study, condition: Condition) -> Chart:
    methods = [method for method in _METHODS if study.cell(condition, method)]
    norms = method_lines(
        study,
        condition,
        methods,
        lambda run: run.steps,
        lambda row: row.step,
        lambda row: row.grad_norm,
        smoothing=SMOOTHING,
    )
    rates = method_lines(
        study,
        condition,
        methods,
        lambda run: run.steps,
        lambda row: row.step,
        lambda row: row.lr,
    )
    full = full_window(study, condition)
    return Chart(
        f"figure2-{condition.slug}",
        condition_label(condition),
        "Norm of the minibatch gradient and learning rate. Lines: median over the seeds; band: "
        f"quartiles of ZENITH. The norm is smoothed over {SMOOTHING} recorded steps; the dashed "
        f"upright is the step at which the window of {full:g} is full. {budget_note(methods)}",
        [
            Panel("gradient norm", "step", "norm", norms, y_log=True, upright=full),
            Panel("learning rate", "step", "learning rate", rates, upright=full),
        ],
    )
