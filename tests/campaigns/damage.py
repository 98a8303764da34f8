"""Every truncation and every flipped bit of a small file of each format: refused, or read as if undamaged.

python -m tests.campaigns.damage
"""

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from fnnet.data import child, formats
from fnnet.data.reader import Wanted
from fnnet.errors import FnnetError
from tests.campaigns.crash import spread
from tests.tools.samples import SAMPLES, SHAPE, missing_parts


class Count(NamedTuple):
    """The outcomes of damaging one file; `wrong` must stay empty."""

    truncations: int
    flips: int
    refused: int
    right: int
    wrong: list

    @property
    def unseen(self):
        """Read as another valid file, where the format has no checksum."""
        return self.truncations + self.flips - self.refused - self.right - len(self.wrong)


def damage(name, folder, most=sys.maxsize):
    """Damage one sample in every way, or in at most twice `most` ways, and count the outcomes."""
    _, content, _, _, guarded = SAMPLES[name]
    path = Path(folder) / "damaged"
    path.write_bytes(content)
    sound = _read(path)
    cuts = [content[:length] for length in range(len(content))]
    bits = [(at, bit) for at in range(len(content)) for bit in range(8)]
    flips = [content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :] for at, bit in bits]
    cuts, flips = spread(cuts, most), spread(flips, most)
    refused = right = 0
    wrong = []
    with child.kept(), open(path, "r+b", buffering=0) as file:
        for number, damaged in enumerate(cuts + flips):
            file.seek(0)
            file.write(damaged)
            file.truncate()
            try:
                found = _read(path)
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


def _read(path):
    content = formats.read(path, Wanted(labelled=False, shape=SHAPE))
    arrays = [None if each is None else (each.dtype.str, each.tobytes()) for each in (content.x, content.labels)]
    return arrays, content.image_shape


def main(most=sys.maxsize):
    bad = 0
    with tempfile.TemporaryDirectory(prefix="damage-") as folder:
        for name in spread(list(SAMPLES), most):
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
