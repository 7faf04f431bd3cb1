"""Figure 2: the gradient norm, and the learning rate that follows it."""

from experiments.evidence.chart import Chart, Line, Panel
from experiments.evidence.curves import SMOOTHING, median_line
from experiments.evidence.labels import budget_note, condition_label, method_label
from experiments.evidence.looks import looks
from experiments.evidence.study import Condition, Study, compared

_METHODS = ("zenith", "cosine", "constant", "step")


def norm_charts(study: Study) -> list[Chart]:
    """One chart a condition under which methods are compared, ZENITH among them."""
    return [_chart(study, c) for c in compared(study) if study.cell(c, "zenith")]


def _chart(study: Study, condition: Condition) -> Chart:
    methods = [method for method in _METHODS if study.cell(condition, method)]
    look = looks(methods)
    norms: list[Line] = []
    rates: list[Line] = []
    for method in methods:
        runs = list(study.cell(condition, method).values())
        label, band = method_label(method), method == "zenith"
        norms.append(
            median_line(
                runs,
                lambda run: run.steps,
                lambda row: row.step,
                lambda row: row.grad_norm,  # type: ignore[union-attr]
                label,
                look[method],
                smoothing=SMOOTHING,
                band=band,
            )
        )
        rates.append(
            median_line(
                runs,
                lambda run: run.steps,
                lambda row: row.step,
                lambda row: row.lr,  # type: ignore[union-attr]
                label,
                look[method],
                band=band,
            )
        )
    window = next(iter(study.cell(condition, "zenith").values())).settings.get("window")
    return Chart(
        f"figure2-{condition.slug}",
        condition_label(condition),
        "Norm of the minibatch gradient and learning rate. Lines: median over the seeds; band: "
        f"quartiles of ZENITH. The norm is smoothed over {SMOOTHING} recorded steps; the dashed "
        f"upright is the step at which the window of {window} is full. {budget_note(methods)}",
        [
            Panel("gradient norm", "step", "norm", norms, y_log=True, upright=_number(window)),
            Panel("learning rate", "step", "learning rate", rates, upright=_number(window)),
        ],
    )


def _number(window: object) -> float | None:
    return float(window) if isinstance(window, int | float) else None
