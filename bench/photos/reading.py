"""How photos become what a network takes: as a user without preparation would do it, and prepared."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data import photo

SIDE: Final = 28


class Looked(NamedTuple):
    """What a network takes, bytes (28, 28), and what speaks for a digit, if it was prepared."""

    image: Array
    contrast: float | None = None


Way = Callable[[bytes], Looked]


def opened(file: bytes) -> Any:
    """Return the picture in a file as Pillow has it: not turned as EXIF says."""
    from PIL import Image

    return Image.open(io.BytesIO(file))


def resized(file: bytes) -> Looked:
    """Return a photo as it is, grey and resized."""
    return Looked(np.asarray(opened(file).convert("L").resize((SIDE, SIDE))))


def inverted(file: bytes) -> Looked:
    """Return a photo inverted and resized."""
    return Looked(255 - resized(file).image)


def prepared(file: bytes) -> Looked:
    """Return a photo as fnnet prepares it."""
    found = photo.prepare(opened(file))
    return Looked(found.image, found.evidence.contrast)


WAYS: Final[dict[str, Way]] = {"resized": resized, "inverted": inverted, "prepared": prepared}


class Seen(NamedTuple):
    """A digit that was found on a page: its box in the upright picture, and what a network takes."""

    box: tuple[int, int, int, int]
    image: Array


def seen_on(file: bytes) -> list[Seen]:
    """Return the digits that fnnet finds on a page, in the order in which it reads them."""
    return [Seen(each.box, each.prepared.image) for each in photo.find(opened(file))]
