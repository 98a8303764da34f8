"""Images on which there is nothing, as a network takes them: empty pages, with the noise of scanners and of JPEG."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data.notes import Note
from fnnet.data.paper import SMALLEST, means, medians, middle, outside
from fnnet.errors import counted

FAINT: Final = Preprocessing().faint
"""What is paler than this is not read. Of MNIST's test digits, as pale as that, `quick` reads 53%, and 20% where the
paper is noisy; as they are, 98%. The palest image of MNIST and of the bundled digits differs from its paper by 206, of
784 pixels of paper with noise of a standard deviation of 5 by at most 18, and with a shadow of 30 levels by 18."""
SPECKS: Final = 3
"""Pixels that may differ by more: dust."""
PARTS: Final = 8
"""Of a training set that is paler, this part of the contrast that half of its images have is the limit."""
SOME: Final = 0.02
"""With a larger part of a training set blank than this, and more than FEW images, a network knows what they are."""
FEW: Final = 2
USUAL: Final = 100
"""Images whose contrast shows what is usual: 0.4 ms, and all the others are judged in less."""
PALE: Final = 64
"""Paper is at most as light where ink and paper are told apart at once."""
PLAIN: Final = PALE // 2
"""The same where ink is to be lighter by the contrast of which FAINT is a part."""
MOST_PIXELS: Final = 300 * 1024
"""Pixels of a data set that are looked at: it takes 3 ms."""


def is_blank(x: Array, shape: tuple[int, int], faint: int) -> Array:
    """Return True for each blank image, bool (n,).

    x       as a network takes it, uint8 (n, height x width).
    shape   (height, width); an image of fewer than four rows or columns is never blank.
    faint   as in `Preprocessing`.
    """
    blank = np.zeros(len(x), bool)
    if faint < 0 or min(shape) < SMALLEST or not len(x):
        return blank
    rows = np.flatnonzero(~_shows_ink(x, faint))
    # The mean of a blank image is near its median: many of the others are settled by it, in a tenth of the time.
    some = x[rows]
    mean, reach = means(some), 2 * faint + 255 * SPECKS / x.shape[1] + 1
    low, high = (mean - reach).clip(0, 255), (mean + reach).clip(0, 255)
    rows = rows[outside(some, low, high) <= SPECKS]
    blank[rows] = contrast(x[rows]) <= faint
    return blank


def _shows_ink(x: Array, faint: int) -> Array:
    """Return True for each image that has ink and paper in its middle, bool (n,): more pixels of either than may be
    specks, too far apart for any median. A part of a millisecond for 300 images of 28x28 pixels, and few are left.
    """
    some = middle(x)
    paper, ink = (some <= PALE).sum(axis=1), (some > PALE + 2 * faint).sum(axis=1)
    found: Array = (paper > SPECKS) & (ink > SPECKS)
    return found


def contrast(x: Array) -> Array:
    """Return by how much the pixels of each image, all but SPECKS, differ from their median at most, (n,)."""
    n, pixels = x.shape
    if not n:
        return np.zeros(0)
    middle = (pixels - 1) // 2, pixels // 2
    few = min(SPECKS + 1, pixels)
    # The darkest and the lightest few are put in order apart: in half of the time.
    ordered = np.partition(x, sorted({few - 1, *middle, pixels - few}), axis=1)
    median = ordered[:, middle].mean(axis=1)
    least, most = np.sort(ordered[:, :few]), np.sort(ordered[:, pixels - few :])
    # What is left when k of the darkest pixels and SPECKS - k of the lightest are passed over.
    left = np.maximum(median[:, None] - least, most - median[:, None])
    found: Array = left.min(axis=1)
    return found


def faint_of(sample: Array, shape: tuple[int, int], n: int) -> tuple[int, list[Note]]:
    """Return up to which contrast images of the kind of a training set are blank, and a note if some of it are.

    sample   images of the set, as a network takes them, uint8 (images, pixels), at least one.
    n        the images of the set.
    """
    if min(shape) < SMALLEST:
        return FAINT, []
    sample = _few(sample)
    faint = min(FAINT, _usual(sample[:: -(-len(sample) // USUAL)]) // PARTS)
    count = int(is_blank(sample, shape, faint).sum())
    known = count > max(FEW, SOME * len(sample)) or 2 * count > len(sample)
    also = ": a model trained on them takes blank images as it does others" if known else ""
    notes = [Note("blank", f"{_counts(count, len(sample), n, 'training')}{also}")] if count else []
    return -1 if known else faint, notes


def _usual(sample: Array) -> int:
    """Return the contrast that half of a sample's images have, or, in a tenth of the time, one above which FAINT is the
    limit.
    """
    enough = PARTS * FAINT
    paper, ink = (sample <= PLAIN).sum(axis=1), (sample > PLAIN + enough).sum(axis=1)
    plain = (2 * paper > sample.shape[1]) & (ink > SPECKS)  # the median is paper
    if 2 * plain.sum() > len(plain):
        return enough
    return int(medians(contrast(sample)[None])[0])


def blank_in(sample: Array, shape: tuple[int, int], n: int, part: str, faint: int) -> list[Note]:
    """Return a note if some images of a part of a data set are blank; see `faint_of`."""
    sample = _few(sample)
    count = int(is_blank(sample, shape, faint).sum())
    return [Note("blank", _counts(count, len(sample), n, part))] if count else []


def _few(sample: Array) -> Array:
    """Return fewer images of a sample if they are large."""
    return sample[:: -(-sample.size // MOST_PIXELS)]


def blank_predicted(count: int, of: int, first: str, what: str) -> Note:
    """Return the note that `count` of `of` images to predict are blank.

    first   the name of the first.
    what    becomes of them.
    """
    if of == 1:
        return Note("blank", f"{first}: blank or nearly blank: {what}")
    text = f"{count:,} of {of:,} images {_are(count)} blank or nearly blank: {what}; the first is {first}"
    return Note("blank", text)


def _counts(count: int, of: int, n: int, part: str) -> str:
    looked = " looked at" if of < n else ""
    return f"{count:,} of {counted(of, f'{part} image')}{looked} {_are(count)} blank or nearly blank"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
