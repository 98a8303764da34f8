"""What shares of the sets are read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench.photos.nondigits import KINDS
from bench.photos.reading import WAYS, Looked, Seen, seen_on
from bench.photos.scene import Picture
from fnnet.core.params import Array

Network = Callable[[Array], Array]
"""Bytes (n, 28, 28) -> probabilities (n, classes); those after the tenth are for no digit."""
DIGITS: Final = 10
REFUSED: Final = 0.02
"""Share of made digits that a threshold refuses."""
SEMEION: Final = 16
"""Side of Semeion's images."""
Rows = list[list[str]]


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.1f}%"


def singles(pictures: Iterable[Picture], network: Network) -> Rows:
    """Return rows of a table: a difficulty, how many pictures have it, the share read in each way."""
    labels, tags = [], []
    images: dict[str, list[Array]] = {name: [] for name in WAYS}
    for picture in pictures:
        file = picture.shot.file()
        labels.append(picture.labels[0])
        tags.append(picture.tags)
        for name, way in WAYS.items():
            images[name].append(way(file).image)
    right = [answers(network, each) == labels for each in images.values()]
    rows = []
    for name in ["all", *sorted({tag for each in tags for tag in each})]:
        has = np.array([name == "all" or name in each for each in tags])
        rows.append([name, str(has.sum()), *(percent(each[has].mean()) for each in right)])
    return rows


def answers(network: Network, images: Sequence[Array]) -> Array:
    """Return the most probable digit of each image."""
    found: Array = network(np.stack(images))[:, :DIGITS].argmax(axis=1)
    return found


class OnPage(NamedTuple):
    """Digits of a page: those there are, those found, in order, and right too; and what was found beside them."""

    there: int
    found: int
    in_order: int
    right: int
    others: int


def matched(boxes: Sequence[tuple[int, ...]], seen: Sequence[tuple[int, ...]]) -> list[int | None]:
    """Return for each box that was seen the number of the true one, or None.

    They match if the intersection is at least half of their union; each true one matches once, the best.
    """
    overlaps = [(overlap(box, one), i, j) for i, one in enumerate(seen) for j, box in enumerate(boxes)]
    found: list[int | None] = [None] * len(seen)
    for share, i, j in sorted(overlaps, reverse=True):
        if share >= 0.5 and found[i] is None and j not in found:
            found[i] = j
    return found


def overlap(one: Sequence[int], other: Sequence[int]) -> float:
    """Return the intersection of two boxes (top, left, height, width) as a share of their union.

    >>> overlap((0, 0, 10, 10), (0, 5, 10, 10))
    0.3333333333333333
    """
    sides = [min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    both = max(sides[0], 0) * max(sides[1], 0)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def ordered(numbers: Sequence[int | None]) -> set[int]:
    """Return the numbers of the longest part that rises: what is in order.

    >>> sorted(ordered([0, 2, None, 1, 3]))
    [0, 1, 3]
    """
    ends: list[int] = []
    chains: list[list[int]] = []
    for number in numbers:
        if number is None:
            continue
        at = bisect_left(ends, number)
        chain = [*(chains[at - 1] if at else []), number]
        ends[at : at + 1], chains[at : at + 1] = [number], [chain]
    return set(chains[-1]) if chains else set()


def on_page(picture: Picture, seen: Sequence[Seen], network: Network) -> OnPage:
    """Return how much of a page was read."""
    numbers = matched(picture.boxes, [each.box for each in seen])
    found = [number for number in numbers if number is not None]
    kept = ordered(numbers)
    read: list[int] = answers(network, [each.image for each in seen]).tolist() if seen else []
    right = sum(
        n in kept and picture.labels[n] == answer for n, answer in zip(numbers, read, strict=True) if n is not None
    )
    return OnPage(len(picture.labels), len(found), len(kept), right, len(seen) - len(found))


def pages(pictures: Iterable[Picture], network: Network) -> Rows:
    """Return rows of a table: a difficulty, its pages, their digits, shares found, in order, and right; others seen."""
    each = [(picture.tags, on_page(picture, seen_on(picture.shot.file()), network)) for picture in pictures]
    rows = []
    for name in ["all", *sorted({tag for tags, _ in each for tag in tags})]:
        counts = [count for tags, count in each if name == "all" or name in tags]
        there, found, in_order, right, others = (sum(column) for column in zip(*counts, strict=True))
        shares = [percent(part / there) for part in (found, in_order, right)]
        rows.append([name, str(len(counts)), str(there), *shares, str(others)])
    return rows


def scores(looked: Sequence[Looked], network: Network) -> dict[str, Array]:
    """Return what may speak for a digit: name -> values (n,), of which low ones are refused."""
    probabilities = network(np.stack([each.image for each in looked]))
    found = {"probability": probabilities[:, :DIGITS].max(axis=1)}
    if probabilities.shape[1] > DIGITS:
        found["class none"] = 1 - probabilities[:, DIGITS:].sum(axis=1)
    if looked[0].contrast is not None:
        found["contrast"] = np.array([each.contrast for each in looked])
    return found


def nondigits(pictures: Iterable[Picture], digits: Iterable[Picture], network: Network) -> tuple[list[str], Rows]:
    """Return heads and rows of a table: a kind, its pictures, the share that is answered by each way and score.

    The threshold of each is that which refuses 2% of the made digits.
    """
    files = [(picture.tags[0], picture.shot.file()) for picture in pictures]
    known = [picture.shot.file() for picture in digits]
    kinds = np.array([kind for kind, _ in files])
    heads, columns = ["kind", "pictures"], []
    for name, way in WAYS.items():
        ours, theirs = scores([way(file) for file in known], network), scores([way(file) for _, file in files], network)
        for score, values in theirs.items():
            threshold = np.sort(ours[score])[int(REFUSED * len(known))]
            heads.append(f"{name}, {score}")
            columns.append(values >= threshold)
    rows = []
    groups = {"all": kinds != "", "all but grown pairs": kinds != "grown pair"} | {
        kind: kinds == kind for kind in KINDS
    }
    for name, has in groups.items():
        if has.any():
            rows.append([name, str(has.sum()), *(percent(column[has].mean()) for column in columns)])
    return heads, rows


def semeion(path: str, network: Network) -> Rows:
    """Return rows of a table: the shares of Semeion's digits that are read, resized and prepared.

    Its file has 256 pixels of 0 or 1 and ten columns of the label in a row. They fill the picture to its edge, so they
    are prepared once more with a margin of 4 pixels, as a drawing has it.
    """
    from PIL import Image

    from fnnet.data import photo

    table = np.array([line.split() for line in Path(path).read_text().splitlines()], np.float64)
    x = (table[:, : SEMEION**2].reshape(-1, SEMEION, SEMEION) * 255).astype(np.uint8)
    labels = table[:, SEMEION**2 :].argmax(axis=1)
    ways: dict[str, Callable[[Any], Array]] = {
        "resized": lambda one: np.asarray(Image.fromarray(one).resize((28, 28))),
        "prepared": lambda one: photo.prepare(one).image,
        "prepared, with a margin": lambda one: photo.prepare(np.pad(one, 4)).image,
    }
    read = {name: answers(network, [way(one) for one in x]) == labels for name, way in ways.items()}
    return [[name, str(len(x)), percent(each.mean())] for name, each in read.items()]
