"""The header of an ARFF file: the names and types of its columns. Source: Weka's description of ARFF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from fnnet.data.csv_lines import check_line, check_text
from fnnet.data.opened import AGAIN, AnyPath
from fnnet.data.reader import BINARY
from fnnet.files.disk import refuse, show_bytes
from fnnet.names import is_printable

START: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*+(?:%[^\n\r]*+)?[\n\r])*+[ \t]*+@relation\b", re.IGNORECASE)
COMMENTS: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*+(?:%[^\n\r]*+)?[\n\r])*+[ \t]*+%[^\n\r]*")
LONG: Final = 256
"""Bytes of comments alone that begin an ARFF file: other text that begins with `%` is shorter or goes on otherwise."""
MOST_COLUMNS: Final = 2**16
ITEM: Final = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
ATTRIBUTE: Final = re.compile(rf"@attribute\s+({ITEM}|[^\s'\"{{][^\s{{]*)\s*(.*)", re.IGNORECASE | re.DOTALL)
NUMERIC: Final = re.compile(r"(?:numeric|real|integer)\b.*", re.IGNORECASE | re.DOTALL)
NOMINAL: Final = re.compile(r"\{(.*)\}\s*", re.DOTALL)
AS_UTF8: Final = "save it as UTF-8"
FIX: Final = "correct the header"
CELLS: Final = re.compile(rf"(\s*(?:{ITEM})\s*|[^,]*)(,|\Z)")


class Attribute(NamedTuple):
    """A column.

    name     as it is written, without quotes.
    numeric  True for numbers.
    values   the names that a nominal column may hold, in order; none for other columns.
    """

    name: str
    numeric: bool
    values: tuple[str, ...] = ()


def looks_like_arff(head: bytes) -> bool:
    """Return True if these first bytes of a text are those of ARFF: its first word, or comments alone so far."""
    if BINARY.search(head):
        return False
    begins = len(head) >= LONG and COMMENTS.fullmatch(head) and not head.startswith((b"%PDF", b"%!"))
    return bool(begins or START.match(head))


def read_header(pieces: Iterator[tuple[int, bytes]], path: AnyPath) -> tuple[list[Attribute], int, bytes]:
    """Return the columns, the number of the line that follows the header, and the block of lines from there.

    pieces   blocks of whole lines with the numbers of their first ones, as `csv_lines.blocks` yields them.
    Raises   DataError naming the line.
    """
    attributes: list[Attribute] = []
    number = 1
    for line, block in pieces:
        start = 0
        for number, content in enumerate(block.split(b"\n")[:-1], line):
            start += len(content) + 1
            if content.startswith(b"%"):
                continue
            check_line(content, number, path)
            if _takes(content, f"line {number}", attributes, path):
                return attributes, number + 1, block[start:]
    return refuse("ARFF header without end", path, f"line {number}", "@data", "the end of the file", AGAIN)


def _takes(content: bytes, place: str, attributes: list[Attribute], path: AnyPath) -> bool:
    """Add the column that a line of the header declares to `attributes`; return True if it is the last line."""
    text = content.decode("utf-8", "surrogateescape").strip()
    word = text.partition(" ")[0].partition("\t")[0].lower()
    if word == "@attribute":
        check_text(text, place, path, AS_UTF8)
        attributes.append(_attribute(text, place, path))
    elif text and not text.startswith("%") and word not in ("@relation", "@data"):
        refuse("no line of an ARFF header", path, place, "@attribute or @data", show_bytes(content), FIX)
    if len(attributes) > MOST_COLUMNS:
        refuse("too many columns", path, place, f"at most {MOST_COLUMNS:,}", "more", "store smaller images")
    return word == "@data"


def _attribute(text: str, place: str, path: AnyPath) -> Attribute:
    found = ATTRIBUTE.fullmatch(text)
    if not found:
        refuse("damaged attribute", path, place, "@attribute NAME TYPE", repr(text[:40]), FIX)
    name, kind = unquoted(found[1]), found[2]
    if NUMERIC.fullmatch(kind):
        return Attribute(name, numeric=True)
    nominal = NOMINAL.fullmatch(kind)
    if nominal:
        values = tuple(cells_of(nominal[1]))
        if len(set(values)) < len(values) or not all(each and is_printable(each) for each in values):
            refuse("damaged attribute", path, place, "printable names, each once", repr(kind[:40]), FIX)
        return Attribute(name, False, values)
    if kind.lower().partition(" ")[0] not in ("string", "date"):
        expected = "numeric, real, integer, {names}, string or date"
        refuse("type of a column", path, place, expected, repr(kind[:40]), FIX)
    return Attribute(name, numeric=False)


def cells_of(text: str) -> list[str]:
    r"""Return the texts between commas; those in single or double quotes without these.

    >>> cells_of(r"a, 'b, c' , 'd\'s'")
    ['a', 'b, c', "d's"]
    """
    matches = [*CELLS.finditer(text)]
    if len(matches) > 1 and not matches[-2][2]:
        matches.pop()  # the empty match at the end of the text, behind the last cell
    return [unquoted(match[1].strip()) for match in matches]


def unquoted(text: str) -> str:
    """Return the text without the quotes around it and the backslashes in these."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
