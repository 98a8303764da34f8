"""Files store images row by row, or column by column as EMNIST's own do, whatever a model was trained on."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath

EMNIST: Final = "emnist"
ITS_OWN: Final = r"-(?:(?:balanced|byclass|bymerge|digits|letters|mnist)(?![^\W_])|.*images-idx3)"
"""How the names of EMNIST's own files go on; all of these are stored column by column."""


class Order(NamedTuple):
    """The order of pixels in files.

    transpose   True if images are stored column by column, False if row by row; None if nothing shows it.
    notes       what the user should know about it.
    """

    transpose: bool | None
    notes: tuple[Note, ...] = ()

    def beside(self, notes: Sequence[Note]) -> tuple[Note, ...]:
        """Return a reader's notes without those that say once more how pixels are ordered."""
        said = self.transpose and self.notes
        return tuple(note for note in notes if not (said and note.code == "pixel-order"))


def order_of(
    where: AnyPath, names: Sequence[str], given: bool | None, trained: bool | None, *, pictures: bool = False
) -> Order:
    """Return how files are stored: as the user says, else as their kind or names show, else as those of training.

    where      names the data in notes.
    names      of the files; the name of a folder is a hint at most, as anyone gives it.
    given      what the user says, as `Reading.transpose`.
    trained    whether the files that a model was trained on were stored column by column; None without a model.
    pictures   True for files of one picture, which are stored upright.
    """
    shown = os.fsdecode(where)
    if given is not None:
        turned = pictures and given and trained is None
        return Order(given, (turned_pictures(shown),) if turned else ())
    if pictures:
        return Order(False)
    if any(map(_is_its_own, names)):
        text = f"{shown}: read column by column, as EMNIST's own files are stored; if not, say --no-transpose"
        return Order(True, () if trained else (Note("transpose-name", text),))
    if trained:
        text = f"{shown}: read column by column, as what the model was trained on; if row by row, say --no-transpose"
        return Order(True, (Note("transposed", text),))
    if any(EMNIST in name.lower() for name in (*names, os.path.basename(os.path.realpath(shown)))):
        text = f"{shown}: EMNIST's own files store images column by column; look with 'data show', or say --transpose"
        return Order(trained, (Note("transpose-name", text),))
    return Order(trained)


def turned_pictures(shown: str) -> Note:
    """Return the note that pictures, which are upright, are turned as the user says."""
    text = f"{shown}: pictures are turned, as --transpose says; later commands read pictures upright without it"
    return Note("turned-pictures", text)


def exchange(transposed: bool | None) -> str:
    """Return what to do with images whose height and width are those of the model exchanged, read as `transposed`."""
    option, order = ("--no-transpose", "row by row") if transposed else ("--transpose", "column by column")
    return f"say {option} if they are stored {order}, else train a model for theirs"


def _is_its_own(name: str) -> bool:
    """Return True for the name of a file of EMNIST; the pattern is compiled for such names only: 0.2 ms."""
    rest = name.lower().removeprefix(EMNIST)
    return rest != name.lower() and re.match(ITS_OWN, rest) is not None
