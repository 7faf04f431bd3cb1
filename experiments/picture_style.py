"""What matplotlib is told for every picture, so that all of them look alike."""

from typing import Any

PICTURE_STYLE: dict[str, Any] = {
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "svg.hashsalt": "zenith",  # the same results give the same file
}
