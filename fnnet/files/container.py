"""The file format of models and checkpoints: safetensors with a description and a checksum over every byte.

The layout is that of safetensors: an 8-byte length, a JSON header, the arrays one after another. Arrays are written
C-contiguous and without an extra copy, keys in a fixed order; reading is strict.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.errors import FnnetError, ModelError, StorageError, counted
from fnnet.files import strictjson
from fnnet.files.disk import DISK, MAX_FILE_BYTES, FileSystem, read_bytes, read_head, show_bytes, write_file

T = TypeVar("T")
Parse = Callable[[Any, Mapping[str, Array]], T]

NO_DIGEST: Final = "0" * 64
ANOTHER: Final = "use another copy, or train again"
UNFIT: Final = "pass values that a file can store"
DTYPES: Final[Mapping[str, np.dtype[Any]]] = MappingProxyType({"F32": np.dtype("<f4"), "F64": np.dtype("<f8")})


class Kind(NamedTuple):
    """A kind of file: `name` as in the format "fnnet-<name>", its version, the maximum size of its header in bytes, and
    the oldest version that can be read, 0 for none but its own."""

    name: str
    version: int
    max_header: int
    oldest: int = 0


def save(
    path: str | os.PathLike[str],
    kind: Kind,
    about: Mapping[str, Any],
    tensors: Mapping[str, Array],
    parse: Parse[T],
    disk: FileSystem = DISK,
) -> None:
    """Write a description and arrays of float32 or float64 to the file `path`, completely or not at all.

    parse    the function that `load` will be called with; it is applied to the description and arrays first.
    Raises   ModelError for content that could not be loaded again, StorageError if the file cannot be written.
    """
    with _naming(path, kind, UNFIT):
        try:
            described = strictjson.dumps(about)
        except (TypeError, ValueError) as error:
            raise ModelError("not JSON", expected="values that JSON can represent", found=str(error)) from None
        parse(strictjson.loads(described), tensors)
        chunks = _seal(kind, described, tensors)
    write_file(path, *chunks, disk=disk)


def load(path: str | os.PathLike[str], kind: Kind, parse: Parse[T], disk: FileSystem = DISK) -> T:
    """Read the file `path` and return `parse(description, arrays)`; the arrays are read-only and own their memory.

    Raises   ModelError for a damaged file or one of another kind, StorageError if the file cannot be read.
    """
    with _naming(path, kind, ANOTHER):
        return parse(*_open(read_bytes(path, disk=disk), kind))


def loads(content: bytes, path: str | os.PathLike[str], kind: Kind, parse: Parse[T]) -> T:
    """Return what `load` does, of the bytes of a file; `path` names it in messages."""
    with _naming(path, kind, ANOTHER):
        return parse(*_open(content, kind))


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str], kind: Kind, fix: str) -> Iterator[None]:
    """Turn errors into a ModelError that names `path`, a place and a remedy, except those of the operating system."""
    try:
        yield
    except StorageError:
        raise
    except FnnetError as error:
        place, fix = error.place or "description", error.fix or fix
        parts: dict[str, Any] = {"expected": error.expected, "found": error.found, "fix": fix}
        raise ModelError(error.problem, where=path, place=place, **parts) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        found, expected = f"{type(error).__name__}: {error}"[:200], f"version {kind.version} of the format"
        problem = f"damaged fnnet {kind.name}"
        raise ModelError(problem, where=path, place="header", expected=expected, found=found, fix=fix) from None


def _seal(kind: Kind, described: str, tensors: Mapping[str, Array]) -> list[bytes | memoryview]:
    """Return the file in pieces: the header, then the bytes of each array, float64 first so that all are aligned."""
    metadata = {"format": f"fnnet-{kind.name}", "version": str(kind.version), kind.name: described, "sha256": NO_DIGEST}
    header: dict[str, Any] = {"__metadata__": metadata}
    names = {dtype: name for name, dtype in DTYPES.items()}
    pieces, end = [], 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].itemsize, name)):
        array = tensors[name]
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        if array.dtype not in names:
            raise ModelError("unsupported dtype", place=name, expected=" or ".join(map(str, names)), found=array.dtype)
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": names[array.dtype], "shape": array.shape, "data_offsets": (begin, end)}
        pieces.append(array.reshape(-1).view(np.uint8).data)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > kind.max_header or end > MAX_FILE_BYTES - len(text) - 8:
        expected = f"at most {kind.max_header:,} bytes of description, {MAX_FILE_BYTES:,} in all"
        raise ModelError("too large", expected=expected, found=f"{len(text):,} and {len(text) + end + 8:,}")
    head = len(text).to_bytes(8, "little") + text
    return [_with_digest(head, NO_DIGEST, _digest(head, *pieces)), *pieces]


def _digest(*pieces: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _with_digest(head: bytes, old: str, new: str) -> bytes:
    """Return the header with the value of its only `sha256` entry replaced; the checksum covers all other bytes."""
    entry = f'"sha256":"{old}"'.encode()
    if head.count(entry) != 1:
        raise ModelError("no checksum", place="header", expected="one sha256 entry", found=head.count(entry))
    return head.replace(entry, f'"sha256":"{new}"'.encode())


def form_of(content: bytes) -> tuple[str, str]:
    """Return the name of the kind and the version that the header of a file has, as ("model", "3"); two empty texts if
    fnnet did not write it.

    content   of the file, or the first bytes of it, as far as the header goes. Nothing is verified.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    try:
        about = strictjson.loads(content[8:end])["__metadata__"]
        form, version = about["format"], about["version"]
        texts = form.startswith("fnnet-") and isinstance(version, str)
    except (FnnetError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""
    return (form.removeprefix("fnnet-"), version) if texts else ("", "")


def is_kind(path: str | os.PathLike[str], kind: Kind) -> bool:
    """Return True if the file at `path` says that it is of this kind, of whatever version, whole or damaged.

    Raises   StorageError if it cannot be read.
    """
    size = int.from_bytes(read_head(path, 8), "little")
    return size <= kind.max_header and form_of(read_head(path, 8 + size))[0] == kind.name


def _open(content: bytes, kind: Kind) -> tuple[Any, dict[str, Array]]:
    """Return the description and the arrays in these bytes, after checking their checksum."""
    header, size = _header(content, kind)
    metadata = header.pop("__metadata__", None)
    form = f"fnnet-{kind.name}"
    if not isinstance(metadata, dict) or metadata.get("format") != form:
        found = repr(metadata.get("format")) if isinstance(metadata, dict) else "no format"
        expected = f"safetensors with format {form}"
        raise ModelError(f"not an fnnet {kind.name}", place="header", expected=expected, found=found)
    _check_version(metadata.get("version"), kind)
    digest, data = metadata.get("sha256"), memoryview(content)[size:]
    found = _digest(_with_digest(content[:size], str(digest), NO_DIGEST), data)
    if digest != found:
        raise ModelError("damaged file", place="checksum", expected=f"sha256 {digest}", found=found)
    return strictjson.loads(metadata[kind.name]), _arrays(header, data)


def _header(content: bytes, kind: Kind) -> tuple[dict[str, Any], int]:
    """Return the JSON header of safetensors bytes and its end: 8 bytes of little-endian length, then the JSON."""
    size = int.from_bytes(content[:8], "little")
    if not 2 <= size <= min(kind.max_header, len(content) - 8) or content[8:9] != b"{":
        if content[:2] == b"PK" or content[:1] == b"\x80":
            problem, expected = "a pickle or archive, which fnnet never opens", "a safetensors file"
            raise ModelError(problem, place="byte 0", expected=expected, found=show_bytes(content))
        expected = f"a safetensors header of at most {min(kind.max_header, len(content)):,} bytes"
        raise ModelError("not a safetensors file", place="byte 0", expected=expected, found=show_bytes(content))
    header: dict[str, Any] = strictjson.loads(content[8 : 8 + size])  # it begins with a brace
    return header, 8 + size


def _check_version(version: Any, kind: Kind) -> None:
    if version not in map(str, range(kind.oldest or kind.version, kind.version + 1)):
        newer = isinstance(version, str) and version.isdecimal() and int(version) > kind.version
        fix = "upgrade fnnet" if newer else ""
        problem = "written by a newer fnnet" if newer else "unknown format version"
        expected = f"version {kind.version}"
        raise ModelError(problem, place="header", expected=expected, found=repr(version), fix=fix)


def _arrays(header: dict[str, Any], data: memoryview) -> dict[str, Array]:
    """Return copies of the arrays, which must fill `data` without gaps in the order of their offsets."""
    arrays, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if sorted(entry) != ["data_offsets", "dtype", "shape"]:
            raise ModelError(
                "entries of a tensor", place=name, expected="dtype, shape, data_offsets", found=sorted(entry)
            )
        dtype, shape, end_before = DTYPES.get(entry["dtype"]), entry["shape"], end
        begin, end = entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
        if not whole or dtype is None or begin != end_before or end - begin != math.prod(shape) * dtype.itemsize:
            raise ModelError(
                "invalid tensor", place=name, expected="F32 or F64, offsets without gaps that fit", found=entry
            )
        if end > len(data):
            break
        arrays[name] = freeze(np.frombuffer(data[begin:end], dtype).reshape(shape).astype(dtype.newbyteorder("=")))
    if end != len(data):
        raise ModelError("wrong length", place="arrays", expected=counted(end, "byte"), found=f"{len(data):,}")
    return arrays
