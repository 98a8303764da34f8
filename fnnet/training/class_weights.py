"""Sample weights by class: rare or important classes count for more in the mean loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fnnet.core.checks import as_array, check_amount, check_classes, check_count, check_labels, check_weights, shown
from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples
from fnnet.data.dataset import places_by_number
from fnnet.data.stream import Stream
from fnnet.errors import ArgumentTypeError, UsageError, counted
from fnnet.limits import decimal_number
from fnnet.names import composed

BALANCED: Final = "balanced"
COMMAS: Final = "classes with a comma in their name have weights from Python: fnnet.fit(class_weights={name: weight})"


def parse(text: str, classes: Sequence[str]) -> str | dict[int, float]:
    """Return `balanced`, or `CLASS=WEIGHT,...` as a mapping from class numbers to weights.

    classes  their names.
    Raises   UsageError for any other text, for an unknown class, and for one that is named twice.
    """
    if not isinstance(text, str):
        raise ArgumentTypeError("class weights", expected=f"CLASS=WEIGHT,... or {BALANCED}", found=repr(text))
    classes = check_classes(classes)
    if text == BALANCED:
        return text
    parts = _split(text)
    for name, part in zip(parts, text.split(","), strict=True):
        if name not in classes:
            shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
            expected = f"CLASS=WEIGHT,... of the classes {shown}, or {BALANCED}"
            raise UsageError("weight for an unknown class", expected=expected, found=repr(part))
    return {classes.index(name): weight for name, weight in parts.items()}


def _split(text: str) -> dict[str, float]:
    """Return the weights that `CLASS=WEIGHT,...` gives to names of classes; none for `balanced`.

    Raises   UsageError for any other text, a name that is given twice, and a weight that is negative.
    """
    found: dict[str, float] = {}
    for part in text.split(",") if text != BALANCED else ():
        name, equals, value = part.rpartition("=")
        name = composed(name)
        if not equals or name in found:
            problem = "weight given twice" if equals else "no weight of a class"
            fix = "" if equals else COMMAS
            raise UsageError(problem, expected=f"CLASS=WEIGHT,... or {BALANCED}", found=repr(part), fix=fix)
        weight = decimal_number(value)
        if weight is None:
            raise UsageError(f"weight of class {name}", expected="a finite number >= 0", found=repr(value))
        found[name] = check_amount(f"weight of class {name}", weight)
    return found


def check_text(weights: Any) -> None:
    """Raise UsageError, at `class_weights`, for a text that `parse` refuses whatever the classes are."""
    if isinstance(weights, str):
        _at_its_field(lambda: _split(weights))


def weights_of(weights: Any, train: Examples | Stream, classes: Sequence[str]) -> Array | None:
    """Return what `class_weights` does, of a text for `parse` or of anything that it takes itself; None for None.

    Of a stream, the weights of the classes. A mapping may have the names of classes as keys; its whole numbers are
    classes as labels in an array are: by value where all names are whole numbers, else by place.
    classes  their names.
    Raises   as the two do, at `class_weights`.
    """

    def found() -> Array | None:
        parsed = parse(weights, classes) if isinstance(weights, str) else _by_place(weights, classes)
        if isinstance(train, Stream):
            return check_weights(_of_classes(parsed, np.array(train.counts), classes), len(classes))
        labels = check_labels(train.labels, (len(train.labels), len(classes)))
        each = _of_classes(parsed, np.bincount(labels, minlength=len(classes)), classes)
        return check_weights(each[labels], len(labels))

    return None if weights is None else _at_its_field(found)


def _by_place(weights: Any, classes: Sequence[str]) -> Any:
    """Return a mapping with the places of its classes as keys, anything else as it is."""
    if not isinstance(weights, Mapping):
        return weights
    numbers = places_by_number(classes) or {place: place for place in range(len(classes))}
    known: dict[Any, int] = {**numbers, **{name: place for place, name in enumerate(classes)}}
    found: dict[int, Any] = {}
    for label, weight in weights.items():
        usable = isinstance(label, (str, int, np.integer)) and not isinstance(label, bool)
        place = known.get(composed(label) if isinstance(label, str) else label) if usable else None
        if place is None:
            some = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
            raise UsageError("weight for an unknown class", expected=some, found=shown(label))
        if place in found:
            raise UsageError("weight given twice", expected="one weight for each class", found=shown(label))
        found[place] = weight
    return found


def _at_its_field(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except UsageError as error:
        raise error.at("class_weights") from None


def class_weights(weights: Any, labels: Any, classes: int) -> Array:
    """Return the weight of each sample, read-only float64 (n,): that of its class, for labels (n,) in [0, classes).

    A mapping gives weights to some classes, by number, and leaves the others at 1; a sequence gives one to each.
    "balanced" gives n / (classes * count) to a class with `count` labels, so that all classes that occur weigh the
    same (King and Zeng, Political Analysis 9 (2001) 137).

    "balanced" is scikit-learn's where every class occurs; it leaves classes without labels out of the count.

    Raises   UsageError for an unknown class, a wrong number of weights, and a weight that is negative or not finite;
             ArgumentTypeError for a weight that is not a number.
    """
    classes = check_count("classes", classes, 1)
    labels = as_array("labels are not integers", labels, "iu", "an integer dtype, shape (n,)")
    if labels.ndim != 1:
        found = f"{labels.dtype}, shape {labels.shape}"
        raise ArgumentTypeError("labels are not integers", expected="an integer dtype, shape (n,)", found=found)
    labels = check_labels(labels, (len(labels), classes))
    return freeze(_of_classes(weights, np.bincount(labels, minlength=classes))[labels])


def _of_classes(weights: Any, counts: Array, names: Sequence[Any] | None = None) -> Array:
    """Return the weight of each class, float64, of which there are `counts` images; arguments as `class_weights`.

    names    of the classes, for errors; None for their numbers.
    """
    each: Array
    if isinstance(weights, str) and weights == BALANCED:
        each = counts.sum() / (len(counts) * np.maximum(counts, 1))
    else:
        each = np.array(_each_class(weights, names or range(len(counts))))
    if counts.any() and not each[counts > 0].any():
        raise UsageError("no sample has a weight", expected="more than 0 for a class that occurs", found="0 for each")
    return each


def _each_class(weights: Any, names: Sequence[Any]) -> list[float]:
    """Return the weight of every class."""
    classes = len(names)
    if isinstance(weights, Mapping):
        for number in weights:
            known = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
            if not (known and 0 <= number < classes):
                raise UsageError("weight for an unknown class", expected=f"0 to {classes - 1}", found=number)
        weights = [weights.get(number, 1.0) for number in range(classes)]
    elif isinstance(weights, (str, bytes)) or not (
        isinstance(weights, Sequence) or (isinstance(weights, np.ndarray) and weights.ndim == 1)
    ):
        expected = f'one weight for each class, a mapping from classes, or "{BALANCED}"'
        raise ArgumentTypeError("class weights", expected=expected, found=repr(weights))
    elif isinstance(weights, np.ndarray):
        weights = as_array("class weights", weights, "fiu", "numbers").tolist()
    if len(weights) != classes:
        expected = f"one for each of {counted(classes, 'class', 'classes')}"
        raise UsageError("class weights", expected=expected, found=len(weights))
    return [check_amount(f"weight of class {name}", weight) for name, weight in zip(names, weights, strict=True)]
