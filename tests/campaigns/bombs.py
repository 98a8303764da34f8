"""Decompression bombs and their kin, and what reading each costs: memory above the base, seconds of processor time.

python -m tests.campaigns.bombs
"""

import contextlib
import gzip
import os
import sys
import tempfile
import time
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin  # noqa: F401  imported here so that its memory does not count

from fnnet import data
from fnnet.data import child, png
from fnnet.data.arrays import as_images, as_labels
from fnnet.data.idx import read_idx
from fnnet.data.npz import read_npz
from fnnet.errors import FnnetError
from tests.campaigns.bombs_native import NATIVE_BOMBS
from tests.campaigns.crash import spread
from tests.conftest import fork, idx_bytes
from tests.tools.archives import archive, directory, end, header, local, npy, sparse, zipped
from tests.tools.samples import SAMPLES, SHAPE, chunk, missing_parts, png_bytes

MEMORY = 124
"""MiB above the base: 16 million pixels of RGBA take 121: their opacity and their luma are kept until it is known
what is ink and what is paper."""
CHILD = 608
"""MiB that a child process which reads a file may take besides: its limit, for files so small."""
SECONDS = 2.0
MIB = 2**20


def flate(count, wbits):
    """`count` MiB of zeros, deflated: the packed form of one MiB, repeated. Without an end or a checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    first = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    return first + (packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)) * count


def zeros(size):
    """`size` zeros as a complete zlib stream."""
    checksum, rest = 1, zlib.compressobj(9, zlib.DEFLATED, -15)
    for at in range(0, size, MIB):
        checksum = zlib.adler32(bytes(min(MIB, size - at)), checksum)
    whole = b"\x78\x01" + flate(size // MIB, -15) + rest.compress(bytes(size % MIB)) + rest.flush()
    return whole + checksum.to_bytes(4, "big")


def inflating(header, count):
    """An IDX header and `count` MiB of zeros as gzip, all but its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH) + flate(count, -15)


def sizes(*shape):
    return bytes((0, 0, 8, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape)


def raw(content):
    return lambda path: path.write_bytes(content() if callable(content) else content)


def zeros_in_npz(count, hole=0, declared=None):
    text = npy(header(f"({count * MIB // 784}, 784)"))
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = packed.compress(text) + packed.flush(zlib.Z_FULL_FLUSH) + flate(count, -15)
    return zipped(content, len(text) + count * MIB // 784 * 784 if declared is None else declared, hole=hole)


def many_members(path):
    path.write_bytes(local(b"") + end(directory(b"", 0, 0) * 100_000, 41, 65535))


def overlapping(path):
    member = local(flate(100, -15))
    entries = b"".join(directory(b"", 100 * MIB, len(member) - 41, name=b"%03d.npy" % i) for i in range(900))
    path.write_bytes(member + end(entries, len(member), 900))


def picture(width, height, colour, depth, interlace=0, extra=b""):
    """An image of zeros."""

    def build(path):
        size = png._raw_bytes(
            width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((depth, colour, 0, 0, interlace))
        )
        path.write_bytes(png_bytes(width, height, colour, depth, zeros(size), interlace, extra))

    return build


def small(extra=b"", behind=b""):
    """An image of 28x28 with more chunks before and after its data."""
    packed = zlib.compress(bytes(29 * 28))

    def build(path):
        content = png_bytes(28, 28, 0, 8, packed, 0, extra() if callable(extra) else extra)
        path.write_bytes(content[:-12] + (behind() if callable(behind) else behind) + content[-12:])

    return build


def text_bomb(kind, start):
    return lambda: chunk(kind, start + zeros(100 * MIB))


def hole_in_png(kind, length):
    def build(path):
        content = png_bytes(28, 28, 0, 8, zlib.compress(bytes(29 * 28)))[:33]
        sparse(path, content + length.to_bytes(4, "big") + kind, 2**30)

    return build


def load(path):
    return data.load(str(path)).train.x


def predict(path):
    return data.read_images(path, (28, 28))


def archived(path):
    """The arrays as `data.load` takes them, but y_train may be missing."""
    arrays = read_npz(path, ("x_train",), ("y_train",))
    x, _ = (
        as_images(arrays["x_train"], path, "x_train", None, [])
        if arrays["x_train"].ndim > 1
        else (arrays["x_train"], None)
    )
    return x if "y_train" not in arrays else as_labels(arrays["y_train"], len(x), path, "y_train", [])


GOOD = gzip.compress(idx_bytes(np.zeros((1, 28, 28))))
ARFF = b"@relation a\n@attribute pixel0 real\n@attribute pixel1 real\n@attribute class {a,b}\n@data\n"
NAMES = b"label," + b",".join(b"pixel%d" % i for i in range(784)) + b"\n"
BOMBS = {
    # name: (what builds it, what reads it, whether it is to be read)
    "idx: header of 2^93": (raw(sizes(2**31, 2**31, 2**31)), read_idx, False),
    "idx: header of 2^128": (raw(sizes(*[2**32 - 1] * 4) + bytes(100)), read_idx, False),
    "idx: 2 GiB of hole": (lambda p: sparse(p, sizes(2**21, 32, 32), 2**31 + 16), read_idx, False),
    "idx: labels of hole": (lambda p: sparse(p, sizes(2**30), 2**30 + 8), read_idx, False),
    "gz: header of 2^93": (raw(gzip.compress(sizes(2**31, 2**31, 2**31))), read_idx, False),
    "gz: header of 1 GiB in 40 bytes": (raw(gzip.compress(sizes(2**20, 32, 32))), read_idx, False),
    "gz: 2 GiB of zeros, honest": (raw(lambda: inflating(sizes(2**21, 32, 32), 2048)), read_idx, False),
    "gz: 2 GiB of zeros, with a hole behind": (
        lambda p: sparse(p, inflating(sizes(2**21, 32, 32), 2048), 40 * MIB),
        read_idx,
        False,
    ),
    "gz: 200 MiB of zeros, honest": (raw(lambda: inflating(sizes(200, 1024, 1024), 200)), read_idx, False),
    "gz: 64 MiB of zeros, honest": (raw(lambda: gzip.compress(sizes(2**16, 32, 32) + bytes(2**26), 1)), read_idx, True),
    "gz: 60,000 empty images": (
        raw(lambda: gzip.compress(idx_bytes(np.zeros((60000, 28, 28), np.uint8)), 1)),
        read_idx,
        True,
    ),
    "gz: 60 MiB of labels": (raw(lambda: inflating(sizes(60 * MIB), 60)), read_idx, False),
    "gz: 1 GiB behind the data": (raw(lambda: inflating(sizes(1, 28, 28), 1024)), read_idx, False),
    "gz: a name of 16 MiB": (raw(lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 16 * MIB), read_idx, False),
    "gz: a hole of 4 GiB behind": (lambda p: sparse(p, GOOD, 2**32), read_idx, False),
    "gz: nothing but a hole of 8 GiB": (lambda p: sparse(p, b"\x1f\x8b\x08", 2**33), read_idx, False),
    "gz: 100,000 members": (raw(gzip.compress(b"") * 100_000), read_idx, False),
    "gz: 30 MB of empty blocks": (raw(lambda: GOOD[:10] + b"\0\0\0\xff\xff" * 6_000_000), read_idx, False),
    "gz: in gzip in gzip": (raw(lambda: gzip.compress(inflating(b"", 100), 1)), read_idx, False),
    "npz: 1 GiB of zeros, honest": (zeros_in_npz(1024), archived, False),
    "npz: 1 GiB of zeros, with a hole": (zeros_in_npz(1024, hole=40 * MIB), archived, False),
    "npz: 60 MiB of zeros, honest": (
        archive(x_train=lambda: npy(header("(61440, 32, 32)"), bytes(60 * MIB))),
        archived,
        True,
    ),
    "npz: more than its directory says": (zeros_in_npz(1024, declared=912), archived, False),
    "npz: a directory that says 4 GiB": (zipped(b"", 2**32 - 2), archived, False),
    "npz: a directory that says 2 GiB": (zipped(flate(1, -15), 2**31, 2**31), archived, False),
    "npz: 100,000 members": (many_members, archived, False),
    "npz: a directory of 16 MiB": (
        raw(lambda: bytes(16 * MIB) + end(b"", 0)[:12] + (16 * MIB).to_bytes(4, "little") + bytes(6)),
        archived,
        False,
    ),
    "npz: 900 members in one place": (overlapping, archived, False),
    "npz: a comment of 64 KiB": (raw(end(b"", 0, 0, b"a" * 65535)), archived, False),
    "npz: a header of 20 MiB": (
        archive(x_train=lambda: npy(header("(1,)") + " " * (20 * MIB), version=2)),
        archived,
        False,
    ),
    "npz: 9,000 brackets": (archive(x_train=npy(header("(" * 9000))), archived, False),
    "npz: 9,000 signs": (archive(x_train=npy(header("(" + "-" * 9000 + "1,)"))), archived, False),
    "npz: a size of 4,000 digits": (archive(x_train=npy(header("(1" + "0" * 4000 + ",)"))), archived, False),
    "npz: a million sizes": (
        archive(x_train=lambda: npy(header("(" + "1," * 10**6 + ")"), version=2)),
        archived,
        False,
    ),
    "npz: sizes whose product is 2^250": (
        archive(x_train=npy(header("(4294967296, 4294967296, 4294967296)"))),
        archived,
        False,
    ),
    "npz: 9,800 spaces": (archive(x_train=npy(header("(1,)").replace("{", "{" + " " * 9800), b"\0")), archived, True),
    "npz: text of 4 GiB": (archive(x_train=npy(header("(1,)", "<U999999999"))), archived, False),
    "npz: 56 MiB of integers": (
        archive(x_train=lambda: npy(header("(7168, 32, 32)", ">i8"), bytes(56 * MIB))),
        archived,
        True,
    ),
    "npz: 60 MiB of labels": (
        archive(
            x_train=npy(header("(1, 4, 4)"), bytes(16)), y_train=lambda: npy(header(f"({60 * MIB},)"), bytes(60 * MIB))
        ),
        archived,
        False,
    ),
    "npz: 1 GiB of hole": (
        zipped(npy(header("(1048576, 1024)")), len(npy(header("(1048576, 1024)"))) + 2**30, None, 0, 2**30),
        archived,
        False,
    ),
    "png: 2^31 x 2^31": (raw(png_bytes(2**31 - 1, 2**31 - 1, 0, 8, b"")), png.read_png, False),
    "png: 65,535 x 65,535": (raw(png_bytes(65535, 65535, 0, 1, b"")), png.read_png, False),
    "png: 1 x 16 million": (picture(1, 2**24, 6, 8), png.read_png, False),
    "png: 16 Mpx of RGBA": (picture(4096, 4096, 6, 8), png.read_png, True),
    "png: 16 Mpx of 16-bit grey": (picture(4096, 4096, 0, 16), png.read_png, True),
    "png: 16 Mpx of 16-bit RGBA": (picture(4096, 4096, 6, 16), png.read_png, True),
    "png: 2 Mpx, 32,768 wide": (picture(32768, 64, 6, 16), png.read_png, True),
    "png: 16 Mpx, interlaced": (picture(4096, 4096, 2, 8, 1), png.read_png, True),
    "png: 16 Mpx of palette": (
        picture(4096, 4096, 3, 8, 0, chunk(b"PLTE", bytes(3)) + chunk(b"tRNS", b"\7")),
        png.read_png,
        True,
    ),
    "png: 500 MiB in 28 x 28": (raw(lambda: png_bytes(28, 28, 0, 8, flate(500, 15))), predict, False),
    "png: zTXt of 100 MiB": (small(text_bomb(b"zTXt", b"a\0\0")), predict, True),
    "png: iTXt of 100 MiB": (small(text_bomb(b"iTXt", b"a\0\1\0\0\0")), predict, True),
    "png: iCCP of 100 MiB": (small(text_bomb(b"iCCP", b"a\0\0")), predict, True),
    "png: 100,000 chunks": (small(chunk(b"tEXt", b"a\0b") * 100_000), predict, False),
    "png: a million empty IDAT": (small(b"", chunk(b"IDAT") * 10**6), predict, False),
    "png: 100,000 frames": (small(chunk(b"acTL", bytes(8)) + chunk(b"fcTL", bytes(26)) * 100_000), predict, False),
    "png: text of 1 GiB of hole": (hole_in_png(b"tEXt", 2**30), predict, False),
    "png: IDAT of 1 GiB of hole": (hole_in_png(b"IDAT", 2**30), predict, False),
    "png: palette of 1 GiB of hole": (hole_in_png(b"PLTE", 2**30), predict, False),
    "png: a chunk of 4 GiB": (hole_in_png(b"tEXt", 2**32 - 1), predict, False),
    "csv: a line of 1 GiB of hole": (lambda p: sparse(p, b"1", 2**30), load, False),
    "csv: 1 GiB of hole behind a header": (lambda p: sparse(p, NAMES + b"1,2", 2**30), load, False),
    "csv: 65,536 commas": (raw(b"," * 65536 + b"\n"), load, False),
    "csv: 65,536 commas a line": (raw(NAMES + (b"," * 65536 + b"\n") * 100), load, False),
    "csv: 10,000 names": (raw(b",".join(b"n%d" % i for i in range(10_000)) + b"\n1,2\n"), load, False),
    "csv: 7,000 pixels, the last twice": (
        raw(b",".join(b"pixel%d" % min(i, 6000) for i in range(6002)) + b"\n1\n"),
        load,
        False,
    ),
    "csv: a pixel of 60,000 digits": (raw(b"label,pixel" + b"9" * 60000 + b"\n1,2\n"), load, False),
    "csv: a cell of a million digits": (raw(b"label,pixel0\n1," + b"9" * 10**6 + b"\n"), load, False),
    "csv: a cell of 60,000 zeros": (raw(b"label,pixel0\n1," + b"0" * 60000 + b"7\n"), load, False),
    "csv: quotes that never close": (raw(b"label,pixel0\n" + b'1,"2\n' * 10**6), load, False),
    "csv: 60,000 quotes": (raw(b"label,pixel0\n1," + b'"' * 60000 + b"\n"), load, False),
    "csv: 8 MB of empty lines": (raw(b"label,pixel0\n" + b"\n" * 8_000_000 + b"1,2\n"), load, True),
    "csv: 8 MB of carriage returns": (raw(b"label,pixel0\r" + b"\r" * 8_000_000), load, False),
    "libsvm: a line of 1 GiB of hole": (lambda p: sparse(p, b"1 1:2 2:3", 2**30), load, False),
    "libsvm: pixels far apart": (raw(b"1 1048576:1\n" * 100_000), load, False),
    "libsvm: 500 empty lines": (raw(b"\n" * 510 + b"1"), load, False),
    "libsvm: 100 blank lines": (raw(b" \t\n" * 170 + b"x"), load, False),
    "libsvm: labels alone": (raw(b"1 \n" * 2_000_000), load, False),
    "libsvm: a value of 60,000 digits": (raw(b"1 1:" + b"9" * 60_000 + b"\n"), load, False),
    "libsvm: tabs": (raw(b"1" + b"\t" * 60_000 + b"1:2\n"), load, False),
    "arff: a line of 1 GiB of hole": (lambda p: sparse(p, b"@relation a", 2**30), load, False),
    "arff: comments alone": (raw(b"% \n" * 3_000_000), load, False),
    "arff: a million columns": (raw(b"@relation a\n" + b"@attribute a real\n" * 10**6), load, False),
    "arff: 30,000 names": (
        raw(b"@relation a\n@attribute class {" + b",".join(b"%d" % i for i in range(10_000)) + b"}\n@data\n1\n"),
        load,
        False,
    ),
    "arff: 60,000 blanks in a cell": (raw(ARFF + b"1," + b" " * 60_000 + b"x,'a'\n"), load, False),
    "arff: 60,000 blanks in a sparse line": (raw(ARFF + b"{0 1, 2 " + b" " * 60_000 + b"a b}\n"), load, False),
    "arff: quotes that never close": (raw(ARFF + b"'," * 30_000 + b"\n"), load, False),
    "arff: quotes within quotes": (raw(ARFF + b"\"'a'b," * 8_000 + b"\n"), load, False),
    "arff: sparse lines of a wide table": (
        raw(
            b"@relation a\n"
            + b"".join(b"@attribute pixel%d real\n" % i for i in range(40_000))
            + b"@attribute class {a,b}\n@data\n"
            + b"{1 1}\n" * 10_000
        ),
        load,
        False,
    ),
}


GO_ON = ("hdf5", "matlab 7.3", "arrow stream", *(name for name in SAMPLES if name.startswith("png")))
"""Files that say where they end, and after which anything may follow."""


def holed(name, kept):
    whole = kept is None and name in GO_ON
    return lambda path: sparse(path, SAMPLES[name].content[:kept], 2**30), partial(data.read_images, shape=SHAPE), whole


BOMBS |= NATIVE_BOMBS
# Of every format in the table: nothing reads through a hole of a gigabyte, after the data or within them.
BOMBS |= {f"{name}: 1 GiB of hole at the end": holed(name, None) for name in SAMPLES}
BOMBS |= {f"{name}: 1 GiB of hole inside": holed(name, len(SAMPLES[name].content) // 3) for name in SAMPLES}


def measure(name, folder):
    """Read one bomb in a child of this process: MiB above the base, seconds and outcome."""
    build, read, wanted = BOMBS[name]
    path = Path(folder) / "bomb"
    path.unlink(missing_ok=True)
    build(path)
    ready, report = os.pipe()
    pid = fork()
    if not pid:
        _child(read, path, report)
    os.close(report)
    with open(ready, "rb") as pipe:
        line = pipe.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    path.unlink()
    if status or not line:
        return 0.0, 0.0, f"the reader died ({status})"
    memory, seconds, outcome = line.split("\n", 2)
    right = outcome.startswith("read" if wanted else "refused")
    return float(memory), float(seconds), outcome if right else f"WRONG: {outcome}"


def _child(read, path, report):
    try:
        base, began, peaks = _reset(), time.process_time(), _peaks_of_children()
        try:
            found = read(path)
            outcome = f"read {found.shape}"
        except FnnetError as error:
            missing = missing_parts(error)
            outcome = f"without {missing}: {error}" if missing else f"refused: {error}"
        except BaseException as error:
            outcome = f"raised {error!r}"
        seconds = time.process_time() - began
        peak = max(_peak() - base, *(most - CHILD * 1024 for most in peaks))
        os.write(report, f"{peak / 1024}\n{seconds}\n{outcome}"[:4000].encode(errors="replace"))
    finally:
        os._exit(0)


def _reset():
    """KiB in use now; on Linux the peak is counted from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak():
    """KiB at most since then, or since the process began on other systems."""
    try:
        return _status("VmHWM")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _peaks_of_children():
    """A list that takes the KiB at most of each child that reads a file, when it ends."""
    peaks, close = [0], child.Child.close

    def measured(self):
        with contextlib.suppress(OSError, IndexError):  # it crashed
            peaks.append(_status("VmHWM", self.process.pid))
        close(self)

    child.Child.close = measured
    return peaks


def _status(key, process="self"):
    return int(Path(f"/proc/{process}/status").read_text().partition(f"{key}:")[2].split()[0])


def main(most=sys.maxsize):
    data.load("digits")  # imports the rest, so that its memory does not count
    results = {}
    with tempfile.TemporaryDirectory(prefix="bombs-") as folder:
        for name in spread(list(BOMBS), most):
            results[name] = memory, seconds, outcome = measure(name, folder)
            outcome = outcome.replace(str(Path(folder) / "bomb"), "")
            print(f"{name:49} {memory:6.1f} MiB {seconds:6.2f} s  {outcome[:150]}", flush=True)
    worst, slowest = (max(results, key=lambda name: results[name][i]) for i in (0, 1))
    bad = [
        name
        for name, (memory, seconds, outcome) in results.items()
        if memory > MEMORY or seconds > SECONDS or not outcome.startswith(("read (", "refused: "))
    ]
    memory, seconds = results[worst][0], results[slowest][1]
    print(f"{len(results)} bombs: worst {memory:.0f} MiB above the base ({worst}), slowest {seconds:.1f} s ({slowest})")
    if bad:
        print("over the limits, or with another outcome than expected: " + ", ".join(bad), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
