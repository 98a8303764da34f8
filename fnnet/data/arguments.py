"""What a caller says about data, checked where it enters: its types and ranges before data is read, its effect after.

Python and the command line share these checks; errors of the latter kind name options, as those of the readers do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn, get_args

import numpy as np

from fnnet.core.checks import check_classes, check_count, shown
from fnnet.core.frames import is_frame
from fnnet.core.state import Preprocessing, unfit
from fnnet.data.dataset import DIGITS, Dataset, labelled
from fnnet.data.preprocess import AUTOMATIC, Ink, Reading
from fnnet.data.reader import Content
from fnnet.data.stream import StreamedDataset
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.limits import MAX_CLASSES, MAX_SIZE
from fnnet.names import names_of_labels

INKS: Final[tuple[str, ...]] = get_args(Ink)
SIDES: Final = ("height", "width")
SHOWN: Final = 12
"""Names of classes in a message."""


def check_reading(given: Reading, prefix: str = "Reading.") -> Reading:
    """Return `given` with Python's own numbers and truth values; UsageError that names the field for anything else.

    prefix   of the fields in messages: "" where they are arguments of their own.

    >>> check_reading(Reading(ink="Light"))
    Traceback (most recent call last):
    fnnet.errors.UsageError: Reading.ink is unknown; expected auto, light or dark, found 'Light'
    """
    if given is AUTOMATIC:
        return given
    if not isinstance(given, Reading):
        raise ArgumentTypeError("reading is not a Reading", expected="fnnet.data.Reading(...)", found=shown(given))
    return Reading(
        pixel_max=_pixel_max(f"{prefix}pixel_max", given.pixel_max),
        ink=_ink(f"{prefix}ink", given.ink),
        transpose=None if given.transpose is None else check_flag(f"{prefix}transpose", given.transpose, ", or None"),
        first_label=check_count(f"{prefix}first_label", given.first_label, 0, MAX_CLASSES),
        label_column=_label_column(f"{prefix}label_column", given.label_column),
        image=check_flag(f"{prefix}image", given.image),
        table=check_flag(f"{prefix}table", given.table),
        first_index=None if given.first_index is None else check_count(f"{prefix}first_index", given.first_index, 0, 1),
        size=None if given.size is None else check_size(f"{prefix}size", given.size, MAX_SIZE),
    )


def _pixel_max(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, str) and value == "auto"):
        return value
    if isinstance(value, str):
        raise UsageError(f"{name} is unknown", expected="1 to 255, 'auto' or None", found=shown(value))
    return check_count(name, value, 1, 255)


def _ink(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} is not text", expected="auto, light or dark", found=shown(value))
    if value not in INKS:
        raise UsageError(f"{name} is unknown", expected="auto, light or dark", found=shown(value))
    return value


def _label_column(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        expected, fix = "text: first, last, none, a name, or a number from 1, as '1'", "write it in quotes"
        raise ArgumentTypeError(f"{name} is not text", expected=expected, found=shown(value), fix=fix)
    return value


def check_flag(name: str, value: Any, or_none: str = "") -> bool:
    """Return True or False, NumPy's too, as Python's; ArgumentTypeError for anything else, text and numbers too."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    expected = f"True or False{or_none}"
    raise ArgumentTypeError(f"{name} is not a truth value", expected=expected, found=shown(value))


def check_path(value: Any, problem: str, expected: str, several: str) -> Any:
    """Return `value`, a path; UsageError with the `problem` for anything else, and for text that no file is called.

    several   what to do with a list of paths.
    """
    fix = several if isinstance(value, (list, tuple)) else "read a frame by from_frame" if is_frame(value) else ""
    if not isinstance(value, (str, os.PathLike)):
        found = "a frame" if is_frame(value) else shown(value)
        raise ArgumentTypeError(problem, expected=expected, found=found, fix=fix)
    text = os.fsdecode(value)
    if not text or "\0" in text:
        raise UsageError(problem, expected=expected, found=repr(text))
    return value


def check_size(name: str, value: Any, most: int = 2**31 - 1) -> tuple[int, int]:
    """Return (height, width), two whole numbers from 1 on; UsageError for anything else."""
    expected = "(height, width), such as (28, 28)"
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise ArgumentTypeError(f"{name} is not a size", expected=expected, found=shown(value))
    if len(value) != 2:
        raise UsageError(f"{name} is not a size", expected=expected, found=shown(value))
    height, width = (check_count(f"{name}, the {side},", value[at], 1, most) for at, side in enumerate(SIDES))
    return height, width


def check_preprocessing(given: Any) -> Preprocessing | None:
    """Return `given`, of which each field is one that a model may have; else UsageError."""
    if given is None:
        return None
    if not isinstance(given, Preprocessing):
        expected = "that of a model or of a data set, or None"
        raise ArgumentTypeError("preprocessing is not a Preprocessing", expected=expected, found=shown(given))
    if wrong := unfit(given):
        raise UsageError("preprocessing is unknown", expected=wrong[0], found=wrong[1])
    return given


class Said(NamedTuple):
    """What a caller says about a data set, checked; fields as arguments of `load`."""

    classes: tuple[str, ...]
    flat: tuple[int, int] | None
    reading: Reading
    preprocessing: Preprocessing | None


def check_said(classes: Sequence[str] | None, flat: Any, reading: Reading, preprocessing: Preprocessing | None) -> Said:
    """Return the arguments, checked; classes that are not given are called by ten labels from the first on.

    A size of pictures is `flat`, if that is not given, for a preprocessing that scales them.
    """
    reading = check_reading(reading)
    names = names_of_labels(reading.first_label, len(DIGITS)) if classes is None else check_classes(classes)
    size, known = None if flat is None else check_size("flat", flat), check_preprocessing(preprocessing)
    for where, value in (("--image", reading.image), ("--image-size", size if known is None else None)):
        if reading.table and value:
            raise UsageError("contradicts --table", where=where, expected="one of them", found="both")
    if known is not None:
        _check_agrees(reading, known, size)
        size = size or reading.size
    return Said(names, size, reading, known)


def ink_of(preprocessing: Preprocessing) -> str:
    """Return the ink of images that are read so, as `Reading` has it.

    >>> ink_of(Preprocessing(paper=255, ink=0))
    'dark'
    """
    return "dark" if preprocessing.ink < preprocessing.paper else "light"


def _check_agrees(reading: Reading, known: Preprocessing, flat: tuple[int, int] | None) -> None:
    """Raise UsageError for what a reading says otherwise than the preprocessing that decides it.

    Whether files store images column by column is not among it: files of one model may differ there.
    flat   (height, width) of pictures for a preprocessing that scales them.
    """
    ink, pixel_max, size = ink_of(known), reading.pixel_max, reading.size
    scaled = flat or size if known.resize else None
    for field, expected, found, differs in (
        ("pixel_max", known.pixel_max, pixel_max, pixel_max not in (None, known.pixel_max)),
        ("ink", repr(ink), repr(reading.ink), reading.ink not in ("auto", ink)),
        ("size", scaled, size, size is not None and size != scaled),
    ):
        if differs:
            where, fix = f"Reading.{field}", "leave it out, or give no preprocessing"
            raise UsageError("contradicts preprocessing", where=where, expected=f"{expected}", found=found, fix=fix)


def check_effect(
    found: Dataset | StreamedDataset, flat: tuple[int, int] | None, classes: tuple[str, ...] | None, first: int
) -> None:
    """Raise UsageError if a data set has not the size or the classes that were given.

    Classes that are called by their labels say how many there are.
    first   the label of the first class.
    """
    if flat is not None and found.image_shape != flat:
        height, width = found.image_shape
        pixels = height * width
        expected = f"{height}x{width}" if flat[0] * flat[1] == pixels else f"{pixels:,} pixels, as {height}x{width} has"
        given, fix = f"{flat[0]}x{flat[1]}", "give the size that the images have"
        raise UsageError("images have another size", where="--image-size", expected=expected, found=given, fix=fix)
    if classes is not None and found.classes != classes:
        if classes != names_of_labels(first, len(classes)):
            expected = f"{', '.join(found.classes[:SHOWN])}, as the data names them"
            raise UsageError("names differ", where="--class-names", expected=expected, found=", ".join(classes[:SHOWN]))
        check_number(found, len(classes))


def check_number(found: Dataset | StreamedDataset, count: int) -> None:
    """Raise UsageError if a data set has not as many classes as were given."""
    if len(found.classes) != count:
        expected = f"{len(found.classes)}, as {found.name} has"
        raise UsageError("number of classes differs", where="--classes", expected=expected, found=count)


def check_first_label(content: Content, reading: Reading, where: str) -> None:
    """Raise UsageError if the first label is given for classes that are named, or for one-hot labels."""
    if not reading.first_label:
        return
    parts = [part for part, _ in labelled(content)]
    if parts and all(part.one_hot for part in parts):
        refuse_first_label(f"{content.labels_at}, one-hot labels, whose columns are the classes")
    if content.classes:
        refuse_first_label(f"{where}, which names its classes")


def refuse_first_label(found: str) -> NoReturn:
    """Raise UsageError for a first label given for the data `found`."""
    expected, fix = "labels that are numbers", "leave it out"
    raise UsageError("has no effect", where="--first-label", expected=expected, found=found, fix=fix)


def check_unread(reading: Reading, choice: str) -> None:
    """Raise UsageError for anything that is given about the images of a data set with a name."""
    for name, value, unsaid in zip(Reading._fields, reading, AUTOMATIC, strict=True):
        if value != unsaid:
            where, expected = f"--{name.replace('_', '-')}", "--data PATH"
            raise UsageError("has no effect", where=where, expected=expected, found=f"--data {choice}")
