"""Notes, once each in a process, on inputs that are not scaled as they look: only bytes are divided by 255.

Floats may look like pixels from 0 to 255, and bytes like truth values.
"""

from __future__ import annotations

import itertools
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Final

import numpy as np

from fnnet.core.params import Array

FIRST, EVERY = 16, 256
"""Look at the FIRST arrays of floats, and then at one of EVERY: a look takes 10 us."""
HERE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
LIGHT: Final = 128
"""Pixels that are not whole are noted from here on: measurements of other things are often less, pictures seldom."""


def _turns() -> Iterator[bool]:
    return itertools.chain(itertools.repeat(True, FIRST), itertools.cycle([False] * (EVERY - 1) + [True]))


turns = _turns()
"""True where the next array is to be looked at, False after the note; asking takes 50 ns and enters no frame."""
turns_of_bytes = _turns()
"""The same for arrays of bytes."""


def note_pixels(x: Array) -> None:
    """Warn, once in a process, if the floats `x` (n, inputs) look like pixels from 0 to 255.

    They do if up to three rows, spread over `x`, hold whole numbers from 0 to 255 alone, one of them above 1; or any
    numbers from 0 to 255, one of them at least LIGHT, as pictures of another size do. Standardised inputs have negative
    ones.
    """
    global turns  # noqa: PLW0603
    rows = x[:: max(1, len(x) // 2)]
    largest = rows.max()
    if not (1 < largest <= 255 and rows.min() >= 0 and (largest >= LIGHT or (rows == np.rint(rows)).all())):
        return
    turns = itertools.repeat(False)
    fix = "give x / 255, or bytes by x.astype(np.uint8), which are divided"
    warn(f"x looks like pixels from 0 to 255, and floats are taken as they are; {fix}")


def note_bits(x: Array) -> None:
    """Warn, once in a process, if the bytes `x` (n, inputs) are 0 and 1 alone, in up to three rows spread over it."""
    global turns_of_bytes  # noqa: PLW0603
    if x[:: max(1, len(x) // 2)].max() != 1:
        return
    turns_of_bytes = itertools.repeat(False)
    fix = "give x * 255, or floats by x.astype(np.float32), which are not divided"
    warn(f"x looks like truth values, 0 and 1, and bytes are divided by 255; {fix}")


def warn(text: str) -> None:
    """Warn at the line outside this package that called it."""
    level, frame = 2, sys._getframe().f_back
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)
