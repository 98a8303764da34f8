"""A data set written many times over, each time deformed otherwise, as a stream: see `stream_index`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np

from fnnet.core import deform, rng
from fnnet.core.checks import check_count
from fnnet.core.orders import epoch_order
from fnnet.core.params import Array
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY, Kernels
from fnnet.data.convert import write_folder
from fnnet.data.dataset import PLAIN, Dataset, split
from fnnet.data.stream_index import INDEX, MAX_INDEX, PIECE, File, Index, Shard, index_as_json
from fnnet.data.tables import refuse_table
from fnnet.errors import ArgumentTypeError, StorageError, UsageError
from fnnet.files.disk import write_file
from fnnet.limits import MOST_TIMES, available_bytes

SHARD_BYTES: Final = 64 * 10**6
ROOM: Final = 2**16
"""Bytes of an index for what is not about files of training."""
SUM: Final = 8
"""Bytes of an index for a CRC-32."""
CHUNK: Final = 8192
"""Images that are deformed at once."""


class Expanded(NamedTuple):
    """What `expand` wrote: images of each part, files of images for training, and bytes in all."""

    images: dict[str, int]
    shards: int
    bytes: int


def expand(
    dataset: Dataset,
    path: str | os.PathLike[str],
    times: int,
    *,
    dev: int = 0,
    seed: int = 0,
    deformation: deform.Deformation | None = None,
    shard_images: int | None = None,
    kernels: Kernels = NUMPY,
    on_images: Callable[[int, int], None] = lambda done, total: None,
) -> Expanded:
    """Write the training images of a data set `times` times as a stream, into a new folder, and its test images once.

    Copy k, counted from 1, is in the order, and deformed, as the images are in epoch k of a training of `times` epochs
    with this seed, `dev` and deformation.

    dev            images for validation, chosen by the seed; they are not deformed.
    deformation    None for copies as they are.
    shard_images   images in a file; None for about 64 MB.
    on_images      called with the number of images that are written, and of all.
    Raises   StorageError where the disk is too full, or the folder cannot be written: nothing is then left.
             UsageError for an argument out of range.
    """
    if not isinstance(dataset, Dataset):
        raise ArgumentTypeError("dataset", expected="a Dataset", found=type(dataset).__name__)
    refuse_table(dataset, "dataset", "images, which are stored as bytes", "train on the table itself")
    times = check_count("times", times, 1, MOST_TIMES)
    train, held_out = split(dataset.train, dev, seed)
    parts = {"dev": held_out, "test": dataset.test}
    pixels, images = train.x.shape[1], times * len(train.labels)
    each = max(1, SHARD_BYTES // pixels) if shard_images is None else check_count("shard_images", shard_images, 1)
    copies = _Copies(train, dataset.image_shape, times, seed, deformation, kernels)
    files = -(-images // each)
    kind = _label_kind(len(dataset.classes))
    size = sum(
        (pixels + kind.itemsize) * count for count in (images, *(len(part.labels) for part in parts.values() if part))
    )
    _check_index(files, dataset.classes, each, pixels, kind)
    _check_memory(min(each, images) * (pixels + kind.itemsize), each)
    _check_space(Path(path), size)
    others = {name: part for name, part in parts.items() if part}

    def write(folder: Path) -> None:
        shards, digits = [], max(5, len(str(files)))
        buffer = Examples(np.empty((min(each, images), pixels), np.uint8), np.empty(min(each, images), kind))
        for number in range(files):
            first = number * each
            stop = min(first + each, images)
            shard = Examples(*(array[: stop - first] for array in buffer))
            for at, x, labels in copies.between(first, stop):
                shard.x[at - first : at - first + len(x)] = x
                shard.labels[at - first : at - first + len(x)] = labels
                on_images(at + len(x), images)
            shards.append(_write_shard(folder, f"train-{number + 1:0{digits}}", shard, len(dataset.classes)))
        found = {"train": tuple(shards)}
        for name, part in others.items():
            plain = Examples(np.ascontiguousarray(part.x), part.labels.astype(kind))
            found[name] = (_write_shard(folder, name, plain, len(dataset.classes)),)
        about = (dataset.image_shape, dataset.classes, dataset.preprocessing, dataset.numbered)
        index = Index(*about, found, _origin(dataset, times, len(others.get("dev", ((), ()))[1]), seed, deformation))
        write_file(folder / INDEX, index_as_json(index))

    write_folder(Path(path), write)
    counts = {"train": images, **{name: len(part.labels) for name, part in others.items()}}
    return Expanded(counts, files, size)


class _Copies:
    """The images of all copies, one behind another."""

    def __init__(
        self, train: Examples, shape: tuple[int, int], times: int, seed: int, deformation: deform.Deformation | None,
        kernels: Kernels,
    ) -> None:  # fmt: skip
        self._train, self._shape, self._times, self._kernels = train, shape, times, kernels
        self._seed, self._deformation = rng.check_seed(seed), deformation and deform.check_deformation(deformation)
        self._order = lru_cache(1)(lambda copy: epoch_order(seed, copy, len(train.labels)))

    def between(self, first: int, stop: int) -> Iterator[tuple[int, Array, Array]]:
        """Yield the images from `first` to before `stop`: where each few of them begin, they, and their labels."""
        n = len(self._train.labels)
        while first < stop:
            copy, at = divmod(first, n)
            rows = self._order(copy + 1)[at : min(at + CHUNK, at + stop - first)]
            yield first, self._deformed(rows, copy + 1), self._train.labels[rows]
            first += len(rows)

    def _deformed(self, rows: Array, copy: int) -> Array:
        x = self._train.x[rows]
        if self._deformation is None:
            return x
        place: dict[str, Any] = {"seed": self._seed, "epoch": copy, "samples": rows, "kernels": self._kernels}
        return deform.deform(x, self._shape, deform.faded(self._deformation, copy, self._times), **place)


def _label_kind(classes: int) -> np.dtype[Any]:
    return np.dtype("|u1" if classes <= 2**8 else "<u2" if classes <= 2**16 else "<u4")


def _check_index(files: int, classes: Sequence[str], images: int, pixels: int, kind: np.dtype[Any]) -> None:
    """Raise UsageError for more files of `images` images than an index holds that can be read."""
    one, each = _lengths(classes, images)
    total = files * images
    sums = SUM * (total * (pixels + kind.itemsize) // PIECE)  # of pieces, beside one a file
    if one + (files + 1) * each + sums <= MAX_INDEX:
        return
    bound = f"for an index of at most {MAX_INDEX:,} bytes"
    one, each = _lengths(classes, total)
    most = (MAX_INDEX - one - sums) // each - 1
    if most < 1:
        raise UsageError("too many images", where="times", expected=f"fewer, {bound}", found=f"{total:,} images")
    expected, fix = f"{-(-total // most):,} or more, {bound}", "write more into each file"
    raise UsageError("too many files", where="shard_images", expected=expected, found=f"{images:,}", fix=fix)


def _lengths(classes: Sequence[str], images: int) -> tuple[int, int]:
    """Return the bytes of an index at most, of one file of `images` images, and those of another such file."""
    one, two = (len(index_as_json(_indexed(count, classes, images))) for count in (1, 2))
    return one + ROOM, two - one  # those of dev and test have a file each


def _indexed(files: int, classes: Sequence[str], size: int) -> Index:
    """Return an index at least as long as one of as many files of `size` images, of a piece each."""
    counts, name = (size,) * len(classes), f"train-{10**9}"
    images, labels = (File(each, "0" * 64, "0" * 2 * SUM) for each in (f"{name}.npy", f"{name}-labels.npy"))
    shard = Shard(images, labels, counts)
    return Index((1, 1), tuple(classes), PLAIN, False, {"train": (shard,) * files})


def _check_memory(size: int, images: int) -> None:
    """Raise UsageError for files of `images` images of `size` bytes, one of which does not fit in memory."""
    limit = available_bytes()
    if limit and size > limit[0]:
        expected = f"fewer: at most {limit[0] / 1e6:,.0f} MB a file, as {limit[1]} leaves"
        found, fix = f"{size / 1e6:,.0f} MB", "write fewer into each file"
        raise UsageError(f"files of {images:,} images", where="shard_images", expected=expected, found=found, fix=fix)


def _check_space(path: Path, size: int) -> None:
    """Raise StorageError unless the disk has `size` bytes for a folder at `path`."""
    free = size
    with contextlib.suppress(OSError):  # of a place that is not there either, which writing names
        free = shutil.disk_usage(next(each for each in path.absolute().parents if each.is_dir())).free
    if free < size:
        expected, found = f"{size / 1e6:,.0f} MB free", f"{free / 1e6:,.0f} MB"
        raise StorageError(
            "disk is too full", where=path, expected=expected, found=found, fix="write less, or elsewhere"
        )


def _write_shard(folder: Path, name: str, examples: Examples, classes: int) -> Shard:
    images = _write_array(folder, f"{name}.npy", examples.x)
    labels = _write_array(folder, f"{name}-labels.npy", examples.labels)
    return Shard(images, labels, tuple(np.bincount(examples.labels, minlength=classes).tolist()))


def _write_array(folder: Path, name: str, array: Array) -> File:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    numbers = array.reshape(-1).view(np.uint8).data
    write_file(folder / name, head.getbuffer(), numbers)
    digest = hashlib.sha256(head.getbuffer())
    digest.update(numbers)
    return File(name, digest.hexdigest(), sums_of_pieces(head.getbuffer(), numbers))


def sums_of_pieces(*parts: Any) -> str:
    """Return the CRC-32 of the pieces of a file, as an index has them; its bytes in parts."""
    found, current, missing = "", 0, PIECE
    for part in parts:
        view, at = memoryview(part), 0
        while at < len(view):
            some = view[at : at + missing]
            current, missing, at = crc32(some, current), missing - len(some), at + len(some)
            if not missing:
                found, current, missing = f"{found}{current:08x}", 0, PIECE
    return found if missing == PIECE else f"{found}{current:08x}"


def _origin(
    dataset: Dataset, times: int, dev: int, seed: int, deformation: deform.Deformation | None
) -> dict[str, Any]:
    from fnnet import __version__

    return {
        "dataset": dataset.name,
        "source": dataset.source,
        "images": len(dataset.train.labels),
        "dev": dev,
        "times": times,
        "seed": seed,
        "deformation": deformation and deformation._asdict(),
        "scheme": rng.SCHEME,
        "version": __version__,
    }
