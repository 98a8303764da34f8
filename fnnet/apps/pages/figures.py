"""Figures of a page as HTML: images and heat maps as PNG in the page.

In a heat map the colour is the sign of a number, and its opacity the size: 0 is the page itself, light or dark.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from fnnet.apps.pages.numbers import MINUS, grey, number, signed
from fnnet.core.params import Array

POSITIVE: Final = (45, 125, 210)
NEGATIVE: Final = (225, 110, 20)
"""Blue and orange: apart for colour-blind readers, too."""
UNITS: Final = 20
"""Units whose weights are drawn as images."""


def png(pixels: Array) -> str:
    """Return an image, uint8 (height, width) or (height, width, 4), as the URI of a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def heat(array: Array, top: float) -> str:
    """Return a matrix as the URI of a PNG file; a number of size `top` is opaque. NaN is 0."""
    opacity = np.clip(np.nan_to_num(abs(array)) / (top or 1.0), 0.0, 1.0)
    pixels = np.zeros((*array.shape, 4), np.uint8)
    pixels[..., :3] = np.where((array > 0)[..., None], *np.array([POSITIVE, NEGATIVE], np.uint8))
    pixels[..., 3] = np.rint(255 * opacity)
    return png(pixels)


def picture(image: Array, shape: tuple[int, int], text: str) -> str:
    """Return an image, bytes or floats (height x width,), light ink on black."""
    return f'<img class="picture" src="{png(grey(image).reshape(shape))}" alt="{escape(text)}">'


def unit_images(rows: Array, shape: tuple[int, int], top: float, about: str) -> str:
    """Return the columns of a matrix as images, those with the largest numbers if there are many."""
    count = rows.shape[1]
    units: Sequence[int] = range(count)
    if count > UNITS:
        sizes = np.nan_to_num(abs(rows)).max(axis=0)
        units = sorted(np.argsort(-sizes, kind="stable")[:UNITS].tolist())
    each = "".join(
        f'<span><img class="unit" src="{heat(rows[:, unit].reshape(shape), top)}" alt="">{unit}</span>'
        for unit in units
    )
    note = f"<p>{UNITS} of {count:,} units, those with the largest numbers.</p>" if count > UNITS else ""
    return f'<div class="units" role="img" aria-label="{escape(about)}, an image for each unit">{each}</div>{note}'


def figure(caption: str, content: str, below: str = "") -> str:
    """Return a figure: its caption and what is in it, as HTML."""
    return f"<figure><figcaption>{caption}</figcaption>{content}{below}</figure>"


def legend(top: float) -> str:
    """Return the colours of a heat map, from -top to top."""
    size = signed(number(top))
    return f'<p class="legend"><span>{MINUS}{size}</span><i></i><span>{size}</span></p>'
