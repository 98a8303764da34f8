"""The lines of a table of numbers as text: cut from the file in pieces, and taken apart into cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from fnnet.data.kinds import AS_UTF8
from fnnet.data.opened import AnyPath
from fnnet.files.disk import refuse, show_bytes

BLANK: Final = re.compile(rb"(?:[ \t]*+\n)*+")
NO_CELLS: Final = re.compile(rb"(?: *+\n)*+")
MARK: Final = b"\xef\xbb\xbf"
"""UTF-8's mark, which may begin a file."""
END: Final = b"\x1a"
"""What DOS writes at the end of text."""
MAX_LINE: Final = 65536
SAVE: Final = "save it as CSV (comma separated, UTF-8)"
DECIMAL_COMMA: Final = re.compile(r"\s*[-+]?[0-9]*,[0-9]+([eE][-+]?[0-9]+)?\s*")
NOT_UTF8: Final = frozenset(map(chr, range(0xDC80, 0xDD00)))
"""What stands for each byte that is not UTF-8."""
SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks"}
"""What may separate the cells of a line, and its name in messages."""


class Source(Protocol):
    """Something to read bytes from: an open file, or what a packed one unpacks to."""

    def read(self, count: int, /) -> bytes:
        """Return at most `count` bytes, none at the end."""


class Lines(NamedTuple):
    """What is known of all lines of a file.

    separator   between the cells.
    path        names the file in messages.
    """

    separator: str
    path: AnyPath

    def cells(self, content: bytes, line: int) -> list[str]:
        """Return the cells of line number `line`; quotes are taken off. Bytes that are not UTF-8 become surrogates."""
        text = content.decode("utf-8", "surrogateescape")
        blanks = self.separator == " "
        text = text.replace("\t", " ").strip(" ") if blanks else text
        try:
            reader = csv.reader([text], delimiter=self.separator, skipinitialspace=blanks, strict=True)
            return next(reader, [])
        except csv.Error as error:
            found = show_bytes(content)
            refuse(f"damaged line ({error})", self.path, f"line {line}", "quotes around whole fields", found, SAVE)

    def is_blank(self, content: bytes) -> bool:
        """Return True for a line without cells: empty, or with blanks and tabs alone."""
        return not content.strip(b" " if self.separator == "\t" else b" \t")

    def plain(self, block: bytes) -> bytes | None:
        """Return whole lines with commas between the cells and without blank lines; None if that needs more care."""
        if self.separator != ",":
            if b"," in block or b'"' in block:
                return None
            if self.separator == " ":
                block = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", block)
                block = re.sub(rb"[ \t]+", b",", block)
            else:
                block = block.replace(self.separator.encode(), b",")
        block = re.sub(rb"\n\n+", b"\n", block) if b"\n\n" in block else block
        return block.lstrip(b"\n")


def blocks(file: Source, path: AnyPath, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield many whole lines at a time, any line end as a newline, with the number of the first line.

    size   the bytes to read at a time.
    """
    rest, line = b"", 1
    while True:
        piece = file.read(size)
        if piece.endswith(b"\r"):
            piece += file.read(1)
        if line == 1 and not rest:
            piece = piece.removeprefix(MARK)
        lines = rest + piece
        if b"\r" in lines:
            lines = lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not piece:
            lines = lines.rstrip(END)
            if lines or line == 1:
                yield line, lines + b"\n"
            return
        end = lines.rfind(b"\n") + 1
        rest = lines[end:]
        if end:
            yield line, lines[:end]
            line += lines.count(b"\n")
        check_line(rest, line, path)


def first_of(pieces: Iterator[tuple[int, bytes]], tabs: bool = False) -> tuple[int, bytes]:
    """Return the first block from its first line that is not blank on, with the number of that line.

    tabs   True if tabs separate cells: a line of them is not blank.
    """
    for line, block in pieces:
        blank = (NO_CELLS if tabs else BLANK).match(block)
        end = blank.end() if blank else 0
        if end < len(block):
            return line + block.count(b"\n", 0, end), block[end:]
    return 1, b""


def check_line(content: bytes, line: int, path: AnyPath) -> None:
    """Raise DataError for a line, or the beginning of one, that is too long."""
    if len(content) > MAX_LINE:
        found = f"{len(content):,} or more"
        refuse("line too long", path, f"line {line}", f"at most {MAX_LINE:,} bytes", found, "put one image on a line")


def separator_of(first: bytes, line: int, path: AnyPath) -> str:
    """Return what separates the cells of the first line; DataError for decimal commas."""
    text = re.sub(r'"[^"]*"', "0", first.decode("utf-8", "replace")).strip(" ")
    for separator in (";", "\t", None):
        cells = text.split(separator)
        with_commas = [cell for cell in cells if "," in cell]
        if len(cells) > 1 and with_commas and all(map(DECIMAL_COMMA.fullmatch, with_commas)):
            decimal_comma(with_commas[0], f"line {line}", path)
    if "," in text:
        return ","
    return next((each for each in (";", "\t") if each in text), " " if len(text.split()) > 1 else ",")


def check_text(cell: str, place: str, path: AnyPath, fix: str = AS_UTF8) -> str:
    """Return a cell that matters; DataError if it is not UTF-8: two names in another code could become one."""
    if not cell.isascii() and not NOT_UTF8.isdisjoint(cell):
        at = next(number for number, each in enumerate(cell) if each in NOT_UTF8)
        found = f"the bytes {show_bytes(cell[max(0, at - 4) :].encode('utf-8', 'surrogateescape'))}"
        refuse("text is not UTF-8", path, place, "UTF-8", found, fix)
    return cell


def decimal_comma(cell: str, place: str, path: AnyPath) -> None:
    """Raise DataError for a number with a comma before its fraction."""
    refuse("a decimal comma", path, place, "numbers with a decimal point", repr(cell[:40]), "write 0.5 for 0,5")
