"""Colours and dashes of the methods: Okabe and Ito's, told apart by every kind of colour vision."""

from collections.abc import Sequence

from experiments.evidence.chart import Dash, Look
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
_DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot", "longdash")
_OTHERS = [
    look
    for dash in _DASHES
    for color in (PURPLE, ORANGE, SKY, BLACK, GREEN, BLUE)
    if (look := Look(color, dash, 1.2))[:2] not in {fixed[:2] for fixed in _FIXED.values()}
]


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """One look for each method, the same in every figure whatever else is drawn."""
    known = [method for method in METHODS if method not in _FIXED]
    places = {method: place for place, method in enumerate(known)}
    return {
        method: _FIXED.get(method) or _OTHERS[places.get(method, len(known)) % len(_OTHERS)]
        for method in methods
    }
