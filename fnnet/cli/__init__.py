"""The command line: parse, call, print."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable
from typing import NoReturn

from fnnet.cli import signals, streams
from fnnet.cli.signals import STOPPED, Stopped
from fnnet.errors import FnnetError
from fnnet.limits import launched


def launch() -> NoReturn:
    """Run the command line as the program of this process: a further signal while it ends changes nothing."""
    streams.prepare()
    signals.install()
    codes: list[int] = []
    alone = launched() == 1
    if alone:  # MPICH kills the other ranks where one has left without the handlers that C has for an exit
        end_at_once(codes)
    word, code = _run(sys.argv[1:], ahead=True) if alone else ("", _run_with_ranks())
    signals.settle(code)
    _tell(word)
    codes.append(code)
    sys.exit(code)


def _run_with_ranks() -> int:
    """Run the command in the first of the processes that `mpiexec` started, in the others what it orders; return the
    exit code."""
    from fnnet.cli import ranks
    from fnnet.cli.program import failed

    try:
        here = ranks.started()
    except FnnetError as error:
        ranks.tell_not_started(error)
        return error.exit_code
    if here.rank:
        ended, together = ranks.follow(here)
        return ranks.end(ended, 0, together)
    word, code = _run(sys.argv[1:], ahead=True)
    _tell(word)  # now: the others may not come
    return ranks.end(failed[0] if failed else None, code, ranks.give(None))


def end_at_once(codes: list[int]) -> None:
    """Have the process end by its handlers of `atexit`: taking the interpreter apart takes 0.05 s after a training.

    All that is to happen at the end does: threads are waited for, handlers called, streams flushed. It is taken apart
    nevertheless where a stream fails, and where a handler was there before, such as that of a tool that measures.
    codes   the exit code, once it is known.
    """

    def end() -> None:
        if codes and streams.flush_all():
            os._exit(codes[-1])

    # Handlers run from the last to the first: this one has to be the first.
    if getattr(atexit, "_ncallbacks", lambda: 1)() == 0:
        atexit.register(end)


def main(arguments: Iterable[str | os.PathLike[str]] | None = None) -> NoReturn:
    """Run the command line and raise SystemExit with its exit code; streams and handlers of signals are left as found.

    arguments   texts and paths, without the name of the program; None for those of the process.

    >>> import fnnet.cli
    >>> try:  # doctest: +ELLIPSIS
    ...     fnnet.cli.main(["--version"])
    ... except SystemExit as ended:
    ...     print("exit code", ended.code)
    fnnet, version ...
    exit code 0
    """
    with signals.installed(), streams.prepared():
        word, code = _run(sys.argv[1:] if arguments is None else arguments)
        _tell(word)
    sys.exit(code)


def _run(arguments: Iterable[str | os.PathLike[str]], ahead: bool = False) -> tuple[str, int]:
    """Return the word for the signal that ended the command, if one did, and the exit code.

    ahead   whether data may be read in a thread before the command asks for it.
    """

    def work() -> int:
        if ahead:
            from fnnet.cli.ahead import begin

            begin(sys.argv[1:])
        # Only now: importing the commands takes most of a tenth of a second, in which a signal may come.
        from fnnet.cli.program import run

        return run(arguments)

    try:
        return "", signals.stoppable(work)
    except ModuleNotFoundError as error:
        streams.print_error(streams.missing(error))
        return "", 1
    except Stopped as stopped:
        return STOPPED[stopped.args[0]]


def _tell(word: str) -> None:
    if word:
        streams.print_error(word)
