"""Colour that carries the class, and that grey does not show: red against green of equal luma."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.grey import INKED, POINTS, points
from fnnet.data.notes import Note

VIVID: Final = 48
"""Channels of a pixel that differ by at most this are a tint: of paper, of a lamp, of a scanner."""
CELLS: Final = 4
"""Rows and columns of parts of an image, whose means are compared."""
LEAST: Final = 0.25
"""The fraction of the variance of a colour that the classes explain, at least."""
SURE: Final = 20.0
"""Fisher's F of it, at least: 3 of 100,000 measurements on 100 images of two classes have it by chance, and an image
has 34."""
LEVELS: Final = 3.0
"""The standard deviation of what cannot be seen, in levels of 255, which is added to all others."""
FEWEST: Final = 10
"""Images that can show it."""


def colour_notes(
    grey: Array, shape: tuple[int, int], colours: Array, labels: Array, where: str, ink: Array | None = None
) -> list[Note]:
    """Return a note if the classes of images differ in colour and less than half as much in grey.

    grey     the images as they are read, uint8 (n, height x width); some of a data set do.
    shape    (height, width).
    colours  theirs at some points, uint8 (n, POINTS, POINTS, 3); zeros for images without colours.
    labels   (n,).
    ink      the kinds of images, as in `Content`: of those that are opacity, the lightness of the ink is lost, too.
    """
    classes = len(np.unique(labels))
    if len(labels) < max(FEWEST, classes + 2) or classes < 2:
        return []
    red, green, blue = (np.ascontiguousarray(colours[..., k]) for k in range(3))
    vivid = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue) > VIVID
    inked = np.zeros(len(labels), bool) if ink is None else ink == INKED
    if not (vivid.any() or inked.any()):
        return []
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    chroma = [(each - luma) * vivid for each in (red, blue)]
    images = grey.reshape(-1, *shape)[:, points(shape[0])][:, :, points(shape[1])]
    # How light ink is where it is opaque; as grey in images that show it.
    light = np.where(inked[:, None, None], luma, images.astype(np.float32)) if inked.any() else luma[..., :0]
    lost = [*chroma, light] if light.size else chroma
    in_colour, sure = _explained(np.concatenate([_parts(each) for each in lost], axis=1), labels)
    shades = np.column_stack([_parts(images), grey.min(axis=1), grey.max(axis=1), grey.mean(axis=1)])
    in_grey, _ = _explained(shades.astype(np.float32), labels)
    if in_colour < LEAST or sure < SURE or in_grey >= in_colour / 2:
        return []
    text = f"{where}: the classes differ in colour more than in grey, and only grey is read: what colours show is lost"
    if inked.all():
        text = f"{where}: the classes differ in the colour of ink, of which only the opacity is read: colours are lost"
    return [Note("colour", text)]


def _parts(x: Array) -> Array:
    """Return the means of the parts of images (n, POINTS, POINTS), and of all: (n, CELLS**2 + 1)."""
    size = POINTS // CELLS
    parts = x.reshape(len(x), CELLS, size, CELLS, size).mean(axis=(2, 4)).reshape(len(x), -1)
    return np.column_stack([parts, parts.mean(axis=1)])


def _explained(features: Array, labels: Array) -> tuple[float, float]:
    """Return the fraction of a feature's variance that the classes explain, without what they would by chance, and
    Fisher's F, both of the feature that they explain best."""
    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    n, classes = len(labels), len(counts)
    means = np.zeros((classes, features.shape[1]))
    np.add.at(means, number, features)
    means /= counts[:, None]
    within = ((features - means[number]) ** 2).sum(axis=0) / (n - classes) + LEVELS**2
    between = (counts[:, None] * (means - features.mean(axis=0)) ** 2).sum(axis=0) / (classes - 1)
    total = (within * (n - classes) + between * (classes - 1)) / (n - 1)
    fraction = 1 - within / total
    best = int(fraction.argmax())
    return float(fraction[best]), float(between[best] / within[best])
