"""The one family of errors that fnnet raises for what a user can mend."""

from __future__ import annotations

import os
from typing import Any, Final, Self

LONGEST: Final = 400
"""Characters of what was expected or found that a message shows: files may be full of them."""


class FnnetError(Exception):
    """A failure told in one line: where it is, what is wrong, what was expected and found, what to do.

    The parts are keyword arguments so that every message has the same order. `exit_code` is what the
    command line leaves with.
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
        """The same error at the file or option `where`, with another remedy if one is given."""
        parts: dict[str, Any] = {"place": self.place, "expected": self.expected, "found": self.found}
        return type(self)(self.problem, where=where, fix=self.fix if fix is None else fix, **parts)


class UsageError(FnnetError, ValueError):
    """An option or an argument outside what is allowed."""

    exit_code = 2


class ArgumentTypeError(UsageError, TypeError):
    """An argument of a kind (dtype, rank, type) that the function does not take."""


class DataError(FnnetError, ValueError):
    """A data file or image that cannot be read as what it claims to be, or does not fit the model."""


class ModelError(FnnetError, ValueError):
    """A model file or checkpoint that cannot be read, or a model that does not fit the data."""


class StorageError(FnnetError, OSError):
    """A file that cannot be opened, read or written."""


class DivergedError(FnnetError, ArithmeticError):
    """Training left the finite numbers."""


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def one_line(text: str) -> str:
    """`text` on one line, with every character that could steer a terminal escaped."""
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped).encode("utf-8", "backslashreplace").decode()
