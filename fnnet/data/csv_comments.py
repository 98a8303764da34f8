"""Lines at the top of a table that begin with #, as numpy.savetxt writes them: names of the columns, or comments."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Final

from fnnet.data.csv_columns import is_header
from fnnet.data.csv_lines import Lines, check_line, first_of, separator_of
from fnnet.data.notes import Note
from fnnet.data.opened import NO_ROWS, AnyPath
from fnnet.errors import counted
from fnnet.files.disk import refuse, show_bytes

MARK: Final = b"#"


def behind_comments(pieces: Iterator[tuple[int, bytes]], path: AnyPath) -> tuple[int, bytes, list[Note]]:
    """Return the first line that is not a comment and what follows, with its number, and a note of comments.

    The last comment names the columns if it has as many names as the first row has cells; its # is then taken off.
    Raises   DataError for a comment that has as many cells without being names: it may be a row.
    """
    line, block = first_of(pieces)
    comments = 0
    last, at = b"", 0
    while block.startswith(MARK):
        last, _, rest = block.partition(b"\n")
        check_line(last, line, path)
        at, comments = line, comments + 1
        line, block = first_of(itertools.chain([(line + 1, rest)], pieces))
    if not comments:
        return line, block, []
    if not block.strip():
        refuse("no rows", path, f"line {at}", "rows behind the comments", "comments alone", NO_ROWS)
    row, names = block.partition(b"\n")[0], last.lstrip(b"# \t")
    check_line(row, line, path)
    lines = Lines(separator_of(row, line, path), path)
    text = names.decode("utf-8", "surrogateescape")
    cells, found = lines.cells(row, line), text.split(lines.separator.strip(" ") or None)
    named = len(cells) == len(found) > 1 and not is_header(cells)
    if named and not is_header(found):
        expected = "a comment, or the names of the columns"
        refuse(
            "a row that begins with #", path, f"line {at}", expected, show_bytes(last), "take the # out, or the line"
        )
    if named:
        line, block, comments = at, names + b"\n" * (line - at) + block, comments - 1
    text = f"{os.fsdecode(path)}: {counted(comments, 'line')} at the top, which begin with #, are passed over"
    return line, block, [Note("comments", text)] if comments else []
