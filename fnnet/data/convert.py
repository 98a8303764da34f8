"""Data sets written in another format: NPZ, IDX, CSV or class folders of PNG images.

What is written is read back as it was: images, labels, names of classes, sizes, training and test set. What a format
cannot hold is noted before anything is written, with the option that makes up for it, or refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Examples
from fnnet.data import Dataset, preprocess
from fnnet.data.arrays import ENOUGH
from fnnet.data.bounds import FREE, RATIO
from fnnet.data.csv_lines import MAX_LINE
from fnnet.data.label_names import in_order
from fnnet.data.layout import is_class_name
from fnnet.data.mnist import Notify
from fnnet.data.named import CLASS_NAMES, PIXEL_ORDER, ROWS_FIRST
from fnnet.data.notes import Note
from fnnet.data.preprocess import Reading
from fnnet.data.roles import part_of
from fnnet.data.tables import refuse_table
from fnnet.errors import StorageError, UsageError
from fnnet.files.disk import DISK, write_file, write_pieces
from fnnet.files.endings import check_ending
from fnnet.limits import MAX_CLASSES
from fnnet.names import names_of_labels

ROWS: Final = 256
"""Rows of a table that are written at a time."""
IDX_PARTS: Final = {"train": "train", "test": "t10k"}
SHOWN: Final = 12
"""Names of classes in a note."""
LONGEST_NAME: Final = 255
"""Bytes of a folder's name."""


def form_of(path: str | os.PathLike[str], wanted: str | None = None) -> str:
    """Return what is to be written: `wanted`, else as the suffix of `path` says; a folder holds PNG images.

    Raises   UsageError for another suffix, and for one that says another format than `wanted`.
    """
    suffix = Path(path).suffix.lower()
    found = wanted or {".npz": "npz", ".csv": "csv", "": "png"}.get(suffix)
    if found is None:
        raise UsageError("unknown form", where="OUT", expected="a name with .npz or .csv, or a folder", found=suffix)
    check_ending(path, {"npz": "NPZ", "csv": "CSV"}.get(found, "a folder"), "OUT")
    return found


def convert(
    dataset: Dataset,
    path: str | os.PathLike[str],
    form: str | None = None,
    notify: Notify = lambda notice: None,
) -> list[str]:
    """Write a data set, as networks take it, to `path`; return the files or the folder written.

    form     "npz", "csv" (a file for each part), "idx" (a folder of files) or "png" (class folders); None for what the
             name says. A folder must be new or empty.
    notify   called, before anything is written, with a note of each thing that the form does not hold.
    Raises   UsageError for an unknown form and for what it cannot hold, StorageError if it cannot be written: nothing
             is then half-written.

    >>> from fnnet import data
    >>> convert(data.load("digits"), "digits.npz")
    ['digits.npz']
    """
    parts = {"train": dataset.train} | ({"test": dataset.test} if dataset.test else {})
    name, target = form_of(path, form), Path(path)
    _check(name, dataset, parts)
    files = {part: target if part == "train" else _test_file(target) for part in parts}
    if name == "csv" and "test" not in parts and _test_file(target).exists():
        expected, found = "no file that is its test set by its name", str(_test_file(target))
        raise UsageError("would be read with another file", where="OUT", expected=expected, found=found)
    for note in _not_held(name, dataset):
        notify(note)
    if name == "npz":
        _write_npz(target, parts, dataset)
        return [str(target)]
    if name == "csv":
        for part, examples in parts.items():
            write_pieces(files[part], _lines(examples, dataset.image_shape))
        return [str(file) for file in files.values()]
    write_folder(target, lambda folder: (_write_idx if name == "idx" else _write_png)(folder, dataset, parts))
    return [str(target)]


def _test_file(path: Path) -> Path:
    return path.with_stem(f"{path.stem}-test")


def _check(form: str, dataset: Dataset, parts: dict[str, Examples]) -> None:
    refuse_table(dataset, "dataset", "images, which convert writes as they are trained on", "train on the table itself")
    """Raise UsageError for what the form cannot hold."""
    if form == "csv":
        longest = max(len(_header(dataset.image_shape)), *(_longest(each) for each in parts.values()))
        if longest > MAX_LINE:
            expected, found = f"lines of at most {MAX_LINE:,} bytes, as CSV is read with", f"{longest:,}"
            raise UsageError("images too large for CSV", where="OUT", expected=expected, found=found)
    if form == "idx":
        most = max(int(each.labels.max()) for each in parts.values())
        if most > 255:
            expected = "labels of at most 255, as bytes hold"
            raise UsageError("too many classes for IDX", where="OUT", expected=expected, found=most)
    if form == "png":
        _check_folders(dataset)


def _check_folders(dataset: Dataset) -> None:
    """Raise UsageError for classes that folders cannot be: too few, of other names, without a training image."""
    if len(dataset.classes) < 2:
        expected, fix = "two classes, as class folders have", "write NPZ"
        raise UsageError("too few classes", where="OUT", expected=expected, found=len(dataset.classes), fix=fix)
    for name in dataset.classes:
        problem, fix = "class name", "name the classes with --class-names, or write NPZ"
        long = len(os.fsencode(name)) > LONGEST_NAME
        if Path(name).name != name or long or "\0" in name or not is_class_name(name):
            expected = "names that a folder can have"
            raise UsageError(problem, where="OUT", expected=expected, found=repr(name[:40]), fix=fix)
    for name, count in zip(
        dataset.classes, np.bincount(dataset.train.labels, minlength=len(dataset.classes)), strict=True
    ):
        if not count:
            expected, fix = "a training image of each class, as class folders need", "write NPZ, or add images of it"
            raise UsageError("class without training images", where="OUT", expected=expected, found=name, fix=fix)


def _longest(examples: Examples) -> int:
    """Return the bytes of the longest line, or a few more."""
    more = (examples.x > 9).sum(axis=1) + (examples.x > 99).sum(axis=1)
    return int(more.max()) + 2 * len(examples.x[0]) + len(str(MAX_CLASSES))


def _not_held(form: str, dataset: Dataset) -> Iterator[Note]:
    """Yield a note of each thing that what is written does not say, with the option to read it with."""
    classes = dataset.classes
    numbers = names_of_labels(0, len(classes))
    if form in ("csv", "idx") and (classes != numbers or len(classes) != 10):
        named = classes != numbers
        names = ",".join(classes)
        typed = not any("," in name or name != name.strip() for name in classes) and len(classes) <= SHOWN
        how = f"'{names}'" if typed else "FILE, a file of the names, one a line"
        option = f"--class-names {how}" if named else f"--classes {len(classes)}"
        text = (
            f"{form.upper()} does not hold the {'names' if named else 'number'} of the classes: read it with {option}"
        )
        yield Note("classes-not-held", text)
    if form == "png" and (found := in_order(classes)) != classes:
        shown = ", ".join(found[:SHOWN])
        yield Note("classes-sorted", f"class folders are read in the order of their names: {shown}")
    x, shape = dataset.train.x, dataset.image_shape
    again, _ = preprocess.measure(Reading(), x, shape)
    if again.ink < again.paper:
        yield Note("ink-not-held", "what is written looks like dark ink on light paper: read it with --ink light")
    if form == "idx" and dataset.preprocessing.transpose:
        text = "the files that are written hold images row by row: where a model reads column by column, say"
        yield Note("order-not-held", f"{text} --no-transpose")


def _write_npz(path: Path, parts: dict[str, Examples], dataset: Dataset) -> None:
    arrays: dict[str, Array] = {CLASS_NAMES: np.array(dataset.classes), PIXEL_ORDER: np.array(ROWS_FIRST)}
    height, width = dataset.image_shape
    for part, (x, labels) in parts.items():
        doubtful = len(x) == width and height * width >= ENOUGH  # where the images lie
        one = (1,) if doubtful else ()
        arrays |= {f"x_{part}": x.reshape(-1, height, width, *one), f"y_{part}": labels}
    into = io.BytesIO()
    np.savez_compressed(into, allow_pickle=False, **arrays)
    size = sum(each.nbytes for each in arrays.values())
    if size > FREE and 2 * size > RATIO * into.tell():  # it would be taken for a bomb
        into = io.BytesIO()
        np.savez(into, allow_pickle=False, **arrays)
    write_file(path, into.getbuffer())


def _header(shape: tuple[int, int]) -> bytes:
    """Return the first line of a table: names that say the row and the column of each pixel."""
    names = (f"{row}x{column}" for row in range(1, shape[0] + 1) for column in range(1, shape[1] + 1))
    return ",".join(["label", *names]).encode() + b"\n"


def _lines(examples: Examples, shape: tuple[int, int]) -> Iterator[bytes]:
    """Yield the lines of a CSV file, some at a time."""
    x, labels = examples
    yield _header(shape)
    for first in range(0, len(x), ROWS):
        rows = np.column_stack([labels[first : first + ROWS], x[first : first + ROWS]]).tolist()
        yield "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def _write_idx(folder: Path, dataset: Dataset, parts: dict[str, Examples]) -> None:
    for part, (x, labels) in parts.items():
        for kind, array in (("images-idx3", x.reshape(-1, *dataset.image_shape)), ("labels-idx1", labels)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            head = bytes((0, 0, 8, array.ndim)) + sizes
            write_file(folder / f"{IDX_PARTS[part]}-{kind}-ubyte", head, array.astype(np.uint8).tobytes())


def _write_png(folder: Path, dataset: Dataset, parts: dict[str, Examples]) -> None:
    """Write class folders, inside a folder for each part if there are two or a class has the name of a part."""
    from PIL import Image

    within = len(parts) > 1 or any(map(part_of, dataset.classes))
    for part, (x, labels) in parts.items():
        inside = folder / part if within else folder
        digits = len(str(len(x)))
        for label in np.unique(labels).tolist():
            (inside / dataset.classes[label]).mkdir(parents=True)
        for number, (image, label) in enumerate(zip(x, labels.tolist(), strict=True)):
            file = inside / dataset.classes[label] / f"{number + 1:0{digits}}.png"
            Image.fromarray(image.reshape(dataset.image_shape)).save(file)


def write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder beside `path`, which takes its name if that succeeds, and is removed else."""
    new = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:  # not in a context manager: a signal may come as it is entered or left
        with _naming(path):
            check_new_folder(path)
            new.mkdir(parents=True)
            write(new)
            if path.exists():
                path.rmdir()
            new.rename(path)
            DISK.sync_folder(path.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check_new_folder(path: Path) -> None:
    """Raise StorageError if something is at `path` that is not an empty folder, whose name a new one can take."""
    kept = f"the folder {path.resolve()}" if path.name in ("", "..") else ""
    kept = kept or ("a link" if path.is_symlink() else "where a disk is mounted" if os.path.ismount(path) else "")
    if kept:
        problem, fix = "cannot be replaced by a new folder", f"name a folder in it: {path / 'new'}"
        raise StorageError(problem, where=path, expected="a name in a folder", found=kept, fix=fix)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        problem, expected = "would replace what is there", "a new or an empty folder"
        raise StorageError(problem, where=path, expected=expected, found="files", fix="name another, or remove it")


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn OSError into a StorageError that names `path`."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        raise StorageError(problem, where=path, fix="choose another place") from None
