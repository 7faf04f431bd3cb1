"""How a spread and a difference are written in a cell, and what stands under the table."""

from experiments.evidence.statistics import Difference, Spread

SPREAD_NOTE = "Median over the seeds, first to third quartile in brackets."
DIFFERENCE_NOTE = (
    "Mean of the differences at equal seeds; in brackets the 95 % percentile bootstrap interval, "
    "which with 3 seeds or fewer is the range. "
    "Bold where the interval leaves out 0."
)


def spread_text(spread: Spread, form: str = ".2f", factor: float = 1.0) -> str:
    """Median and quartiles; the median alone of one run."""
    middle = format(factor * spread.median, form)
    if spread.count == 1:
        return middle
    low, high = (format(factor * value, form) for value in (spread.low, spread.high))
    return f"{middle} ({low}\N{EN DASH}{high})"


def difference_text(difference: Difference) -> str:
    """In percentage points, with its interval, bold where it leaves out 0."""
    mean = f"{100 * difference.mean:+.2f}"
    if difference.count == 1:
        return f"{mean} (1 seed)"
    text = f"**{mean}**" if difference.sign else mean
    return f"{text} ({100 * difference.low:+.2f} to {100 * difference.high:+.2f})"
