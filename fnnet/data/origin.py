"""Where a data set came from, in a form that a model keeps, so that its images can be found again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from fnnet.data.preprocess import AUTOMATIC, Reading

KEPT: Final[Mapping[str, type]] = {
    "first_label": int, "label_column": str, "image": bool, "table": bool, "first_index": int, "transpose": bool,
}  # fmt: skip
"""Fields of `Reading` that a model's preprocessing does not have -> their type where they are given."""


class Origin(NamedTuple):
    """Where a data set came from.

    path       of its file or folder, as it was given; "" for a data set with a name, and for arrays.
    reading    what the user says about its images.
    test       the path of images to test on that took the place of its own, or of a share of its own; "" for none.
    held_out   how many of its images for training are held out to test on: see `holdout`.
    corrections   the path of a table of corrected labels: see `corrections`; "" for none.
    """

    path: str = ""
    reading: Reading = AUTOMATIC
    test: str = ""
    held_out: int = 0
    corrections: str = ""


ARRAYS: Final = Origin()
"""Nothing is known."""


def as_json(origin: Origin, numbered: bool) -> dict[str, Any]:
    """Return what a model keeps of the path of its data, and how it was read; without a path, of corrections alone.

    numbered   as in `Dataset`.

    >>> as_json(Origin("a.csv", Reading(label_column="last", pixel_max=16)), numbered=True)
    {'path': 'a.csv', 'label_column': 'last', 'numbered': True}
    """
    corrections = {"corrections": origin.corrections} if origin.corrections else {}
    if not origin.path:
        return corrections
    said = {name: getattr(origin.reading, name) for name in KEPT}
    given = {name: value for name, value in said.items() if value != getattr(AUTOMATIC, name)}
    return {"path": origin.path, **given, **({"numbered": True} if numbered else {}), **corrections}


def reading_in(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Reading` in what `as_json` returned; values of other types, as a stranger's, are left out.

    >>> reading_in({"path": "a.csv", "label_column": "last", "first_label": "x", "size": 9})
    {'label_column': 'last'}
    """
    return {name: kept[name] for name, kind in KEPT.items() if type(kept.get(name)) is kind}


def find_again(path: str, beside: str | os.PathLike[str]) -> str | None:
    """Return where the file or folder is that was given as `path` when a model was trained; None if it has gone.

    A relative path is looked for from the current folder, then from those above the model's file, which was trained
    somewhere above it. One on another machine is not: opening it would tell that machine who reads the model.
    beside   the file of the model.
    """
    if not path or path.startswith(("//", "\\\\")) or "\0" in path:
        return None
    if os.path.exists(path) or os.path.isabs(path):
        return path if os.path.exists(path) else None
    above = (os.path.join(each, path) for each in Path(os.path.abspath(beside)).parents)
    return next(filter(os.path.exists, above), None)
