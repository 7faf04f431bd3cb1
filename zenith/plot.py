"""Draw a run of ZENITH."""

# pyright: reportUnknownMemberType=false, reportMissingImports=false
# (Matplotlib is annotated in part, and optional: pip install zenith-lr[plot])

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from zenith.log import Log, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart in every kind of colour blindness, and by their lightness in print.
_LR, _NORM, _MEAN, _PEAK, _SKIPPED = "#0b6e4f", "#9db4c0", "#1d3557", "#e07a1f", "#c1121f"
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#8a8a8a",
    "axes.grid": True,
    "axes.labelcolor": "#333333",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "font.size": 9.5,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}


def plot(
    source: Log | Mapping[str, Any] | str | PathLike[str],
    *,
    window: int | None = None,
    title: str | None = None,
) -> "Figure":
    """A picture of what ZENITH did: learning rate, gradient norm, its mean and the zenith.

    The mean and the zenith are computed from the norms where the log has only those. Where the log
    has no learning rate, that relative to eta_0 is drawn; where it has a loss, that too.

    Args:
      source: a `Log`, or whatever `zenith.log.read_log` reads: a path, a portable state.
      window: W, for a log that does not tell it.
      title: above the picture; none by default.

    Returns:
      A Matplotlib figure of `matplotlib.pyplot`: save it with `savefig`, or call `pyplot.show()`.

    Raises:
      ImportError: Matplotlib is not installed.
      FileNotFoundError, ValueError: as `zenith.log.read_log`.

    Example:
      >>> from zenith.plot import plot
      >>> plot("zenith.csv").savefig("zenith.png")  # doctest: +SKIP
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("zenith.plot needs Matplotlib: pip install zenith-lr[plot]") from None
    run = read_log(source, window=window).complete()
    draw = [_draw_lr, _draw_norms]
    if _is_known(run.loss):
        draw.append(_draw_loss)
    # Made outside of the style: the first figure loads the backend, whose own settings would be
    # taken back with the style, and notebooks would show no further figure.
    size = (8, 1.4 + 1.8 * len(draw))
    figure = pyplot.figure(figsize=size, layout="constrained", facecolor="white")
    with pyplot.rc_context(_STYLE):
        axes = figure.subplots(len(draw), sharex=True, height_ratios=[2, 3, 1.6][: len(draw)])
        for draw_one, ax in zip(draw, axes, strict=True):
            draw_one(ax, run)
        axes[-1].set_xlabel(
            {"step": "step", "epoch": "epoch", "step before now": "step, from the last"}[run.unit]
        )
        axes[-1].margins(x=0.01)
        if title is not None:
            figure.suptitle(title)
    return figure


def _draw_lr(ax: "Axes", run: Log) -> None:
    absolute = _is_known(run.lr)
    values = run.lr if absolute else run.scale
    _line(ax, run, values, color=_LR, linewidth=1.8)
    ax.set_ylabel("learning rate" if absolute else r"$\eta_t\,/\,\eta_0$")
    if _is_known(values) and np.nanmax(values) > 0:
        ax.set_ylim(0, 1.08 * np.nanmax(values))


def _draw_norms(ax: "Axes", run: Log) -> None:
    few = np.isfinite(run.grad_norm).sum() < 200
    ax.plot(
        run.step, _positive(run.grad_norm), color=_NORM, marker="o", linestyle="none",
        markersize=3.5 if few else 1.8, markeredgewidth=0, label=r"gradient norm $g_t$",
    )  # fmt: skip
    ax.set_yscale("log")
    _line(ax, run, _positive(run.mean), color=_MEAN, linewidth=1.6, label=_mean_label(run))
    _line(
        ax, run, _positive(run.peak), color=_PEAK, linewidth=1.6, linestyle="--",
        label=r"zenith $Z_t$",
    )  # fmt: skip
    _draw_skipped(ax, run)
    ax.set_ylabel("gradient norm")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0, markerscale=2)


def _draw_skipped(ax: "Axes", run: Log) -> None:
    skipped = np.diff(run.skipped, prepend=0) > 0
    if skipped.any():
        ax.plot(
            run.step[skipped], np.full(skipped.sum(), 0.03), color=_SKIPPED, marker="|",
            markersize=9, markeredgewidth=1.6, linestyle="none", clip_on=False,
            transform=ax.get_xaxis_transform(), label=f"skipped: {run.skipped[-1]}",
        )  # fmt: skip


def _draw_loss(ax: "Axes", run: Log) -> None:
    _line(ax, run, run.loss, color="#555555", linewidth=1.2)
    ax.set_ylabel("loss")
    if np.nanmin(run.loss) > 0:
        ax.set_yscale("log")


def _line(ax: "Axes", run: Log, values: Any, **style: Any) -> None:
    """A line through what is known; a single value has no line, and gets a dot."""
    known = np.isfinite(values)
    if not known.any():
        return
    marker = {"marker": "o", "markersize": 4} if known.sum() == 1 else {}
    ax.plot(run.step[known], values[known], **marker, **style)


def _mean_label(run: Log) -> str:
    windows = {*run.window.tolist()} - {0}
    return rf"mean $\mu_t$ of {windows.pop()}" if len(windows) == 1 else r"mean $\mu_t$"


def _positive(values: Any) -> Any:
    return np.where(values > 0, values, np.nan)  # for a logarithmic axis


def _is_known(values: Any) -> bool:
    return bool(np.isfinite(values).any())
