"""Notes on images that are unlike those of training: of the other ink, or dim."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data.blank import blank_predicted, is_blank
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.paper import GREY, means
from fnnet.data.preprocess import LOW, OTHERS, PURE, UNEVEN, shows_dark, spread
from fnnet.data.rare_ink import inverted, is_noted, most_looked_at
from fnnet.data.strokes import inks, looks_dark
from fnnet.errors import counted


def other_ink(sample: Array, shape: tuple[int, int], part: str, training: Array | None = None) -> Iterator[Note]:
    """Yield a note if all or some of a sample of a part's images, as a network takes them, are of the other ink.

    training   the images of the data set for training; None if a model has been trained.
    """
    text = _of_the_other(training is not None)
    alike = training is not None and shows_dark(spread(training), shape)
    if not alike and shows_dark(sample, shape):
        yield Note("other-ink", f"the {part} images show {text}")
        return
    count, of = _count_other(sample, shape, dark=not alike)
    if count <= OTHERS * of:
        return
    trained, all_trained = (0, 1) if training is None else _count_other(spread(training), shape, dark=not alike)
    if count / of - trained / max(all_trained, 1) > OTHERS:
        yield Note("other-ink", f"{count} of {counted(of, f'{part} image')} looked at show {text}: invert them")


def few_of_other_ink(x: Array, shape: tuple[int, int], part: str, *, beside: bool) -> Iterator[Note]:
    """Yield a note if a few of a part's images, as a network takes them, are inverted for sure: fewer than `other_ink`
    tells, which looks at fewer.

    beside   True if the part is one of a data set for training; False if a model has been trained.
    """
    rows = spread(np.arange(len(x)), most_looked_at(x.shape[1]))
    count = inverted(x, shape, rows)
    if is_noted(count, len(rows)):
        seen = f"{count} of {counted(len(rows), f'{part} image')} looked at {'shows' if count == 1 else 'show'}"
        yield Note("other-ink", f"{seen} {_of_the_other(beside)}: invert them")


def _of_the_other(beside: bool) -> str:
    others = "those of training" if beside else "those that the model was trained on"
    return f"ink of the other kind than {others}, dark for light or light for dark"


def _count_other(sample: Array, shape: tuple[int, int], *, dark: bool) -> tuple[int, int]:
    """Return how many images of a sample are sure to be of dark ink, or else of light ink, and of how many."""
    if (means(sample) >= GREY).mean() <= OTHERS:  # which settles MNIST
        return 0 if dark else len(sample), len(sample)
    sample = sample[sample.max(axis=1) - sample.min(axis=1) > PURE]  # others are blank
    if not len(sample):
        return 0, 0
    kinds = inks(sample, shape, spread(sample, UNEVEN))
    return int((kinds == (-1 if dark else 1)).sum()), len(kinds)


def dim_in(
    sample: Array, stored: Array, part: str, preprocessing: Preprocessing, training: Array | None = None
) -> Iterator[Note]:
    """Yield a note if a part's images, as a network takes them, are dim, and those of training are not.

    sample     of the part's images, as a network takes them.
    stored     all of them, as the file stores them.
    training   as in `other_ink`.
    """
    span = int(sample.max()) - int(sample.min())
    if not max(preprocessing.faint, 0) < span <= LOW:
        return
    if training is None:
        most = f"{preprocessing.pixel_max}, that of the model"
    elif np.ptp(spread(training)) > LOW:
        most = f"{preprocessing.pixel_max}, as for training"
    else:
        return
    if preprocessing.ink > preprocessing.paper:
        seen = f"the largest pixel of the {part} images is {int(stored.max())} of {most}"
    else:
        seen = f"light and dark differ in the {part} images by at most {span} of 255 levels, from 0 to {most}"
    yield Note("dim-pixels", f"{seen}: images so dim are read badly; scale them alike")


class Looks(NamedTuple):
    """What images to predict look like, bool (n,) each.

    other_ink   their ink is dark where that of the training images is light, or the other way round.
    blank       there is nothing on them; they are neither of the others.
    dim         their pixels differ by at most LOW of 255.
    """

    other_ink: Array
    blank: Array
    dim: Array


def looks_of(x: Array, shape: tuple[int, int], preprocessing: Preprocessing) -> Looks:
    """Return what images look like.

    x   as a network takes them, uint8 (n, height x width). Rows of a table look like nothing.
    """
    if preprocessing.scaling:
        return Looks(*np.zeros((3, len(x)), bool))
    blank = is_blank(x, shape, preprocessing.faint)
    dim = x.max(axis=1) - x.min(axis=1) <= LOW
    return Looks(looks_dark(x, shape) & ~blank, blank, dim & ~blank)


def unlike_training(x: Array, shape: tuple[int, int], preprocessing: Preprocessing, where: AnyPath) -> Iterator[Note]:
    """Yield a note for each way in which images to predict look unlike those of training.

    x       as in `looks_of`.
    where   names the file in the notes.
    """
    found, file, n = looks_of(x, shape, preprocessing), os.fsdecode(where), len(x)
    others, blanks, dims = (int(each.sum()) for each in found)
    firsts = [file if n == 1 else f"{file}[{int(each.argmax())}]" for each in found]
    if others:
        yield other_ink_in(file, others, n, preprocessing)
    if blanks:
        yield blank_predicted(blanks, n, firsts[1], "a model gives a class all the same")
    if dims:
        yield dim_predicted(dims, n, firsts[2])


def dim_predicted(count: int, of: int, first: str) -> Note:
    """Return the note that `count` of `of` images to predict are dim.

    first   the name of the first.
    """
    which = f"{first}: dim" if of == 1 else f"{count:,} of {of:,} images {'is' if count == 1 else 'are'} dim"
    text = f"{which}: light and dark differ by at most {LOW} of the 255 levels that the model takes"
    fix = "images so dim are read badly: scale them alike"
    return Note("dim-pixels", f"{text}; {fix}" if of == 1 else f"{text}; {fix}; the first is {first}")


def other_ink_in(file: str, count: int, of: int, preprocessing: Preprocessing) -> Note:
    """Return the note that `count` of `of` images in a file are of the other ink than those of training."""
    seen, trained = ("light", "dark") if preprocessing.ink < preprocessing.paper else ("dark", "light")
    which = "looks" if of == 1 else f"{count:,} of {of:,} images look"
    text = f"{file}: {which} like {seen} ink; the model was trained on {trained} ink: invert"
    return Note("other-ink", text)
