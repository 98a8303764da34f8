"""MATLAB's files: versions 4 and 5 by SciPy, version 7.3, which is HDF5 with reversed axes, by h5py.

MATLAB stores columns first and puts the images of an array along its last axis, Python along its first. Where neither
the number of labels nor the size of an image shows which, the file is refused. Nor does an array of rows of pixels show
whether an image was taken row by row or column by column.
"""

from __future__ import annotations

import math
import os
import re
import struct
import warnings
from io import BufferedReader
from typing import Any, Final, Never

import numpy as np

from fnnet.core.params import Array
from fnnet.data import hdf5
from fnnet.data.array_table import content_of, is_table
from fnnet.data.arrays import (
    COLOURS,
    image_shape,
    in_colours_or_grey,
    is_one_hot,
    planes_along,
    rows_of_pixels,
)  # fmt: skip
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.child import Reader
from fnnet.data.hdf5_links import find
from fnnet.data.named import assemble, choose, has_images, named_so, of_shapes, roles_of, texts_in, with_names
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.order import exchange
from fnnet.data.reader import MISFIT, Content, Format, Wanted, size
from fnnet.data.roles import role_of
from fnnet.data.splits import check_arrays, saying, says_parts
from fnnet.data.text_labels import numbered_texts
from fnnet.files.disk import refuse
from fnnet.limits import MAX_CLASSES
from fnnet.names import composed

STARTS: Final = (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")
VERSION_4: Final = (("<", 0), (">", 1000))
"""Orders of bytes, and the number that says each in the kind of a variable, with which a file of version 4 begins."""
KINDS_4: Final = {10 * stored + what for stored in range(6) for what in range(3)}
"""How numbers are stored, and whether they are numbers, text or a sparse matrix."""
NAME_4: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]{0,62}\0")
ITEMS: Final = {
    "double": 8, "single": 4, "logical": 1,
    "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8,
}  # fmt: skip
"""Classes of arrays of numbers -> bytes of an element."""
OTHERS: Final = {
    "sparse": ("a sparse matrix", "store full(x)"),
    "cell": ("a cell array", "store numbers, as findgroups gives for names, and say --class-names"),
    "char": ("text", "store numbers, as findgroups gives for names, and say --class-names"),
}
TEXTS: Final = ("cell", "char")
"""Those that may be labels."""
CHANNELS: Final = [(colours,) for colours in COLOURS]
DEEPEST: Final = 3
"""Structures within one another."""
ORDER: Final = "say --transpose for column by column, as MATLAB stores them, or --no-transpose for row by row"
IMAGES_LAST: Final = "store images as (height, width, n)"
OTHER_SIZE: Final = "scale the images to that size, or train a model for theirs"
NPZ: Final = "store the images as NPZ, images first"


def read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the variables of training and, if there are any, of test, named as in NPZ archives; also within structures.

    To be called in a child: damaged files may crash the libraries.
    Raises   DataError for missing names, axes that may be either, elements that are not numbers; whatever SciPy or h5py
             raises for a damaged file.
    """
    by_version = _version_7 if file.peek(8).startswith(STARTS[1]) else _by_scipy
    found, names = by_version(file, path, wanted)
    chosen = choose(list(found), wanted.labelled, path, "the variables")
    chosen = of_shapes(chosen, lambda name: found[name].shape, path)

    def part(images: str, labels: str | None, wanted: Wanted) -> Content:
        if wanted.labelled and labels is None:
            hdf5.refuse_labels(path, "the variables", images, list(found))
        numbers = found[labels] if labels and wanted.labelled else None
        notes: list[Note] = []
        numbers, classes = numbered_texts(numbers, path, labels or "", wanted, names, notes)
        x, numbers, more = _in_order(found[images], numbers, images, labels or "", path, wanted)
        content = content_of(x, numbers, path, images, wanted, classes, notes, labels_name=labels or "", stored=names)
        return content._replace(notes=(*more, *content.notes))

    content = assemble(chosen, path, wanted, part)
    if not wanted.labelled:
        return content
    check_arrays({name: found[name] for name in saying(found, chosen)}, chosen, len(content.x), path)
    return with_names(content, names, path, wanted)


def _in_order(
    x: Array, labels: Array | None, name: str, labels_name: str, path: AnyPath, wanted: Wanted
) -> tuple[Array, Array | None, list[Note]]:
    """Return images along the first axis, or the rows of a table, their labels as they are, and notes."""
    for values, place in ((x, name), (labels, labels_name)):
        if values is not None and values.dtype.kind == "c":  # MATLAB gives the class of its parts
            _refuse_complex(path, place)
    if labels is not None and labels.ndim == 2 and 1 in labels.shape:
        labels = labels.reshape(-1)
    if labels is not None and labels.ndim == 2 and x.ndim > 1:  # rows or columns with a single 1
        n = _common(labels, x, name, path)
        labels = labels if len(labels) == n and not _in_columns(labels, labels_name, path) else labels.T
    x = images_first(x, None if labels is None else len(labels), wanted, name, path)
    if is_table(x, wanted):
        return x, labels, []
    x, notes = rows_of_pixels(x, name, wanted.shape)
    if x.ndim == 2 and 1 not in image_shape(x.shape[1], wanted.shape):
        if wanted.transpose is None:
            problem, expected = "an image may be stored row by row or column by column", "to know which"
            refuse(problem, path, name, expected, f"rows of {x.shape[1]:,} pixels", ORDER)
        order = "column by column" if wanted.transpose else "row by row"
        notes.append(Note("pixel-order", f"{os.fsdecode(path)}: the pixels of an image are taken {order}"))
    return x, labels, notes


def _refuse_complex(path: AnyPath, place: str) -> Never:
    expected, found = "numbers, one for each pixel or image", "complex numbers"
    refuse("not real numbers", path, place, expected, found, "store real(x)")


def _in_columns(labels: Array, name: str, path: AnyPath) -> bool:
    """Return True for labels as columns with a single 1; DataError where columns and rows say other classes."""
    if labels.shape[0] != labels.shape[1] or not is_one_hot(labels.T):
        return False
    if is_one_hot(labels) and (labels != labels.T).any():
        problem, expected = "the classes may be where the rows or the columns have a 1", "one of both"
        refuse(problem, path, name, expected, f"shape {labels.shape}", "store the number of the class of each image")
    return True


def _common(labels: Array, x: Array, name: str, path: AnyPath) -> int:
    """Return the number of images: the length of an axis of both arrays."""
    common = {*labels.shape} & {x.shape[0], x.shape[-1]}
    if len(common) != 1:
        problem, expected = "the number of images is not clear", "one axis of images and labels alike"
        refuse(problem, path, name, expected, f"shapes {x.shape} and {labels.shape}", "store one label for each image")
    return int(common.pop())


def images_first(x: Array, n: int | None, wanted: Wanted, name: str, path: AnyPath) -> Array:
    """Return `x` with the images along its first axis, a view.

    n        the number of images if labels say it.
    wanted   with the (height, width) of an image if it is known; needed without labels.
    Raises   DataError if they may lie along the first axis or the last, or are of another size along both.
    """
    shape = wanted.shape
    if n is not None:
        first, last = x.shape[0] == n, x.ndim > 1 and x.shape[-1] == n
        if not (first or last):
            expected = f"{n:,} images, as many as labels, along the first or the last axis"
            refuse("counts differ", path, name, expected, f"shape {x.shape}", "store one label for each image")
        if first and last and shape is not None and x.ndim > 2:
            first, last = _axes_by_size(x, shape, wanted, name, path)
    elif shape is None:
        first, last = x.ndim < 3, x.ndim > 2
    elif x.shape == shape and math.prod(shape) not in shape:
        return x.reshape(1, *shape)
    elif planes := planes_along(x.shape, shape):
        return in_colours_or_grey(x, path, name, last=planes == "last")
    else:
        first, last = _axes_by_size(x, shape, wanted, name, path)
    if first and last:
        expected = "images along the first or the last axis"
        sized = shape is None and x.ndim > 2 and x.shape[1:3] != x.shape[:2]
        fix = f"say --image-size HxW, or {NPZ}" if sized else NPZ if x.ndim > 2 else IMAGES_LAST
        refuse("the axis of the images is not clear", path, name, expected, f"shape {x.shape}", fix)
    return np.moveaxis(x, -1, 0) if last else x


def _axes_by_size(x: Array, shape: tuple[int, int], wanted: Wanted, name: str, path: AnyPath) -> tuple[bool, bool]:
    """Return whether images of a size may lie along the first axis, and along the last; DataError along neither.

    MATLAB lays images along the last axis: if those have height and width exchanged, a model's size does not show that
    they lie along the first.
    """
    if x.ndim == 2:
        first, last = x.shape[1] == math.prod(shape), x.shape[0] == math.prod(shape)
    else:
        first, last = _is_image(x.shape[1:], shape), _is_image(x.shape[:-1], shape)
    exchanged = _is_image(x.shape[:-1], shape[::-1])
    if not (first or last):
        exchanged = exchanged or shape[::-1] in (x.shape, x.shape[1:])
        expected = f"images of {size(shape)} along the first or the last axis"
        fix = exchange(wanted.transpose) if exchanged else OTHER_SIZE
        refuse(f"{MISFIT} the model" if wanted.known else MISFIT, path, name, expected, f"shape {x.shape}", fix)
    return first, last or (wanted.known and exchanged)


def _is_image(axes: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Return True for the axes of an image of this height and width, grey or with channels last or first."""
    return axes == shape or (axes[:2] == shape and axes[2:] in CHANNELS) or (axes[1:] == shape and axes[:1] in CHANNELS)


Names = dict[str, "list[str] | None"]
"""The variables that name classes -> what they hold; None if it is something else."""


def _by_scipy(file: BufferedReader, path: AnyPath, wanted: Wanted) -> tuple[dict[str, Any], Names]:
    """Return name -> numbers of the variables that are read, as `_unread` has the others; and names of classes."""
    from scipy.io import loadmat, whosmat

    listed = whosmat(file)
    numbers = {name: math.prod(shape) * (ITEMS[kind] + 1) for name, shape, kind in listed if kind in ITEMS}
    kinds = {name: kind for name, _, kind in listed}
    structures = [name for name, shape, kind in listed if kind == "struct" and math.prod(shape) == 1]
    packed = bytes_on_disk(file.fileno())
    _check_kinds(kinds, path, wanted)
    names = named_so(kinds)
    texts = [name for name in names if kinds[name] in TEXTS]
    labels = _labels_of_text(kinds)
    if structures and not has_images(list(numbers)):
        check_expansion(sum(numbers.values()), packed, path, ", ".join(numbers))
        file.seek(0)
        found: dict[str, Array] = {}
        cells: dict[str, Array] = {}
        with warnings.catch_warnings():
            # SciPy gives the real parts in structures.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                loaded = loadmat(file, variable_names=[*structures, *numbers, *texts, *labels], mat_dtype=True)
            except np.exceptions.ComplexWarning:
                _refuse_complex(path, ", ".join([*structures, *numbers]))
        for name, value in loaded.items():
            if name in kinds:
                _flatten(name, value, found, cells, 1)
        check_expansion(sum(each.nbytes for each in found.values()), packed, path, ", ".join(structures))
        kinds = dict.fromkeys(found, "double") | dict.fromkeys(cells, "cell")
        found |= {name: _as_labels(_texts(cells[name]), "cell", name, path) for name in _labels_of_text(kinds)}
        found |= {name: np.array(_texts(each) or (), object) for name, each in cells.items() if says_parts(name)}
        return found, {name: _texts(cells.get(name)) for name in named_so([*found, *cells])}
    there = [*numbers, *labels]
    chosen = choose(there, wanted.labelled, path, "the variables").names.values() if numbers else ()
    beside = [name for name in _saying_parts(kinds) if wanted.labelled and name not in chosen]
    read = [*chosen, *beside]
    check_expansion(sum(numbers.get(name, 0) for name in read), packed, path, ", ".join(read))
    file.seek(0)
    loaded = loadmat(file, variable_names=[*read, *texts]) if read or texts else {}
    arrays: dict[str, Any] = {name: _unread(shape) for name, shape, _ in listed if name in there}
    for name in chosen:
        of_text = name in labels
        kind, values = kinds[name], loaded[name]
        arrays[name] = _as_labels(_texts(values), kind, name, path) if of_text else _of_class(values, kind)
    for name in beside:
        arrays[name] = loaded[name] if kinds[name] in ITEMS else np.array(_texts(loaded[name]) or (), object)
    return arrays, {name: _texts(loaded.get(name)) for name in names}


def _unread(shape: tuple[int, ...]) -> Array:
    """Return an array in place of one that is not read, which takes no memory."""
    return np.broadcast_to(np.zeros((), bool), shape)


def _labels_of_text(kinds: dict[str, str]) -> list[str]:
    """Return the variables that are labels by their names and text by their kinds; numbers of the same part count."""
    roles = {name: role for name, role in zip(kinds, roles_of(list(kinds)), strict=True) if role and role.labels}
    numbers = {role for name, role in roles.items() if kinds[name] in ITEMS}
    return [name for name, role in roles.items() if kinds[name] in TEXTS and role not in numbers]


def _saying_parts(kinds: dict[str, str]) -> list[str]:
    """Return the variables of numbers or text that by their names say of which part each image is."""
    return [name for name, kind in kinds.items() if says_parts(name) and (kind in ITEMS or kind in TEXTS)]


def _as_labels(texts: list[str] | None, kind: str, name: str, path: AnyPath) -> Array:
    """Return labels that are text as an array; DataError for cells that hold something else."""
    if texts is None:
        what, fix = OTHERS[kind]
        refuse("not an array of numbers", path, name, "numbers, or one text for each image", what, fix)
    return np.array(texts, object)


def _texts(values: Array | None) -> list[str] | None:
    """Return the lines of text, or the texts in the cells, of a variable; None for any other."""
    if values is None:
        return None
    if values.dtype.kind == "O":
        cells = [each.item() if isinstance(each, np.ndarray) and each.size == 1 else None for each in values.ravel()]
        values = np.array(cells, object)
    return texts_in(values)


def _check_kinds(kinds: dict[str, str], path: AnyPath, wanted: Wanted) -> None:
    """Raise DataError if what is images or labels by its name is not an array of numbers, and no other variable is."""
    roles = {name: role for name in kinds if (role := role_of(name)) and role.part != "val"}
    numbers = {role.labels for name, role in roles.items() if kinds[name] in ITEMS}
    for name, role in roles.items():
        text = role.labels and kinds[name] in TEXTS  # which is read
        if kinds[name] in OTHERS and not text and role.labels not in numbers and (wanted.labelled or not role.labels):
            what, fix = OTHERS[kinds[name]]
            refuse("not an array of numbers", path, name, "numbers, one for each pixel or image", what, fix)


def _of_class(values: Array, kind: str) -> Array:
    """Return numbers as MATLAB has them; files keep truth values, and whole numbers of any class, as bytes."""
    if kind == "logical":
        return values.astype(bool)
    whole = kind in ("double", "single") and values.dtype.kind in "iu"
    return values.astype(np.float32) if whole and values.size and values.max() <= 1 else values


def _flatten(name: str, value: Array, found: dict[str, Array], others: dict[str, Array], depth: int) -> None:
    """Add the arrays of numbers in a structure to `found`, those of text and cells to `others`: structure.field."""
    if value.dtype.kind in "iufb":
        found[name] = value
    elif value.dtype.names and value.size == 1 and depth <= DEEPEST:
        for field in value.dtype.names:
            _flatten(f"{name}.{field}", value[field].item(), found, others, depth + 1)
    elif value.dtype.kind in "UO":
        others[name] = value


def _version_7(file: BufferedReader, path: AnyPath, wanted: Wanted) -> tuple[dict[str, Any], Names]:
    """As `_by_scipy`, for HDF5."""
    import h5py

    with h5py.File(file, "r") as archive:
        found = find(archive, path)
        there = found.datasets
        kinds = {name: _text(each.attrs.get("MATLAB_class")) for name, each in there.items()}
        numbers, labels = [name for name in there if kinds[name] in ITEMS], _labels_of_text(kinds)
        _check_kinds(kinds, path, wanted)
        chosen = found.choose([*numbers, *labels], wanted.labelled, path, "the variables").names.values()
        beside = [name for name in _saying_parts(kinds) if wanted.labelled and name not in chosen]
        read = {name: there[name] for name in [*chosen, *beside] if kinds[name] in ITEMS}
        loaded = hdf5.load(read, file, path)
        texts = {name: _texts_7(archive, there[name], kinds[name]) for name in chosen if name in labels}
        parts = {name: _texts_7(archive, there[name], kinds[name]) or () for name in beside if name not in read}
        names = {name: _texts_7(archive, there[name], kinds[name]) for name in named_so(there)}
        arrays: dict[str, Any] = {name: _unread(there[name].shape[::-1]) for name in [*numbers, *labels]}
    arrays |= {name: _of_class(each.T, kinds[name]) for name, each in loaded.items()}
    arrays |= {name: np.array(each, object) for name, each in parts.items()}
    return arrays | {name: _as_labels(each, kinds[name], name, path) for name, each in texts.items()}, names


def _texts_7(archive: Any, variable: Any, kind: str) -> list[str] | None:
    """As `_texts`, for HDF5: text is numbers of characters, a cell a reference to what is in it."""
    import h5py

    if kind == "char":
        return _lines(variable) or None
    if kind != "cell" or variable.size > MAX_CLASSES or h5py.check_ref_dtype(variable.dtype) is None:
        return None
    cells = [_lines(archive[each]) for each in variable[()].ravel()]
    return [each[0] for each in cells] if all(len(each) == 1 for each in cells) else None


def _lines(characters: Any) -> list[str]:
    """Return the lines of text that an array of numbers of characters holds; none of another array."""
    if characters.ndim != 2 or characters.dtype.kind != "u" or characters.size > MAX_CLASSES:
        return []
    return [composed("".join(map(chr, line)).strip()) for line in characters[()].T.tolist()]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _recognise(head: bytes, path: AnyPath) -> bool:
    return head.startswith(STARTS) or any(_is_version_4(head, *order) for order in VERSION_4)


def _is_version_4(head: bytes, order: str, least: int) -> bool:
    """Return True for a variable's kind, rows, columns, whether it is complex, the length of its name, and that."""
    if len(head) < 20:
        return False
    kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", head[:20])
    plausible = kind - least in KINDS_4 and min(rows, columns) >= 0 and imaginary in (0, 1) and length > 0
    return plausible and NAME_4.fullmatch(head[20 : 20 + length]) is not None


FORMAT: Final = Format(
    "MATLAB",
    _recognise,
    Reader("MATLAB", __name__),
    extra="fnnet[formats]",
    suffixes=(".mat",),
    rows=True,
)
