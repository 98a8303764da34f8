"""Every truncation and every flipped bit of a small file of each format: refused, or read as if nothing had been.

python -m tests.campaigns.damage
"""

import contextlib
import gzip
import io
import sys
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fnnet.data.idx import read_idx
from fnnet.data.kaggle_csv import read_csv
from fnnet.data.npz import read_npz
from fnnet.data.png import read_png
from fnnet.errors import FnnetError
from tests.conftest import idx_bytes
from tests.tools.samples import chunk, missing_parts, png_bytes

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (2, 3, 3), dtype=np.uint8)


class Count(NamedTuple):
    """What came of damaging one file; `wrong` is what must not be."""

    truncations: int
    flips: int
    refused: int
    right: int
    wrong: list

    @property
    def unseen(self):
        """Read as another legal file, where the format has no checksum."""
        return self.truncations + self.flips - self.refused - self.right - len(self.wrong)


def packed_idx():
    """With every optional part of gzip's header: extra field, name, comment, checksum."""
    head = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\3\0abc" + b"name\0" + b"why\0"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body, content = idx_bytes(X), head + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    content += packer.compress(body) + packer.flush()
    return content + zlib.crc32(body).to_bytes(4, "little") + len(body).to_bytes(4, "little")


def archive(save):
    into = io.BytesIO()
    save(into, x_train=X)
    return into.getvalue()


def picture(colour, depth, samples, before=b""):
    """A PNG of 4 x 4 pixels of noise."""
    lines = (b"\0" + RANDOM.bytes(-(-4 * depth * samples // 8)) for _ in range(4))
    return png_bytes(4, 4, colour, depth, zlib.compress(b"".join(lines)), 0, before)


def read_archive(path):
    return read_npz(path, ("x_train",))["x_train"]


PALETTE = chunk(b"PLTE", RANDOM.bytes(48)) + chunk(b"tRNS", RANDOM.bytes(9))
TEXT = chunk(b"gAMA", bytes(4)) + chunk(b"tEXt", b"a\0b")
FORMATS = {
    # name: (content, what reads it, whether a checksum guards the numbers)
    "idx.gz": (packed_idx(), read_idx, True),
    "idx.gz as gzip writes it": (gzip.compress(idx_bytes(X)), read_idx, True),
    "idx": (idx_bytes(X), read_idx, False),
    "npz stored": (archive(np.savez), read_archive, True),
    "npz deflated": (archive(np.savez_compressed), read_archive, True),
    "png grey": (picture(0, 8, 1), read_png, True),
    "png grey, 1 bit": (picture(0, 1, 1), read_png, True),
    "png grey, 16 bits": (picture(0, 16, 1, TEXT), read_png, True),
    "png palette": (picture(3, 4, 1, PALETTE), read_png, True),
    "csv": (b"label,pixel0,pixel1\r\n1,2,3\r\n4,255,0\r\n", read_csv, False),
}


def damage(name, folder):
    """Damage the file of one format in every way; each outcome counted."""
    content, read, guarded = FORMATS[name]
    path = Path(folder) / "damaged"
    path.write_bytes(content)
    sound = _as_text(read(path))
    cuts = [content[:length] for length in range(len(content))]
    bits = [(at, bit) for at in range(len(content)) for bit in range(8)]
    flips = [content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :] for at, bit in bits]
    refused = right = 0
    wrong = []
    with open(path, "r+b", buffering=0) as file:
        for number, damaged in enumerate(cuts + flips):
            file.seek(0)
            file.write(damaged)
            file.truncate()
            try:
                found = _as_text(read(path))
            except FnnetError as error:
                refused += 1
                if missing := missing_parts(error):
                    wrong.append((number, f"without {missing}: {error}"))
                continue
            if found == sound:
                right += 1
            elif guarded:
                wrong.append((number, found))
    return Count(len(cuts), len(flips), refused, right, wrong)


def _as_text(found):
    arrays = found if isinstance(found, tuple) else (found,)
    return [(None if each is None else (each.dtype.str, each.shape, each.tobytes())) for each in arrays]


def main():
    bad = 0
    with tempfile.TemporaryDirectory(prefix="damage-") as folder:
        for name in FORMATS:
            count = damage(name, folder)
            bad += len(count.wrong)
            print(
                f"{name:26} {count.truncations:4} truncations, {count.flips:5} flips: {count.refused:5} refused, "
                f"{count.right:4} read rightly, {count.unseen:3} unseen where nothing guards, {len(count.wrong)} wrong"
            )
            for number, found in count.wrong[:5]:
                print(f"    {number}: {found}")
    return 1 if bad else 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
