"""Columns and arrays that say of which part each image is: split, Usage, is_test, fold, train_idx.

Parts are read from files or arrays of their own. A set whose images are of several parts is refused: the images of the
test set would be trained on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.listing import shown
from fnnet.data.named import Chosen
from fnnet.data.opened import AnyPath
from fnnet.data.roles import OTHERS, PARTS, Role, part_of
from fnnet.errors import counted
from fnnet.files.disk import refuse

MOST: Final = 20
"""Parts or folds at most; more values are something else."""
SAYS: Final = re.compile(
    "(?!datasets?$)(?:data|set|imdb|cv|k|oof|crossval|original|sample)*(?:splits?|partitions?|folds?|usage|sets?|subsets?)"
    "(?:id|ids|idx|index|name|number|num|no|type|label|assignment)?[0-9]?|part|settype"
)
"""Names of what says the part of each image, in lower case and without separators."""
INDEX: Final = "(?:masks?|idx|ids?|inds?|index|indexes|indices|flag|locs?|samples|rows)"
FLAG: Final = re.compile(
    "(?:is|in|isin)?{0}?(?:trainval|trn|tst|holdout|{1})(?:set|split|fold)?{0}?|{0}(?:tr|te|va)|(?:tr|te|va){0}".format(
        INDEX, "|".join(word for word in PARTS if word.isalpha())
    )
)
"""Names of what says which images are of one part."""
EITHER: Final = re.compile(f"{SAYS.pattern}|{FLAG.pattern}")
PUBLIC: Final = re.compile("public|private")
"""Kaggle's two halves of a test set."""
ONE_PART: Final = "keep only the rows of one part, and leave the column out"
PROBLEM: Final = "images of several parts in one set"
NO_FLAGS: Final = "if it holds images of a part, call it so, as x_train, and their labels y_train"
LEAVE: Final = "if it says something else, leave it out"


def says_parts(name: str) -> bool:
    """Return True if what has this name, which may be a path, says of which part images are.

    >>> says_parts("Usage"), says_parts("images/set"), says_parts("trainIdx"), says_parts("is_test"), says_parts("id")
    (True, True, True, True, False)
    """
    return EITHER.fullmatch(_last(name)) is not None


def _last(name: str) -> str:
    return re.sub("[^a-z0-9]", "", re.split(r"[/.]", name)[-1].lower())


def part_called(text: str) -> str:
    """Return the part that a text is the name of; "" for any other text.

    >>> part_called("PublicTest"), part_called("dev"), part_called("cat")
    ('test', 'val', '')
    """
    plainly = text.lower().strip()
    return OTHERS.get(plainly) or part_of(PUBLIC.sub("", plainly))


def part_named(value: object) -> object:
    """Return the part that a value is the name of; the value itself if it is of none."""
    return (part_called(value) if isinstance(value, str) else "") or value


def divides(name: str, values: Collection[object]) -> bool:
    """Return True if a column of these different values says that images are of several parts.

    name   of the column; "" if its values alone count.
    Missing values, None or no text, are a part of their own beside others.
    """
    there = {plain(each) for each in values}
    known = there - {None}
    if not 1 < len({part_named(each) for each in there}) <= MOST:
        return False
    return says_parts(name) or all(isinstance(each, str) and part_called(each) for each in known)


def plain(value: object) -> object:
    """Return a value, None for NaN and empty text."""
    missing = value != value or (isinstance(value, str) and not value.strip())  # noqa: PLR0124
    return None if missing else value


def refuse_column(
    path: AnyPath, place: str, values: Iterable[object], fix: str, unit: str = "images", otherwise: str = LEAVE
) -> NoReturn:
    """Raise DataError for a column that `divides`.

    unit        what each of its values is about.
    otherwise   what to do with the column if it says something else.
    """
    texts = sorted(str(each) for each in {plain(each) for each in values} - {None})
    problem = PROBLEM.replace("images", unit)
    refuse(problem, path, place, f"{unit} of one part", shown(texts), f"{fix}; {otherwise}")


def saying(there: Iterable[str], chosen: Chosen) -> list[str]:
    """Return the arrays that by their names say of which part the images are that are read.

    None where there is a test set: the parts are arrays of their own.
    """
    if Role("test", labels=False) in chosen.names:
        return []
    of_one = Role("train", labels=False) in chosen.names  # train_ids beside x_train are those of its images
    taken = {*chosen.names.values(), *chosen.left_out}
    return [name for name in there if name not in taken and (SAYS if of_one else EITHER).fullmatch(_last(name))]


def check_arrays(arrays: Mapping[str, Array | None], chosen: Chosen, n: int, path: AnyPath) -> None:
    """Raise DataError if one of these arrays says that the n images that are read are of several parts.

    By its name, or as one text for each image, all of which are names of parts.
    """
    if Role("test", labels=False) in chosen.names:
        return
    said = {*saying(arrays, chosen)}
    for name, values in arrays.items():
        if values is None or name in chosen.names.values() or not values.size or not values.ndim:
            continue
        each = values.size == n
        if values.dtype.kind in "USO":
            texts: list[object] = [_decoded(text) for text in {*values.ravel().tolist()}] if each else []
            if divides(_last(name) if name in said else "", texts):
                refuse_array(path, name, shown(sorted(str(text) for text in texts)))
        elif name in said and _divides_numbers(name, values, n):
            found = f"shape {values.shape}, numbers from {float(values.min()):g} to {float(values.max()):g}"
            if not _may_say(values, n):
                expected = f"flags of the {counted(n, 'image')}, or their numbers"
                refuse("called as a part", path, name, expected, found, f"{NO_FLAGS}; {LEAVE}")
            refuse_array(path, name, found)


def _may_say(values: Array, n: int) -> bool:
    """Return True for numbers that may say which of n images are meant: one for each image, or whole ones up to n."""
    numbers = values.dtype.kind in "biuf" and 0 <= values.min() <= values.max() <= n
    return values.size == n or n in values.shape or (numbers and bool((values == np.floor(values)).all()))


def _decoded(text: object) -> object:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _divides_numbers(name: str, values: Array, n: int) -> bool:
    """Return True for numbers of parts or folds, one for each image or in a line for each fold, masks and indices."""
    different = len({*values.ravel().tolist()})
    if FLAG.fullmatch(_last(name)):
        return not (values.size == n and different in (1, n))  # else all images are of that part
    return n in values.shape and (1 < different <= MOST or values.size > n)


def refuse_array(path: AnyPath, name: str, found: object) -> NoReturn:
    """Raise DataError for an array that says the parts of images."""
    fix = f"store the parts as arrays of their own: x_train, y_train, x_test, y_test; {LEAVE}"
    refuse(PROBLEM, path, name, "images of one part", found, fix)
