"""`python -m experiments`: run an experiment from the command line."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from experiments.commands import (
    curvature,
    demo,
    figures,
    list_methods,
    report,
    run,
    sweep,
    table1,
    table2,
    tables,
    when,
)
from experiments.errors import RequestError

_COMMANDS = (
    demo,
    list_methods,
    run,
    sweep,
    table1,
    table2,
    tables,
    figures,
    curvature,
    report,
    when,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, or 2 after one line on stderr that says why."""
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except RequestError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        what_now = interrupt.args[0] if interrupt.args else "nothing was written"
        print(f"experiments: interrupted; {what_now}", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    """Reports a bad argument in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message} (see `{self.prog} -h`)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
