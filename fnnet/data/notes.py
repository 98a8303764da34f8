"""What the user should know about a data set: lines with codes."""

from __future__ import annotations

from typing import Final

from fnnet.core.notes import warn
from fnnet.errors import one_line

WARNED: Final = frozenset({"binary-pixels", "blank", "dim-pixels", "not-standardised", "other-ink", "transposed"})
"""The codes of notes on images or rows to predict that look unlike those of training, or are turned as these were: what
is predicted may be wrong."""


class Note(str):
    """One line about the data that the user should know, with a code for programs."""

    __slots__ = ("code",)
    code: str

    def __new__(cls, code: str, text: str) -> Note:
        """Return the line `text` with its code; what a file's names have in them that cannot be printed is escaped."""
        note = super().__new__(cls, one_line(text))
        note.code = code
        return note

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return self.code, str(self)


def warned(note: str) -> None:
    """Warn of a note on images whose prediction may be wrong; other notes are left out."""
    if isinstance(note, Note) and note.code in WARNED:
        warn(note)
