"""Folders of Parquet files: which folders they are, and which of their files hold the images for training.

One rule for training, `evaluate` and `predict`: a folder is one of Parquet if nothing in it, or in the folders in it,
is data of another format. Else it is what it would be without the Parquet files.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from fnnet.data import formats
from fnnet.data.arrow import PARQUET, part_named
from fnnet.data.idx_folder import is_idx
from fnnet.data.layout import DATA_FILES
from fnnet.data.listing import below, entries, shown
from fnnet.data.pieces import pieces_of
from fnnet.errors import FnnetError
from fnnet.files.disk import read_head, refuse

SUFFIXES: Final = (".parquet", ".pq")
LARGE: Final = 2**25
"""Bytes of Parquet files that are evaluated and predicted piece by piece; smaller ones are read at once."""


class Below(NamedTuple):
    """What is in a folder, and in the folders in it.

    files   those of Parquet, of each folder in natural order.
    other   the first file of data of another format; None if there is none. The files behind it are not looked at.
    """

    files: list[Path]
    other: Path | None


def look_below(folder: Path) -> Below:
    """Return which Parquet files a folder holds, and what lies beside them."""
    kinds = DATA_FILES | formats.picture_suffixes() | formats.UNREADABLE
    kinds = kinds.union(*(each.suffixes for each in formats.FORMATS)).difference(SUFFIXES)
    found: list[Path] = []
    for path in below(folder):
        if path.suffix.lower() in SUFFIXES:
            found.append(path)
        elif path.suffix.lower() in kinds or is_idx(path):
            return Below(found, path)
    return Below(found, None)


def files_of(folder: Path) -> list[Path]:
    """Return all Parquet files of a folder of Parquet; none if it is another folder."""
    found = look_below(folder)
    return [] if found.other else found.files


def is_parquet(path: Path) -> bool:
    """Return True for a Parquet file, by its first bytes, and for a folder of Parquet, by the names in it."""
    if not path.is_dir():
        return path.is_file() and read_head(path, len(PARQUET)) == PARQUET
    with suppress(FnnetError):  # who reads the folder raises it
        return bool(_there(path) and files_of(path))
    return False


def is_large(path: Path) -> bool:
    """Return True for Parquet of `LARGE` bytes and more."""
    if not is_parquet(path):
        return False
    with suppress(FnnetError, OSError):
        return sum(map(os.path.getsize, _there(path) if path.is_dir() else pieces_of(path))) >= LARGE
    return False


def beside_parquet(folder: Path) -> Path | None:
    """Return data of another format in a folder that would be one of Parquet without it; None if there is none."""
    with suppress(FnnetError):
        return look_below(folder).other if _there(folder) else None
    return None


def _there(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder, or in its folder of training."""
    inside = entries(folder)
    found = [each for each in inside if each.suffix.lower() in SUFFIXES]
    for each in inside if not found else ():
        if each.is_dir() and "train" in part_named(each):
            found = [file for file in entries(each) if file.suffix.lower() in SUFFIXES]
    return found


def parquet_in(folder: Path) -> Path:
    """Return the first of the files of training in a folder.

    Raises   DataError unless they are the pieces of one set, and all data in the folder.
    """
    there = _there(folder)
    trained = [each for each in there if "train" in part_named(each)]
    found = trained or [each for each in there if not {"test", "val"} & {*part_named(each)}]
    if not found:
        expected, names = "files of one training set", shown([each.name for each in there]) if there else "none"
        refuse("no Parquet files of training", folder, "the folder", expected, names, "name the file")
    if other := look_below(folder).other:
        expected, seen = "Parquet alone", f"{other.relative_to(folder)} beside it"
        refuse("several kinds of data", folder, "the folder", expected, seen, f"name the file: {found[0]}")
    pieces = pieces_of(found[0])
    others = [each for each in found if each not in pieces]
    if others:
        expected, seen = "the pieces of one training set", f"{found[0].name} and {others[0].name}"
        refuse("several sets", folder, "the folder", expected, seen, "name one file")
    return found[0]
