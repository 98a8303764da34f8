"""Files of every format for the tests of the readers."""

import io
import zipfile
import zlib

import numpy as np
from PIL import Image

from fnnet.errors import StorageError


def write(path, content):
    path.write_bytes(content)
    return path


def csv_file(path, rows, header=True, end="\n"):
    lines = ["label," + ",".join(f"pixel{i}" for i in range(len(rows[0]) - 1))] if header else []
    lines += [",".join(map(str, row)) for row in rows]
    return write(path, (end.join(lines) + end).encode())


ROWS = [[number % 10, *((number * 7 + i) % 256 for i in range(784))] for number in range(20)]


def changed(row, column, value):
    rows = [list(each) for each in ROWS]
    rows[row][column] = value
    return rows


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return str(path)


def raw_npz(path, **members):
    """An archive of members given as bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return str(path)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def png(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).convert(mode).save(path)
    return path


def chunk(kind, content=b""):
    """A chunk of a PNG."""
    checksum = zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + checksum


def png_bytes(width, height, colour, depth, packed, interlace=0, before=b""):
    """A PNG of packed lines, with chunks `before` them."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", packed) + chunk(b"IEND")


def missing_parts(error):
    """The parts that an error of a reader must have and has not; what cannot be opened has no place in it."""
    parts = ("where", "expected", "found", "fix") if isinstance(error, StorageError) else PARTS
    return [part for part in parts if getattr(error, part) in (None, "")] + ["one line"] * ("\n" in str(error))


PARTS = ("where", "place", "expected", "found", "fix")
