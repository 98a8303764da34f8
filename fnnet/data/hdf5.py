"""HDF5: datasets of images and labels, named as in NPZ archives or lying in groups such as train and test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedReader
from typing import Any, Final, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.array_table import content_of
from fnnet.data.arrays import one_image
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.child import Reader
from fnnet.data.first_axis import check_first_axis
from fnnet.data.hdf5_links import SAVE, find
from fnnet.data.kinds import HDF5
from fnnet.data.listing import shown
from fnnet.data.named import Chosen, assemble, named_so, texts_in, with_names, without_coordinates
from fnnet.data.netcdf import decoded, is_by_row, is_scaled, without_scales
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content, Format, Wanted
from fnnet.data.splits import check_arrays, refuse_array, saying
from fnnet.data.text_labels import numbered_texts
from fnnet.files.disk import refuse

FILTERS: Final = {
    4: "SZIP", 307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard",
    32026: "Blosc2",
}  # fmt: skip
"""Numbers of filters that pack datasets -> what they are called."""
TEXT: Final = 100
"""Bytes in memory for each label that is text, beside those in the file."""
MOST_TEXT: Final = 2**24
"""Bytes of the names of classes."""


def read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the datasets of training and, if there are any, of test; without labels, the images of test, else all.

    Nothing outside the file is read. To be called in a child: damaged files may crash HDF5.
    Raises   DataError for missing names, datasets that lie in other files, elements that are not numbers; whatever
             h5py raises for a damaged file.
    """
    import h5py

    with h5py.File(file, "r") as archive:
        there = find(archive, path)
        found = there.datasets
        if archive.id.links.exists(b"model_weights"):
            fix = "name a file of images"
            refuse("a Keras model, not data", path, "the root group", "images", "model_weights", fix)
        named_there = without_coordinates(without_scales(list(found), found), lambda name: found[name].shape)
        chosen = there.choose(named_there, wanted.labelled, path, "the groups")
        labels = [name for role, name in chosen.names.items() if role.labels]
        beside = _saying_parts(archive, found, chosen, path) if wanted.labelled else []
        read = [*chosen.names.values(), *beside]
        arrays = load({name: found[name] for name in read}, file, path, [*labels, *beside])
        arrays |= {name: _enumerated(arrays[name], found[name], name, path) for name in labels}
        names = _names(archive, found, [found[name] for name in chosen.names.values()])
        images = [name for role, name in chosen.names.items() if not role.labels]
        by_row = {name: is_by_row(found[name], name, path, wanted) for name in images}

    def part(images: str, labels: str | None, wanted: Wanted) -> Content:
        flat = wanted.shape
        if flat and by_row[images] and wanted.transpose and wanted.upright:
            flat = flat[::-1]
        if wanted.labelled and labels is None:
            refuse_labels(path, "the groups", images, list(found))
        numbers = arrays[labels] if labels and wanted.labelled else None
        notes: list[Note] = []
        numbers, classes = numbered_texts(numbers, path, labels or "", wanted, names, notes)
        x = arrays[images] if wanted.labelled else one_image(arrays[images], flat, path, images)
        if not by_row[images]:
            check_first_axis(x, len(numbers) if numbers is not None and numbers.ndim else None, flat, path, images)
        wanted, at = wanted._replace(shape=flat), labels or ""
        content = content_of(x, numbers, path, images, wanted, classes, notes, labels_name=at, stored=names)
        return content._replace(by_row=by_row[images])

    content = assemble(chosen, path, wanted, part)
    check_arrays({name: arrays[name] for name in beside}, chosen, len(content.x), path)
    return with_names(content, names, path, wanted) if wanted.labelled else content


def _saying_parts(archive: Any, found: dict[str, Any], chosen: Chosen, path: AnyPath) -> list[str]:
    """Return the datasets that may say of which part each image is, by their names or as text.

    Raises   DataError for an attribute of the file that does, as Fuel writes it.
    """
    images = next(name for role, name in chosen.names.items() if not role.labels)
    n = found[images].shape[0] if found[images].shape else 0
    said = {*saying(found, chosen)}
    for name in saying(archive.attrs, chosen):
        if math.prod(archive.attrs.get_id(name).shape) > 1:
            refuse_array(path, f"attribute {name}", f"shape {archive.attrs.get_id(name).shape}")
    taken = {*chosen.names.values(), *named_so(found)}
    texts = {name for name, each in found.items() if _is_text(each) and each.size == n} - taken
    return [name for name in found if found[name].shape and name in said | texts]


def _enumerated(values: Array, dataset: Any, name: str, path: AnyPath) -> Array:
    """Return labels of an enumeration as the names that its type gives to numbers, any others as they are.

    Raises   DataError for a number without a name.
    """
    import h5py

    kinds = h5py.check_enum_dtype(dataset.dtype)
    if kinds is None:
        return values
    known = {number: text for text, number in kinds.items()}
    texts = [known.get(number) for number in values.ravel().tolist()]
    if None in texts:
        at = texts.index(None)
        place = f"{name}[{', '.join(map(str, map(int, np.unravel_index(at, values.shape))))}]"
        expected, fix = f"a number that its type names: {shown([*kinds])}", "correct the label, or name it in the type"
        refuse("a label without a name", path, place, expected, values.flat[at], fix)
    return np.array(texts, object).reshape(values.shape)


def _names(archive: Any, found: dict[str, Any], chosen: list[Any]) -> dict[str, list[str] | None]:
    """Return each dataset and attribute of the names of classes -> what it holds; None if it is something else."""
    names = {name: texts_in(found[name][()]) if _is_text(found[name]) else None for name in named_so(found)}
    for each in (archive, *chosen):
        for name in named_so(each.attrs):
            where = f"attribute {'/'.join(part for part in (each.name.strip('/'), name) if part)}"
            names[where] = None
            with suppress(OSError, TypeError):  # a type that NumPy has not
                names[where] = texts_in(np.asarray(each.attrs[name]))
    return names


def _is_text(dataset: Any) -> bool:
    """Return True for a dataset of text in this file that may name classes."""
    import h5py

    text = dataset.shape is not None and h5py.check_string_dtype(dataset.dtype) is not None
    return text and not (dataset.external or dataset.is_virtual) and dataset.size * dataset.dtype.itemsize <= MOST_TEXT


def refuse_labels(path: AnyPath, place: str, images: str, there: list[str]) -> NoReturn:
    """Raise DataError for images without labels."""
    expected, found = "images and labels of each part", ", ".join(there[:8])
    refuse("labels missing", path, place, expected, found, f"add the labels of {images}")


def load(chosen: dict[str, Any], file: BufferedReader, path: AnyPath, labels: Sequence[str] = ()) -> dict[str, Array]:
    """Return the numbers of datasets, what codes stand for; DataError unless they lie in the file, in bounded size.

    labels   the names of those that may be text.
    """
    import h5py

    needed = stored = 0
    for name, each in chosen.items():
        if each.external or each.is_virtual:
            refuse("numbers in another file", path, name, "numbers in this file", "a reference to one", SAVE)
        if isinstance(h5py.check_vlen_dtype(each.dtype), np.dtype):
            expected, found = "one array of numbers", f"{each.size:,} arrays, each of its own length"
            fix = "store images as one array (n, height, width), labels as (n,)"
            refuse("arrays of variable length", path, name, expected, found, fix)
        text = name in labels and h5py.check_string_dtype(each.dtype) is not None
        if (each.dtype.kind not in "iufb" and not text) or each.shape is None:
            found = "none" if each.shape is None else "text or references" if each.dtype.kind in "OS" else each.dtype
            refuse("not numbers", path, name, "integers, floats or truth values", found, SAVE)
        needed += each.size * (each.dtype.itemsize + (TEXT if text else 8 if is_scaled(each) else 1))
        stored += each.id.get_storage_size()
    check_expansion(needed, min(stored, bytes_on_disk(file.fileno())), path, ", ".join(chosen))
    return {name: decoded(_numbers(each, name, path), each, name, path) for name, each in chosen.items()}


def _numbers(dataset: Any, name: str, path: AnyPath) -> Array:
    """Return the numbers of a dataset; DataError for one packed by a filter that h5py lacks."""
    import h5py

    try:
        found: Array = dataset[()]
    except OSError:
        created = dataset.id.get_create_plist()
        codes = [created.get_filter(number)[0] for number in range(created.get_nfilters())]
        lacking = [FILTERS.get(code, f"filter {code}") for code in codes if not h5py.h5z.filter_avail(code)]
        if not lacking:
            raise
        fix = "save it with compression='gzip' where it can be read (import hdf5plugin)"
        refuse("compression that h5py lacks", path, name, "gzip, LZF or none", " and ".join(lacking), fix)
    return found


FORMAT: Final = Format(
    "HDF5",
    lambda head, path: head.startswith(HDF5),
    Reader("HDF5", __name__),
    extra="fnnet[formats]",
    suffixes=(".h5", ".hdf5", ".hdf"),
    rows=True,
)
