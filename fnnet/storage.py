"""Model files: one safetensors file that proves itself by a checksum, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from fnnet.errors import DataError, FnnetError, ModelError
from fnnet.files import read_bytes, show_bytes, write_file
from fnnet.names import ACTIVATIONS
from fnnet.network import check_params
from fnnet.params import Array, Layer, Model, Params, check_classes, check_sizes, freeze, frozen, layer_sizes

FORMAT: Final = "fnnet-model"
VERSION: Final = 1
MAX_HEADER: Final = 2**20
NO_DIGEST: Final = "0" * 64
KEYS: Final = frozenset({"sizes", "activation", "classes", "image_shape", "preprocessing", "training"})


def save_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write `model` to `path` as safetensors with float32 or float64 arrays, after reading the bytes back.

    Raises   StorageError if the file cannot be written, ModelError for a model that could not be loaded again.
    """
    if not isinstance(model, Model):
        raise ModelError("not a model", where=path, expected="fnnet.Model(params)", found=type(model).__name__)
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
        "training": model.training,
    }
    try:
        described = json.dumps(about, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ModelError("training", expected="what JSON can hold", found=str(error)) from None
    metadata = {"format": FORMAT, "version": str(VERSION), "model": described, "sha256": NO_DIGEST}
    blank = _in_fixed_order(save(tensors, metadata))
    return _with_digest(blank, NO_DIGEST, hashlib.sha256(blank).hexdigest())


def _plain(value: Any) -> Any:
    """Mappings that are no dicts as dicts, for JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} in the description")


def _in_fixed_order(content: bytes) -> bytes:
    """The same safetensors file with its header's keys sorted; the library leaves their order to chance."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


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
    return _model(_strict_json(metadata["model"]), content)


def _header(content: bytes) -> dict[str, Any]:
    """The JSON header of safetensors bytes: an 8-byte little-endian length, then so many bytes of JSON."""
    size = int.from_bytes(content[:8], "little")
    if not 2 <= size <= min(MAX_HEADER, len(content) - 8) or content[8:9] != b"{":
        if content[:2] == b"PK" or content[:1] == b"\x80":
            raise ModelError("a pickle or archive, which fnnet never opens", found=show_bytes(content))
        expected = f"a safetensors header of at most {MAX_HEADER:,} bytes"
        raise ModelError("not a safetensors file", place="byte 0", expected=expected, found=show_bytes(content))
    header = _strict_json(content[8 : 8 + size])
    if not isinstance(header, dict):
        raise ModelError("not a safetensors file", place="byte 8", expected="a JSON object")
    return header


def _strict_json(text: str | bytes) -> Any:
    return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


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
    classes, (height, width) = about["classes"], check_sizes(about["image_shape"])
    if not isinstance(classes, list):
        raise ModelError("classes", expected="a list of names", found=repr(classes))
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
    params, shape = check_params(Params(layers)), (height, width)
    return Model(
        params, about["activation"], check_classes(classes), shape, about["preprocessing"], frozen(about["training"])
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
