"""Files that every reader refuses, and what the message says of each."""

import gzip
import io
import zipfile
import zlib

import numpy as np

from fnnet.data import png
from tests.conftest import idx_bytes
from tests.tools.samples import chunk, npy, png_bytes

GREY = png_bytes(2, 2, 0, 8, zlib.compress(bytes(6)))
HEAD, IDAT, END = GREY[:33], GREY[33:-12], GREY[-12:]
GZIP = gzip.compress(idx_bytes(np.zeros((1, 2, 2))))


def archived(change=lambda member: None, **members):
    """The bytes of an archive; `change` is applied to each member."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
        for member in archive.infolist():
            change(member)
    return into.getvalue()


def header(text):
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


def method_9(member):
    member.compress_type = 9


def of(text):
    """An archive with an array that has this header."""
    return archived(x_test=header(text), x_train=b"", y_train=b"")


def packed_picture(raw, colour=0, depth=8, before=b"", width=2, height=2):
    return png_bytes(width, height, colour, depth, zlib.compress(raw), 0, before)


DAMAGED = {
    # IDX and gzip
    "nothing": (b"", "file is empty"),
    "an HTML page": (b"\n <!DOCTYPE html><html>", "HTML"),
    "idx type": (b"\0\0\x0a\1\0\0\0\1", "IDX type|unknown kind"),
    "idx rank 0": (b"\0\0\x08\0", "IDX rank"),
    "idx cut in its header": (b"\0\0\x08\3\0\0\0\1", "header cut short"),
    "idx without rows": (b"\0\0\x08\3\0\0\0\1\0\0\0\0\0\0\0\1", "byte 8: empty dataset"),
    "idx too large": (b"\0\0\x08\3" + b"\xff" * 12, "IDX too large"),
    "idx too short": (idx_bytes(np.zeros((2, 2, 2)))[:-1], "does not match"),
    "idx too long": (idx_bytes(np.zeros((2, 2, 2))) + b"1", "byte 24: .*does not match"),
    "labels": (idx_bytes(np.zeros(4)), "these are labels; expected images, rank 3, or 4 with colours, found rank 1"),
    "flat rows": (idx_bytes(np.zeros((4, 4))), "not images; expected images, rank 3, or 4 with colours, found rank 2"),
    "gzip of a page": (gzip.compress(b"<html>"), "HTML"),
    "gzip of nothing": (gzip.compress(b""), "file is empty"),
    "gzip cut in its header": (GZIP[:7], "compressed byte 7: gzip truncated"),
    "gzip too small": (gzip.compress(bytes.fromhex("000008010fffffff")), "compressed file too small"),
    "gzip of less": (gzip.compress(idx_bytes(np.zeros((9, 9, 9)))[:-1]), "less data than declared"),
    "gzip of more": (gzip.compress(idx_bytes(np.zeros((1, 2, 2))) + b"1"), "more data than declared"),
    "gzip and more": (GZIP + b"1", rf"compressed byte {len(GZIP)}: data after the end"),
    "gzip twice": (GZIP * 2, "more data than declared"),
    "gzip with a wrong length": (GZIP[:-1] + b"\1", "damaged gzip"),
    # PNG
    "png magic": (png.MAGIC, "byte 8: PNG cut short"),
    "png chunk of no kind": (HEAD + b"\0\0\0\0\0\0\0\0", "byte 33: damaged PNG"),
    "png without header": (png.MAGIC + IDAT + END, "IHDR first"),
    "png with two headers": (HEAD + HEAD[8:] + IDAT + END, "IHDR first"),
    "png with a long header": (png.MAGIC + chunk(b"IHDR", bytes(14)), "IHDR; expected 13 to 13"),
    "png without data": (HEAD + END, "damaged PNG: IDAT; expected 6 bytes"),
    "png with parted data": (HEAD + IDAT + chunk(b"tEXt", b"a\0") + IDAT + END, "each chunk in its order"),
    "png with a late palette": (HEAD + IDAT + chunk(b"PLTE", bytes(3)) + END, "after IDAT"),
    "png with two palettes": (HEAD + chunk(b"PLTE", bytes(3)) * 2 + IDAT + END, "in its order"),
    "png with a chunk nobody knows": (HEAD + chunk(b"IDOT", bytes(3)) + IDAT + END, "chunks that PNG defines"),
    "png checksum": (HEAD + IDAT[:-1] + b"!" + END, "checksum of IDAT"),
    "png checksum of the header": (HEAD[:-1] + b"!" + IDAT + END, "byte 16: damaged PNG: checksum of IHDR"),
    "png with less": (packed_picture(bytes(5)), "expected 6 bytes unpacked, found 5"),
    "png with more": (packed_picture(bytes(7)), "expected 6 bytes unpacked, found more"),
    "png with more behind its stream": (
        png_bytes(2, 2, 0, 8, zlib.compress(bytes(6)) + b"x"),
        "expected 6 bytes unpacked, found more",
    ),
    "png of no zlib": (png_bytes(2, 2, 0, 8, b"none at all"), "a zlib stream"),
    "png without checksum of its stream": (png_bytes(2, 2, 0, 8, zlib.compress(bytes(6))[:-2]), "IDAT"),
    "png filter 9": (packed_picture(b"\x09\0\0\0\0\0"), "damaged PNG: IDAT"),
    "png of no size": (packed_picture(b"", width=0), "without pixels|size does not fit"),
    "png too large": (packed_picture(b"", width=5000, height=5000), "image too large|size does not fit"),
    "png of 3 bits": (packed_picture(bytes(6), depth=3), "unsupported PNG"),
    "png of colour 5": (packed_picture(bytes(6), colour=5), "unsupported PNG"),
    "png animated": (HEAD + chunk(b"acTL", bytes(8)) + IDAT + END, "an animation"),
    "png without palette": (packed_picture(bytes(6), colour=3), "PLTE; expected 1 to 256 entries"),
    "png palette of 4 bytes": (packed_picture(bytes(6), colour=3, before=chunk(b"PLTE", bytes(4))), "PLTE"),
    "png beyond its palette": (packed_picture(b"\0\1\0\0\0\0", 3, before=chunk(b"PLTE", bytes(3))), "number 1"),
    "png tRNS": (packed_picture(bytes(6), before=chunk(b"tRNS", b"1")), "tRNS; expected 0 or 2 bytes"),
    # NPZ
    "zip magic": (b"PK\3\4", "truncated or followed"),
    "zip and more": (archived(x_test=npy(np.zeros((1, 2, 2), np.uint8))) + b"1", "followed by more data"),
    "zip without arrays": (archived(a=b""), "no array x_t"),
    "zip within a folder": (archived(**{"a/x_test": b""}), "member in a folder"),
    "zip in ..": (archived(**{"..\\x_test": b""}), "member in a folder"),
    "npz of text": (archived(x_test=b"some text, no array", x_train=b"", y_train=b""), "damaged or unsupported NPZ"),
    "npz of complex numbers": (
        archived(x_test=npy(np.zeros((1, 2, 2), complex)), x_train=b"", y_train=b""),
        "dtype|unsupported",
    ),
    "npz of objects": (of(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"), "pickled objects"),
    "npz without order": (of(b"{'descr': '|u1', 'shape': (1,), }"), "the header of a plain array"),
    "npz of 9 ranks": (of(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }"), "plain array"),
    "npz of odd letters": (of(b"{'descr': '|q9', 'fortran_order': False, 'shape': (1,), }"), "found .q9"),
    # CSV
    "csv of nothing but a mark": (b"\xef\xbb\xbf", "first line is empty"),
    "csv in UTF-16": ("label,pixel0\n1,2\n".encode("utf-16"), "UTF-16"),
    "csv with zeros": (b"label,pixel0\n1,\x00\n", "byte 15: unknown kind of file"),
    "csv of names alone": (b"label,pixel0\n", "empty dataset"),
    "csv with decimal commas": (b"label;pixel0\n1;0,5\n", "line 2, column 2: a decimal comma"),
    "csv with semicolons below": (b"label,pixel0\n1;2\n", "found 1; separate the fields by commas"),
    "csv named twice": (b"label,pixel0,pixel0\n1,2,3\n", "column 3: column named twice"),
    "csv with a pixel twice": (b"label,pixel0,pixel00\n1,2,3\n", "pixel named twice"),
    "csv with a gap": (b"label,pixel0,pixel2\n1,2,3\n", "pixel columns missing"),
    "csv of labels": (b"label\n1\n", "no pixel columns"),
    "csv with two kinds of names": (b"pixel0,1x1\n1,1\n", "both kinds of names"),
    "csv of 3 columns": (b"1,2,3\n", "an odd number of fields"),
    "csv of another name": (b"label,pixel0,colour\n1,2,3\n", "unknown column"),
    "csv with a quote that does not close": (b'label,pixel0\n1,"2\n', "line 2: damaged line"),
    "csv with a quote in its header": (b'label,"pixel0\n1,2\n', "line 1: damaged line"),
    "csv with a long first line": (b"1," * 40000 + b"\n", "line 1: line too long"),
    "csv with a long line": (b"label,pixel0\n" + b"1" * 70000 + b"\n1,2\n", "line 2: line too long"),
    "csv with a wrong label": (b"label,pixel0\n1,2\nx,2\n", "line 3, column 1: not a label"),
    "csv with too great a label": (b"label,pixel0\n1000000,2\n", "line 2, column 1: not a label"),
    "csv with a wrong byte": (b"label,pixel0\n1,\xff\n", "line 2, column 2"),
}
