"""Progress bars, with the time that is left."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def bars(console: Console, *, speed_seconds: float = 30.0) -> Progress:
    """Bars that vanish when all is done; none where the console is no terminal.

    Bars mean nothing in a log file, where each refresh would be one more line.

    Args:
      console: where they are drawn.
      speed_seconds: the time over which the speed is averaged that tells how much is left.
    """
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=speed_seconds,
    )
