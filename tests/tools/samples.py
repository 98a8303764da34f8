"""Files for the tests of the readers, and `SAMPLES`: small valid files of every format in the table."""

import gzip
import io
import zipfile
import zlib
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fnnet.errors import StorageError
from tests.conftest import idx_bytes
from tests.tools.written import FOLDER


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
    """An archive whose members are the given bytes."""
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
    """Which parts an error of a reader lacks; for a file that cannot be opened there is no place to name."""
    parts = ("where", "expected", "found", "fix") if isinstance(error, StorageError) else PARTS
    return [part for part in parts if getattr(error, part) in (None, "")] + ["one line"] * ("\n" in str(error))


PARTS = ("where", "place", "expected", "found", "fix")


class Sample(NamedTuple):
    """A valid file and what it holds.

    format   the name of the format in the table.
    x        uint8 (n, pixels) of images of `SHAPE`.
    labels   (n,), or None if the file has none.
    guarded  True if a checksum covers the numbers, so that no damage may go unnoticed.
    """

    format: str
    content: bytes
    x: Any
    labels: Any = None
    guarded: bool = False


SHAPE = (2, 3)
"""Height and width of the images in the samples."""
X = np.random.default_rng(0).integers(1, 256, (2, *SHAPE), dtype=np.uint8)
LABELS = np.array([1, 300])
ALPHAS = np.array([0, 9, 128, 255], np.uint8)


def _full_gzip(content):
    """gzip with every optional part of the header: extra field, name, comment, checksum."""
    head = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\3\0abc" + b"name\0" + b"why\0"
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    return head + packed + zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")


def _archive(save):
    into = io.BytesIO()
    save(into, x_test=X)
    return into.getvalue()


def _grey(image, depth, before=b""):
    """A grey PNG of `image` scaled from 8 to `depth` bits."""
    rows = []
    for row in image.tolist():
        bits = "".join(f"{value * (2**depth - 1) // 255:0{depth}b}" for value in row)
        rows.append(b"\0" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big"))
    return png_bytes(image.shape[1], image.shape[0], 0, depth, zlib.compress(b"".join(rows)), 0, before)


def _palette(image):
    """A PNG of numbered grey colours, the first four of them transparent by `ALPHAS`."""
    colours = chunk(b"PLTE", np.repeat(image.reshape(-1), 3).tobytes()) + chunk(b"tRNS", ALPHAS.tobytes())
    numbers = np.arange(image.size, dtype=np.uint8).reshape(image.shape)
    rows = b"".join(b"\0" + row.tobytes() for row in numbers)
    return png_bytes(image.shape[1], image.shape[0], 3, 8, zlib.compress(rows), 0, colours)


def _over_black(image):
    opacity = np.full(image.size, 255)
    opacity[: len(ALPHAS)] = ALPHAS
    return (image.reshape(1, -1).astype(int) * opacity + 127) // 255


def _saved(kind, **options):
    """The first image as Pillow writes it."""
    into = io.BytesIO()
    Image.fromarray(X[0]).save(into, kind, **options)
    return into.getvalue()


def _decoded(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L")).reshape(1, -1)


def written(name):
    """A file that another library wrote; see tests/tools/written.py."""
    path = FOLDER / name
    return path.read_bytes() if path.exists() else b""


JPEG = _saved("JPEG", quality=90)
FLAT, ONE, BITS = X.reshape(2, -1), X[:1].reshape(1, -1), np.where(X[0] > 127, 255, 0)
CSV = "label," + ",".join(f"pixel{i}" for i in range(6)) + "\r\n"
CSV += "".join(f"{label}," + ",".join(map(str, row)) + "\r\n" for label, row in zip(LABELS, FLAT.tolist(), strict=True))
LIBSVM = "".join(
    f"{label} " + " ".join(f"{number}:{value}" for number, value in enumerate(row, 1)) + " \n"
    for label, row in zip(LABELS, FLAT.tolist(), strict=True)
)
ARFF = "% images\n@RELATION 'a b'\n" + "".join(
    f"@ATTRIBUTE {name} real\n" for name in ("class", *(f"pixel{i}" for i in range(6)))
)
ARFF += "@DATA\n"
SPARSE = "".join(
    f"{{0 {label}, " + ", ".join(f"{number} {value}" for number, value in enumerate(row, 1)) + "}\n"
    for label, row in zip(LABELS, FLAT.tolist(), strict=True)
)
TEXT = chunk(b"gAMA", bytes(4)) + chunk(b"tEXt", b"a\0b")
SAMPLES = {
    "idx.gz": Sample("IDX", _full_gzip(idx_bytes(X)), FLAT, guarded=True),
    "idx.gz as gzip writes it": Sample("IDX", gzip.compress(idx_bytes(X), mtime=0), FLAT, guarded=True),
    "idx": Sample("IDX", idx_bytes(X), FLAT),
    "npz stored": Sample("NPZ", _archive(np.savez), FLAT, guarded=True),
    "npz deflated": Sample("NPZ", _archive(np.savez_compressed), FLAT, guarded=True),
    "npy": Sample("NPY", npy(X), FLAT),
    "png grey": Sample("PNG", _grey(X[0], 8), ONE, guarded=True),
    "png grey, 1 bit": Sample("PNG", _grey(BITS, 1), BITS.reshape(1, -1), guarded=True),
    "png grey, 16 bits": Sample("PNG", _grey(X[0], 16, TEXT), ONE, guarded=True),
    "png palette": Sample("PNG", _palette(X[0]), _over_black(X[0]), guarded=True),
    "jpeg": Sample("JPEG", JPEG, _decoded(JPEG)),
    "webp": Sample("WebP", _saved("WEBP", lossless=True), ONE),
    "bmp": Sample("BMP", _saved("BMP"), ONE),
    "gif": Sample("GIF", _saved("GIF"), ONE),
    "netpbm": Sample("netpbm", _saved("PPM"), ONE),
    "csv": Sample("Kaggle CSV", CSV.encode(), FLAT, labels=LABELS),
    "hdf5": Sample("HDF5", written("a.h5"), FLAT, labels=LABELS),
    "matlab": Sample("MATLAB", written("a.mat"), FLAT, labels=LABELS),
    "matlab 7.3": Sample("MATLAB", written("b.mat"), FLAT, labels=LABELS),
    "parquet": Sample("Parquet", written("a.parquet"), FLAT, labels=LABELS),
    "arrow": Sample("Arrow", written("a.feather"), FLAT, labels=LABELS),
    "arrow stream": Sample("Arrow", written("a.arrow"), FLAT, labels=LABELS),
    "tiff": Sample("TIFF", written("a.tiff"), ONE),
    "arff": Sample("ARFF", (ARFF + CSV.partition("\r\n")[2]).encode(), FLAT, labels=LABELS),
    "arff sparse": Sample("ARFF", (ARFF + SPARSE).encode(), FLAT, labels=LABELS),
    "libsvm": Sample("libsvm", LIBSVM.encode(), FLAT, labels=LABELS),
}
"""Every format in the table has a sample here, from which its tests, its damage, its bombs and its seeds of the fuzzer
are made."""
