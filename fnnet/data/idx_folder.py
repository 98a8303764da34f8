"""The IDX files of a training and a test set in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.idx import is_labels, pair, read_idx
from fnnet.data.kinds import UTF16, packed_kind
from fnnet.data.listing import entries, shown
from fnnet.data.notes import Note
from fnnet.data.payload import GZIP, looks_like_idx
from fnnet.data.reader import BINARY, Content
from fnnet.data.unpacked import packed_head
from fnnet.files.disk import read_head, refuse

TEST_NAME: Final = re.compile(r"(?<![a-z])t(?:10k|est)(?![a-z])")
"""In a name in lower case: to compile it so that it ignores case takes 0.2 ms more."""
IDX_NAMES: Final = ("ubyte", "idx1", "idx2", "idx3")


def idx_files(folder: Path) -> list[Path]:
    """Return the files of `folder` that hold IDX data, raw or compressed, or whose names say that they do."""
    return [path for path in entries(folder) if is_idx(path)]


def is_idx(path: Path) -> bool:
    """Return True if a file holds IDX data, raw or compressed, or its name says so."""
    if not path.is_file():
        return False
    if any(each in path.name.lower() for each in IDX_NAMES):
        return True
    head = read_head(path)
    return looks_like_idx(head) and not (head.startswith(GZIP) and _packs_other(head))


def _packs_other(head: bytes) -> bool:
    """Return True if these first bytes of gzip show text, such as a table beside pictures, or an archive of these."""
    inside = packed_head(head) or b""
    if packed_kind(inside):
        return True
    return inside != b"" and (inside.startswith(UTF16) or not BINARY.search(inside))


def read_idx_folder(folder: Path, files: Sequence[Path]) -> Content:
    """Read the training and test set of a folder of IDX files; names with `t10k` or `test` are the test set's.

    files   as `idx_files` returns them.
    """
    parts: dict[bool, dict[int, tuple[Path, Array]]] = {False: {}, True: {}}
    for path in files:
        array, is_test = read_idx(path), TEST_NAME.search(path.name.lower()) is not None
        labels = is_labels(array) or (array.ndim < 3 and "label" in path.name.lower())
        before = parts[is_test].setdefault(1 if labels else 3, (path, array))
        if before[1] is not array and not np.array_equal(before[1], array):
            expected = "one file of images and one of labels for training, and for test"
            found = f"{before[0].name} and {path.name}"
            refuse("more files than expected", folder, path.name, expected, found, "remove the files of other sets")
    test = _pair(parts[True], folder, "test") if parts[True] else None
    return _pair(parts[False], folder, "training")._replace(test=test)


def _pair(files: dict[int, tuple[Path, Array]], folder: Path, part: str) -> Content:
    if set(files) != {1, 3}:
        found = ", ".join(path.name for path, _ in files.values()) or "none"
        expected = "a file of images and a file of labels"
        refuse(f"{part} set incomplete", folder, "the folder", expected, found, "fetch the files that are missing")
    return pair(*files[3], *files[1])


def packing_notes(path: Path) -> Iterator[Note]:
    """Yield a note if a file is packed by gzip and its name does not say so, or the other way round."""
    packed = read_head(path, 2) == GZIP
    if packed != (path.suffix.lower() == ".gz"):
        text = f"{path} is {'' if packed else 'not '}gzip, whatever its name says; read as what it is"
        yield Note("gzip-name", text)


def beside_idx(path: Path) -> Iterator[Note]:
    """Yield a note if there are folders beside the IDX files in a folder."""
    folders = [each.name for each in entries(path) if each.is_dir()]
    if folders:
        yield Note("not-used", f"{path}: not used: folders {shown(folders)}; the IDX files beside them are read")
