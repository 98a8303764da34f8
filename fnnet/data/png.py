"""PNG images as grey bytes: 0 the background, 255 the ink."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, Final, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.canvas import Canvas
from fnnet.data.depth import Largest
from fnnet.data.grey import STRIP
from fnnet.data.opened import AnyPath
from fnnet.data.png_samples import SAVE, Png, colours_of, colours_of_deep, grey_of, grey_of_deep, samples_of, shades_of
from fnnet.data.ranges import LEVELS
from fnnet.data.reader import FIT, MISFIT, Content, Format, Wanted, read_as
from fnnet.data.turn import MAX_EXIF, is_on_its_side, orientation_in
from fnnet.errors import FnnetError, counted
from fnnet.files.disk import refuse, show_bytes

MAGIC: Final = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS: Final = 2**24
MAX_SIDE: Final = 2**15
MAX_CHUNKS: Final = 2**15
MAX_ASIDE: Final = 16 * 2**20
"""Bytes of chunks that are not the image: text, profiles."""
PIECE: Final = 2**16
DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour type of the format (grey, RGB, palette, grey and alpha, RGB and alpha) -> bits of a sample."""
SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
SIZES: Final = {b"IHDR": (13, 13), b"PLTE": (3, 768), b"tRNS": (1, 256), b"IEND": (0, 0)}
ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, steps in x and y of the passes of an interlaced image."""


def read_png(path: AnyPath, shape: tuple[int, int] | None = None) -> Array:
    """Return the grey image in a PNG file, read-only uint8 (height, width).

    shape    (height, width) that the image must have, or None for any of up to 16 million pixels.
    Raises   DataError for another size, a damaged file or one that is not a PNG image.
    """
    content = read_as((FORMAT,), path, Wanted(labelled=False, shape=shape))
    return content.x.reshape(content.image_shape)


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read one image.

    Colour becomes luma (ITU-R 601), transparency is laid over black, or over the light paper that the picture shows
    around it, except that ink on a transparent ground is its opacity; 16 bits are scaled to 8 and rounded. It is turned
    as EXIF says. Gamma, colour profiles and what is behind the image are ignored. Animations are refused.
    """
    png = _read_chunks(file, wanted.shape, path)
    content = _decode(png, path, wanted.colours).content("byte 16", png.orientation)
    return content._replace(pixel_ranges=(LEVELS,)) if png.depth < 8 and png.colour == 0 else content


FORMAT: Final = Format("PNG", lambda head, path: head.startswith(MAGIC), _read, picture=True, suffixes=(".png",))


class _Chunks:
    """The chunks of a PNG one by one, read once; the checksum of each is verified when it has been read."""

    def __init__(self, file: BufferedReader, path: AnyPath) -> None:
        self.file, self.path, self.at = file, path, 0

    def take(self, count: int) -> bytes:
        content = self.file.read(count)
        self.at += len(content)
        if len(content) < count:
            expected = f"{counted(count, 'byte')} more"
            refuse("PNG cut short", self.path, f"byte {self.at}", expected, f"{len(content)}", SAVE)
        return content

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """Yield kind and length of each chunk up to the last; the caller reads its content."""
        for _ in range(MAX_CHUNKS):
            length, kind = int.from_bytes(self.take(4), "big"), self.take(4)
            if length >= 2**31 or not kind.isalpha():
                found = f"{show_bytes(kind)}, {counted(length, 'byte')}"
                refuse("damaged PNG", self.path, f"byte {self.at - 8}", "a chunk", found, SAVE)
            yield kind, length
            if kind == b"IEND":
                return
        refuse("too many chunks", self.path, f"byte {self.at}", f"at most {MAX_CHUNKS:,}", "more", SAVE)

    def content(self, kind: bytes, length: int) -> Iterator[bytes]:
        """Yield the content of a chunk in pieces, then verify its checksum."""
        began, checksum = self.at, zlib.crc32(kind)
        while length:
            piece = self.take(min(length, PIECE))
            length -= len(piece)
            checksum = zlib.crc32(piece, checksum)
            yield piece
        found = self.take(4)
        if int.from_bytes(found, "big") != checksum:
            problem = f"damaged PNG: checksum of {kind.decode('ascii')}"
            refuse(problem, self.path, f"byte {began}", f"{checksum:08x}", found.hex(), SAVE)


def _read_chunks(file: BufferedReader, shape: tuple[int, int] | None, path: AnyPath) -> Png:
    chunks = _Chunks(file, path)
    chunks.take(len(MAGIC))
    kept: dict[bytes, bytes] = {}
    data: list[bytes] = []
    header, before, exif, wanted, packed, unpacked, aside = b"", b"", b"", 0, 0, 0, 0
    inflater = zlib.decompressobj()
    for kind, length in chunks:
        at = chunks.at - 8
        if (kind == b"IHDR") == bool(header) or kind in kept or (kind == b"IDAT" and data and before != kind):
            expected = "IHDR first and each chunk in its order"
            refuse("damaged PNG", path, f"byte {at}", expected, kind.decode("ascii"), SAVE)
        if kind == b"IDAT":
            packed += length
            if packed > 2 * wanted + PIECE:
                expected = f"at most {2 * wanted + PIECE:,} bytes for {counted(wanted, 'byte')} of image"
                refuse("damaged PNG: IDAT", path, f"byte {at}", expected, f"{packed:,}", SAVE)
            for piece in chunks.content(kind, length):
                data.append(piece)
                if _is_deep(header):  # `_Rows` will verify it: 128 MiB are unpacked once
                    continue
                unpacked = _unpack(inflater, piece, unpacked, wanted, chunks)
        elif kind in SIZES:
            _check_chunk(kind, length, bool(data), chunks)
            kept[kind] = b"".join(chunks.content(kind, length))
            if kind == b"IHDR":
                header = _check_header(kept[kind], shape, path)
                wanted = _raw_bytes(header)
        else:
            aside += length
            _check_aside(kind, aside, chunks)
            for piece in chunks.content(kind, length):
                if kind == b"eXIf" and len(exif) < MAX_EXIF:
                    exif += piece
        before = kind
    if not _is_deep(header) and (not inflater.eof or unpacked != wanted):
        expected = f"{counted(wanted, 'byte')} unpacked"
        refuse("damaged PNG: IDAT", path, f"byte {chunks.at}", expected, f"{unpacked:,}", SAVE)
    orientation = orientation_in(exif)
    _check_shape(header, is_on_its_side(orientation), shape, path)
    return Png(header, kept.get(b"PLTE", b""), kept.get(b"tRNS", b""), b"".join(data), orientation)


def _check_chunk(kind: bytes, length: int, late: bool, chunks: _Chunks) -> None:
    """Check the length and the place of a chunk of the image."""
    least, most = SIZES[kind]
    if not least <= length <= most or (kind != b"IEND" and late):
        name, found = kind.decode("ascii"), f"{counted(length, 'byte')}{' after IDAT' if late else ''}"
        expected = f"{least} to {most} bytes before IDAT"
        refuse(f"damaged PNG: {name}", chunks.path, f"byte {chunks.at - 8}", expected, found, SAVE)


def _check_aside(kind: bytes, total: int, chunks: _Chunks) -> None:
    """Check a chunk that is not part of the image."""
    name, place = kind.decode("ascii"), f"byte {chunks.at - 8}"
    if kind in (b"acTL", b"fcTL", b"fdAT"):
        refuse("an animation", chunks.path, place, "one image", name, "save a single frame")
    if kind[:1].isupper():
        refuse("unsupported PNG", chunks.path, place, "chunks that PNG defines", name, SAVE)
    if total > MAX_ASIDE:
        expected, fix = f"at most {MAX_ASIDE:,} bytes beside the image", "save it again without text and profiles"
        refuse("unsupported PNG", chunks.path, place, expected, f"{total:,}", fix)


def _unpack(inflater: Any, piece: bytes, unpacked: int, wanted: int, chunks: _Chunks) -> int:
    """Return the number of bytes that the image data has unpacked to so far, at most `wanted`."""
    try:
        while piece or not inflater.eof:
            content = inflater.decompress(piece, PIECE)
            unpacked, piece = unpacked + len(content), inflater.unconsumed_tail
            if unpacked > wanted or inflater.unused_data:
                expected = f"{counted(wanted, 'byte')} unpacked"
                refuse("damaged PNG: IDAT", chunks.path, f"byte {chunks.at}", expected, "more", SAVE)
            if not content and not piece:
                break
    except zlib.error as error:
        refuse("damaged PNG: IDAT", chunks.path, f"byte {chunks.at}", "a zlib stream", str(error), SAVE)
    return unpacked


def _check_header(header: bytes, shape: tuple[int, int] | None, path: AnyPath) -> bytes:
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    found = f"{width}x{height}"
    if (width, height) != shape:  # else EXIF, which comes later, may turn it
        _check_shape(header, False, shape, path)
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        expected = f"at most {MAX_PIXELS:,} pixels, {MAX_SIDE:,} a side"
        refuse("image too large", path, "byte 16", expected, found, "scale it down")
    if width * height == 0:
        refuse("image without pixels", path, "byte 16", "1x1 or more", found, SAVE)
    depth, colour, packing, filtering, interlace = header[8:]
    if depth not in DEPTHS.get(colour, ()) or packing or filtering or interlace > 1:
        expected = "bits, colour, compression, filter and interlacing that PNG defines"
        refuse("unsupported PNG", path, "byte 24", expected, tuple(header[8:]), SAVE)
    return header


def _check_shape(header: bytes, on_its_side: bool, shape: tuple[int, int] | None, path: AnyPath) -> None:
    sides = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    width, height = sides[::-1] if on_its_side else sides
    if shape is not None and (height, width) != shape:
        refuse(MISFIT, path, "byte 16", f"{shape[1]}x{shape[0]} pixels", f"{width}x{height}", FIT)


def _is_deep(header: bytes) -> bool:
    """Return True for 16 bits of colour, of which Pillow would drop the lower 8."""
    return header[8] == 16 and header[9] in (2, 6)


def _raw_bytes(header: bytes) -> int:
    """Return the number of bytes that the image data unpacks to: lines of whole bytes, each after a filter byte."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * SAMPLES[header[9]]
    passes = [(-(-(width - x) // by), -(-(height - y) // down)) for x, y, by, down in ADAM7] if header[12] else []
    return sum(
        rows * (1 + -(-columns * bits // 8)) for columns, rows in passes or [(width, height)] if columns > 0 < rows
    )


def _decode(png: Png, path: AnyPath, colours: bool) -> Canvas:
    """Unpack the samples with Pillow and convert them to grey, a strip at a time.

    Pillow gets only the chunks of the image, and two colour types under another name: a palette as grey, so that the
    numbers in the file are what is looked up, and 16 bits of grey and alpha as four samples of 8, so that no bit is
    lost. Of 16 bits of colour it would drop the lower 8: see `_decode_deep`.
    """
    depth, colour = png.depth, png.colour
    given = {3: (depth, 0), 4: (8, 6 if depth == 16 else 4)}.get(colour, (depth, colour))
    header = png.header[:8] + bytes(given) + png.header[10:]
    width, height = png.size
    canvas = Canvas((height, width), colours)
    rows = max(1, STRIP // width)
    shades, largest = shades_of(png, path), Largest()
    try:
        if _is_deep(png.header):
            return _decode_deep(png, canvas, path)
        with _open(header, png.data) as image:
            for top in range(0, height, rows):
                bottom = min(top + rows, height)
                x = np.asarray(image.crop((0, top, width, bottom)))
                grey = grey_of(x, png, shades, path)
                if depth == 16:
                    largest.add(*samples_of(x, png))
                canvas.put((slice(top, bottom), slice(None)), grey, *colours_of(x, png, colours))
            largest.check(path)
    except FnnetError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        refuse("damaged PNG: IDAT", path, "byte 33", "an image", str(error), SAVE)
    return canvas


def _open(header: bytes, data: bytes) -> Any:
    """Return Pillow's image of a header and of deflated rows."""
    from PIL import Image

    content = MAGIC + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, data, b"")))
    return Image.open(io.BytesIO(content), formats=("PNG",))


def _decode_deep(png: Png, canvas: Canvas, path: AnyPath) -> Canvas:
    """Unpack 16 bits of colour and convert them to grey, a strip at a time.

    A filter of PNG adds bytes of one place in a sample only: the upper bytes alone are an image of 8 bits with the same
    filters, and so are the lower ones, which Pillow unpacks. A strip begins with the row above it, which its filters
    may refer to.
    """
    width, height = png.size
    channels = SAMPLES[png.colour]
    rows, largest = _Rows(png, path), Largest()
    for x, y, by, down in ADAM7 if png.header[12] else ((0, 0, 1, 1),):
        columns, lines = -(-(width - x) // by), -(-(height - y) // down)
        above = np.zeros((2, 1, columns * channels), np.uint8)
        step = max(1, STRIP // max(1, columns))
        for top in range(0, lines if columns else 0, step):
            count = min(step, lines - top)
            strip = rows.take(count, 1 + 2 * columns * channels)
            halves = []
            for half in (0, 1):
                body = np.concatenate([above[half], strip[:, 1 + half :: 2]])
                filters = np.concatenate([np.zeros((1, 1), np.uint8), strip[:, :1]])
                size = columns.to_bytes(4, "big") + (count + 1).to_bytes(4, "big")
                packed = zlib.compress(np.hstack([filters, body]).tobytes(), 0)
                with _open(size + bytes((8, png.colour, 0, 0, 0)), packed) as image:
                    halves.append(np.asarray(image))
                above[half] = halves[half][-1].reshape(1, -1)
            deep = halves[0][1:].astype(np.uint32) * 256 + halves[1][1:]
            largest.add(deep[..., :3], deep[..., 3] if png.colour == 6 else None)
            where = slice(y + top * down, y + (top + count) * down, down), slice(x, None, by)
            canvas.put(where, grey_of_deep(deep, png), *colours_of_deep(deep, png))
    rows.end()
    largest.check(path)
    return canvas


class _Rows:
    """The rows of an image, each with its filter before it: they are unpacked, and verified, as they are taken."""

    def __init__(self, png: Png, path: AnyPath) -> None:
        self._left = (png.data[at : at + PIECE] for at in range(0, len(png.data), PIECE))
        self._inflater, self._rest = zlib.decompressobj(), b""
        self._wanted, self._found, self._path = _raw_bytes(png.header), 0, path

    def take(self, count: int, length: int) -> Array:
        """Return the next rows, uint8 (count, length)."""
        parts, found = [self._rest], len(self._rest)
        while found < count * length:
            parts.append(self._more() or self._refuse(f"{self._found:,}"))
            found += len(parts[-1])
        content = b"".join(parts)
        self._rest = content[count * length :]
        return np.frombuffer(content, np.uint8, count * length).reshape(count, length)

    def end(self) -> None:
        """Refuse what is left after the last row, and data without the checksum at their end."""
        if self._rest or self._more() or self._inflater.unused_data or next(self._left, b""):
            self._refuse("more")
        if not self._inflater.eof:
            self._refuse(f"{self._found:,} and no end")

    def _more(self) -> bytes:
        """Return the next bytes, at most PIECE, none at the end."""
        try:
            while not self._inflater.eof:
                piece = self._inflater.unconsumed_tail or next(self._left, b"")
                content = self._inflater.decompress(piece, PIECE)
                self._found += len(content)
                if content or not piece:
                    return content
        except zlib.error as error:
            refuse("damaged PNG: IDAT", self._path, "byte 33", "a zlib stream", str(error), SAVE)
        return b""

    def _refuse(self, found: str) -> NoReturn:
        expected = f"{counted(self._wanted, 'byte')} unpacked"
        refuse("damaged PNG: IDAT", self._path, "byte 33", expected, found, SAVE)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")
