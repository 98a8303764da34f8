"""Files that are not read, named for what they are by their first bytes, with the way to something that is read."""

from __future__ import annotations

import re
from typing import Final

SAVEZ: Final = "numpy.savez(file, x_train=..., y_train=...)"
AS_PNG: Final = "save it as PNG"
UNPACK: Final = "unpack it, and name the folder or the files in it"
AS_UTF8: Final = "save it as CSV (UTF-8)"
MANY: Final = "it may hold many images: name it by itself, as --data"
HDF5: Final = b"\x89HDF\r\n\x1a\n"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
POINTER: Final = b"version https://git-lfs"
BY_ITS_LIBRARY: Final = f"read it with {{}}, and write {SAVEZ}"

IMAGES: Final = {
    b"GIF8": "a GIF image",
    b"\xff\xd8\xff": "a JPEG image",
    b"BM": "a BMP image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"RIFF": "a WebP image",
    b"\0\0\1\0": "an icon",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML or SVG file",
    b"%PDF": "a PDF file",
}
"""First bytes -> what a message calls a picture."""
UNPACK_ONCE: Final = "unpack it once, and name the file that comes out"
UNPACK_FILE: Final = "unpack it, and name the file that comes out"
PACKED: Final = {
    b"\x1f\x8b": ("gzip", UNPACK_ONCE),
    b"BZh": ("bzip2", UNPACK_ONCE),
    b"\xfd7zXZ\0": ("xz", UNPACK_ONCE),
    b"\x93NUMPY": ("a NumPy array (.npy)", "unpack it and the labels beside it, and name the file of images"),
}
"""First bytes within gzip -> what a message calls it, and what to do."""
FILES: Final = {
    **dict.fromkeys(UTF16, ("UTF-16 text", AS_UTF8)),
    b"BZh": ("bzip2 of something other than text", UNPACK),
    b"\xfd7zXZ\0": ("xz of something other than text", UNPACK),
    b"(\xb5/\xfd": ("zstd", "unpack it (zstd -d), and name the file or folder that comes out"),
    b"PK": ("a ZIP archive", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", UNPACK),
    b"Rar!": ("a RAR archive", UNPACK),
    HDF5: ("an HDF5 file", MANY),
    b"MATLAB": ("a MATLAB file", MANY),
    b"PAR1": ("a Parquet file", MANY),
    b"PARE": ("an encrypted Parquet file", "decrypt it"),
    b"ARROW1": ("an Arrow file", MANY),
    b"\xff\xff\xff\xff": ("an Arrow stream", MANY),
    **dict.fromkeys((b"CDF\1", b"CDF\2", b"CDF\5"), ("netCDF of before version 4", BY_ITS_LIBRARY.format("xarray"))),
    b"FEA1": ("a Feather file of version 1", "write it again as version 2: pandas.DataFrame.to_feather"),
    b"SQLite format 3\0": ("an SQLite database", f"read its table, and write {SAVEZ}"),
    POINTER: ("a pointer of Git LFS, not the file", "fetch the file itself: git lfs pull"),
}
"""First bytes -> what a message calls a file, and what to do."""
SWAPPED: Final = "IDX with its header in another byte order", "write the header big-endian: struct.pack('>I', size)"
PICKLE: Final = re.compile(rb"\x80[\x02-\x05][\x95}\](cK-X\x8c-\x94]")
"""How protocols 2 to 5 begin: a number, then an instruction."""


def looks_like_pointer(head: bytes) -> bool:
    """Return True if these first bytes are those of the text that Git LFS leaves in place of a large file."""
    return head.startswith(POINTER)


def kind_of(head: bytes) -> tuple[str, str] | None:
    """Return what a message calls a file with these first bytes, and what to do; None if it is not known."""
    if PICKLE.match(head):
        return "a Python pickle, which is never opened", f"load it where you trust it, and write {SAVEZ}"
    if head[257:262] == b"ustar":
        return "a tar archive", UNPACK
    if _is_record(head):
        return "a TFRecord file", BY_ITS_LIBRARY.format("tensorflow_datasets")
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 2**32:
        return "a safetensors file, such as a model", "name a file of images"
    found = next((name for start, name in IMAGES.items() if head.startswith(start)), None)
    if found:
        return found, AS_PNG
    found_file = next((named for start, named in FILES.items() if head.startswith(start)), None)
    return found_file or (SWAPPED if _is_swapped(head) else None)


def _is_swapped(head: bytes) -> bool:
    """Return True for the first bytes of an IDX file in the other order."""
    return head[2:4] == b"\0\0" and head[1] in range(8, 15) and head[0] in range(1, 5)


def packed_kind(inside: bytes) -> tuple[str, str] | None:
    """Return what a message calls a file that is packed, an archive or one of many images, and what to do.

    inside   the first bytes that it unpacks to.
    """
    name, fix = kind_of(inside) or ("", "")
    if inside.startswith((*PACKED,)) or fix not in (UNPACK, MANY):
        return None
    return name, UNPACK if fix == UNPACK else UNPACK_FILE


def _is_record(head: bytes) -> bool:
    """Return True for the length of a record, its checksum, and a protocol buffer that one field fills."""
    length = int.from_bytes(head[:8], "little")
    if len(head) < 16 or not 2 <= length < 2**32 or head[12:13] != b"\n":
        return False
    size, shift, at = 0, 0, 13
    while at < len(head) and at < 18:
        size |= (head[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if head[at - 1] < 128:
            return size + at - 12 == length
    return False
