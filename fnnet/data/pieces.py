"""Files that are pieces of one part of a data set, as hubs, Spark and Dask name them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath, Packed
from fnnet.data.roles import beside, part_in
from fnnet.errors import StorageError, counted
from fnnet.files.disk import list_folder, refuse

SHARD: Final = re.compile(r"(.*)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?|()(0\d{3,4})")
"""How hubs name the pieces of a part: train-00000-of-00002, or 0000 in a folder of its own."""
OF_A_JOB: Final = re.compile(r"(part(?:-[mr])?)[-.](\d{1,5})((?:-[^.]*?)?)(?:-c(\d{3}))?((?:\.[a-z]\w*)*)")
"""How Spark, Dask and pyarrow name the pieces that a job writes: part-00000-JOB-c000.snappy, part.0, part-0."""
NUMBER: Final = re.compile(r"([0-9]+)")
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
    twice = next((files for files in there.values() if len(files) > 1), None)
    if twice:
        found = " and ".join(each.name for each in twice[:2])
        refuse("a piece twice", path, "the folder", "one file for each number", found, "keep those of one set there")
    count = own.of or max(numbers) + 1
    missing = [number for number in range(count) if number not in numbers]
    if missing and not own.is_done(path.parent):
        expected, found = f"{counted(count, 'file')} of one part, as the names say", f"{len(numbers):,}"
        refuse("a piece is missing", path, "the folder", expected, found, f"fetch number {missing[0]:05} too")
    return [files[0] for files in there.values()]


def _beside(path: Path, own: Piece) -> dict[Piece, list[Path]]:
    """Return the files that are pieces of the same part, of whatever job: hubs call each piece of one differently."""
    found: dict[Piece, list[Path]] = {}
    for each in list_folder(path.parent):
        other = piece_of(each)
        if other and each.suffix == path.suffix and (other.name, other.of) == (own.name, own.of):
            found.setdefault(other, []).append(each)
    return dict(sorted(found.items(), key=lambda item: (item[0].job, item[0].number)))


def joined_note(path: Path, count: int) -> Iterator[Note]:
    """Yield a note about `count` files that are read as the pieces of one part, of which the user named one."""
    if count > 1:
        others = counted(count - 1, "other file")
        yield Note("pieces", f"{path}: read with {others} beside it, as pieces of one part by their names")


def beside_notes(path: AnyPath, *, joins: bool, tested: bool) -> Iterator[Note]:
    """Yield notes about files beside one of a data set that are not read, though they belong to it by their names.

    joins    True if the format's reader joins pieces, and takes the other parts of the set.
    tested   True if a test set was read.
    """
    if isinstance(path, Packed):
        return
    here = Path(os.fsdecode(path))
    with suppress(StorageError):  # a folder that cannot be listed may have a file that can be read
        yield from _alone(here, joins)
    if not joins and part_in(here.stem) == "train":
        for part in ("val",) if tested else ("test", "val"):
            found = beside(here, part, labels=False)
            if found:
                yield unused_part(found, part)


def unused_part(path: Path, part: str) -> Note:
    """Return the note of a file or folder of another part, "test" or "val", that is not used."""
    if part == "val":
        why = f"validation takes images of training, or with 'train --dev-data {path}' these"
    else:
        why = f"if it has labels, 'evaluate MODEL --data {path}' measures a model on it"
    return Note("not-used", f"{path}: not used: {why}")


def _alone(here: Path, joins: bool) -> Iterator[Note]:
    """Yield a note about a file that is read by itself, though others beside it are pieces, or have its name except
    for a number."""
    own = piece_of(here)
    if joins and own:
        return
    count = len(_beside(here, own) if own else _series(here))
    if count > 1:
        kind = "pieces by its name" if own else "files named alike except for a number"
        text = f"{here}: one of {count:,} {kind}; the others beside it are not read"
        yield Note("one-piece", f"{text}; put their rows into one file if they are one data set")


def _series(path: Path) -> list[Path]:
    """Return the files beside `path` that have its name except for one number, and itself."""
    numbered = path.suffix[1:].isdecimal()  # data.parquet.0
    own = NUMBER.split(path.name if numbered else path.stem)
    there = list_folder(path.parent) if len(own) > 1 else []
    alike = [each for each in there if numbered or each.suffix == path.suffix]
    found = [each for each in alike if _differs_in_a_number(NUMBER.split(each.name if numbered else each.stem), own)]
    return [path, *(each for each in found if each.is_file())]


def _differs_in_a_number(name: Sequence[str], other: Sequence[str]) -> bool:
    """Return True if two names, as NUMBER splits them, differ in one number alone."""
    if len(name) != len(other):
        return False
    places = [at for at, (one, two) in enumerate(zip(name, other, strict=True)) if one != two]
    return len(places) == 1 and places[0] % 2 == 1
