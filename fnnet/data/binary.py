"""Images to predict whose pixels are 0 and 1 alone: blank for a model of pixels up to 255, unless 1 is the ink."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data.blank import is_blank
from fnnet.data.notes import Note
from fnnet.data.ranges import WHOLE
from fnnet.data.reader import Content

BINARY: Final = "binary-pixels"
"""The code of the note that pixels are 0 and 1 alone, and look blank."""


def binary_pixels(
    content: Content, x: Array, shape: tuple[int, int], preprocessing: Preprocessing, where: Any
) -> Iterator[Note]:
    """Yield a note for a table of 0 and 1 alone that a model takes for blank images: 1 may be the ink.

    x   the images as the model takes them.
    """
    if content.pixel_ranges == (WHOLE,) and content.x.max() == 1 and is_blank(x, shape, preprocessing.faint).all():
        most = preprocessing.pixel_max
        text = f"pixels are 0 and 1 alone, of 0 to {most}: nearly blank; if 1 is the ink, multiply by {most}"
        yield Note(BINARY, f"{os.fsdecode(where)}: {text}")
