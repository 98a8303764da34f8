"""Predictions as they are printed and written: for programs, as a table, in Kaggle's form."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fnnet.errors import UsageError

if TYPE_CHECKING:
    from fnnet.core.params import Array
    from fnnet.core.state import Model
    from fnnet.data.notes import Note


COLUMNS: Final = ("file", "index", "label", "probability")
KAGGLE: Final = ("ImageId", "Label")


class Prediction(NamedTuple):
    """The prediction for one image.

    file, number, of   the file, the image's number in it, and how many images it has.
    image              its pixels.
    other_ink          whether its ink is dark where that of the training images is light, or the other way round.
    blank              whether there is nothing on it: it is given no class, except in Kaggle's form.
    best, probs        the most probable class, and the probability of each.
    dim                whether light and dark differ little on it.
    id                 the id that the file gives the image, if it gives any.
    """

    file: str
    number: int
    of: int
    image: Array
    other_ink: bool
    blank: bool
    best: int
    probs: Array
    dim: bool = False
    id: int | None = None

    @property
    def name(self) -> str:
        """The file, with the image's number if it has more than one."""
        return self.file if self.of == 1 else f"{self.file}[{self.number}]"


def document_of(model: Model, prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as JSON values. Those of a blank image are null: a program must not find a class in them."""
    found, probs, blank = prediction.best, prediction.probs.tolist(), prediction.blank
    return {
        "file": prediction.file,
        "index": prediction.number,
        "other_ink": prediction.other_ink,
        "blank": blank,
        "label": None if blank else model.classes[found],
        "probability": None if blank else probs[found],
        "probabilities": None if blank else dict(zip(model.classes, probs, strict=True)),
    }


def as_csv(model: Model, predictions: Sequence[Prediction]) -> bytes:
    """Return predictions as a table: of each image the file, its number in it, the class and its probability.

    Class and probability of a blank image are empty.
    """
    columns = COLUMNS
    documents = (document_of(model, each) for each in predictions)
    return _table(columns, ([document[column] for column in columns] for document in documents))


def as_kaggle(model: Model, predictions: Sequence[Prediction]) -> tuple[bytes, list[Note]]:
    """Return predictions as Kaggle takes them, ImageId and Label, and notes.

    The ids are those that the files give, or the names of the files if each holds one image and has a number for its
    name, such as `0012.png`. Else images are counted from 1.
    Raises   UsageError for two images of one id.
    """
    from fnnet.data.notes import Note

    ids, notes = _ids(predictions), list[Note]()
    if not ids:
        why = ": not all names of files are numbers" if len({each.file for each in predictions}) > 1 else ""
        why = ": not all files have ids" if any(each.id is not None for each in predictions) else why
        notes.append(Note("counted-ids", f"ImageId counts the images from 1, in their order{why}"))
        ids = list(range(1, len(predictions) + 1))
    rows = ([number, model.classes[each.best]] for number, each in zip(ids, predictions, strict=True))
    return _table(KAGGLE, rows), notes


def _ids(predictions: Sequence[Prediction]) -> list[int]:
    """Return the ids that the files hold, or the numbers that they are named by; none unless all have one."""
    names = [Path(each.file).stem for each in predictions]
    ids = [each.id for each in predictions if each.id is not None]
    single = all(each.of == 1 for each in predictions)
    if not ids and single and all(name.isascii() and name.isdecimal() for name in names):
        ids = [int(name) for name in names]
    if len(ids) < len(predictions):
        return []
    files: dict[int, str] = {}
    for number, each in zip(ids, predictions, strict=True):
        if number in files:
            found, fix = f"{files[number]} and {each.name}", "leave one out, or write the table without --kaggle"
            raise UsageError(
                "two images of one id", where="--kaggle", expected="each number once", found=found, fix=fix
            )
        files[number] = each.name
    return list(files)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    return lines_of([head, *rows])


def lines_of(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows of a table as CSV. Names of files keep bytes that do not decode."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", sys.getfilesystemencodeerrors())
