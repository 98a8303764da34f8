"""Data sets from paths of files and folders, and from DataFrames; images to predict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

from fnnet.core.checks import check_classes
from fnnet.core.frames import is_frame
from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data import idx, preprocess
from fnnet.data.arguments import (
    Said,
    check_effect,
    check_first_label,
    check_path,
    check_preprocessing,
    check_reading,
    check_said,
    check_size,
    refuse_first_label,
)
from fnnet.data.binary import BINARY, binary_pixels
from fnnet.data.dataset import BOTH, PLAIN, Dataset, dataset_of, numbered, read_so
from fnnet.data.idx_folder import beside_idx, idx_files, packing_notes, read_idx_folder
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note, warned
from fnnet.data.order import Order, exchange, order_of
from fnnet.data.payload import GZIP, looks_like_idx
from fnnet.data.preprocess import ABOVE, AUTOMATIC, Reading
from fnnet.data.ranges import INSIDE, SIGNED, WHOLE, all_scaled, in_one_range
from fnnet.data.reader import (
    Content,
    Wanted,
    check_columns,
    check_first_index,
    check_scaling,
    read_as,
    scale_alike,
    size,
)
from fnnet.data.scaling import standardised
from fnnet.data.stream_index import check_no_stream
from fnnet.data.tables import check_is_table, check_options, dataset_of_table, wanted_as
from fnnet.data.unlike import unlike_training
from fnnet.errors import DataError
from fnnet.files.disk import read_head, refuse

ONE_BY_ONE: Final = "numpy.concatenate([read_images(path, shape) for path in paths]) reads several"


def from_path(
    path: Path, said: Said, notify: Notify, by_name: bool, read: Callable[[Path, Wanted], Content] | None = None
) -> Dataset:
    """Return the data set at a path: arguments as `data.load`.

    read   what reads a file, in place of the reader of its format.
    """
    read = read or _read_file
    check_no_stream(path)
    classes, flat, reading, known = said
    found = idx_files(path) if path.is_dir() else [path]
    if not found and (first := _first_of_parquet(path)):
        dataset = from_path(first, said, notify, by_name, read)
        return dataset._replace(name=path.resolve().name, source=str(path))
    names = [name for each in found for name in (each.name, os.path.basename(os.path.realpath(each)))]
    order = order_of(path, names, reading.transpose, known and known.transpose, pictures=not found)
    transposed = order.transpose
    if not found and reading.first_label:
        refuse_first_label(f"{path}, which names its classes")
    notes = [*order.notes, *(note for each in found for note in packing_notes(each))]
    signed = known is not None and known.signed
    if not path.is_dir():
        wanted = _wanted(said, transposed)
        content = in_one_range(lambda given: read(path, wanted._replace(pixel_range=given)), path, signed)
    else:
        check_first_index(reading.first_index, f"the folder {path}")
        check_scaling(bool(found and reading.size), f"{path}, IDX files")
        notes += beside_idx(path) if found else ()
        check_columns(reading.label_column if found else None, reading.image, f"the folder {path}", table=reading.table)
        size = (flat if known.resize else None) if known else reading.size
        stored = size and size[::-1] if transposed else size
        if found:
            content = in_one_range(lambda _: read_idx_folder(path, found), path, signed)
        else:
            content, classes = _class_folders(
                path, stored, scale_alike(known is not None), signed, reading.label_column
            )
    _check_several(content, path)
    check_first_label(content, reading, str(path))
    check_is_table(content, known, path)
    if content.columns is not None:
        return dataset_of_table(path.resolve().name, str(path), content, classes, known, by_name, reading, notify)
    by_place = bool(found) and not content.classes
    if content.classes:
        classes = check_classes(content.classes)
    elif by_name and content.labels is not None and found:
        before = content
        content, more = numbered(before, classes, str(path), reading.first_label)
        notes, by_place = [*notes, *more], content is before
    if found and known is None and not by_name:
        notes += read_so(content, classes, str(path), reading.first_label)
    content = content._replace(notes=order.beside(content.notes))
    if content.test:
        content = content._replace(test=content.test._replace(notes=order.beside(content.test.notes)))
    if content.by_row and reading.transpose is None:
        notes = [note for note in notes if note not in order.notes]
        transposed = False
    known = known and known._replace(transpose=bool(transposed))
    reading = reading._replace(transpose=transposed)
    dataset = _measured(path.resolve().name, str(path), content, classes, reading, known, notify, notes)
    return dataset._replace(numbered=by_place)


def _wanted(said: Said, transposed: bool | None) -> Wanted:
    """Return what is wanted of a file or a frame."""
    classes, flat, reading, known = said
    flat = flat if known else reading.size or flat
    wanted = Wanted(
        True, flat and flat[::-1] if transposed else flat, reading.label_column, reading.image, transposed,
        reading.first_index, known=known is not None, names=classes, first_label=reading.first_label,
        upright=reading.transpose is None, resize=known.resize if known else reading.size is not None,
        sized=reading.size is not None, table=reading.table,
    )  # fmt: skip
    return wanted_as(wanted, known)


def _first_of_parquet(folder: Path) -> Path | None:
    """Return the first file of training in a folder of Parquet, which is read with all others; None for another."""
    from fnnet.data.parquet_folder import is_parquet, parquet_in

    return parquet_in(folder) if is_parquet(folder) else None


def _check_several(content: Content, where: Path | str) -> None:
    """Raise DataError for a data set whose labels are all of one name."""
    if content.named and len(content.classes) < 2:
        expected, fix = "the names of at least two classes", "add rows of other classes"
        refuse("one class", where, "the labels", expected, content.classes[0], fix)


def _read_file(path: Path, wanted: Wanted) -> Content:
    """Read a file of any format; one of plain IDX without the other readers, whose import takes longer than it."""
    head = read_head(path, 4)
    if looks_like_idx(head) and not head.startswith(GZIP):
        return read_as((idx.FORMAT,), path, wanted)
    from fnnet.data import formats

    return formats.read(path, wanted)


def _class_folders(
    path: Path, size: tuple[int, int] | None, fix: str, signed: bool, label_column: str | None
) -> tuple[Content, tuple[str, ...]]:
    from fnnet.data.folders import read_class_folders

    return read_class_folders(path, size, fix, signed, label_column)


def _silent(note: str) -> None:
    """Take a note that is passed on later."""


def from_frame(
    frame: Any,
    *,
    classes: Sequence[str] | None = None,
    flat: tuple[int, int] | None = None,
    reading: Reading = AUTOMATIC,
    preprocessing: Preprocessing | None = None,
    notify: Notify = lambda notice: None,
) -> Dataset:
    """Return a data set of the rows of a DataFrame of pandas or Polars; its index is ignored.

    Columns are found as in CSV: pixels and labels by their names or, where these do not show them, by their values;
    `reading=Reading(label_column="y")` names the labels. Numbers of any dtype are pixels from 0 to 255, or from 0 to 1;
    truth values are 0 and 255. A column of lists or arrays of pixels, or of packed pictures, is read as in Parquet (by
    pyarrow). Rows that are not images are those of a table, as in CSV: its columns are standardised.
    classes, flat, reading, preprocessing, notify   as in `load`; `read_images` reads a frame without labels.
    Raises   DataError or ArgumentTypeError naming row and column; UsageError as `load`.

    >>> import pandas
    >>> frame = pandas.DataFrame({"label": [1, 0], "pixel0": [0, 255], "pixel1": [7, 0]})
    >>> from_frame(frame).train.x.tolist()
    [[0, 7], [255, 0]]
    """
    from fnnet.data.frames import FRAME, naming_arguments, read_frame, with_arguments

    said = check_said(classes, flat, reading, preprocessing)
    names, flat, reading, preprocessing = said
    given, first = reading.transpose, reading.first_label
    order = order_of(FRAME, [], given, preprocessing and preprocessing.transpose)
    flat = flat if preprocessing else reading.size or flat
    with naming_arguments():
        check_first_index(reading.first_index, "a frame")
        wanted = _wanted(said, order.transpose)
        signed = preprocessing is not None and preprocessing.signed
        content = in_one_range(lambda given: read_frame(frame, wanted._replace(pixel_range=given)), FRAME, signed)
        _check_several(content, FRAME)
        check_first_label(content, reading, "a frame")
        check_is_table(content, preprocessing, FRAME)
        if content.columns is not None:
            given_names = preprocessing is not None
            found = dataset_of_table(FRAME, FRAME, content, names, preprocessing, given_names, reading, _silent)
        else:
            names = content.classes or names
            order = Order(False) if content.by_row and given is None else order
            reading = reading._replace(transpose=order.transpose)
            known = preprocessing and preprocessing._replace(transpose=bool(order.transpose))
            told = [*order.notes, *read_so(content, names, FRAME, first)]
            found = _measured(FRAME, FRAME, content, names, reading, known, _silent, told)
        check_effect(found, flat, None if classes is None else said.classes, first)
    found = found._replace(notes=tuple(map(with_arguments, found.notes)), numbered=not content.classes)
    for note in found.notes:
        notify(note)
    return found


def _measured(
    name: str,
    source: str,
    content: Content,
    classes: tuple[str, ...],
    reading: Reading,
    known: Preprocessing | None,
    notify: Notify,
    notes: Sequence[Note] = (),
) -> Dataset:
    """Return the data set of images whose preprocessing is found, unless it is `known`."""
    given, named = known is not None, known is not None or bool(content.classes)
    compared, told = BOTH if given else BOTH[1:], [*notes]
    if known is None:
        scaled = all_scaled(content.pixel_ranges)
        if scaled:
            reading = _of_bytes(reading, source)
        known, more = preprocess.measure(
            reading, content.x, content.image_shape, content.lossy, content.ink, scaled=scaled
        )
        known = known._replace(signed=not {SIGNED, INSIDE}.isdisjoint(content.pixel_ranges))
        told += more
    with _for_a_model() if given else nullcontext():
        return dataset_of(name, source, content, classes, known, notify, told, compared, reading.first_label, named)


def _of_bytes(reading: Reading, source: str) -> Reading:
    """Return what the user says about pixels that became bytes where they were read: the largest that may be is 255.

    Raises   DataError for another largest than that or 1.
    """
    if isinstance(reading.pixel_max, int) and reading.pixel_max not in (1, 255):
        expected, found = f"0 to {reading.pixel_max}", f"pixels that are scaled to {WHOLE}"
        refuse(ABOVE, source, "the images", expected, found, "leave --pixel-max out")
    return reading._replace(pixel_max=None)


@contextmanager
def _for_a_model() -> Iterator[None]:
    """Leave the options of training out of the remedy for pixels that a model was not trained on."""
    try:
        yield
    except DataError as error:
        alike = "scale the images as those that the model was trained on"
        raise (error.at(error.where, fix=alike) if error.problem == ABOVE else error) from None


def read_images(
    path: Any,
    shape: tuple[int, int],
    preprocessing: Preprocessing | None = None,
    *,
    label_column: str | None = None,
    image: bool = False,
    first_index: int | None = None,
    transpose: bool | None = None,
    notify: Notify = warned,
) -> Array:
    """Return the images in a file to predict, uint8 (n, height x width): of any format in the table; or in a frame.

    For a model of a table, the rows of a table, float32 (n, columns), standardised as those that it was trained on.

    path   of the file; or a DataFrame of pandas or Polars, whose columns are found as in CSV.
    Labels are left out; of an NPZ archive, the images are `x_test`. The opacity of a picture of one colour is light ink
    on black, whatever ink the model was trained on.
    label_column   the column of labels in a table, as in `Reading`; "none" if it has none.
    image          True if the rows of a table are images, as in `Reading`.
    first_index    the number of the first pixel in text of index:value pairs, as in `Reading`.
    preprocessing  that of the model that the images are for; None for light ink on black, from 0 to 255.
    transpose      True if the file stores images column by column, False if row by row; None for what its name shows,
                   else as `preprocessing` has it. Pictures are then upright.
    notify   called with each note about how the file was read and, for a model, on images that look unlike those of
             its training: of the other ink, blank or dim. By default these are warnings, and that they are read column
             by column as those of training; others are left out.
    Raises   DataError for a file that cannot be read, images that do not have `shape` (height, width), except pictures
             for a model that scales them, or a pixel above the largest.
    """
    from fnnet.data.frames import FRAME

    known = check_preprocessing(preprocessing) or PLAIN
    read = images_to_predict(
        path, shape, known, label_column=label_column, image=image, first_index=first_index, transpose=transpose
    )
    for note in read.notes:
        notify(note)
    if preprocessing is not None and not any(note.code == BINARY for note in read.notes):
        for note in unlike_training(read.x, shape, preprocessing, FRAME if is_frame(path) else path):
            notify(note)
    return read.x


class Images(NamedTuple):
    """Images to predict.

    x              as networks take them, uint8 (n, height x width); of a table float32 (n, columns).
    pixel_ranges   as in `Content`.
    notes          on how the file was read.
    """

    x: Array
    pixel_ranges: tuple[str, ...]
    notes: tuple[Note, ...]


def images_to_predict(
    path: Any,
    shape: tuple[int, int],
    preprocessing: Preprocessing,
    *,
    label_column: str | None = None,
    image: bool = False,
    first_index: int | None = None,
    transpose: bool | None = None,
    reader: Callable[[Any, Wanted], Content] | None = None,
) -> Images:
    """Return what `read_images` does, with the notes on how the file was read; the images are not looked at.

    reader   what reads the file, in place of the reader of its format.
    """
    from fnnet.data import formats
    from fnnet.data.frames import FRAME, naming_arguments, read_frame, with_arguments

    shape = check_size("shape", shape)
    said = Reading(label_column=label_column, image=image, first_index=first_index, transpose=transpose)
    said = check_reading(said, "")
    where = FRAME if is_frame(path) else check_path(path, "no file of images", "a path or a frame", ONE_BY_ONE)
    picture = preprocessing.transpose and said.transpose is None and not is_frame(path) and formats.is_picture(path)
    names = [Path(os.fsdecode(where)).name]
    order = order_of(where, names, said.transpose, preprocessing.transpose, pictures=picture)
    preprocessing = preprocessing._replace(transpose=bool(order.transpose))
    stored = shape[::-1] if preprocessing.transpose else shape
    wanted = Wanted(
        labelled=False, shape=stored, label_column=said.label_column, image=said.image,
        transpose=preprocessing.transpose, first_index=said.first_index, resize=preprocessing.resize, known=True,
        images_alone=True, upright=said.transpose is None,
    )  # fmt: skip
    wanted = wanted_as(wanted, preprocessing)
    read = reader or (read_frame if is_frame(path) else formats.read)
    with naming_arguments() if is_frame(path) else nullcontext():
        signed = preprocessing.signed
        content = in_one_range(lambda given: read(path, wanted._replace(pixel_range=given)), where, signed)
    check_is_table(content, preprocessing, where)
    if preprocessing.scaling:
        check_options(said, os.fsdecode(where))
        return Images(standardised(content.x, preprocessing.scaling, where), (), content.notes)
    if content.by_row and said.transpose is None:
        order, preprocessing, stored = Order(False), preprocessing._replace(transpose=False), shape
    if content.image_shape != stored:
        problem, expected = "image size does not fit the model", f"{size(stored)}, as the model was trained"
        fix = "scale the images to that size, or train a model for theirs, or with --size"
        fix = exchange(preprocessing.transpose) if content.image_shape == stored[::-1] else fix
        refuse(problem, where, content.shape_at, expected, size(content.image_shape), fix)
    notes = [with_arguments(note) if is_frame(path) else note for note in (*order.notes, *order.beside(content.notes))]
    with _for_a_model():
        scaled = all_scaled(content.pixel_ranges)
        x = preprocess.apply(preprocessing, content.x, shape, where, content.ink, scaled=scaled)
    notes += binary_pixels(content, x, shape, preprocessing, where)
    return Images(x, content.pixel_ranges, tuple(notes))
