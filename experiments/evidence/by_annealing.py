"""ZENITH against the yardsticks by how far it annealed: where it did not, it is a constant LR."""

import statistics
from collections.abc import Mapping, Sequence

from experiments.evidence.against import Match
from experiments.evidence.norms import RATE
from experiments.evidence.table import Table

_GROUPS = (
    ("above 0.9: a constant learning rate in all but name", 0.9, float("inf")),
    ("0.5 to 0.9", 0.5, 0.9),
    ("0.5 or below: it annealed by itself", float("-inf"), 0.5),
)


def annealing_table(against: Mapping[str, Sequence[Match]]) -> Table:
    """One row a group of settings; the difference to each yardstick, in points.

    Args:
      against: ZENITH against "cosine" and against "constant", at the same settings.
    """
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for label, above, most in _GROUPS:
        gaps = {other: _gaps(found, above, most) for other, found in against.items()}
        if not any(gaps.values()):
            continue
        rows.append([label, str(len(gaps["cosine"])), *map(_told, gaps.values())])
        records.append(
            {"above": above, "at_most": most, "settings": len(gaps["cosine"])}
            | {
                f"minus_{other}": statistics.median(values) if values else ""
                for other, values in gaps.items()
            }
        )
    return Table(
        "when-annealing",
        "",
        [RATE, "settings", *(f"minus {other}, points" for other in against)],
        rows,
        "Median over the settings of the mean difference of the test metric at the end, lowest to "
        "highest in brackets.",
        records=records,
    )


def _gaps(found: Sequence[Match], above: float, most: float) -> list[float]:
    return [
        match.difference.mean
        for match in found
        if match.difference is not None and above < match.scale.median <= most
    ]


def _told(gaps: Sequence[float]) -> str:
    if not gaps:
        return "\N{EN DASH}"
    low, middle, high = (100 * f(gaps) for f in (min, statistics.median, max))
    return f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"
