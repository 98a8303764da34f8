"""Model files: one safetensors file with a checksum, written completely or not at all."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from fnnet.core.check_network import check_params, check_sizes
from fnnet.core.checks import check_classes
from fnnet.core.committee import check_committee
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Layer, Params, layer_sizes
from fnnet.core.state import Committee, Model, Preprocessing, as_scaling, described, frozen, unfit
from fnnet.errors import ModelError, counted
from fnnet.files import container
from fnnet.files.container import Kind
from fnnet.files.disk import DISK, FileSystem
from fnnet.names import ACTIVATIONS

MODEL: Final = Kind("model", 6, 2**20, 1)
PLAIN: Final = 3
MEMBERS: Final = 4
FROM_MINUS_1: Final = 5
"""The versions that one network, the members of a committee and `signed` pixels need; the columns of a table need the
last."""
ADDED: Final = frozenset({"faint", "resize"})
"""Fields of the preprocessing that version 2 of the format did not have: they are as by default."""
SIGNED: Final = "signed"
"""The field that is written only where it is true."""
SCALING: Final = "scaling"
"""The field that is written only for a table."""
KEYS: Final = frozenset({"sizes", "activation", "classes", "image_shape", "preprocessing", "training"})


def save_model(path: str | os.PathLike[str], model: Model, *, disk: FileSystem = DISK) -> None:
    """Write `model` to the file `path`: safetensors with a checksum, completely or not at all.

    Raises   StorageError if the file cannot be written, ModelError for a model that could not be loaded again.

    >>> import fnnet
    >>> save_model("small.safetensors", Model(fnnet.init((4, 2)), classes=("even", "odd"), image_shape=(2, 2)))
    """
    if not isinstance(model, Model):
        raise ModelError("not a model", expected="fnnet.Model", found=type(model).__name__, fix=_as_model(model))
    if isinstance(model.activation, Activation):
        raise ModelError(
            "the activation is a function, and a model file stores no code",
            expected=", ".join(ACTIVATIONS),
            found="an Activation",
            fix="store the parameters with numpy.savez, and keep the Activation in the program",
        )
    version, sizes, tensors = _described(model.params)
    preprocessing: Any = model.preprocessing
    if isinstance(preprocessing, Preprocessing):
        preprocessing = described(preprocessing)
        if preprocessing[SIGNED] is False:
            del preprocessing[SIGNED]
        else:
            version = FROM_MINUS_1
        version = MODEL.version if SCALING in preprocessing else version
    about = {
        **sizes,
        "activation": model.activation,
        "classes": model.classes,
        "image_shape": model.image_shape,
        "preprocessing": preprocessing,
        "training": model.training,
    }
    container.save(path, MODEL._replace(version=version), about, tensors, _model, disk)


def _described(network: Params | Committee) -> tuple[int, dict[str, Any], dict[str, Array]]:
    """Return how a network is written: the version it needs, the sizes of its layers, and its arrays by name."""
    if not isinstance(network, Committee):
        return PLAIN, {"sizes": layer_sizes(check_params(network))}, tensors_of("layers", network)
    members = check_committee(network).members
    each = [tensors_of(_prefix(number), member) for number, member in enumerate(members)]
    return MEMBERS, {"members": [*map(layer_sizes, members)]}, {name: part[name] for part in each for name in part}


def _prefix(number: int) -> str:
    return f"members.{number}"


def _as_model(params: Any) -> str:
    """Return how to make a model of what was given in place of one."""
    if not isinstance(params, Params):
        return "pass an fnnet.Model"
    sizes = layer_sizes(check_params(params))
    plain = Model(params)
    usual = (sizes[0], sizes[-1]) == (plain.image_shape[0] * plain.image_shape[1], len(plain.classes))
    return f"pass fnnet.Model(params{'' if usual else ', classes=..., image_shape=(height, width)'})"


def load_model(path: str | os.PathLike[str]) -> Model:
    """Load the model in the file `path`; its checksum and every value are checked, and no code in it is executed.

    Raises   ModelError for a damaged file or one that is not an fnnet model, StorageError if it cannot be read.

    >>> import fnnet
    >>> params = fnnet.init((784, 10, 10), seed=0)
    >>> save_model("model.safetensors", Model(params))
    >>> model = load_model("model.safetensors")
    >>> model.activation, bool((model.params.layers[0].W == params.layers[0].W).all())
    ('relu', True)
    """
    return container.load(path, MODEL, _model)


def model_in(content: bytes, path: str | os.PathLike[str]) -> Model:
    """Return the model in the bytes of a file, checked as by `load_model`; `path` names it in messages."""
    return container.loads(content, path, MODEL, _model)


def is_model(path: str | os.PathLike[str]) -> bool:
    """Return True if the file at `path` is a model by its header, whole or damaged, and not a link.

    Raises   StorageError if it cannot be read.
    """
    return os.path.isfile(path) and not os.path.islink(path) and container.is_kind(path, MODEL)


def tensors_of(prefix: str, params: Params) -> dict[str, Array]:
    """Return the arrays of `params` by name: `<prefix>.0.W`, `<prefix>.0.b`, `<prefix>.1.W`, ..."""
    return {
        f"{prefix}.{number}.{name}": np.asarray(array)
        for number, layer in enumerate(params.layers)
        for name, array in zip("Wb", layer, strict=True)
    }


def params_of(prefix: str, tensors: Mapping[str, Array], sizes: tuple[int, ...], *, finite: bool = True) -> Params:
    """Return the parameters named as by `tensors_of`, for layers of these sizes.

    Raises   ModelError for a wrong shape and, if `finite`, for NaN or infinity.
    """
    layers = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        W, b = (tensors[f"{prefix}.{number}.{name}"] for name in "Wb")
        place = f"layer {number + 1} ({prefix}.{number})"
        if W.shape != (inputs, outputs) or b.shape != (outputs,):
            expected = f"W ({inputs}, {outputs}), b ({outputs},)"
            raise ModelError("wrong shape", place=place, expected=expected, found=f"W {W.shape}, b {b.shape}")
        if finite and not (np.isfinite(W).all() and np.isfinite(b).all()):
            raise ModelError("weights are not finite", place=place, expected="finite numbers", found="NaN or infinity")
        layers.append(Layer(W, b))
    return check_params(Params(tuple(layers)))


def check_names(tensors: Mapping[str, Array], prefixes: list[str], sizes: tuple[int, ...]) -> None:
    """Raise ModelError unless `tensors` are exactly those of a network of these sizes under each prefix."""
    names = [f"{prefix}.{number}.{name}" for prefix in prefixes for number in range(len(sizes) - 1) for name in "Wb"]
    if sorted(tensors) != sorted(names):
        raise ModelError(
            "wrong names of tensors", place="arrays", expected=", ".join(names), found=", ".join(sorted(tensors))
        )


def check_keys(about: Any, keys: frozenset[str]) -> None:
    """Raise ModelError unless a description has exactly these keys."""
    if set(about) != keys:
        raise ModelError("wrong keys", expected=", ".join(sorted(keys)), found=", ".join(sorted(about)))


def _model(about: Any, tensors: Mapping[str, Array]) -> Model:
    is_committee = "members" in about
    check_keys(about, KEYS - {"sizes"} | {"members"} if is_committee else KEYS)
    each = _members(about["members"]) if is_committee else [check_sizes(about["sizes"])]
    sizes = each[0]
    if about["activation"] not in ACTIVATIONS:
        expected = ", ".join(ACTIVATIONS)
        raise ModelError("unknown activation", expected=expected, found=repr(about["activation"]))
    preprocessing = _preprocessing(about["preprocessing"])
    classes, (height, width) = about["classes"], check_sizes(about["image_shape"])
    if not isinstance(classes, list):
        raise ModelError("classes are not a list", expected="a list of names", found=repr(classes))
    if len(classes) != sizes[-1] or height * width != sizes[0]:
        expected = f"{counted(sizes[-1], 'class', 'classes')}, {counted(sizes[0], 'pixel')}"
        found = f"{counted(len(classes), 'class', 'classes')}, {height}x{width} pixels"
        raise ModelError("sizes do not fit the layers", expected=expected, found=found)
    if preprocessing.scaling and (height, width) != (1, len(preprocessing.scaling.names)):
        expected, found = f"1x{len(preprocessing.scaling.names)}, a row of columns", f"{height}x{width}"
        raise ModelError("sizes do not fit the columns", expected=expected, found=found)
    if not isinstance(about["training"], dict):
        raise ModelError("training is not an object", expected="an object", found=repr(about["training"])[:80])
    prefixes = [*map(_prefix, range(len(each)))] if is_committee else ["layers"]
    check_names(tensors, prefixes, sizes)
    params = [params_of(prefix, tensors, own) for prefix, own in zip(prefixes, each, strict=True)]
    network = check_committee(Committee(tuple(params))) if is_committee else params[0]
    shape, names, training = (height, width), check_classes(classes), frozen(about["training"])
    return Model(network, about["activation"], names, shape, preprocessing, training)


def _members(given: Any) -> list[tuple[int, ...]]:
    """Return the sizes of the layers of each member of a committee; ModelError unless they fit one another."""
    if not isinstance(given, list) or not given:
        expected = "the sizes of the layers of at least 1 network"
        raise ModelError("members are not a list", expected=expected, found=repr(given)[:80])
    sizes = [check_sizes(own) for own in given]
    for number, own in enumerate(sizes):
        if (len(own), own[0], own[-1]) != (len(sizes[0]), sizes[0][0], sizes[0][-1]):
            problem, place = "not of the depth, inputs and outputs of the first", f"member {number}"
            expected, found = ("-".join(map(str, each)) for each in (sizes[0], own))
            raise ModelError(problem, place=place, expected=expected, found=found)
    return sizes


def _preprocessing(about: Any) -> Preprocessing:
    """Return the preprocessing that a file describes; version 1 of the format had a single one."""
    if about == "bytes/255":
        return Preprocessing()
    fields = frozenset(Preprocessing._fields)
    if not isinstance(about, dict) or set(about) | {SIGNED, SCALING} not in (fields, fields - ADDED):
        expected = f"an object of {', '.join(Preprocessing._fields)}"
        raise ModelError("unknown preprocessing", expected=expected, found=repr(about)[:80])
    if SCALING in about:
        about = {**about, SCALING: as_scaling(about[SCALING])}
    found = Preprocessing(**about)
    if wrong := unfit(found):
        raise ModelError("unknown preprocessing", expected=wrong[0], found=wrong[1])
    return found
