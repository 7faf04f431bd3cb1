"""Colours and dashes of the methods: Okabe and Ito's, told apart by every kind of colour vision."""

from collections.abc import Sequence

from experiments.evidence.chart import Look
from experiments.methods import METHODS

VERMILLION, BLUE, GREEN, PURPLE = "#d55e00", "#0072b2", "#009e73", "#cc79a7"
ORANGE, SKY, BLACK, GREY = "#e69f00", "#56b4e9", "#000000", "#7f7f7f"
PALETTE = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)

_FIXED = {
    "zenith": Look(VERMILLION, "solid", 2.4),
    "constant": Look(GREY, "dot", 2.0),
    "cosine": Look(BLUE, "dash"),
    "step": Look(GREEN, "dashdot"),
}
_OTHER_COLORS = (PURPLE, ORANGE, SKY, BLACK, GREEN, BLUE)


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """One look for each method, the same in every figure whatever else is drawn."""
    others = [method for method in METHODS if method not in _FIXED]
    found: dict[str, Look] = {}
    for method in methods:
        if method in _FIXED:
            found[method] = _FIXED[method]
            continue
        place = others.index(method) if method in others else len(others)
        color = _OTHER_COLORS[place % len(_OTHER_COLORS)]
        dash = ("solid", "dash", "dot", "dashdot")[place // len(_OTHER_COLORS) % 4]
        found[method] = Look(color, dash, 1.2)  # type: ignore[arg-type]
    return found
