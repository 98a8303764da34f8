"""Columns of Parquet and Arrow as images and labels: numbers, packed pictures, lists."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrays import as_content, as_labels
from fnnet.data.arrow_beside import INDEX, Beside
from fnnet.data.arrow_cells import DESCRIPTION, EXTENSION, SCHEMA, Source, numbers_in, texts_in
from fnnet.data.arrow_types import bytes_of, holds_images, is_list, is_number, shown_as
from fnnet.data.axes import order_called
from fnnet.data.csv_columns import OPTION, Columns, column_said, is_header, is_pixel
from fnnet.data.csv_lines import Lines
from fnnet.data.csv_numbers import CORRECT, Part, as_pixels, fix_of, part_of, wrong_numbers
from fnnet.data.csv_table import check_values, table_content
from fnnet.data.grey import opacity_notes
from fnnet.data.kaggle_csv import assemble, shape_of
from fnnet.data.label_names import labels_of
from fnnet.data.many import Pictures, colour_notes_of, joined, read_pictures
from fnnet.data.notes import Note
from fnnet.data.opened import NO_ROWS, AnyPath, Packed
from fnnet.data.order import turned_pictures
from fnnet.data.preprocess import SAMPLE, spread
from fnnet.data.ranges import LEVELS, SIGNED, UNIT, ranges_in_table, scaled_notes
from fnnet.data.reader import BY_VALUES, LABELS, Content, Wanted, check_columns, check_scaling, scale_alike
from fnnet.data.roles import called_labels, role_of
from fnnet.data.table_columns import columns_or_table
from fnnet.files.disk import refuse
from fnnet.limits import MAX_CLASSES
from fnnet.names import composed, is_printable


def chosen_columns(schema: Any, path: AnyPath, wanted: Wanted, packed: int, first: int = 1) -> Table | Images:
    """Return which columns are read, and how.

    Images are a column of packed pictures or of lists, if there is one; else each row of numbers is an image.
    Raises   DataError if columns are not images and labels, or may be either.
    """
    source = Source(schema, path, wanted, packed, first)
    called = called_labels(schema.names)
    found = [field.name for field in schema if holds_images(field.type) and field.name.strip().lower() not in called]
    if len(set(schema.names)) < len(schema.names):
        source.refuse_columns("column named twice", "each name once", schema.names, "rename one")
    named = [name for name in found if (role := role_of(name)) and not role.labels]
    found = named if len(named) == 1 else found
    if len(found) > 1:
        source.refuse_columns("several columns may be the images", "one", found, "leave out the others")
    pixels = [name for name in schema.names if name not in found and is_pixel(name)]
    if found and pixels:
        problem, names = "lists or pictures beside columns of pixels", [*found, *pixels]
        source.refuse_columns(problem, "one of both as the images", names, "leave out the others")
    if not found or bytes_of(schema.field(found[0]).type) is None:
        check_scaling(wanted.sized, f"{os.fsdecode(path)}, numbers")
    return Images(source, found[0]) if found else Table(source)


class Table:
    """Rows of numbers, each an image; what the columns are is found as in CSV."""

    def __init__(self, source: Source) -> None:
        self.source = source
        there = [name for name in source.schema.names if not INDEX.fullmatch(name)]
        if not there or not is_header(there):
            fix = "name them label, pixel0, pixel1..."
            source.refuse_columns("columns without names", "names of pixels", there, fix)
        row = [shown_as(source.schema.field(name).type) for name in there]
        self.columns: Columns = columns_or_table(there, SCHEMA, source.path, source.wanted, row=row)
        self.there = there
        if source.wanted.only:
            self._check_named()
        self.at = self.columns.read()
        if source.wanted.only == LABELS:
            self._leave_out_pixels()
        self.names = tuple(self.there[column] for column in self.at)
        for column in self.at:
            if column != self.columns.label_at or not source.wanted.images_alone:
                source.check_type(self.there[column])
        self.texts: list[str] = []
        self.scaled = False

    def _check_named(self) -> None:
        """Raise DataError unless the names of the columns show the labels: the values of some rows may show others."""
        columns, source = self.columns, self.source
        if columns.label_at is None and (source.wanted.only == LABELS or len(columns.labels_at) > 1):
            found = f"{self.there[0]} to {self.there[-1]}"
            refuse(BY_VALUES, source.path, SCHEMA, "one, as rows are read piece by piece", found, OPTION)

    def _leave_out_pixels(self) -> None:
        """Read the column of labels alone."""
        columns = self.columns
        assert columns.label_at is not None
        self.there, self.at = [self.there[columns.label_at]], [0]
        self.columns = columns._replace(
            width=1, pixels_at=np.empty(0, np.int64), pixels=slice(0, 0), labels_at=(0,), label_at=0, shape=None
        )

    def read(self, batches: Iterator[Any]) -> Content:
        """Return the images, or the rows of a table."""
        if self.columns.table:
            return self._read_table(batches)
        source, columns, parts = self.source, self.columns, list[Part]()
        rows = 0
        for batch in batches:
            parts.append(self._part(batch, rows))
            rows += batch.num_rows
            source.check(rows * len(columns.pixels_at))
        if not rows:
            refuse("empty dataset", source.path, SCHEMA, "at least 1 row of numbers", "0 rows", NO_ROWS)
        x, labels, notes, read_as = assemble(
            parts, columns, Lines(",", source.path), source.wanted.pixel_range, source.wanted.sure
        )
        if self.texts:
            at = self.there[columns.labels_at[0]]
            labels, named, same = labels_of(self.texts, source.path, at, source.wanted, typed=True)
            notes += same
        shape, of_shape = shape_of(x, columns, os.fsdecode(source.path), source.wanted)
        told = (*columns.notes, *notes, *of_shape)
        judged = x.size and not source.wanted.sure
        ranges = ranges_in_table(x, read_as, source.path) if judged else (read_as,) if read_as else ()
        names = class_names(source.schema, self.there[columns.label_at]) if columns.label_at is not None else ()
        names = named if self.texts else names
        return Content(
            x, labels, shape, labels_at=str(source.path), shape_at=SCHEMA, notes=told, classes=names,
            named=bool(self.texts and names), by_row=columns.shape is not None,
            pixel_ranges=(LEVELS,) if self.scaled else ranges,
        )  # fmt: skip

    def _read_table(self, batches: Iterator[Any]) -> Content:
        source, columns, parts = self.source, self.columns, [np.empty((0, len(self.columns.pixels_at)))]
        names = [self.there[at] for at in columns.pixels_at.tolist()]
        for name in names:
            if not is_number(source.schema.field(name).type):
                fix = "leave the column out, or say --label-column if it is the labels"
                expected = "integers, floats or truth values"
                refuse("not numbers", source.path, f"column {name}", expected, source.schema.field(name).type, fix)
        rows, label = 0, None if columns.label_at is None else self.there[columns.label_at]
        for batch in batches:
            values = np.empty((batch.num_rows, len(names)))
            for at, name in enumerate(names):
                values[:, at] = numbers_in(batch.column(name), name, rows, source)
            check_values(values, source.path, names, source.first + rows)
            if label is not None and not source.wanted.images_alone:
                texts = texts_in(batch.column(label), label, rows, source)
                found = texts or map(str, numbers_in(batch.column(label), label, rows, source, label=True).tolist())
                self.texts += found
            parts.append(values)
            rows += batch.num_rows
            source.check(rows * len(names) * values.itemsize)
        if not rows:
            refuse("empty dataset", source.path, SCHEMA, "at least 1 row of numbers", "0 rows", NO_ROWS)
        return table_content(np.concatenate(parts), self.texts, columns, source.path, source.wanted, SCHEMA)

    def _part(self, batch: Any, first: int) -> Part:
        columns, source = self.columns, self.source
        values = np.zeros((batch.num_rows, columns.width))
        for column in self.at:
            name = self.there[column]
            if column == columns.label_at and source.wanted.images_alone:
                continue
            if column == columns.label_at and (texts := texts_in(batch.column(name), name, first, source)) is not None:
                self.texts += texts
                continue
            values[:, column] = numbers_in(batch.column(name), name, first, source, column in columns.labels_at)
        truth = [source.schema.field(name).type == "bool" for name in self.there]
        self.scaled = as_pixels(values, truth, columns, self.there, source.path)
        wrong = wrong_numbers(values, columns)
        if wrong.any():
            row, number = np.argwhere(wrong)[0].tolist()
            at = self.at[number]
            kind, most = ("label", columns.most_label) if at in columns.labels_at else ("pixel", 255)
            expected, found = f"a whole number from 0 to {most}", values[row, at]
            fix = CORRECT if kind == "label" else fix_of(values, columns)
            refuse(f"not a {kind}", source.path, self._place(first + row, at), expected, found, fix)
        return part_of(values, columns, Lines(",", source.path), lambda row, column: self._place(first + row, column))

    def _place(self, row: int, column: int) -> str:
        return f"row {self.source.first + row}, column {self.there[column]}"


class Images:
    """A column of images, packed pictures or lists of numbers, and one of labels."""

    def __init__(self, source: Source, images: str) -> None:
        wanted = source.wanted
        check_columns(None, wanted.image, f"{os.fsdecode(source.path)}, a column of images")
        # Rows of a table need it, which may be 0 and 1 alone: floats, and pictures, show it themselves.
        source = source._replace(wanted=wanted._replace(pixel_range="")) if wanted.pixel_range == UNIT else source
        self.source, self.images = source, images
        self.looked_at: list[Array] = []
        self.labels: str | None = None
        self.beside: Beside | None = None
        if (wanted.labelled or wanted.label_column is not None) and not wanted.images_alone:
            self.labels = self._label_column()
            source.check_type(self.labels)
        if self.labels is not None and wanted.labelled:
            self.beside = Beside(source.schema, source.path, images, self.labels)
        self.names: tuple[str, ...] = () if wanted.only == LABELS and self.labels is not None else (images,)
        self.names += (self.labels,) if self.labels is not None else ()
        self.names += tuple(self.beside.read) if self.beside is not None else ()

    def _label_column(self) -> str:
        source = self.source
        names = [name for name in source.schema.names if name != self.images and not INDEX.fullmatch(name)]
        if source.wanted.label_column is not None:
            cells = list(source.schema.names)
            told = column_said(cells, SCHEMA, source.path, source.wanted)
            found: list[str] = [] if told is None else [cells[told]]
        else:
            called = called_labels(names)
            found = [name for name in names if name.strip().lower() in called]
            found = found or [name for name in names if class_names(source.schema, name)]
        if len(found) > 1:
            source.refuse_columns("several columns may be the labels", "one", found, OPTION)
        if not found or found[0] == self.images:
            source.refuse_columns("no labels", "a column named label", names, f"use it with predict, or {OPTION}")
        return found[0]

    def read(self, batches: Iterator[Any]) -> Content:
        """Return the images, with their labels if they are wanted."""
        source, labels, parts = self.source, list[Array](), list[Any]()
        texts = list[str]()
        rows, packed, needed = 0, bytes_of(source.schema.field(self.images).type), 0
        for batch in batches:
            self._take_labels(batch, rows, labels, texts)
            if source.wanted.only == LABELS:
                pass
            elif packed is None:
                parts.append(self._arrays(batch.column(self.images), rows))
                needed = sum(each.nbytes for each in parts)
            else:
                column, shape = batch.column(self.images), parts[0].shape if parts else self._shape()
                parts.append(self._pictures(column, packed, rows, shape))
                needed = sum(each.x.nbytes for each in parts)
            rows += batch.num_rows
            source.check(needed)
        if not rows:
            refuse("empty dataset", source.path, SCHEMA, "at least 1 row", "0 rows", NO_ROWS)
        if self.beside is not None:
            self.beside.check()
        known, names, same = np.concatenate(labels) if labels else None, tuple[str, ...](), list[Note]()
        if texts and self.labels:
            known, names, same = labels_of(texts, source.path, self.labels, source.wanted, typed=True)
        elif self.labels:
            names = class_names(source.schema, self.labels)
        if source.wanted.only == LABELS:
            content = self._labels(known, rows)
        else:
            content = self._content(parts, known, packed is not None)
        content = content._replace(classes=names, named=bool(texts and names), notes=(*content.notes, *same))
        if self.beside is None:
            return content
        return content._replace(notes=(*content.notes, *self.beside.notes()), one_part=self.beside.one_part())

    def _take_labels(self, batch: Any, first: int, labels: list[Array], texts: list[str]) -> None:
        """Append the labels in a batch to the numbers or to the texts."""
        if self.beside is not None:
            self.beside.look(batch)
        if self.labels is not None:
            found = texts_in(batch.column(self.labels), self.labels, first, self.source)
            if found is None:
                labels.append(numbers_in(batch.column(self.labels), self.labels, first, self.source, label=True))
            else:
                texts += found

    def _labels(self, labels: Any, rows: int) -> Content:
        """Return the labels of images that have no pixels."""
        name, notes = str(self.labels), list[Note]()
        known = None if labels is None else self._as_labels(labels, rows, name, notes)
        return Content(np.empty((rows, 0), np.uint8), known, (0, 0), labels_at=f"{self.source.path}: {name}")

    def _as_labels(self, labels: Array, rows: int, name: str, notes: list[Note]) -> Array:
        return as_labels(labels, rows, self.source.path, name, notes, self.source.wanted.most_label)

    def _content(self, parts: list[Any], labels: Array | None, packed: bool) -> Content:
        source, name = self.source, self.labels or ""
        if not packed:
            if len({each.shape[1:] for each in parts}) > 1:
                shapes = " and ".join(sorted({str(each.shape[1:]) for each in parts}))
                refuse("images differ in size", source.path, self.images, "one size", shapes, "scale them alike")
            x, flat, given = np.concatenate(parts), source.wanted.shape, source.wanted.pixel_range
            said: dict[str, Any] = {"pixel_range": given, "sure": source.wanted.sure and given == SIGNED}
            return as_content(x, labels, source.path, self.images, flat, labels_name=name, **said)
        found, notes, place = joined(parts), list[Note](), f"{source.path}: {name}"
        notes += opacity_notes(found.ink)
        notes += scaled_notes(found.pixel_ranges, self.images)
        if source.wanted.transpose and not (source.wanted.upright or source.wanted.known):
            notes.append(turned_pictures(f"column {self.images}"))
        known = None if labels is None else self._as_labels(labels, len(found.x), name, notes)
        if known is not None:
            where = f"{source.path}: {self.images}"
            notes += colour_notes_of(found, np.concatenate(self.looked_at), known, where)
        content = Content(found.x, known, found.shape, None, place, self.images, found.lossy, tuple(notes))
        return content._replace(ink=found.ink, pixel_ranges=found.pixel_ranges, by_row=True)

    def _shape(self) -> tuple[int, int] | None:
        """Return the size that pictures have as they are stored: upright, unless the user says that they are turned."""
        wanted = self.source.wanted
        return wanted.shape[::-1] if wanted.shape and wanted.transpose and wanted.upright else wanted.shape

    def _pictures(self, column: Any, field: str, first: int, shape: tuple[int, int] | None) -> Pictures:
        """Return the pictures that are packed in the cells of a column."""
        source, packed = self.source, list[Packed]()
        if field:  # not `column.field`, which has a value where the whole cell is null
            column = column.flatten()[column.type.get_field_index(field)]
        for row, each in enumerate(column.to_pylist(), source.first + first):
            place = f"row {row}, column {self.images}"
            if each is None:
                refuse("no picture", source.path, place, "its bytes", "null", "store the pictures in the file")
            packed.append(Packed(f"{source.path}: {place}", each))
        if shape is None:
            shape = read_pictures(packed[:1], pixel_range=source.wanted.pixel_range).shape
        source.check((first + len(packed)) * math.prod(shape))
        # The number of rows to come is not known: of each batch some are looked at, fewer and fewer.
        most = SAMPLE if self.labels is not None else 0
        rows = spread(np.arange(len(packed)), most // (1 + len(self.looked_at)))
        self.looked_at.append(first - 1 + rows)
        wanted = source.wanted
        fix = scale_alike(wanted.known) if wanted.labelled else ""
        resize = wanted.resize and wanted.shape is not None
        at = frozenset(rows.tolist())
        return read_pictures(packed, shape, at, resize=resize, fix=fix, pixel_range=wanted.pixel_range)

    def _arrays(self, column: Any, first: int) -> Array:
        """Return lists of numbers as an array (n, ...); DataError unless all are of one length."""
        source, rows, shape = self.source, len(column), list[int]()
        kind, known = column.type, None
        if hasattr(column, "storage"):
            known, column = getattr(kind, "shape", None), column.storage
            order = getattr(kind, "permutation", None)
            if order not in (None, list(range(len(known or ())))):
                refuse("axes in another order", source.path, self.images, "rows of pixels", order, "reorder them")
            if order_called([str(each) for each in getattr(kind, "dim_names", None) or ()]) == "columns first":
                found = f"axes called {', '.join(kind.dim_names)}"
                refuse("axes in another order", source.path, self.images, "rows of pixels", found, "reorder them")
        else:
            known = self._told_shape(column.type)
        while is_list(column.type):
            lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False))
            if column.null_count or len(lengths) != 1 or not lengths[0]:
                place = f"rows {source.first + first} to {source.first + first + rows - 1}, column {self.images}"
                found = f"lists of {', '.join(map(str, lengths[:4].tolist()))}"
                if column.null_count:
                    row = int(np.argmax(np.asarray(column.is_null()))) // math.prod(shape)
                    place, found = f"row {source.first + first + row}, column {self.images}", "null"
                refuse("images differ in size", source.path, place, "lists of one length", found, "scale them alike")
            shape.append(int(lengths[0]))
            column = column.flatten()
        if known and math.prod(known) != math.prod(shape):
            expected, found = f"as many numbers as {tuple(known)} has", f"lists of {', '.join(map(str, shape))}"
            refuse("tensors of another size", source.path, self.images, expected, found, "store lists of rows")
        return numbers_in(column, self.images, first, source, each=math.prod(shape)).reshape(rows, *(known or shape))

    def _told_shape(self, kind: Any) -> tuple[int, ...] | None:
        """Return the shape of tensors of a type that pyarrow does not know, as Ray's: its description may say it.

        None for lists, and for a size that the caller knows.
        Raises   DataError if the description cannot be read: it may be a pickle, which is never opened.
        """
        source = self.source
        about = source.schema.field(self.images).metadata or {}
        if EXTENSION not in about or is_list(kind.value_type):
            return None
        try:
            told = json.loads(about.get(DESCRIPTION, b""))
        except ValueError:
            told = None
        if isinstance(told, list) and told and all(type(size) is int and size > 0 for size in told):
            return tuple(told)
        if source.wanted.shape is None:
            kind, fix = about[EXTENSION].decode("utf-8", "replace"), "say --image-size HxW, or store lists of rows"
            refuse("tensors of an unknown shape", source.path, self.images, "their shape in the schema", kind, fix)
        return None


def class_names(schema: Any, column: str) -> tuple[str, ...]:
    """Return the names of the classes of a column as hubs describe it in the schema; none if there is nothing."""
    try:
        described = json.loads((schema.metadata or {})[b"huggingface"])
        names = described["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    plain = isinstance(names, list) and all(isinstance(name, str) and is_printable(name) and name for name in names)
    return tuple(map(composed, names)) if plain and 2 <= len(names) == len(set(names)) <= MAX_CLASSES else ()
