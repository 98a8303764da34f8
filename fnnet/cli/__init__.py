"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from fnnet.cli import signals, streams
from fnnet.cli.signals import STOPPED, Stopped


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit the process with its exit code."""
    streams.prepare()
    signals.install()
    word = ""
    try:
        # Only now: importing the commands takes most of a tenth of a second, in which a signal may come.
        from fnnet.cli.program import run

        code = run(list(sys.argv[1:] if arguments is None else arguments))
    except ModuleNotFoundError as error:
        streams.print_error(streams.missing(error))
        code = 1
    except Stopped as stopped:
        word, code = STOPPED[stopped.args[0]]
    signals.settle(code)
    if word:
        streams.print_error(word)
    sys.exit(code)
