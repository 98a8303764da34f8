"""Arrays of labels that are text, in NPZ, NPY, HDF5 and MATLAB files: read as text in a column; see `label_names`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fnnet.core.params import Array
from fnnet.data.label_names import IN_TEXT, labels_of
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content, Wanted
from fnnet.errors import DataError
from fnnet.files.disk import refuse
from fnnet.names import names_of_labels

FIX: Final = "store whole numbers from 0, or one name for each image"
AS_TEXT: Final = "store the names as text, in UTF-8"
Stored = Mapping[str, "Sequence[str] | None"]
"""The name of each array of names of classes -> what it holds; None if it is something else."""


def numbered_texts(
    values: Array | None, path: AnyPath, name: str, wanted: Wanted, stored: Stored, notes: list[Note]
) -> tuple[Array | None, tuple[str, ...]]:
    """Return labels that are text as numbers, int64 (n,), and the names of their classes, as `labels_of` does.

    Other labels are what they are, and have no names; None for none.

    stored   names of classes that the file holds: if these are what the labels are called, their order is kept, unless
             the user or a model has another.
    notes    takes what the user should know.
    Raises   DataError for text that is not one for each image.
    """
    if values is None or values.dtype.kind not in "USO":
        return values, ()
    texts = _texts(values, path, name)
    try:
        labels, classes, more = labels_of(
            texts, path, name, in_stored_order(wanted, stored), typed=True, missing=IN_TEXT
        )
    except DataError as error:
        named = "--label-column" in error.fix
        raise (error.at(path, fix="store the names of classes, not of images") if named else error) from None
    notes += more
    return labels, classes


def in_stored_order(wanted: Wanted, stored: Stored) -> Wanted:
    """Return what is wanted with the names of classes that the file holds, unless the user or a model gives some."""
    plain = tuple(wanted.names) == names_of_labels(0, len(wanted.names))
    first = next((texts for texts in stored.values() if texts and len({*texts}) == len(texts)), None)
    return wanted._replace(names=tuple(first)) if plain and not wanted.known and first else wanted


def named(content: Content, classes: tuple[str, ...], notes: Sequence[Note]) -> Content:
    """Return content whose labels are the names of `classes`, if there are any, with more notes."""
    content = content._replace(notes=(*content.notes, *notes))
    return content._replace(classes=classes, named=True) if classes else content


def _texts(values: Array, path: AnyPath, name: str) -> list[str]:
    if not values.ndim or len(values) != values.size:
        refuse("no labels", path, name, "one text for each image", f"shape {values.shape}", FIX)
    texts = []
    for number, each in enumerate(values.ravel().tolist()):
        try:
            texts.append(each.decode() if isinstance(each, bytes) else each)
        except UnicodeDecodeError:
            refuse("not UTF-8", path, f"{name}[{number}]", "text in UTF-8", repr(each[:40]), AS_TEXT)
    return texts
