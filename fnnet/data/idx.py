"""IDX, the format of MNIST's files, raw or gzip-compressed (recognised by content, not by name).

Format: two zero bytes, a type byte (8 = unsigned byte), the rank, then one big-endian 32-bit size per dimension and
the numbers in C order, big-endian. Source: the description on MNIST's page by LeCun, Cortes and Burges.
"""

from __future__ import annotations

from io import BufferedReader
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.payload import GZIP, checked_header, looks_like_idx, payload_of, read_payload
from fnnet.data.reader import Content, Format, Wanted
from fnnet.errors import counted
from fnnet.files.disk import refuse

QMNIST: Final = 8
"""Columns of QMNIST's labels; the first is the class."""


def read_idx(path: AnyPath) -> Array:
    """Return the array of an IDX file, read-only, of rank 1 to 4; uint8 in MNIST's files.

    Raises   DataError naming the place for anything but one whole, well-formed array; StorageError if unreadable.
    """
    return parse_idx(read_payload(path), path)


def parse_idx(payload: memoryview, where: AnyPath) -> Array:
    """Return the array in the bytes of an IDX file, which must have exactly the length that their header declares."""
    header = checked_header(payload, where)
    array: Array = np.frombuffer(payload, header.dtype, offset=header.start).reshape(header.shape)
    return array if header.itemsize == 1 else freeze(array.astype(array.dtype.newbyteorder("=")))


# Images and labels, which IDX keeps in two files.


def is_labels(array: Array) -> bool:
    """Return True for one number an image, or a row of QMNIST's labels."""
    return array.ndim == 1 or (array.ndim == 2 and array.shape[1] == QMNIST and array.dtype.itemsize > 1)


def pair(images_path: Path, images: Array, labels_path: Path, labels: Array) -> Content:
    """Return the content of a file of images and its file of labels; DataError unless they fit."""
    if is_images(images) and not is_labels(labels):
        expected = f"rank 1, a label for each image, or rank 2 of {QMNIST} columns of 4-byte integers, as QMNIST has it"
        fix = "store the classes alone, as (n,)"
        refuse("not labels", labels_path, "byte 3", expected, f"rank {labels.ndim}, shape {labels.shape}", fix)
    if not is_images(images):
        found = f"ranks {images.ndim} and {labels.ndim}"
        fix = "store images as (n, height, width), colours behind these, and labels as (n,)"
        refuse("not images and labels", images_path, "byte 3", "ranks 3 or 4 and 1", found, fix)
    if len(images) != len(labels):
        expected = f"{counted(len(labels), 'image')}, as many as labels in {labels_path.name}"
        refuse("counts differ", images_path, "byte 4", expected, f"{len(images):,}", "take both files from one set")
    notes = list[Note]()
    if labels.ndim == 2:
        text = f"{labels_path}: the first of {QMNIST} columns is read as the class, as QMNIST has it"
        labels, notes = labels[:, 0], [Note("qmnist", text)]
    if labels.dtype != np.uint8:
        from fnnet.data.arrays import as_labels

        labels = as_labels(labels, len(images), labels_path, "the labels", notes)
    content = _content(images, images_path, labels)
    return content._replace(labels=labels, labels_at=str(labels_path), notes=(*content.notes, *notes))


def labels_beside(images_path: Path) -> list[Path]:
    """Return the files beside an IDX file of images whose names say that they hold its labels."""
    stem = _labels_name(images_path)
    stems = (stem, stem.replace("idx1-ubyte", "idx2-int"))
    each = (images_path.with_name(name) for stem in dict.fromkeys(stems) for name in (stem, stem + ".gz"))
    return [path for path in each if path != images_path and path.is_file()]


def _labels_name(images_path: Path) -> str:
    return (
        images_path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    )


def is_images(array: Array) -> bool:
    """Return True for images, one behind the other, grey or with colours behind or before height and width."""
    if array.ndim != 4:
        return array.ndim == 3
    from fnnet.data.arrays import COLOURS

    return bool({array.shape[1], array.shape[3]} & {*COLOURS})


def _content(images: Array, path: Path, labels: Array | None = None) -> Content:
    """Return images as bytes; their labels show whether colours carry the class."""
    if images.dtype != np.uint8 or images.ndim == 4:
        from fnnet.data.arrays import as_content

        size = images.shape[1:] if images.ndim == 3 else None  # as the header says it
        return as_content(images, labels, path, "the images", size)._replace(shape_at="byte 8")
    return Content(images.reshape(len(images), -1), None, images.shape[1:], shape_at="byte 8")


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read a file of images; its labels lie in a file beside it (`images` -> `labels`, `idx3` -> `idx1`)."""
    images, images_path = parse_idx(payload_of(file, path), path), Path(path)
    if not is_images(images):
        problem = "these are labels" if is_labels(images) else "not images"
        refuse(
            problem,
            path,
            "byte 3",
            "images, rank 3, or 4 with colours",
            f"rank {images.ndim}",
            "name the file of images",
        )
    if not wanted.labelled:
        return _content(images, images_path)
    beside = labels_beside(images_path)
    if not beside:
        stem = _labels_name(images_path)
        refuse("no labels", path, "the folder", f"{stem} or {stem}.gz beside it", "neither", "put the labels there")
    return pair(images_path, images, beside[0], read_idx(beside[0]))


def _recognise(head: bytes, path: AnyPath) -> bool:
    """Return True for what may be IDX; gzip of text is not, nor of archives and other files of many images."""
    if not looks_like_idx(head) or not head.startswith(GZIP):
        return looks_like_idx(head)
    from fnnet.data.unpacked import kind_inside, packs_text

    return not packs_text(head) and kind_inside(head) is None


FORMAT: Final = Format("IDX", _recognise, _read)
