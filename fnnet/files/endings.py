"""Names of files to write: their ending must not say another format than what is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fnnet.errors import UsageError

ENDINGS: Final = {
    ".csv": "CSV", ".tsv": "text with tabs", ".json": "JSON", ".jsonl": "JSON", ".xls": "Excel", ".xlsx": "Excel",
    ".ods": "OpenDocument", ".npz": "NPZ", ".npy": "NPY", ".parquet": "Parquet", ".arrow": "Arrow",
    ".feather": "Arrow", ".h5": "HDF5", ".hdf5": "HDF5", ".mat": "MATLAB", ".arff": "ARFF", ".pkl": "pickle",
    ".safetensors": "safetensors", ".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".zip": "ZIP",
    ".tar": "tar", ".tgz": "tar", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP", ".bmp": "BMP",
    ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF", ".svg": "SVG", ".pdf": "PDF", ".html": "HTML",
}  # fmt: skip
"""Endings of names that say a format. Others, as .txt and .out, say none."""


def check_ending(path: str | os.PathLike[str], form: str, where: str) -> None:
    """Raise UsageError for the name of a file to write, or of a folder, whose ending says another format.

    form    what is written, as ENDINGS call it; another word for a folder.
    where   the option that gives the name.

    >>> check_ending("s.csv", "CSV", "--output"), check_ending("s.txt", "CSV", "--output")
    (None, None)
    """
    suffix = Path(path).suffix.lower()
    said = ENDINGS.get(suffix, form)
    if said == form:
        return
    own = next((ending for ending, name in ENDINGS.items() if name == form), "")
    fix = f"name it with {own}" if own else f"name it without {suffix}"
    fix = f"{fix}, and pack it then" if said in ("gzip", "bzip2", "xz", "zstd", "ZIP") else fix
    found = f"{suffix}, which says {said}"
    raise UsageError("the name says another format", where=where, expected=f"the name of {form}", found=found, fix=fix)
