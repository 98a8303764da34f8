"""A data set: what files hold as networks take it, with its notes; some of its classes, and images for validation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Never, TypeVar

import numpy as np

from fnnet.core import rng
from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples, Preprocessing, unit_of
from fnnet.data import mnist, preprocess
from fnnet.data.blank import blank_in
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note
from fnnet.data.origin import ARRAYS, Origin
from fnnet.data.ranges import all_scaled
from fnnet.data.reader import Content
from fnnet.data.scaling import standardised
from fnnet.data.unlike import dim_in, few_of_other_ink, other_ink
from fnnet.errors import ArgumentTypeError, UsageError, counted
from fnnet.files.disk import refuse
from fnnet.names import names_of_labels

if TYPE_CHECKING:
    from fnnet.data.stream import StreamedDataset

D = TypeVar("D", bound="Dataset | StreamedDataset")

DIGITS: Final = tuple("0123456789")
PLAIN: Final = Preprocessing()
NUMBER: Final = re.compile(r"0|[-+]?[1-9][0-9]{0,8}")
"""A name that is a number: labels of two classes are often -1 and +1."""
COLUMNS: Final = "number of columns differs from that of the classes"
TEN_FOR_ZERO: Final = "--first-label 1 --class-names 1,2,3,4,5,6,7,8,9,0"
BOTH: Final[tuple[str, ...]] = ("training", "test")


class Dataset(NamedTuple):
    """Labelled images: x uint8 (n, height x width), of arrays also floats, labels int64 (n,), all read-only.

    Of a table whose rows are not images, x is float32 (n, columns), standardised, and image_shape (1, columns).

    preprocessing   how the pixels in the files became those in x.
    notes           what the user should know about the data; each a line with a code.
    numbered        True if the labels in the files are the places of the classes, whatever these are called.
    origin          where it came from, and what became its test set.
    files           of pictures, the file of each image for training, and of each to test on; empty for other data.
    """

    name: str
    source: str
    train: Examples
    test: Examples | None
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    preprocessing: Preprocessing = PLAIN
    notes: tuple[Note, ...] = ()
    numbered: bool = False
    origin: Origin = ARRAYS
    files: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def __repr__(self) -> str:
        (height, width), test = self.image_shape, len(self.test.labels) if self.test else 0
        counts, classes = f"{len(self.train.labels):,} train, {test:,} test", f"{len(self.classes)} classes"
        if self.preprocessing.scaling:
            return f"Dataset({self.name}, {counts} rows of {counted(width, 'column')}, {classes})"
        return f"Dataset({self.name}, {counts} images of {height}x{width}, {classes})"


def dataset_of(
    name: str,
    source: str,
    train: Content,
    classes: tuple[str, ...],
    preprocessing: Preprocessing,
    notify: Notify,
    notes: Sequence[Note] = (),
    compared: Sequence[str] = BOTH,
    first_label: int = 0,
    named: bool = False,
    beside_others: bool = False,
) -> Dataset:
    """Return the data set of what files hold, with its images as networks take them.

    compared      the parts whose ink is compared with that of `preprocessing`, and whose blank images are counted.
    first_label   the label of the first class in the files.
    named         True if the files or a model name the classes, so that their number is not the user's to say.
    beside_others   True for a table whose columns are standardised as those of other data are.
    """
    test, shape = train.test, train.image_shape
    if test is not None and test.image_shape != shape:
        expected, found = f"test images {shape} like those of training", f"{test.image_shape}"
        refuse("image sizes differ", source, "test set", expected, found, "take both from the same set")
    _check_one_hot(train, len(classes), named)
    shape = shape[::-1] if preprocessing.transpose else shape
    examples, tested = (
        part and _examples(part, source, classes, preprocessing, shape, first_label) for part in (train, test)
    )
    assert examples is not None
    more = [note for note in (test.notes if test else ()) if note.code != "colour" and note not in train.notes]
    told = [*notes, *train.notes, *more, *_swapped(source, examples, tested, unit_of(preprocessing))]
    known = compared == BOTH  # by a model, or by the data set that this one is to be like
    name_of_first = "labelled" if (known or beside_others) and tested is None else "training"
    beside = None if known else examples.x
    for part, each, stored in ((name_of_first, examples, train), ("test", tested, test or train)):
        if each and (part == "test" or known) and compared:
            sample = preprocess.spread(each.x)
            told += [*other_ink(sample, shape, part, beside)] or few_of_other_ink(each.x, shape, part, beside=not known)
            of = preprocess.of_bytes(preprocessing) if all_scaled(stored.pixel_ranges) else preprocessing
            told += dim_in(sample, stored.x, part, of, beside)
            told += blank_in(sample, shape, len(each.x), part, preprocessing.faint)
    of_first = f"{name_of_first} {unit_of(preprocessing)}s"
    told += _without_images(source, examples.labels, classes, of_first, numbered=not named)
    for note in told:
        notify(note)
    files = train.files, test.files if test else ()
    return Dataset(name, source, examples, tested, classes, shape, preprocessing, tuple(told), files=files)


def numbered(content: Content, classes: tuple[str, ...], source: str, first: int = 0) -> tuple[Content, list[Note]]:
    """Return what a file of numbers holds with its labels as places in `classes`, and a note if they were that already.

    Classes whose names are numbers are found by these: a label of 3 is the class called 3, wherever it stands, and -1
    that called -1; if all labels could be places as well, that is noted. The columns of one-hot labels are places.
    first   the label of the first class: labels are then places, whatever the names are; 0 if it is not given.
    Raises   DataError for any other label.
    """
    parts = labelled(content)
    by_place = first or _plain(classes, first) or any(part.one_hot for part, _ in parts)
    places = places_by_number(classes)
    if by_place or not places:
        return content, placed(classes, source, first)
    found = _renumbered(content, places, classes)
    labels = {label for _, each in parts for label in np.unique(each).tolist()}
    return found, _doubtful(labels, classes, source)


def places_by_number(classes: Sequence[str]) -> dict[int, int]:
    """Return the number that each class is called -> its place; nothing if one is called otherwise."""
    numbers = [int(name) for name in classes if NUMBER.fullmatch(name)]
    return dict(zip(numbers, range(len(classes)), strict=True)) if len({*numbers}) == len(classes) else {}


def labelled(content: Content) -> list[tuple[Content, Array]]:
    """Return the parts of what files hold that have labels, with these."""
    return [(part, part.labels) for part in (content, content.test) if part is not None and part.labels is not None]


def placed(classes: tuple[str, ...], source: str, first: int) -> list[Note]:
    """Return a note that labels from `first` are the places of classes, unless these are called so."""
    if _plain(classes, first):
        return []
    text = f"{source}: labels are numbers, taken as the places of the classes: {_places(classes, first)}"
    return [Note("numbered-classes", f"{text}; --class-names says otherwise")]


def read_so(content: Content, classes: tuple[str, ...], source: str, first: int) -> list[Note]:
    """Return a note of how labels that are numbers were read where classes are called by others than their places.

    A label of 1 is then the class called 1 if it is text, and that at place 1 if it is a number; -1 is neither.
    first   the label of the first class; 0 if it is not given.
    """
    parts = labelled(content)
    if first or not parts or _plain(classes, 0) or not all(map(str.isdecimal, classes)):
        return []
    if content.named:
        text = f"{source}: labels are numbers stored as text, taken as the names of the classes, not as their places"
        return [Note("numbers-as-names", f"{text}: {', '.join(classes[:12])}")]
    return [] if content.classes or any(part.one_hot for part, _ in parts) else placed(classes, source, first)


def _plain(classes: tuple[str, ...], first: int) -> bool:
    return classes == names_of_labels(first, len(classes))


def _doubtful(labels: set[int], classes: tuple[str, ...], source: str) -> list[Note]:
    """Return a note if labels, which are names of classes, could be the places of others."""
    if max(labels, default=0) >= len(classes) or all(classes[label] == str(label) for label in labels):
        return []
    names = f"{','.join(classes)} says so" if len(classes) <= 12 else "with all of them in their order says so"
    text = f"{source}: labels are numbers, taken as the names of the classes"
    remedy = f"if they are places ({_places(classes)}), --class-names {names}"
    return [Note("numbers-as-names", f"{text}; {remedy}")]


def _places(classes: tuple[str, ...], first: int = 0) -> str:
    return ", ".join(f"{number} is {name}" for number, name in enumerate(classes[:12], first))


def _renumbered(content: Content, places: dict[int, int], classes: tuple[str, ...]) -> Content:
    assert content.labels is not None
    names = np.array(sorted(places))
    at = np.searchsorted(names, content.labels).clip(0, len(names) - 1)
    unknown = names[at] != content.labels
    if unknown.any():
        number = int(unknown.argmax())
        fix = "name the classes of the file with --class-names, in the order of their labels from --first-label"
        place, expected = f"image {number + 1}", f"{' or '.join(classes[:12])}, as the classes are called"
        refuse("label of no class", content.labels_at, place, expected, int(content.labels[number]), fix)
    labels = np.array([places[name] for name in names.tolist()])[at]
    test = (
        content.test
        if content.test is None or content.test.labels is None
        else _renumbered(content.test, places, classes)
    )
    return content._replace(labels=labels, test=test)


def _check_one_hot(train: Content, classes: int, named: bool) -> None:
    """Raise DataError unless one-hot labels have a column for each class: one left out would shift those behind it."""
    fix = "give integer labels, or a column for every class, also for one without images"
    parts = [part for part, _ in labelled(train) if part.one_hot]
    if len(parts) == 2 and parts[0].one_hot != parts[1].one_hot:
        few, many = sorted(parts, key=lambda part: part.one_hot)
        expected = f"{many.one_hot:,}, as in {many.labels_at}"
        refuse(COLUMNS, few.labels_at, "one-hot labels", expected, f"{few.one_hot:,}", fix)
    for part in parts:
        if part.one_hot != classes:
            expected, found = f"{classes:,}, one for each class", f"{part.one_hot:,}"
            fix += "" if named else f"; if there are {found} classes, say --classes {part.one_hot}"
            refuse(COLUMNS, part.labels_at, "one-hot labels", expected, found, fix)


def _examples(
    content: Content,
    source: str,
    names: tuple[str, ...],
    preprocessing: Preprocessing,
    shape: tuple[int, int],
    first: int,
) -> Examples:
    if content.labels is None:
        refuse("no labels", source, "the file", "a label for each image", "images alone", "use it with predict")
    labels, first = content.labels, 0 if content.one_hot else first
    if len(labels) and not first <= int(labels.min()) <= int(labels.max()) < first + len(names):
        _refuse_label(content, labels.astype(np.int64), first, names)
    labels = labels.astype(np.int64)
    if first:
        labels -= first
    if preprocessing.scaling:
        return Examples(standardised(content.x, preprocessing.scaling, source), freeze(labels))
    scaled = all_scaled(content.pixel_ranges)
    x = preprocess.apply(preprocessing, content.x, shape, source, content.ink, scaled=scaled)
    return Examples(freeze(x.view()), freeze(labels))


def _refuse_label(content: Content, labels: Array, first: int, names: tuple[str, ...]) -> Never:
    """Raise DataError for the first label of no class; one below the first class comes before one above the last."""
    classes, lowest, highest = len(names), int(labels.min()), int(labels.max())
    problem, expected, fix = "label below the first", f"{first} or more, as --first-label says", "--first-label"
    outside = labels < first
    if lowest >= first:
        problem, expected, fix = "label out of range", f"{first} to {first + classes - 1}", "--classes"
        outside = labels >= first + classes
    at = int(outside.argmax())
    other = " or --first-label" if fix == "--classes" and lowest > first else ""
    place, remedy = f"{'image' if content.columns is None else 'row'} {at + 1}", f"correct it, or set {fix}{other}"
    if content.classes:
        remedy = "correct it, or the names of the classes in the file"
    elif (first, lowest, highest) == (0, 1, classes):
        remedy = f"{_from_one(names)}{remedy}"
    refuse(problem, content.labels_at, place, expected, int(labels[at]), remedy)


def _from_one(names: tuple[str, ...]) -> str:
    """Return what to do with labels from 1 to the number of classes; "" if the labels are all that classes are called.

    The digits are also labelled so that 10 stands for 0.
    """
    if names == DIGITS:
        return f"where 10 stands for the digit 0, say {TEN_FOR_ZERO}; else "
    return "" if _plain(names, 0) else "where they begin at 1, say --first-label 1; else "


def _without_images(
    source: str, labels: Array, classes: tuple[str, ...], part: str, *, numbered: bool
) -> Iterator[Note]:
    counts = np.bincount(labels, minlength=len(classes))
    if len(labels) > 1 and not counts.all():
        names = [name for name, count in zip(classes, counts, strict=True) if not count]
        some = f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
        text = f"{counted(len(names), 'class', 'classes')} of {len(classes):,} without {part}: {some}"
        last = int(labels.max()) + 1
        fix = f"; if there are {last}, say --classes {last}" if numbered and last > 1 and counts[:last].all() else ""
        yield Note("empty-class", f"{source}: {text}{fix}")


def _swapped(source: str, train: Examples, test: Examples | None, unit: str) -> Iterator[Note]:
    if test is not None and len(test.labels) > len(train.labels):
        name = mnist.known(test.labels)
        counts = f"{counted(len(test.labels), unit)}, the training set {len(train.labels):,}"
        known = f", its labels are those of {name}" if name else ""
        yield Note("swapped", f"{source}: the test set has {counts}{known}; are the files swapped?")


def with_classes(dataset: D, classes: tuple[str, ...], notify: Notify = lambda notice: None) -> D:
    """Return a data set, in memory or streamed, of some of `classes` as one of all of them, with labels in their order.

    The data set is returned as it is if it has the same classes, or others.
    notify   called with a note of the classes that it has not.
    Raises   DataError for one-hot labels with columns for some of the classes: they do not say for which.
    """
    if dataset.classes == classes or not set(dataset.classes) <= set(classes):
        return dataset
    one_hot = dataset.numbered and any(note.code == "one-hot" for note in dataset.notes)
    if one_hot and len(dataset.classes) < len(classes):
        expected, fix = f"{len(classes):,}, one for each class", "give a column for every class of the model"
        refuse(COLUMNS, dataset.source, "one-hot labels", expected, len(dataset.classes), fix)
    order = np.array([classes.index(name) for name in dataset.classes])
    given: Any = dataset  # of either kind

    def relabelled(part: Any) -> Any:
        if isinstance(part, Examples):
            return part._replace(labels=freeze(order[part.labels]))
        return part and part.relabelled(order, len(classes))

    parts = {name: relabelled(getattr(given, name)) for name in ("train", "dev", "test") if name in given._fields}
    notes, missing = list(dataset.notes), [name for name in classes if name not in dataset.classes]
    if missing:
        text = f"{counted(len(missing), 'class', 'classes')} without images: {', '.join(missing[:12])}"
        notes.append(Note("classes-missing", f"{dataset.source}: {text}"))
        notify(notes[-1])
    found: D = given._replace(**parts, classes=classes, notes=tuple(notes))
    return found


def split(examples: Examples, dev: int, seed: int, limit: int | None = None) -> tuple[Examples, Examples | None]:
    """Return training and dev images: `dev` of them chosen by the seed, and at most `limit` of the others.

    A class whose images would all be dev images gets one back for training.
    Raises   UsageError unless at least one image remains for training.
    """
    n = len(examples.labels)
    if isinstance(dev, bool) or not isinstance(dev, (int, np.integer)):
        raise ArgumentTypeError("dev is not an integer", expected="an integer >= 0", found=repr(dev))
    if not 0 <= dev < n:
        raise UsageError("dev images out of range", where="dev", expected=f"0 to {n - 1}", found=dev)
    if dev == 0 and (limit is None or limit >= n):
        return examples, None
    order = rng.order(seed, "split", n)
    cut_rows, rows = order[:dev], order[dev:]
    # Sets, as NumPy's functions of sets import `np.ma` (10 ms).
    lost = {*examples.labels[cut_rows].tolist()} - {*examples.labels[rows].tolist()}
    back = [int(cut_rows[examples.labels[cut_rows] == label][0]) for label in sorted(lost)]
    rows = np.concatenate([np.array(back, np.int64), rows])[:limit]
    cut_rows = np.array(sorted({*cut_rows.tolist()} - {*back}), np.int64)
    train, cut = (
        Examples(freeze(examples.x[each]), freeze(examples.labels[each])) for each in (np.sort(rows), cut_rows)
    )
    return train, cut if len(cut_rows) else None
