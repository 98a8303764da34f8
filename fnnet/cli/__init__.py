"""The command line: parse, call, print."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from fnnet.cli import signals
from fnnet.cli.signals import STOPPED, Stopped


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    signals.install()
    try:
        # Only now: importing the commands takes most of a tenth of a second, in which a signal may come.
        from fnnet.cli.program import run

        code = run(list(sys.argv[1:] if arguments is None else arguments))
    except Stopped as stopped:
        word, code = STOPPED[stopped.args[0]]
        signals.settle(code)
        _tell(word)
    signals.settle(code)
    sys.exit(code)


def _tell(word: str) -> None:
    """What ended the command, without what may not be imported yet."""
    try:
        sys.stderr.write(f"error: {word}\n")
        sys.stdout.flush()
    except (OSError, AttributeError):
        # Closed or full; what is left for them must not fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
