"""Separators at the end of every line, as programs write them that print one behind each number: no column."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from fnnet.data.csv_lines import Lines
from fnnet.data.notes import Note
from fnnet.files.disk import refuse, show_bytes


class Ends(NamedTuple):
    """The lines of a file without the separator at the end of each.

    lines    what is known of them.
    header   True if the first line is without it.
    """

    lines: Lines
    header: bool

    def note(self) -> Note:
        """Return the note of it."""
        text = f"{os.fsdecode(self.lines.path)}: a separator at the end of every line is passed over"
        return Note("column-passed-over", f"{text}: no value is behind it")

    def taken(self, block: bytes, line: int) -> bytes:
        """Return whole lines without it; DataError for one that ends otherwise.

        line   the number of the first of them.
        """
        found, count = _at_end(self.lines).subn(b"", block)
        if count < block.count(b"\n"):
            for number, content in enumerate(block.split(b"\n"), line):
                if not (self.lines.is_blank(content) or _at_end(self.lines).search(content)):
                    fix, ending = "end all lines alike, or fill the last cells", show_bytes(content[-16:])
                    expected = f"{self.lines.separator!r} at its end, as the lines before it have"
                    refuse("a line ends otherwise", self.lines.path, f"line {number}", expected, ending, fix)
        return found

    def all_taken(self, pieces: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Return all blocks of lines without it."""
        return ((line, self.taken(block, line)) for line, block in pieces)


def ends_of(first: bytes, rest: bytes, line: int, lines: Lines) -> Ends | None:
    """Return the lines without the separator at their ends, if the first two have one; or the second, a cell longer.

    first   the first line.
    rest    the lines below it, from line number `line` on.
    """
    at_end, named = _at_end(lines), rest.startswith(b'"')
    second = next((content for content in rest.split(b"\n", 3)[:3] if not lines.is_blank(content)), b"")
    values = (second or first).strip(lines.separator.encode() + b" ")
    if lines.separator == " " or not values or not at_end.search(second or first):
        return None
    if at_end.search(first):
        return Ends(lines, header=False)
    longer = len(lines.cells(second, line)) == len(lines.cells(first, line)) + 1
    return Ends(lines, header=True) if longer and not named else None  # R's names of rows make lines longer, too


def _at_end(lines: Lines) -> re.Pattern[bytes]:
    return re.compile(rb"(?m)%s *+$" % re.escape(lines.separator.encode()))
