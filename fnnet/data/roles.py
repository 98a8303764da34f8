"""What an array is, by its name: images or labels, of which part of a data set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

WORDS: Final = ("labels", "label", "targets", "target")
KINDS: Final = ("images", "image", "imgs", "img", "data", "features", "pixels")
IMAGES: Final = {"x": ("y",), "fea": ("gnd",)} | dict.fromkeys(KINDS, WORDS)
"""Words in the names of images -> those in the names of their labels, the most likely first."""
LABELS: Final = ("y", *WORDS, "gnd")
LABEL_COLUMNS: Final = frozenset({*LABELS, "class", "classes", "category", "categories", "digit"})
"""What a column of labels is called in a table, in lower case."""
LABEL_IDS: Final = frozenset(
    f"{word}{mark}id" for word in ("class", "label", "target", "category") for mark in ("", "_", " ")
)
"""What a column of their numbers is called, as ClassId of GTSRB."""
PARTS: Final = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test", "t10k": "test",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
}  # fmt: skip
"""Words in names -> the part of a data set."""
OTHERS: Final = {"trn": "train", "tst": "test", "holdout": "test", "eval": "val", "evaluation": "val"}
"""Further names of parts, which classes hardly have all."""
OF_ARRAYS: Final = PARTS | OTHERS | {"tr": "train", "te": "test"}
"""Words in the names of arrays, beside those of images or labels -> the part."""
PART_NAME: Final = re.compile(
    r"(?:{0})*({1})(?:{0})*".format(
        r"data|sets?|images?|imgs?|pictures?|pics?|samples?|examples?|files?|folders?|digits?|split|[\W_]",
        "|".join(word for word in PARTS if word.isalpha()),
    )
)
WORD: Final = re.compile(r"[^a-z0-9]+")
OF_PARTS: Final = ("set", "sets")
"""Words that say nothing beside the word of a part: train_set_x, as Coursera's files have it."""
JOINED: Final = re.compile("([xy])({0})|({0})([xy])".format("train|test|val|valid|eval|trn|tst|tr|te"), re.IGNORECASE)
"""Two words without anything between them."""


class Role(NamedTuple):
    """The role of an array.

    part     "train", "test" or "val"; "" if the name says none.
    labels   True for labels, False for images.
    """

    part: str
    labels: bool


def role_of(name: str) -> Role | None:
    """Return the role that a name such as `x_train`, `train_images`, `Xtest` or `labels` says; None if it says none.

    >>> role_of("val_labels")
    Role(part='val', labels=True)
    >>> role_of("X")
    Role(part='', labels=False)
    """
    words = words_in(name)
    parts = {OF_ARRAYS[word] for word in words if word in OF_ARRAYS}
    words = [word for word in words if not (parts and word in OF_PARTS)]
    kinds = {word in LABELS for word in words if word in IMAGES or word in LABELS}
    rest = [word for word in words if word not in OF_ARRAYS and word not in IMAGES and word not in LABELS]
    if len(parts) > 1 or len(kinds) != 1 or rest:
        return None
    return Role("".join(parts), kinds.pop())


def called_labels(names: Iterable[str]) -> frozenset[str]:
    """Return those of the names of columns, in lower case, that are of labels; of their numbers where no other is.

    >>> sorted(called_labels(["Path", "ClassId"])), sorted(called_labels(["class_id", "Class"]))
    (['classid'], ['class'])
    """
    lower = {name.strip().lower() for name in names}
    return LABEL_COLUMNS & lower or LABEL_IDS & lower


def part_in(name: str) -> str:
    """Return the part that a word in a name says, whatever the others are; "" if none does.

    >>> part_in("kmnist-train-imgs"), part_in("testX")
    ('train', 'test')
    """
    return next((PARTS[word] for word in words_in(name) if word in PARTS), "")


def part_of(name: str) -> str:
    """Return the part that a folder is by its name, "train", "test" or "val"; "" for a class.

    >>> part_of("Training Set"), part_of("valid_images"), part_of("testbed")
    ('train', 'val', '')
    """
    found = PART_NAME.fullmatch(name.lower())
    return PARTS[found[1]] if found else ""


def words_in(name: str) -> list[str]:
    """Return the words in a name, in lower case."""
    return [part for word in WORD.split(name.lower()) if word for part in _apart(word)]


def _apart(word: str) -> list[str]:
    """Return the two words of a joined one, such as `trainX`; else the word."""
    joined = JOINED.fullmatch(word)
    return [group for group in joined.groups() if group] if joined else [word]


def beside(path: Path, part: str = "", *, labels: bool) -> Path | None:
    """Return the file beside `path` whose name differs in its role alone: of labels, or of another part.

    Where the name does not say that it is of images, that of its labels has one word more: train.npy, train_labels.npy.
    part   the part that it is of; "" for the same.
    """
    pieces = [word for piece in re.split(r"([A-Za-z]+)", path.name) for word in _apart(piece)]
    lower = [piece.lower() for piece in pieces]
    suffix = len(path.suffix.lstrip("."))  # its letters do not count
    places = [i for i, word in enumerate(lower) if word in IMAGES and i < len(pieces) - 1 - bool(suffix)]
    swapped = [list(pieces)]
    if labels:
        swapped = [
            [*pieces[:i], each, *pieces[i + 1 :]] for i in places for word in IMAGES[lower[i]] for each in _cases(word)
        ]
    if part:
        words = [word for word, means in PARTS.items() if means == part]
        swapped = [
            [*each[:i], new, *each[i + 1 :]]
            for each in swapped
            for i, piece in enumerate(each)
            if PARTS.get(piece.lower()) not in (None, part)
            for word in words
            for new in _cases(word)
        ]
    names = ["".join(each) for each in swapped]
    if labels and not places:
        words = [each for word in LABELS for each in _cases(word)]
        names = [f"{path.stem}{mark}{word}{path.suffix}" for word in words for mark in "_-"]
        names += [f"{word}{mark}{path.name}" for word in words for mark in "_-"]
    found = [path.with_name(name) for name in dict.fromkeys(names) if name != path.name]
    there = [each for each in found if each.is_file()]
    return there[0] if there else None


def _cases(word: str) -> tuple[str, ...]:
    return word, word.capitalize(), word.upper()
