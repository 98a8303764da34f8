"""Data sets written in another format: NPZ, IDX, CSV or class folders of PNG images."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Examples
from fnnet.data import Dataset
from fnnet.errors import StorageError, UsageError
from fnnet.files.disk import write_file, write_pieces

ROWS: Final = 256
"""Rows of a table that are written at a time."""
IDX_PARTS: Final = {"train": "train", "test": "t10k"}


def form_of(path: str | os.PathLike[str], wanted: str | None = None) -> str:
    """Return what is to be written: `wanted`, else as the suffix of `path` says; a folder holds PNG images.

    Raises   UsageError for another suffix.
    """
    suffix = Path(path).suffix.lower()
    found = wanted or {".npz": "npz", ".csv": "csv", "": "png"}.get(suffix)
    if found is None:
        raise UsageError("unknown form", where="OUT", expected="a name with .npz or .csv, or a folder", found=suffix)
    return found


def convert(dataset: Dataset, path: str | os.PathLike[str], form: str | None = None) -> list[str]:
    """Write a data set, as networks take it, to `path`; return the files or the folder written.

    form     "npz", "csv" (a file for each part), "idx" (a folder of files) or "png" (class folders); None for what the
             name says. A folder must be new or empty.
    Raises   UsageError for an unknown form, StorageError if it cannot be written: nothing is then half-written.

    >>> from fnnet import data
    >>> convert(data.load("digits"), "digits.npz")
    ['digits.npz']
    """
    parts = {"train": dataset.train} | ({"test": dataset.test} if dataset.test else {})
    name, target = form_of(path, form), Path(path)
    if name == "npz":
        _write_npz(target, parts, dataset.image_shape)
        return [str(target)]
    if name == "csv":
        files = {part: target if part == "train" else target.with_stem(f"{target.stem}-{part}") for part in parts}
        for part, examples in parts.items():
            write_pieces(files[part], _Table(examples))
        return [str(file) for file in files.values()]
    with _Folder(target) as folder:
        (_write_idx if name == "idx" else _write_png)(folder, dataset, parts)
    return [str(target)]


def _write_npz(path: Path, parts: dict[str, Examples], shape: tuple[int, int]) -> None:
    arrays: dict[str, Array] = {}
    for part, examples in parts.items():
        arrays |= {f"x_{part}": examples.x.reshape(-1, *shape), f"y_{part}": examples.labels}
    into = io.BytesIO()
    np.savez_compressed(into, allow_pickle=False, **arrays)
    write_file(path, into.getbuffer())


class _Table:
    """The lines of a CSV file in Kaggle's form; going through them makes them again."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[bytes]:
        x, labels = self.examples
        yield ",".join(["label", *(f"pixel{number}" for number in range(x.shape[1]))]).encode() + b"\n"
        for first in range(0, len(x), ROWS):
            rows = np.column_stack([labels[first : first + ROWS], x[first : first + ROWS]]).tolist()
            yield "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def _write_idx(folder: Path, dataset: Dataset, parts: dict[str, Examples]) -> None:
    for part, (x, labels) in parts.items():
        if labels.max() > 255:
            expected, found = "labels of at most 255, as bytes hold", int(labels.max())
            raise UsageError("too many classes for IDX", where="OUT", expected=expected, found=found)
        for kind, array in (("images-idx3", x.reshape(-1, *dataset.image_shape)), ("labels-idx1", labels)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            head = bytes((0, 0, 8, array.ndim)) + sizes
            write_file(folder / f"{IDX_PARTS[part]}-{kind}-ubyte", head, array.astype(np.uint8).tobytes())


def _write_png(folder: Path, dataset: Dataset, parts: dict[str, Examples]) -> None:
    from PIL import Image

    for part, (x, labels) in parts.items():
        inside = folder / part if len(parts) > 1 else folder
        digits = len(str(len(x)))
        for name in dataset.classes:
            if Path(name).name != name or name in (".", ".."):
                raise UsageError("class name", where="OUT", expected="names that a folder can have", found=repr(name))
            (inside / name).mkdir(parents=True)
        for number, (image, label) in enumerate(zip(x, labels.tolist(), strict=True)):
            file = inside / dataset.classes[label] / f"{number + 1:0{digits}}.png"
            Image.fromarray(image.reshape(dataset.image_shape)).save(file)


class _Folder:
    """Context manager: a new folder beside `path`, which takes its name if the block succeeds, and is removed else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        with _naming(self.path):
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                problem, expected = "would replace what is there", "a new or an empty folder"
                fix = "name another, or remove it"
                raise StorageError(problem, where=self.path, expected=expected, found="files", fix=fix)
            self.new = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
            self.new.mkdir(parents=True)
        return self.new

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            with _naming(self.path):
                if isinstance(error, OSError) and not isinstance(error, StorageError):
                    raise error
                if error is None:
                    if self.path.exists():
                        self.path.rmdir()
                    self.new.rename(self.path)
        finally:
            shutil.rmtree(self.new, ignore_errors=True)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn OSError into a StorageError that names `path`."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        raise StorageError(problem, where=path, fix="choose another place") from None
