"""Bombs for the formats that are read in a child process: HDF5, MATLAB, Parquet, Arrow, TIFF."""

import struct
import zlib

import numpy as np

from fnnet import data
from fnnet.data import formats
from tests.tools.written import arrow, matlab, parquet, tiff

MIB = 2**20


def deflated(mib):
    """`mib` MiB of zeros as a complete zlib stream."""
    packer, checksum = zlib.compressobj(9), 1
    pieces = [packer.compress(bytes(MIB)) for _ in range(mib)]
    for _ in range(mib):
        checksum = zlib.adler32(bytes(MIB), checksum)
    return b"".join(pieces) + packer.flush()


def load(path):
    return data.load(str(path), classes=("a", "b")).train.x


def picture(path):
    return formats.read_picture(path).x


def hdf5(shape, chunks=None, stored=None, dtype="u1", times=1):
    """A dataset `x` of zeros; `stored`, the bytes that each of its chunks is in the file."""

    def build(path):
        import h5py

        with h5py.File(path, "w") as file:
            file["y"] = np.zeros(shape[0] if shape[0] < 2**20 else 1, np.uint8)
            created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            if chunks:
                created.set_chunk(chunks)
                for _ in range(times):
                    created.set_deflate(9)
            space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(np.dtype(dtype))
            x = h5py.h5d.create(file.id, b"x", kind, space, created)
            if stored:
                content = stored()
                for at in range(0, shape[0], chunks[0]):
                    x.write_direct_chunk((at, *(0 for _ in shape[1:])), content)

    return build


def linked(path):
    """A group that is in itself."""
    import h5py

    with h5py.File(path, "w") as file:
        for number in range(40):
            file[f"g{number}"] = file["/"]


def matlab_bomb(mib, declared=None):
    """A variable `X` of zeros, deflated; `declared`, the rows that it says."""

    def build(path):
        rows = mib * MIB // 784
        head = matlab(X=np.zeros((1, 784), np.uint8))
        data_bytes = rows * 784
        # The variable: its size, flags, shape, name, numbers.
        body = head[128 + 8 : 128 + 8 + 16]
        body += struct.pack("<IIii", 5, 8, declared or rows, 784) + head[128 + 8 + 32 : 128 + 8 + 40]
        body += struct.pack("<II", 2, data_bytes)
        whole = struct.pack("<II", 14, len(body) + data_bytes + -data_bytes % 8) + body
        packer = zlib.compressobj(9)
        packed = packer.compress(whole) + b"".join(packer.compress(bytes(MIB)) for _ in range(mib)) + packer.flush()
        path.write_bytes(head[:128] + struct.pack("<II", 15, len(packed)) + packed)

    return build


def table(rows, groups):
    """Columns of zeros, packed by their length."""

    def build(path):
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        piece = pa.table({name: np.zeros(rows, np.uint8) for name in ("label", "pixel0")})
        with ParquetWriter(path, piece.schema) as writer:
            for _ in range(groups):
                writer.write_table(piece)

    return build


def lists(width, save):
    def build(path):
        import pyarrow as pa

        values = pa.array(np.zeros(128 * MIB // width * width, np.uint8))
        images = pa.FixedSizeListArray.from_arrays(values, width)
        path.write_bytes(save(pa.table({"image": images, "label": np.zeros(len(images), np.uint8)})))

    return build


def pictures(count, save):
    """The same picture again and again."""

    def build(path):
        import pyarrow as pa

        from tests.tools.samples import png_bytes

        content = png_bytes(1000, 1000, 0, 8, zlib.compress(bytes(1001 * 1000), 9))
        table = pa.table({"image": pa.array([content] * count), "label": np.zeros(count, np.uint8)})
        path.write_bytes(save(table))

    return build


def zstd(table):
    import pyarrow as pa

    return arrow(table, options=pa.ipc.IpcWriteOptions(compression="zstd"))


def tiff_bomb(width, height, mib):
    """A strip that unpacks to `mib` MiB."""

    def build(path):
        strip = deflated(mib)
        tags = [
            (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 8),
            (277, 3, 1), (278, 4, height), (279, 4, len(strip)),
        ]  # fmt: skip
        end = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag[:2], 1, tag[2]) for tag in tags)
        path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + end + bytes(4))

    return build


def blank(mode_dtype, compression):
    return lambda path: path.write_bytes(tiff(np.zeros((4096, 4096), mode_dtype), compression=compression))


NATIVE_BOMBS = {
    "hdf5: 2^50 numbers, none stored": (hdf5((2**40, 1024)), load, False),
    "hdf5: 1 GiB of zeros, honest": (hdf5((1024, 1024, 1024), (1, 1024, 1024), lambda: deflated(1)), load, False),
    "hdf5: 500 MiB in a chunk of 1 KiB": (hdf5((1, 32, 32), (1, 32, 32), lambda: deflated(500)), load, False),
    "hdf5: 500 MiB, deflated twice": (
        hdf5((1, 32, 32), (1, 32, 32), lambda: zlib.compress(deflated(500), 9), times=2), load, False,
    ),
    "hdf5: a group in itself": (linked, load, False),
    "matlab: 1 GiB of zeros, honest": (matlab_bomb(1024), load, False),
    "matlab: 1 GiB in a variable of 1 image": (matlab_bomb(1024, declared=1), load, False),
    "parquet: 200 million rows": (table(20_000_000, 10), load, False),
    "parquet: 128 MiB in lists": (lists(784, parquet), load, False),
    "parquet: a list of 128 MiB": (lists(128 * MIB, parquet), load, False),
    "parquet: one picture 1,000 times": (pictures(1000, parquet), load, False),
    "arrow: 128 MiB in lists": (lists(784, zstd), load, False),
    "arrow: one picture 1,000 times": (pictures(1000, zstd), load, False),
    "tiff: 65,535 x 65,535": (tiff_bomb(65535, 65535, 1), picture, False),
    "tiff: 500 MiB in 28 x 28": (tiff_bomb(28, 28, 500), picture, True),
    "tiff: 16 Mpx of floats": (blank(np.float32, "tiff_deflate"), picture, True),
    "tiff: 16 Mpx of 16 bits": (blank(np.uint16, "tiff_lzw"), picture, True),
    "tiff: 16 Mpx of fax": (blank(bool, "group4"), picture, True),
}  # fmt: skip
