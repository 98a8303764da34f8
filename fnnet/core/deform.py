"""Deformation of images: shift, rotation, scale, shear and elastic bending, different in each epoch.

How an image is deformed depends on (seed, epoch, image number) alone, not on the batch, the order or the threads. The
definition fixes where numbers are rounded to float32 and calls no function of the C library, so that the compiled twin
gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core import rng
from fnnet.core.checks import as_array, calm, check_amount, check_count
from fnnet.core.params import Array, freeze
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, UsageError, counted

CHUNK: Final = 2048
"""Images that NumPy deforms in one pass."""
AFFINE_WORDS: Final = 8
MAX_SHIFT: Final = 1000.0
MAX_KNOTS: Final = 4096
FADING: Final = ("shift", "rotation", "scale", "shear", "elastic")
"""Figures of a deformation that fall to 0 where it fades; with all of them 0 an image stays as it is."""


class Deformation(NamedTuple):
    """Limits of the deformation; each image draws its own values, uniformly within them.

    shift        pixels: -shift to shift in each direction.
    rotation     degrees: -rotation to rotation about the centre of the image.
    scale        fraction: width and height are each multiplied by 1 - scale to 1 + scale.
    shear        fraction of the height by which a row moves sideways: -shear to shear.
    elastic      pixels: root mean square of the displacement in each direction (Simard, Steinkraus and Platt, ICDAR
                 2003, doi:10.1109/ICDAR.2003.1227801).
    correlation  pixels: standard deviation of the kernel that smooths the displacements.
    fade         fraction of the epochs of training, the last ones, over which the other limits fall to 0: see `faded`.
                 `deform` does not know how long training is, and leaves it alone.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    correlation: float = 5.0
    fade: float = 0.0


class Figures(NamedTuple):
    """A deformation as arrays, for images of one shape.

    limits   float64: shift, tangent of half the rotation, scale, shear, and 1 with elastic bending, else 0.
    by, bx   float32 (height, knots) and (knots, width): the weights of the grid's knots for each row and column.
    """

    limits: Array
    by: Array
    bx: Array


def check_deformation(deformation: Any) -> Deformation:
    """Return `deformation` if each value is within its range; raise UsageError otherwise."""
    if not isinstance(deformation, Deformation):
        kind = type(deformation).__name__
        raise ArgumentTypeError("not a deformation", expected="fnnet.core.deform.Deformation", found=kind)
    limits = {"shift": MAX_SHIFT, "rotation": 179.0, "scale": 0.9, "shear": 10.0, "elastic": MAX_SHIFT, "fade": 1.0}
    for name, most in limits.items():
        value = check_amount(name, getattr(deformation, name))
        if value > most:
            raise UsageError(f"{name} out of range", expected=f"0 to {most:g}", found=value)
    if check_amount("correlation", deformation.correlation, above=True) < 0.5:
        raise UsageError("correlation out of range", expected="at least 0.5 pixels", found=deformation.correlation)
    return deformation


def faded(deformation: Deformation, epoch: int, epochs: int) -> Deformation:
    """Return the deformation of epoch `epoch`, counted from 1, of a training of `epochs` epochs.

    All limits but the correlation are multiplied by min(1, (epochs - epoch + 1/2) / (fade * epochs)): they fall to 0 in
    a straight line over the last part `fade` of training, and are in each epoch as in its middle.
    Raises   UsageError for values out of range, and for an epoch after the last.

    >>> weaker = faded(Deformation(rotation=10.0, fade=0.5), 4, epochs=4)
    >>> weaker.rotation, weaker.fade
    (2.5, 0.0)
    """
    check_deformation(deformation)
    epoch = check_count("epoch", epoch, 1)
    left = check_count("epochs", epochs, epoch) - epoch + 0.5
    share = min(1.0, left / (deformation.fade * epochs)) if deformation.fade else 1.0
    weaker = {name: share * getattr(deformation, name) for name in FADING}
    return deformation._replace(**weaker, fade=0.0)


def check_image_shape(given: Any) -> tuple[int, int]:
    """Return `given` as (height, width), ints of at least 1; raise UsageError otherwise."""
    try:
        height, width = given if isinstance(given, (tuple, list, np.ndarray)) else ()
    except (TypeError, ValueError):
        raise UsageError("image shape", expected="(height, width)", found=repr(given)) from None
    return check_count("image height", height, 1), check_count("image width", width, 1)


def check_images(x: Any, image_shape: Any) -> tuple[Array, tuple[int, int]]:
    """Return `x` as a uint8 array (n, height * width), and (height, width); raise UsageError if they do not fit."""
    images = as_array("images to deform are not uint8", x, "u", "uint8")
    if images.dtype != np.uint8:
        raise ArgumentTypeError("images to deform are not uint8", expected="uint8", found=images.dtype)
    height, width = check_image_shape(image_shape)
    if images.ndim != 2 or images.shape[1] != height * width:
        expected = f"shape (n, {height} * {width})"
        raise UsageError("images do not fit their shape", expected=expected, found=images.shape)
    return images, (height, width)


@calm
def deform(
    x: Any,
    image_shape: tuple[int, int],
    deformation: Deformation,
    *,
    seed: int,
    epoch: int,
    samples: Any = None,
    kernels: Kernels = NUMPY,
) -> Array:
    """Deform the images `x`, uint8 (n, height * width), as in epoch `epoch`.

    Pixel (i, j) of the result is the image at c + M ((j, i) - c - shift) + bend(j, i), interpolated between the four
    nearest pixels, where c is the image's centre and M the inverse of rotation, scale and shear. The bend is a uniform
    cubic B-spline with knots sqrt(3) correlation apart: its basis functions have the standard deviation `correlation`.

    samples  the numbers of the images in their data set, integers (n,); None for 0, 1, ...
    Returns  read-only uint8 (n, height * width); pixels from outside the image are 0.
    Raises   UsageError for values out of range, images that do not fit `image_shape`, or a wrong number of samples.

    >>> import numpy as np
    >>> x = np.zeros((1, 28 * 28), np.uint8)
    >>> x[0, 28 * 14 + 14] = 255
    >>> shifted = deform(x, (28, 28), Deformation(shift=3.0), seed=0, epoch=1)
    >>> shifted.shape, bool((shifted == x).all())
    ((1, 784), False)
    >>> again = deform(x, (28, 28), Deformation(shift=3.0), seed=0, epoch=1)
    >>> bool((shifted == again).all())
    True
    """
    images, image_shape = check_images(x, image_shape)
    deformation = check_deformation(deformation)
    check_kernels(kernels)
    wanted = f"{counted(len(images), 'integer')} >= 0"
    numbers = np.arange(len(images)) if samples is None else as_array("samples", samples, "iu", wanted)
    if numbers.shape != (len(images),) or (numbers.size and numbers.min() < 0):
        raise UsageError("samples", expected=wanted, found=f"shape {numbers.shape}, dtype {numbers.dtype}")
    place = rng.check_seed(seed), rng.check_seed(epoch, "epoch")
    figures = _figures(deformation, image_shape)
    if kernels.deform is not None:
        return freeze(kernels.deform(images, image_shape, numbers, place, figures, kernels.threads))
    out = np.empty(images.shape, np.uint8)
    for first in range(0, len(images), CHUNK):
        part = slice(first, first + CHUNK)
        out[part] = _deform(images[part], image_shape, numbers[part], place, figures)
    return freeze(out)


def _figures(deformation: Deformation, image_shape: tuple[int, int]) -> Figures:
    tangent = math.tan(math.radians(deformation.rotation) / 2)
    limits = (deformation.shift, tangent, deformation.scale, deformation.shear, float(deformation.elastic > 0))
    if not deformation.elastic:
        height, width = image_shape
        return Figures(np.array(limits), np.zeros((height, 1), np.float32), np.zeros((1, width), np.float32))
    by, bx = (_splines(size, deformation.correlation) for size in image_shape)
    if by.shape[1] * bx.shape[1] > MAX_KNOTS:
        found = f"{by.shape[1]} x {bx.shape[1]} knots"
        raise UsageError("correlation too small for such images", expected=f"at most {MAX_KNOTS} knots", found=found)
    # The variance of a knot's number, and that of a pixel's sum over the knots, averaged over the image.
    variance = 2 * (65536**2 - 1) / 12 * (by**2).sum(axis=1).mean() * (bx**2).sum(axis=1).mean()
    by = by * (deformation.elastic / math.sqrt(variance))
    return Figures(np.array(limits), by.astype(np.float32), bx.T.astype(np.float32))


def _splines(size: int, correlation: float) -> Array:
    """Return cubic B-splines at centred knots sqrt(3) correlation apart: float64 (size, knots)."""
    spacing, middle = math.sqrt(3) * correlation, (size - 1) / 2
    knots = math.floor(2 * middle / spacing) + 4
    distance = np.abs((np.arange(size)[:, None] - middle) / spacing - (np.arange(knots) - (knots - 1) / 2))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, (2 - distance) ** 3 / 6
    splines: Array = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    return splines


def _words(count: int, numbers: Array, place: tuple[int, int], start: int) -> Array:
    """Return `count` words of each image from word `start` on, uint64 (n, count)."""
    seed, epoch = place
    each = [rng.words(seed, "augment", count, epoch=epoch, step=int(n), start=start) for n in numbers]
    return np.array(each, np.uint64).reshape(len(numbers), count)


def _affine(words: Array, limits: Array, image_shape: tuple[int, int]) -> Sequence[Array]:
    """Return m00, m01, m10, m11 and the offsets in x and y of each image; float64, then rounded to float32."""
    shift_x, shift_y, turn, across, along, shear = ((words[:, :6] >> np.uint64(11)) * 2.0**-52 - 1.0).T
    shift_x, shift_y, t = limits[0] * shift_x, limits[0] * shift_y, limits[1] * turn
    across, along, shear = 1.0 + limits[2] * across, 1.0 + limits[2] * along, limits[3] * shear
    cos, sin = (1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)
    m00, m01 = (cos + shear * sin) / across, (sin - shear * cos) / across
    m10, m11 = -sin / along, cos / along
    y, x = (image_shape[0] - 1) / 2.0, (image_shape[1] - 1) / 2.0
    add_x = x - (m00 * (x + shift_x) + m01 * (y + shift_y))
    add_y = y - (m10 * (x + shift_x) + m11 * (y + shift_y))
    return [each.astype(np.float32)[:, None, None] for each in (m00, m01, m10, m11, add_x, add_y)]


def _bends(words: Array, figures: Figures) -> tuple[Array, Array]:
    """Return the displacements of each pixel in x and y, float32 (n, height, width) each."""
    (height, knots_y), (knots_x, width) = figures.by.shape, figures.bx.shape
    pieces = words.astype("<u8").view("<u2").reshape(len(words), knots_y, knots_x, 4).astype(np.int64)
    bends = []
    for pair in (pieces[..., 0] + pieces[..., 1], pieces[..., 2] + pieces[..., 3]):
        grid = (pair - 65535).astype(np.float32)
        sums: Array = np.zeros((len(words), knots_y, width), np.float32)
        for knot in range(knots_x):
            sums = sums + grid[:, :, knot, None] * figures.bx[knot]
        bend: Array = np.zeros((len(words), height, width), np.float32)
        for knot in range(knots_y):
            bend = bend + figures.by[:, knot, None] * sums[:, knot, None]
        bends.append(bend)
    return bends[0], bends[1]


def _deform(x: Array, image_shape: tuple[int, int], numbers: Array, place: tuple[int, int], figures: Figures) -> Array:
    """Deform a few images: the definition."""
    height, width = image_shape
    n, knots = len(x), figures.by.shape[1] * figures.bx.shape[0]
    m00, m01, m10, m11, add_x, add_y = _affine(_words(AFFINE_WORDS, numbers, place, 0), figures.limits, image_shape)
    i: Array = np.arange(height, dtype=np.float32)[:, None]
    j: Array = np.arange(width, dtype=np.float32)
    source_x: Array = m00 * j + (m01 * i + add_x)
    source_y: Array = m10 * j + (m11 * i + add_y)
    if figures.limits[4] > 0:
        bend_x, bend_y = _bends(_words(knots, numbers, place, AFFINE_WORDS), figures)
        source_x, source_y = source_x + bend_x, source_y + bend_y
    column, right = _split(source_x, width)
    row, down = _split(source_y, height)
    wide = np.zeros((n, height + 3, width + 3), np.float32)
    wide[:, 1 : height + 1, 1 : width + 1] = x.reshape(n, height, width)
    image = np.arange(n)[:, None, None]

    def between(a: Array, b: Array, share: Array) -> Array:
        middle: Array = a + share * (b - a)
        return middle

    upper = between(wide[image, row, column], wide[image, row, column + 1], right)
    lower = between(wide[image, row + 1, column], wide[image, row + 1, column + 1], right)
    value = np.floor(between(upper, lower, down) + np.float32(0.5))
    return value.astype(np.uint8).reshape(n, height * width)


def _split(place: Array, size: int) -> tuple[Array, Array]:
    """Return the coordinates, clipped to [-1, size], as their floor plus 1 and their fractional part."""
    place = np.clip(place, np.float32(-1), np.float32(size))
    below = np.floor(place)
    return below.astype(np.int64) + 1, place - below
