"""What Numba makes of the kernels, carried by a wheel, so that an installed fnnet compiles without Numba in seconds.

It is LLVM's code before any optimisation: LLVM then optimises it for the processor at hand, in a tenth of Numba's time.
There is a file for each part, dtype and kind of vectors; `python -m fnnet.kernels.build --ship` writes those of this
machine, and with FNNET_CPU those of a level of x86-64. A file is read only if its checksum is that of its content and
of the sources it was made from; a checkout, where none is, compiles with Numba.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import sys
import zlib
from pathlib import Path
from typing import Final

from fnnet.errors import FnnetError
from fnnet.kernels.machine import machine

FOLDER: Final = Path(__file__).with_name("code")
MAX_BYTES: Final = 64 * 2**20


def vectors(part: str = "") -> str:
    """Return a name for all that the sources of a part ask about the machine."""
    host = machine()
    kinds = [f"{host.vector_bytes}x{host.rows}", "fma" * host.fma, "compress" * host.compress]
    if part == "quantised":
        kinds.append(host.dot)
    return "-".join(filter(None, [sys.platform, platform.machine().lower(), *kinds]))


def read(part: str, dtype: str) -> bytes | None:
    """Return the code of a part, as LLVM's bitcode; None if there is none for this machine and these sources."""
    place = _place(part, dtype)
    if not place.exists():  # before `files.disk`, whose import takes longer than this
        return None
    from fnnet.files.disk import read_bytes

    try:
        content = read_bytes(place, MAX_BYTES)
    except FnnetError:
        return None
    if content[:32] != _digest(content[32:]):
        return None
    return zlib.decompress(content[32:])


def write(part: str, dtype: str, code: bytes) -> None:
    """Keep the code of a part in the package."""
    from fnnet.files.disk import write_file

    FOLDER.mkdir(exist_ok=True)
    packed = zlib.compress(code, 9)
    write_file(_place(part, dtype), _digest(packed), packed)


def _place(part: str, dtype: str) -> Path:
    return FOLDER / f"{part}-{dtype}-{vectors(part)}.bc"


def _digest(packed: bytes) -> bytes:
    return hashlib.sha256(_sources() + packed).digest()


@functools.cache
def _sources() -> bytes:
    """Return a digest of the sources of what is compiled."""
    from fnnet.files.disk import read_bytes
    from fnnet.kernels.cache import ROOT, sources

    digest = hashlib.sha256()
    for source in sources():
        digest.update(source.relative_to(ROOT).as_posix().encode() + b"\0" + read_bytes(source))
    return digest.digest()
