"""`python -m zenith`: the version, what the log of a run says, and its picture."""

# pyright: reportUnknownMemberType=false, reportMissingImports=false
# (Matplotlib is annotated in part, and optional)

import argparse
import sys
from pathlib import Path

from zenith import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if it went well, 2 for input that it cannot read."""
    parser = argparse.ArgumentParser(prog="python -m zenith", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    diagnose = commands.add_parser("diagnose", help="say in words what a run shows")
    plot = commands.add_parser("plot", help="draw a run")
    for command in (diagnose, plot):
        command.add_argument("source", help="CSV, JSON lines, portable state or TensorBoard folder")
        command.add_argument("--window", type=int, help="W, for a log that does not tell it")
    plot.add_argument("-o", "--output", default="zenith.png", help="the picture, by its suffix")
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        print(f"zenith {__version__}")
        return 0
    try:
        if chosen.command == "diagnose":
            _diagnose(chosen.source, chosen.window)
        else:
            _plot(chosen.source, chosen.window, chosen.output)
    except (OSError, ValueError, ImportError) as error:
        print(f"{parser.prog} {chosen.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _diagnose(source: str, window: int | None) -> None:
    from zenith.diagnose import diagnose
    from zenith.log import read_log

    run = read_log(source, window=window).complete()
    findings = diagnose(run)
    for finding in findings:
        print(f"{finding.code}\n  {finding.seen}\n  {finding.advice}")
    if not findings:
        print(f"Nothing to report: the learning rate is {run.scale[-1]:.0%} of eta_0.")


def _plot(source: str, window: int | None, output: str) -> None:
    import matplotlib

    matplotlib.use("Agg")  # a picture for a file needs no screen
    from zenith.plot import plot

    if not Path(output).suffix:
        raise ValueError(f"output must name a kind of picture, such as .png. Received: {output!r}")
    plot(source, window=window).savefig(output, dpi=150)
    print(output)


if __name__ == "__main__":
    sys.exit(main())
