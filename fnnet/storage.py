"""Model files: one safetensors file that proves itself by a checksum, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from fnnet.data.files import read_bytes, read_head, show_bytes
from fnnet.errors import DataError, FnnetError, ModelError, StorageError
from fnnet.network import ACTIVATIONS, check_params
from fnnet.params import Array, Layer, Model, Params, check_sizes, freeze, layer_sizes

FORMAT: Final = "fnnet-model"
VERSION: Final = 1
MAX_HEADER: Final = 2**20
NO_DIGEST: Final = "0" * 64
KEYS: Final = {"sizes", "activation", "classes", "image_shape", "preprocessing", "training"}


def write_file(path: str | os.PathLike[str], content: bytes) -> None:
    """`content` as the file `path`, all of it or nothing: temporary file, fsync, rename, fsync of the folder.

    Raises   StorageError, leaving what was there before.
    """
    target = Path(path)
    with _writing(target):
        descriptor, temporary = _create_beside(target)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """StorageError now rather than after the work, if a file at `path` could not be written."""
    target = Path(path)
    with _writing(target):
        descriptor, temporary = _create_beside(target)
        os.close(descriptor)
        temporary.unlink()


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Failures of the operating system inside as a StorageError that names `target`."""
    if target.is_dir():
        raise StorageError("cannot be written", where=target, expected="a file name", found="a folder")
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot be written: {reason}", where=target, fix="choose another place") from None


def _create_beside(target: Path) -> tuple[int, Path]:
    """A new empty file in the folder of `target`, with the mode that any new file gets there."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(temporary, flags, 0o666), temporary


def save_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write `model` to `path` as safetensors with float32 or float64 arrays, after reading the bytes back.

    Raises   StorageError if the file cannot be written, ModelError for a model that could not be loaded again.
    """
    content = _serialise(model)
    again = _parse(content, path)
    for layer, read in zip(model.params.layers, again.params.layers, strict=True):
        if any(np.asarray(a).tobytes() != b.tobytes() for a, b in zip(layer, read, strict=True)):
            raise ModelError("what would be saved differs from the model", where=path)
    write_file(path, content)


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model in the file at `path`, proven by its checksum and checked throughout.

    Raises   ModelError for anything but a whole fnnet model, StorageError if the file cannot be read.
    """
    if read_head(path, 1) == b"":
        raise ModelError("file is empty", where=path, expected="a model file", found="0 bytes")
    try:
        return _parse(read_bytes(path), path)
    except DataError as error:
        raise ModelError(error.problem, where=path, expected=error.expected, found=error.found) from None


def _serialise(model: Model) -> bytes:
    from safetensors.numpy import save

    tensors = {
        f"layers.{number}.{name}": np.ascontiguousarray(array)
        for number, layer in enumerate(check_params(model.params).layers)
        for name, array in layer._asdict().items()
    }
    about = {
        "sizes": layer_sizes(model.params),
        "activation": model.activation,
        "classes": model.classes,
        "image_shape": model.image_shape,
        "preprocessing": model.preprocessing,
        "training": dict(model.training),
    }
    metadata = {"format": FORMAT, "version": str(VERSION), "model": json.dumps(about), "sha256": NO_DIGEST}
    blank = save(tensors, metadata)
    return _with_digest(blank, NO_DIGEST, hashlib.sha256(blank).hexdigest())


def _with_digest(content: bytes, old: str, new: str) -> bytes:
    """The file with the value of its one `sha256` entry replaced; the checksum covers every other byte."""
    entry = f'"sha256":"{old}"'.encode()
    if content.count(entry) != 1:
        raise ModelError("no checksum", expected="one sha256 entry", found=content.count(entry))
    return content.replace(entry, f'"sha256":"{new}"'.encode())


def _parse(content: bytes, path: str | os.PathLike[str]) -> Model:
    """The model in these bytes; every failure is a ModelError that names `path`."""
    try:
        return _parse_content(content)
    except FnnetError as error:
        raise ModelError(
            error.problem, where=path, place=error.place, expected=error.expected, found=error.found, fix=error.fix
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError("not a whole fnnet model", where=path, found=f"{type(error).__name__}: {error}") from None


def _parse_content(content: bytes) -> Model:
    header = _header(content)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ModelError("not an fnnet model", expected=f"safetensors with format {FORMAT}", found="another kind")
    _check_version(metadata.get("version"))
    digest = metadata.get("sha256")
    found = hashlib.sha256(_with_digest(content, str(digest), NO_DIGEST)).hexdigest()
    if digest != found:
        raise ModelError("damaged file", expected=f"sha256 {digest}", found=found, fix="use another copy")
    return _model(json.loads(metadata["model"]), content)


def _header(content: bytes) -> dict[str, Any]:
    """The JSON header of safetensors bytes: an 8-byte little-endian length, then so many bytes of JSON."""
    size = int.from_bytes(content[:8], "little")
    if not 2 <= size <= min(MAX_HEADER, len(content) - 8) or content[8:9] != b"{":
        if content[:2] == b"PK" or content[:1] == b"\x80":
            raise ModelError("a pickle or archive, which fnnet never opens", found=show_bytes(content))
        expected = f"a safetensors header of at most {MAX_HEADER:,} bytes"
        raise ModelError("not a safetensors file", place="byte 0", expected=expected, found=show_bytes(content))
    header = json.loads(content[8 : 8 + size], object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    if not isinstance(header, dict):
        raise ModelError("not a safetensors file", place="byte 8", expected="a JSON object")
    return header


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ModelError("key stored twice", place="header")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise ModelError("number in the header", expected="finite numbers", found=name)


def _check_version(version: Any) -> None:
    if version != str(VERSION):
        newer = isinstance(version, str) and version.isdecimal() and int(version) > VERSION
        fix = "upgrade fnnet" if newer else ""
        problem = "written by a newer fnnet" if newer else "unknown format version"
        raise ModelError(problem, expected=f"version {VERSION}", found=repr(version), fix=fix)


def _model(about: dict[str, Any], content: bytes) -> Model:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if set(about) != KEYS:
        raise ModelError("description", expected=", ".join(sorted(KEYS)), found=", ".join(sorted(about)))
    sizes = check_sizes(about["sizes"])
    if about["activation"] not in ACTIVATIONS or about["preprocessing"] != "bytes/255":
        found = f"{about['activation']!r}, {about['preprocessing']!r}"
        raise ModelError("unknown function", expected=f"{', '.join(ACTIVATIONS)} on bytes/255", found=found)
    classes, (height, width) = tuple(map(str, about["classes"])), about["image_shape"]
    if len(classes) != sizes[-1] or height * width != sizes[0]:
        expected = f"{sizes[-1]} classes, {sizes[0]} pixels"
        raise ModelError("description", expected=expected, found=f"{len(classes)} classes, {height}x{width} pixels")
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ModelError("not a safetensors file", found=str(error)) from None
    names = [f"layers.{number}.{name}" for number in range(len(sizes) - 1) for name in "Wb"]
    if sorted(tensors) != sorted(names):
        raise ModelError("tensors", expected=", ".join(names), found=", ".join(sorted(tensors)))
    layers = tuple(_layer(tensors, number, *sizes[number : number + 2]) for number in range(len(sizes) - 1))
    training = MappingProxyType(about["training"])
    return Model(
        check_params(Params(layers)), about["activation"], classes, (height, width), about["preprocessing"], training
    )


def _layer(tensors: dict[str, Array], number: int, inputs: int, outputs: int) -> Layer:
    W, b = (tensors[f"layers.{number}.{name}"] for name in "Wb")
    if W.shape != (inputs, outputs) or b.shape != (outputs,):
        expected = f"W ({inputs}, {outputs}), b ({outputs},)"
        raise ModelError(
            "tensor shape", place=f"layer {number + 1}", expected=expected, found=f"W {W.shape}, b {b.shape}"
        )
    if not (np.isfinite(W).all() and np.isfinite(b).all()):
        raise ModelError(
            "weights are not finite", place=f"layer {number + 1}", expected="numbers", found="NaN or infinity"
        )
    return Layer(freeze(W.copy()), freeze(b.copy()))


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
