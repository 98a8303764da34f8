"""The samples of a PNG as grey bytes, as colours and as opacity."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.grey import over_black, weighed
from fnnet.data.opened import AnyPath
from fnnet.errors import counted
from fnnet.files.disk import refuse

SAVE: Final = "save it again as PNG"


class Png(NamedTuple):
    """The chunks of a PNG, with checksums and the length of the unpacked data verified, and EXIF's orientation."""

    header: bytes
    palette: bytes
    key: bytes
    data: bytes
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return int.from_bytes(self.header[:4], "big"), int.from_bytes(self.header[4:8], "big")

    @property
    def depth(self) -> int:
        """Bits of a sample."""
        return self.header[8]

    @property
    def colour(self) -> int:
        """Colour type."""
        return self.header[9]


def shades_of(png: Png, path: AnyPath) -> Array:
    """Return the grey of each entry of the palette; an empty array without a palette."""
    entries, left = divmod(len(png.palette), 3)
    keys = {0: (0, 2), 2: (0, 6), 3: range(entries + 1)}.get(png.colour)
    if png.colour == 3 and (left or not 1 <= entries <= 2**png.depth):
        found = counted(len(png.palette), "byte")
        refuse("damaged PNG: PLTE", path, "byte 33", f"1 to {2**png.depth} entries of 3 bytes", found, SAVE)
    if keys is not None and len(png.key) not in keys:
        expected = " or ".join(map(str, (keys[0], keys[-1])))
        refuse("damaged PNG: tRNS", path, "byte 33", f"{expected} bytes", len(png.key), SAVE)
    if png.colour != 3:
        return np.zeros(0, np.uint8)
    alpha = np.frombuffer(png.key + b"\xff" * (entries - len(png.key)), np.uint8)
    return over_black(weighed(np.frombuffer(png.palette, np.uint8).reshape(entries, 3)), alpha)


def grey_of(x: Array, png: Png, shades: Array, path: AnyPath) -> Array:
    """Convert the samples of some rows, as Pillow returns them, to grey bytes."""
    deep = png.depth == 16
    grey: Array
    if png.colour in (0, 3):
        most, levels = 2**png.depth - 1, _levels(x, png)
        if png.colour == 0:
            grey = ((levels * 255 + most // 2) // most).astype(np.uint8)
            if png.key:
                # Only the lowest bits of the key count, as many as a sample has (PNG, section 11.3.2.1).
                grey[levels == int.from_bytes(png.key, "big") & most] = 0
            return grey
        if levels.max() >= len(shades):
            expected = f"{counted(len(shades), 'colour')}, as PLTE has"
            refuse("damaged PNG: IDAT", path, "byte 33", expected, f"number {levels.max()}", SAVE)
        grey = shades[levels]
        return grey
    if png.colour == 2:
        grey = over_black(weighed(x), 255)
        if png.key:
            # Only the lowest bits of the key count here, too.
            grey[(x == np.frombuffer(png.key, ">u2") & 255).all(axis=2)] = 0
        return grey
    if png.colour == 6:
        return over_black(weighed(x), x[..., 3])
    if not deep:
        return over_black(x[..., 0].astype(np.uint32) * 2**16, x[..., 1])
    value, alpha = (each.astype(np.uint64) for each in samples_of(x, png))
    return ((value * alpha * 255 + 65535**2 // 2) // 65535**2).astype(np.uint8)


def samples_of(x: Array, png: Png) -> tuple[Array, ...]:
    """Return samples of 16 bits, as Pillow returns them, of grey or of grey and opacity, uint32."""
    if png.colour == 0:
        return (x.astype(np.uint32),)
    return tuple(x[..., i].astype(np.uint32) * 256 + x[..., i + 1] for i in (0, 2))


def _levels(x: Array, png: Png) -> Array:
    """Return the samples of some rows of grey or of a palette as the file has them, uint32."""
    if png.depth == 16:
        return x.astype(np.uint32)
    found: Array = x.astype(np.uint32) * (255 if x.dtype == bool else 1) * (2**png.depth - 1) // 255
    return found


def colours_of(x: Array, png: Png, wanted: bool) -> tuple[Array | None, Array | None]:
    """Return the colours of some rows from 0 to 255, (rows, columns, channels), and the opacity if it may differ.

    wanted   True if the colours are to be looked at; else they count only beside opacity.
    """
    if not png.key and png.colour not in (4, 6) and not (wanted and png.colour):
        return None, None
    if png.colour == 3:
        levels = _levels(x, png)
        palette = np.frombuffer(png.palette, np.uint8).reshape(-1, 3)
        opacity = np.frombuffer(png.key + b"\xff" * (len(palette) - len(png.key)), np.uint8)
        return palette[levels], opacity[levels] if png.key else None
    if png.colour == 0:
        levels, most = _levels(x, png), 2**png.depth - 1
        seen = _seen(levels != (int.from_bytes(png.key, "big") & most))
        return (levels * np.float32(255 / most))[..., None], seen
    if png.colour == 2:
        return x, _seen((x != np.frombuffer(png.key, ">u2") & 255).any(axis=2)) if png.key else None
    if png.colour == 6:
        return x[..., :3], x[..., 3]
    if png.depth == 8:
        return x[..., :1], x[..., 1]
    value, alpha = (x[..., i] + x[..., i + 1] / np.float32(256) for i in (0, 2))
    return value[..., None], alpha.astype(np.uint8)


def grey_of_deep(x: Array, png: Png) -> Array:
    """Convert samples of 16 bits, uint32 (rows, columns, 3 or 4), to grey bytes."""
    most, alpha = 65535, x[..., 3] if png.colour == 6 else np.uint32(65535)
    whole = most * most * 2**16
    grey: Array = ((weighed(x).astype(np.uint64) * alpha * 255 + whole // 2) // whole).astype(np.uint8)
    if png.key:
        grey[(x == np.frombuffer(png.key, ">u2")).all(axis=2)] = 0
    return grey


def colours_of_deep(x: Array, png: Png) -> tuple[Array, Array | None]:
    """Return samples of 16 bits as colours from 0 to 255, and the opacity if it may differ."""
    alpha = ((x[..., 3] * np.uint32(255) + 32767) // 65535).astype(np.uint8) if png.colour == 6 else None
    if png.key:
        alpha = _seen((x != np.frombuffer(png.key, ">u2")).any(axis=2))
    return x[..., :3].astype(np.float32) / np.float32(257), alpha


def _seen(where: Array) -> Array:
    """Return opacity: 255 where true, 0 elsewhere."""
    return where.astype(np.uint8) * np.uint8(255)
