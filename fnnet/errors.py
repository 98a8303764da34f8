"""fnnet's exceptions: every error that a user can fix."""

from __future__ import annotations

import os
from typing import Any, Final, Self

from fnnet.names import JOINERS

LONGEST: Final = 400
"""Characters of the expected and found values shown in a message; a value read from a file may be of any length."""


class FnnetError(Exception):
    """A failure reported in one line: where, what is wrong, what was expected and found, how to fix it.

    The parts are keyword arguments, so that every message has them in the same order.

    problem     a clause, such as "labels are not integers".
    where       the file or the option.
    place       the place in it: line and column, byte, key, layer.
    expected    the values that are accepted.
    found       the value that was found.
    fix         an imperative.
    exit_code   the exit code of the command line.
    """

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        where: str | os.PathLike[str] = "",
        place: str = "",
        expected: object = None,
        found: object = None,
        fix: str = "",
    ) -> None:
        self.problem, self.where, self.place = problem, os.fsdecode(where), place
        self.expected, self.found, self.fix = expected, found, fix
        head = ": ".join(part for part in (self.where, place, problem) if part)
        body = [] if expected is None else [f"expected {_short(expected)}"]
        body += [] if found is None else [f"found {_short(found)}"]
        message = "; ".join([head, *([", ".join(body)] if body else []), *([fix] if fix else [])])
        super().__init__(one_line(message))

    def at(self, where: str | os.PathLike[str], *, fix: str | None = None) -> Self:
        """Return the same error at the file or option `where`, with the remedy `fix` if one is given."""
        parts: dict[str, Any] = {"place": self.place, "expected": self.expected, "found": self.found}
        return type(self)(self.problem, where=where, fix=self.fix if fix is None else fix, **parts)


class UsageError(FnnetError, ValueError):
    """An option or argument with a value that is not allowed."""

    exit_code = 2


class ArgumentTypeError(UsageError, TypeError):
    """An argument of a type, dtype or rank that the function does not accept."""


class DataError(FnnetError, ValueError):
    """A data file or image that is damaged, of an unsupported kind, or does not fit the model."""


class ModelError(FnnetError, ValueError):
    """A model file or checkpoint that is damaged, or a model that does not fit the data."""


class StorageError(FnnetError, OSError):
    """A file that cannot be opened, read or written."""


class DivergedError(FnnetError, ArithmeticError):
    """A loss or a weight became infinite or NaN in training."""


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun, as in "1 image" and "2,000 images"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def one_line(text: str) -> str:
    """Return `text` on one line, with every non-printable character escaped, but those that join or part letters: none
    can control the terminal."""
    escaped = (c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped).encode("utf-8", "backslashreplace").decode()
