"""Files that are pieces of one part of a data set, as hubs, Spark and Dask name them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath, Packed
from fnnet.errors import counted
from fnnet.files.disk import list_folder, refuse

SHARD: Final = re.compile(r"(.*)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?|()(0\d{3,4})")
"""How hubs name the pieces of a part: train-00000-of-00002, or 0000 in a folder of its own."""
OF_A_JOB: Final = re.compile(r"(part(?:-[mr])?)[-.](\d{1,5})((?:-[^.]*?)?)(?:-c(\d{3}))?((?:\.[a-z]\w*)*)")
"""How Spark, Dask and pyarrow name the pieces that a job writes: part-00000-JOB-c000.snappy, part.0, part-0."""
DONE: Final = "_SUCCESS"
"""The file that Spark leaves where all pieces are; those without rows are not written."""


class Piece(NamedTuple):
    """What the name of a file says.

    name     of the part.
    job      what the names of pieces that one job wrote have in common.
    number   of the piece, and of the file in it.
    of       how many pieces there are; 0 if it is not stated.
    """

    name: str
    job: str
    number: tuple[int, int]
    of: int = 0

    def is_done(self, folder: Path) -> bool:
        """Return True if a job says that it has written all that there is, in `folder`."""
        return not self.of and (folder / DONE).exists()


def piece_of(path: Path) -> Piece | None:
    """Return which piece of a part a file is; None for a file that is alone.

    >>> piece_of(Path("part-00001-ab-c000.snappy.parquet"))
    Piece(name='part', job='-ab.snappy', number=(1, 0), of=0)
    """
    match = SHARD.fullmatch(path.stem)
    if match and match[2]:
        return Piece(match[1], "", (int(match[2]), 0), int(match[3]))
    if match:
        return Piece("", "", (int(match[5]), 0))
    match = OF_A_JOB.fullmatch(path.stem)
    return Piece(match[1], match[3] + match[5], (int(match[2]), int(match[4] or 0))) if match else None


def pieces_of(path: Path) -> list[Path]:
    """Return the files of the part that a file is a piece of, in order; the file itself if it is alone.

    Raises   DataError if one is missing, as the numbers show.
    """
    own = piece_of(path)
    if not own:
        return [path]
    there = _beside(path, own)
    numbers = {each.number[0] for each in there}
    count = own.of or max(numbers) + 1
    missing = [number for number in range(count) if number not in numbers]
    if missing and not own.is_done(path.parent):
        expected, found = f"{counted(count, 'file')} of one part, as the names say", f"{len(numbers):,}"
        refuse("a piece is missing", path, "the folder", expected, found, f"fetch number {missing[0]:05} too")
    return [*there.values()]


def _beside(path: Path, own: Piece) -> dict[Piece, Path]:
    """Return the files that are pieces of the same part, of whatever job."""
    found: dict[Piece, Path] = {}
    for each in list_folder(path.parent):
        other = piece_of(each)
        if other and each.suffix == path.suffix and (other.name, other.of) == (own.name, own.of):
            found.setdefault(other, each)
    return dict(sorted(found.items(), key=lambda item: (item[0].job, item[0].number)))


def alone(path: AnyPath) -> Iterator[Note]:
    """Yield a note about a file that is read by itself, though others beside it are pieces of the same part."""
    here = Path(os.fsdecode(path)) if not isinstance(path, Packed) else None
    own = here and piece_of(here)
    if here and own and len(there := _beside(here, own)) > 1:
        text = f"{here}: one of {len(there):,} pieces by its name; the others beside it are not read"
        yield Note("one-piece", f"{text}; put their rows into one file if they are one data set")
