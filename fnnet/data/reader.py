"""What a reader of a data format takes and returns, and how a file finds its reader."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from io import BufferedReader
from typing import Final, NamedTuple, NoReturn

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data.kinds import HDF5, kind_of
from fnnet.data.notes import Note
from fnnet.data.opened import AGAIN, AnyPath, Opened
from fnnet.data.pieces import beside_notes
from fnnet.data.scale import fitted
from fnnet.errors import DataError, FnnetError, UsageError
from fnnet.files.disk import looks_like_html, refuse, show_bytes
from fnnet.limits import MAX_CLASSES

HEAD: Final = 512
"""Bytes at the start of a file by which its format is recognised."""
SEE: Final = "see --data in 'fnnet train --help'"
GROUPS: Final = "groups"
LABELS: Final = "labels"
IMAGES: Final = "images"
DECODED: Final = "decoded"
EITHER: Final = "say --image if each row is an image, or --table if each column is a measurement"
"""What to do with rows of numbers that may be either."""
NO_COLUMN: Final = "no such column for --label-column"
OTHER: Final = "images of another kind than those looked at first"
SEVERAL: Final = "images of several kinds"
BY_VALUES: Final = "no column of labels by its name"
DOUBTFUL: Final = "pixels are 0 and 1 alone, as far as they were looked at"
TABLE: Final = "a table, piece by piece"
ONLY_AT_ONCE: Final = frozenset({OTHER, SEVERAL, BY_VALUES, DOUBTFUL, TABLE})
"""Problems of streams alone: all images at once may be read, for what they are is then known."""
MEMORY: Final = (
    "leave --window out to read them into memory, or write a stream: fnnet data expand --times 1 --no-augment"
)
MISFIT: Final = "image size does not fit"
FIT: Final = "scale the image to that size"
"""What to do with a picture of another size; which ink it should have, the model knows, which notes the other."""
BZIP2: Final = b"BZh"
XZ: Final = b"\xfd7zXZ\0"
SHOWS: Final = 2**20
"""Bytes of a file packed by bzip2 or xz that show the beginning of what it packs: bzip2's blocks have 900,000."""
NETPBM: Final = (b"1", b"2", b"3", b"4", b"5", b"6")
BINARY: Final = re.compile(rb"[\0-\x08\x0e-\x1f]")
"""Bytes that no text has."""


class Wanted(NamedTuple):
    """What the caller needs from a file.

    labelled  True for a data set: images with their labels and, if there is one, a test set. False for images alone.
    shape     (height, width) to give to rows of that many pixels; a reader of pictures may refuse any other size before
              it unpacks the image. None if the file alone decides.
    label_column   the column of labels in a table of numbers, as `Reading` has it; None if the file shows it.
    image     True if the rows of a table are images, whatever it looks like.
    transpose   True if the files store images column by column, False if row by row; None if it is not given.
    first_index   the number of the first pixel where pixels are numbered, 0 or 1; None if the file shows it.
    colours   True if the colours of a picture are to be looked at.
    resize    True if a picture of another size is scaled to `shape`.
    names     of the classes as the user or a model has them: labels that are names among these keep their order.
    pixel_range   the range of `ranges` that all floats are of, as others of the data set show; "" if it is not known.
    table     True if the rows of a table are not images, whatever it looks like.
    columns   the names of the columns of a table in their order, as a model or another data set has them, each "" if
              they have none; none to take those of the file.
    target    the name of the column of labels there, "" if it has none.
    sure      True if all numbers of a table, or of lists, are known to be of `pixel_range`: some of a stream.
    most_label   the largest number in the column of labels; ids may be larger than labels.
    images_alone   True if labels are passed over, whatever they are: they may be empty, or -1.
    first_label   the label of the first class, as `Reading` has it.
    known     True if `shape` is that of a model or another data set: no other fits, whatever the user says.
    upright   True if packed pictures are upright, whatever `transpose` is: the user does not say it.
    sized     True if the user says the size that pictures are scaled to.
    only      of Parquet: GROUPS for the sizes of its row groups, in place of labels; LABELS for these without images,
              which then have no pixels; DECODED for neither, where what LABELS reads is whole; IMAGES for those of some
              rows; "" for all that the file holds.
    groups    the row groups that are read; none for all.
    rows      the rows whose images are read, of the one row group of `groups`: the first and that behind the last of
              some that follow one another, and of others.
    """

    labelled: bool
    shape: tuple[int, int] | None = None
    label_column: str | None = None
    image: bool = False
    transpose: bool | None = None
    first_index: int | None = None
    colours: bool = False
    resize: bool = False
    known: bool = False
    names: tuple[str, ...] = ()
    pixel_range: str = ""
    most_label: int = MAX_CLASSES - 1
    images_alone: bool = False
    first_label: int = 0
    upright: bool = False
    sized: bool = False
    only: str = ""
    groups: tuple[int, ...] = ()
    rows: tuple[tuple[int, int], ...] = ()
    sure: bool = False
    table: bool = False
    columns: tuple[str, ...] = ()
    target: str = ""


class Content(NamedTuple):
    """What a file holds.

    x            uint8 (n, height x width).
    labels       integers (n,), or None if the file has none.
    image_shape  (height, width).
    test         the test set, if there is one.
    labels_at    the file or array that the labels come from, for messages.
    shape_at     the place in the file that gives the size of an image, for messages.
    notes        what the user should know about how the file was read.
    classes      the names of the labels 0, 1..., if the file names them.
    lossy        True if the file does not keep every pixel: blank ones may be nearly blank.
    colours      those of a picture at some places, as `Canvas` has them, if they are wanted and it has any.
    ink          uint8 (n,): INKED for images that are the opacity of ink, 255, whatever ink other images have; DOUBTFUL
                 for those of light and dark colours beside transparent places; None if there are neither.
    by_row       True if the file says that it holds images row by row, or holds pictures, which are upright.
    named        True if the labels in the file are the names of `classes`.
    one_hot      how many columns the labels have in the file, if they are rows with a single 1; else 0.
    pixel_ranges   the ranges of `ranges` that its floats, truth values and bits were read in; none for bytes alone.
    columns      the names of the columns of a table, whose rows are not images, each "" if it has none: x is float64
                 (n, columns), as in the file, and an image a row of these; None for images.
    target       the name of the column of labels of such a table, "" if it has none.
    one_part     "column: part" for each column beside the images that says of which part they are, all of them of one.
    files        of pictures, the file of each image; empty for other data.
    """

    x: Array
    labels: Array | None
    image_shape: tuple[int, int]
    test: Content | None = None
    labels_at: str = ""
    shape_at: str = "byte 0"
    lossy: bool = False
    notes: tuple[Note, ...] = ()
    classes: tuple[str, ...] = ()
    colours: Array | None = None
    ink: Array | None = None
    by_row: bool = False
    named: bool = False
    one_hot: int = 0
    pixel_ranges: tuple[str, ...] = ()
    one_part: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    target: str = ""
    files: tuple[str, ...] = ()


def like(train: Content, wanted: Wanted) -> Wanted:
    """Return what is wanted of a test set: rows of pixels have the size of training, unless it is one row itself.

    Labels that are names are those of training.
    """
    wanted = wanted._replace(names=train.classes) if train.named else wanted
    if train.columns is not None:
        return wanted._replace(table=True, columns=train.columns, target=train.target, known=True)
    return wanted if wanted.shape or 1 in train.image_shape else wanted._replace(shape=train.image_shape)


def only_at_once(error: FnnetError) -> bool:
    """Return True if an error is of images that are read piece by piece: at once they may be read."""
    return error.problem in ONLY_AT_ONCE


def joined_ink(parts: Sequence[tuple[Array | None, int]]) -> Array | None:
    """Return the kinds of images in parts one after another, each the kinds in it and the number of its images."""
    if all(kinds is None for kinds, _ in parts):
        return None
    return np.concatenate([np.zeros(n, np.uint8) if kinds is None else kinds for kinds, n in parts])


class Format(NamedTuple):
    """One format of data files.

    name       as help and messages call it.
    recognise  (first bytes, path) -> whether the file has this format; no other format may recognise it too.
    read       (file at its start, path for messages and for files beside it, what is wanted) -> what the file holds.
               Libraries that only this format needs are imported inside.
    picture    True if a file holds one image: such files are taken from class folders and from folders to predict.
    suffixes   of the names of such files, in lower case, with the dot; none for text, and where names say little.
    extra      what to pip install for the libraries that `read` imports, if they are optional.
    columns    True if labels are a column among those of the pixels, so that `Wanted.label_column` can name it.
    numbered   True if each pixel has its number, so that `Wanted.first_index` says where they begin.
    pieces     True if `read` joins the files that are pieces of one part.
    any_text   True if any text is recognised: what cannot be read may be something else.
    rows       True if an array may hold the rows of a table, as `Wanted.table` says.
    """

    name: str
    recognise: Callable[[bytes, AnyPath], bool]
    read: Callable[[BufferedReader, AnyPath, Wanted], Content]
    picture: bool = False
    suffixes: tuple[str, ...] = ()
    extra: str = ""
    columns: bool = False
    numbered: bool = False
    pieces: bool = False
    any_text: bool = False
    rows: bool = False


def read_as(formats: Sequence[Format], path: AnyPath, wanted: Wanted) -> Content:
    """Read the file at `path` in the one of `formats` that recognises it.

    The file is opened once, so what is recognised is what is read, whatever another program writes meanwhile.
    Raises   DataError naming the place in the file; StorageError if it cannot be opened or read.
    """
    with Opened(path) as file:
        head, found = _recognised(formats, file, path)
        if found is None:
            _refuse_kind(path, head, formats)
        if found.picture and wanted.labelled:
            problem, expected = "a single image is not a data set", "a folder with one folder of images for each class"
            refuse(problem, path, "byte 0", expected, f"one {found.name} image", SEE)
        where = f"{os.fsdecode(path)}, {found.name}"
        if not found.columns:
            check_columns(
                wanted.label_column, wanted.image, where, table=wanted.table and not (wanted.columns or found.rows)
            )
        if not found.numbered:
            check_first_index(wanted.first_index, where)
        if not found.pieces:
            check_scaling(wanted.sized, where)
        resized = wanted.shape if found.picture and wanted.resize else None
        try:
            content = found.read(file, path, wanted._replace(shape=None) if resized else wanted)
        except DataError:
            if found.any_text and not BINARY.search(head):
                _check_name(path, head, formats)
            raise
        except ImportError as error:
            if not found.extra:
                raise
            problem, fix = f"{found.name} needs an optional library", f"pip install '{found.extra}'"
            refuse(problem, path, "byte 0", found.extra, error, fix)
    if wanted.labelled:
        more = beside_notes(path, joins=found.pieces, tested=content.test is not None)
        content = content._replace(notes=(*content.notes, *more))
    return _resized(content, resized) if resized else content


def _check_name(path: AnyPath, head: bytes, formats: Sequence[Format]) -> None:
    """Raise DataError for text, which is not read, in a file whose name says that it is something else."""
    suffix = os.path.splitext(os.fsdecode(path))[1].lower()
    named = next((each for each in formats if suffix in each.suffixes), None)
    if named:
        expected = f"{named.name}, as {suffix} in the name says"
        refuse(f"text, not {named.name}", path, "byte 0", expected, show_bytes(head), AGAIN)


def format_of(formats: Sequence[Format], path: AnyPath) -> Format | None:
    """Return the one of `formats` that recognises the file at `path`, if any does."""
    with Opened(path) as file:
        return _recognised(formats, file, path)[1]


def _recognised(formats: Sequence[Format], file: BufferedReader, path: AnyPath) -> tuple[bytes, Format | None]:
    """Return the bytes by which a file is recognised, and the one of `formats` that recognises it, if any does.

    HDF5 may begin behind a block of anything, whose bytes show nothing; in a tar archive, it is one file of several.
    """
    head = _first_bytes(file)
    found = next((each for each in formats if each.recognise(head, path)), None)
    text = found is not None and not BINARY.search(head)
    if (found is None or text) and kind_of(head) is None and _is_behind_a_block(file):
        head = HDF5
        found = next((each for each in formats if each.recognise(head, path)), None)
    return head, found


def _is_behind_a_block(file: BufferedReader) -> bool:
    """Return True if HDF5 begins at byte 512, 1,024, 2,048...; the file is then at its start."""
    end, at, found = file.seek(0, os.SEEK_END), HEAD, False
    while at < end and not found:
        file.seek(at)
        found, at = file.read(len(HDF5)) == HDF5, 2 * at
    file.seek(0)
    return found


def _resized(content: Content, shape: tuple[int, int]) -> Content:
    """Return the content of a picture scaled to `shape`."""
    image = fitted(content.x.reshape(content.image_shape), shape)
    return content._replace(x=freeze(image).reshape(1, -1), image_shape=shape)


def _first_bytes(file: BufferedReader) -> bytes:
    """Return the first bytes of a file, as many as show what it is; it is then at its start."""
    head = file.peek(HEAD)[:HEAD]
    if head.startswith((BZIP2, XZ)):
        head = file.read(SHOWS)
        file.seek(0)
    return head


def _refuse_kind(path: AnyPath, head: bytes, formats: Sequence[Format]) -> NoReturn:
    """Raise DataError for a file that none of `formats` recognises, naming its kind if its first bytes show it."""
    expected = listed([each.name for each in formats])
    if not head:
        refuse("file is empty", path, "byte 0", "data", "0 bytes", AGAIN)
    if looks_like_html(head):
        refuse("an HTML page, not data", path, "byte 0", expected, show_bytes(head), AGAIN)
    from fnnet.data.unpacked import kind_inside

    known = kind_inside(head) or kind_of(head)
    binary = BINARY.search(head) if known is None else None
    place, found = f"byte {binary.start() if binary else 0}", known[0] if known else show_bytes(head)
    tables = [each.name for each in formats if not each.picture]
    fix = known[1] if known else f"save it as {listed(tables) if tables else formats[0].name}"
    refuse(f"unknown kind of {'file' if tables else 'image'}", path, place, expected, found, fix)


def looks_like_netpbm(head: bytes) -> bool:
    """Return True if these first bytes are those of a netpbm image, which may be all text."""
    return head[:1] == b"P" and head[1:2] in NETPBM and (head[2:3].isspace() or head[2:3] == b"#")


def check_columns(label_column: str | None, image: bool, found: str, *, table: bool = False) -> None:
    """Raise UsageError if columns are described where there are none, in the data `found`."""
    where = "--label-column" if label_column is not None else "--image" if image else "--table" if table else ""
    if where:
        raise UsageError("has no effect", where=where, expected="a table of numbers, such as CSV", found=found)


def check_first_index(first_index: int | None, found: str) -> None:
    """Raise UsageError if the first number of a pixel is given where they have none, in the data `found`."""
    if first_index is not None:
        expected = "a table of index:value pairs, such as libsvm"
        raise UsageError("has no effect", where="--first-index", expected=expected, found=found)


def check_scaling(sized: bool, found: str) -> None:
    """Raise UsageError if a size to scale pictures to is given where there are none, in the data `found`."""
    if sized:
        expected = "class folders of pictures, or a column of pictures in Parquet, Arrow or a frame"
        raise UsageError("has no effect", where="--size", expected=expected, found=found)


def scale_alike(known: bool) -> str:
    """Return what to do with pictures of several sizes; `known` for a model that does not scale them."""
    return f"scale the images alike, or {'train a model with' if known else 'set'} --size"


def listed(names: Sequence[str]) -> str:
    """Return names as a phrase: "IDX, NPZ or PNG"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def size(shape: tuple[int, int]) -> str:
    """Return (height, width) as a phrase."""
    return f"{shape[0]}x{shape[1]} (height x width)"
