"""Image files as rows of bytes: 0 the background, 255 the ink."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple, NoReturn

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.errors import DataError
from fnnet.files.disk import looks_like_html, open_regular, refuse, show_bytes, unreadable

PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS: Final = 2**24
MAX_SIDE: Final = 2**15
MAX_CHUNKS: Final = 2**15
MAX_ASIDE: Final = 16 * 2**20
"""Bytes of chunks that are no image: text, profiles."""
PIECE: Final = 2**16
STRIP: Final = 2**18
"""Pixels that are converted at a time."""
SAVE: Final = "save it again as PNG"
DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour type of the format (grey, RGB, palette, grey and alpha, RGB and alpha) -> bits of a sample."""
SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
SIZES: Final = {b"IHDR": (13, 13), b"PLTE": (3, 768), b"tRNS": (1, 256), b"IEND": (0, 0)}
ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, steps in x and y of the passes of an interlaced image."""
KINDS: Final = (
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"BM", "a BMP image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"RIFF", "a WebP image"),
    (b"\0\0\1\0", "an icon"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG file"),
    (b"%PDF", "a PDF file"),
)


class _Png(NamedTuple):
    """What the chunks of a PNG hold, their checksums and the length of the unpacked data found right."""

    header: bytes
    palette: bytes
    key: bytes
    data: bytes

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


def read_png(path: str | os.PathLike[str], shape: tuple[int, int] | None = None) -> Array:
    """The grey image in a PNG file, read-only uint8 (height, width).

    Colour becomes luma (ITU-R 601), transparency is laid over black, 16 bits of grey are scaled to 8 and rounded, of
    16 bits of colour the upper 8 are taken. Gamma, colour profiles and the rotation that EXIF may ask for are left
    aside: pixels are taken as they are stored. Animations are refused.
    shape    (height, width) that the image must have, or None for any of up to 16 million pixels.
    Raises   DataError for another size, a damaged file or one that is no PNG.
    """
    with open(open_regular(path), "rb") as file:
        try:
            return freeze(_decode(_read(file, shape, path), path))
        except DataError:
            raise
        except OSError as error:
            raise unreadable(path, error) from None


def _fail(problem: str, path: str | os.PathLike[str], at: int, expected: object, found: object, fix: str) -> NoReturn:
    refuse(problem, path, f"byte {at}", expected, found, fix)


class _Chunks:
    """The chunks of a PNG one by one, read once; the checksum of each is looked at when it has been read."""

    def __init__(self, file: IO[bytes], path: str | os.PathLike[str]) -> None:
        self.file, self.path, self.at = file, path, 0

    def take(self, count: int) -> bytes:
        content = self.file.read(count)
        self.at += len(content)
        if len(content) < count:
            _fail("PNG cut short", self.path, self.at, f"{count} bytes more", f"{len(content)}", SAVE)
        return content

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """Kind and length of each, up to the end of the file. Whoever takes a chunk reads its content."""
        for _ in range(MAX_CHUNKS):
            length, kind = int.from_bytes(self.take(4), "big"), self.take(4)
            if length >= 2**31 or not kind.isalpha():
                _fail("damaged PNG", self.path, self.at - 8, "a chunk", f"{show_bytes(kind)}, {length:,} bytes", SAVE)
            yield kind, length
            if kind == b"IEND":
                return
        _fail("too many chunks", self.path, self.at, f"at most {MAX_CHUNKS:,}", "more", SAVE)

    def content(self, kind: bytes, length: int) -> Iterator[bytes]:
        """The content of a chunk in pieces, then its checksum."""
        began, checksum = self.at, zlib.crc32(kind)
        while length:
            piece = self.take(min(length, PIECE))
            length -= len(piece)
            checksum = zlib.crc32(piece, checksum)
            yield piece
        expected, found = f"{checksum:08x}", self.take(4).hex()
        if found != expected:
            name = kind.decode("ascii")
            _fail(f"damaged PNG: checksum of {name}", self.path, began, expected, found, SAVE)


def _check_magic(file: IO[bytes], path: str | os.PathLike[str]) -> None:
    magic = file.read(16)
    if not magic.startswith(PNG_MAGIC):
        kinds = (name for start, name in KINDS if magic.startswith(start))
        found = "an HTML page" if looks_like_html(magic) else next(kinds, show_bytes(magic))
        _fail("not a PNG image", path, 0, "PNG", found, SAVE)
    file.seek(0)


def _read(file: IO[bytes], shape: tuple[int, int] | None, path: str | os.PathLike[str]) -> _Png:
    _check_magic(file, path)
    chunks = _Chunks(file, path)
    chunks.take(len(PNG_MAGIC))
    kept: dict[bytes, bytes] = {}
    data: list[bytes] = []
    header, before, unpacked, aside, inflater = b"", b"", 0, 0, zlib.decompressobj()
    for kind, length in chunks:
        at = chunks.at - 8
        if (kind == b"IHDR") == bool(header) or kind in kept or (kind == b"IDAT" and data and before != kind):
            _fail("damaged PNG", path, at, "IHDR first and each chunk in its order", kind.decode("ascii"), SAVE)
        if kind == b"IDAT":
            for piece in chunks.content(kind, length):
                data.append(piece)
                unpacked = _unpack(inflater, piece, unpacked, _raw_bytes(header), chunks)
        elif kind in SIZES:
            _check_chunk(kind, length, bool(data), chunks)
            kept[kind] = b"".join(chunks.content(kind, length))
            header = header or _check_header(kept[kind], shape, path)
        else:
            aside += length
            _check_aside(kind, aside, chunks)
            for _ in chunks.content(kind, length):
                pass
        before = kind
    if file.read(1):
        _fail("data after the end of the image", path, chunks.at, "end of file", "more bytes", SAVE)
    if not inflater.eof or unpacked != _raw_bytes(header):
        _fail("damaged PNG: IDAT", path, chunks.at, f"{_raw_bytes(header):,} bytes unpacked", f"{unpacked:,}", SAVE)
    return _Png(header, kept.get(b"PLTE", b""), kept.get(b"tRNS", b""), b"".join(data))


def _check_chunk(kind: bytes, length: int, late: bool, chunks: _Chunks) -> None:
    """A chunk of the image by its length and place."""
    least, most = SIZES[kind]
    if not least <= length <= most or (kind != b"IEND" and late):
        name, found = kind.decode("ascii"), f"{length:,} bytes{' behind it' if late else ''}"
        expected = f"{least} to {most} bytes before IDAT"
        _fail(f"damaged PNG: {name}", chunks.path, chunks.at - 8, expected, found, SAVE)


def _check_aside(kind: bytes, total: int, chunks: _Chunks) -> None:
    """A chunk that is no part of the image."""
    name = kind.decode("ascii")
    if kind in (b"acTL", b"fcTL", b"fdAT"):
        _fail("an animation", chunks.path, chunks.at - 8, "one image", name, "save a single frame")
    if kind[:1].isupper():
        expected = "chunks that PNG knows"
        _fail("unsupported PNG", chunks.path, chunks.at - 8, expected, name, SAVE)
    if total > MAX_ASIDE:
        expected, fix = f"at most {MAX_ASIDE:,} bytes beside the image", "save it again without text and profiles"
        _fail("unsupported PNG", chunks.path, chunks.at - 8, expected, f"{total:,}", fix)


def _unpack(inflater: Any, piece: bytes, unpacked: int, wanted: int, chunks: _Chunks) -> int:
    """How many bytes the image data has unpacked to, which is no more than the header tells."""
    try:
        while piece or not inflater.eof:
            content = inflater.decompress(piece, PIECE)
            unpacked, piece = unpacked + len(content), inflater.unconsumed_tail
            if unpacked > wanted or inflater.unused_data:
                expected, found = f"{wanted:,} bytes unpacked", "more"
                _fail("damaged PNG: IDAT", chunks.path, chunks.at, expected, found, SAVE)
            if not content and not piece:
                break
    except zlib.error as error:
        _fail("damaged PNG: IDAT", chunks.path, chunks.at, "a zlib stream", str(error), SAVE)
    return unpacked


def _check_header(header: bytes, shape: tuple[int, int] | None, path: str | os.PathLike[str]) -> bytes:
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    found = f"{width}x{height}"
    if shape is not None and (height, width) != shape:
        fix = "scale the image to that size, light ink on black"
        _fail("image size does not fit", path, 16, f"{shape[1]}x{shape[0]} pixels", found, fix)
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        expected = f"at most {MAX_PIXELS:,} pixels, {MAX_SIDE:,} a side"
        _fail("image too large", path, 16, expected, found, "scale it down")
    if width * height == 0:
        _fail("image without pixels", path, 16, "1x1 or more", found, SAVE)
    depth, colour, packing, filtering, interlace = header[8:]
    if depth not in DEPTHS.get(colour, ()) or packing or filtering or interlace > 1:
        expected = "bits, colour, compression, filter and interlacing that PNG knows"
        _fail("unsupported PNG", path, 24, expected, tuple(header[8:]), SAVE)
    return header


def _raw_bytes(header: bytes) -> int:
    """The bytes that the image data unpacks to: lines of whole bytes, each behind a byte that tells its filter."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * SAMPLES[header[9]]
    passes = [(-(-(width - x) // by), -(-(height - y) // down)) for x, y, by, down in ADAM7] if header[12] else []
    return sum(
        rows * (1 + -(-columns * bits // 8)) for columns, rows in passes or [(width, height)] if columns > 0 < rows
    )


def _decode(png: _Png, path: str | os.PathLike[str]) -> Array:
    """Pillow unpacks the samples, which become grey a strip at a time.

    It is given the chunks of the image alone, and two kinds by another name: a palette as grey, so that what is
    looked up is the number in the file, and 16 bits of grey and alpha as four samples of 8, so that none is lost.
    """
    from PIL import Image

    depth, colour = png.depth, png.colour
    if colour == 2 and depth == 16 and png.key:
        expected = "8 bits where a colour is transparent"
        _fail("unsupported PNG", path, 24, expected, "16 bits", "save it with 8 bits a sample")
    given = {3: (depth, 0), 4: (8, 6 if depth == 16 else 4)}.get(colour, (depth, colour))
    header = png.header[:8] + bytes(given) + png.header[10:]
    content = PNG_MAGIC + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, png.data, b"")))
    width, height = png.size
    grey, shades = np.empty((height, width), np.uint8), _shades(png, path)
    rows = max(1, STRIP // width)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            for top in range(0, height, rows):
                bottom = min(top + rows, height)
                grey[top:bottom] = _grey(np.asarray(image.crop((0, top, width, bottom))), png, shades, path)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        _fail("damaged PNG: IDAT", path, 33, "an image", str(error), SAVE)
    return grey


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")


def _shades(png: _Png, path: str | os.PathLike[str]) -> Array:
    """The grey of each entry of the palette; none where there is no palette."""
    entries, left = divmod(len(png.palette), 3)
    keys = {0: (0, 2), 2: (0, 6), 3: range(entries + 1)}.get(png.colour)
    if png.colour == 3 and (left or not 1 <= entries <= 2**png.depth):
        found = f"{len(png.palette)} bytes"
        _fail("damaged PNG: PLTE", path, 33, f"1 to {2**png.depth} entries of 3 bytes", found, SAVE)
    if keys is not None and len(png.key) not in keys:
        expected = " or ".join(map(str, (keys[0], keys[-1])))
        _fail("damaged PNG: tRNS", path, 33, f"{expected} bytes", len(png.key), SAVE)
    if png.colour != 3:
        return np.zeros(0, np.uint8)
    alpha = np.frombuffer(png.key + b"\xff" * (entries - len(png.key)), np.uint8)
    return _over_black(_weighed(np.frombuffer(png.palette, np.uint8).reshape(entries, 3)), alpha)


def _grey(x: Array, png: _Png, shades: Array, path: str | os.PathLike[str]) -> Array:
    """The samples of some rows, as Pillow has them, as grey bytes."""
    deep = png.depth == 16
    grey: Array
    if png.colour in (0, 3):
        most = 2**png.depth - 1
        levels = x.astype(np.uint32) if deep else x.astype(np.uint32) * (255 if x.dtype == bool else 1) * most // 255
        if png.colour == 0:
            grey = ((levels * 255 + most // 2) // most).astype(np.uint8)
            if png.key:
                # Of the key only as many bits count as a sample has (PNG, section 11.3.2.1).
                grey[levels == int.from_bytes(png.key, "big") & most] = 0
            return grey
        if levels.max() >= len(shades):
            _fail("damaged PNG: IDAT", path, 33, f"{len(shades)} colours, as PLTE has", f"number {levels.max()}", SAVE)
        grey = shades[levels]
        return grey
    if png.colour == 2:
        grey = _over_black(_weighed(x), 255)
        if png.key:
            grey[(x == np.frombuffer(png.key, ">u2") & 255).all(axis=2)] = 0
        return grey
    if png.colour == 6:
        return _over_black(_weighed(x), x[..., 3])
    if not deep:
        return _over_black(x[..., 0].astype(np.uint32) * 2**16, x[..., 1])
    value, alpha = (x[..., i].astype(np.uint64) * 256 + x[..., i + 1] for i in (0, 2))
    return ((value * alpha * 255 + 65535**2 // 2) // 65535**2).astype(np.uint8)


def _weighed(rgb: Array) -> Array:
    """2**16 times the luma of ITU-R 601, with the weights that Pillow and libjpeg have."""
    r, g, b = (rgb[..., i].astype(np.uint32) for i in range(3))
    return r * 19595 + g * 38470 + b * 7471


def _over_black(weighed: Array, alpha: Array | int) -> Array:
    """2**16 times grey, uint32, with 0 to 255 of opacity over black, rounded to bytes."""
    return ((weighed * alpha + 255 * 2**15) // (255 * 2**16)).astype(np.uint8)
