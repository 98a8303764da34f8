"""Weights from and to other libraries, none of which is imported unless one of its networks is to be made.

Networks of scikit-learn, PyTorch and Keras are recognised by what they have. One logistic unit for two classes becomes
two softmax units, whose first logit is 0, and predicts the same.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fnnet.core.check_network import check_network, check_params
from fnnet.core.checks import check_classes
from fnnet.core.committee import join
from fnnet.core.operations import LEAKY_SLOPE
from fnnet.core.params import Array, Layer, Params, freeze, layer_sizes
from fnnet.core.state import Committee, Model
from fnnet.data.in_arrays import shape_of
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError, counted
from fnnet.names import names_of_labels

OF_SKLEARN: Final = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
OF_TORCH: Final = {
    "ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "GELU": "gelu", "SiLU": "silu", "Tanh": "tanh",
    "Sigmoid": "sigmoid", "Mish": "mish", "Softmax": "softmax", "LogSoftmax": "softmax",
}  # fmt: skip
OF_KERAS: Final = {
    "relu": "relu", "elu": "elu", "gelu": "gelu", "silu": "silu", "swish": "silu", "tanh": "tanh", "sigmoid": "sigmoid",
    "linear": "linear", "mish": "mish", "softmax": "softmax",
}  # fmt: skip
"""Activations of other libraries, by their names there, that are the same functions as ours: leaky_relu of Keras has
another slope. A softmax may stand at the end."""
TORCH_ATTRIBUTES: Final[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
    "LeakyReLU": {"negative_slope": (LEAKY_SLOPE,)}, "ELU": {"alpha": (1.0,)}, "GELU": {"approximate": ("none",)},
    "Softmax": {"dim": (1, -1, None)}, "LogSoftmax": {"dim": (1, -1, None)},
}  # fmt: skip
KERAS_ATTRIBUTES: Final[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
    "ReLU": {"max_value": (None,), "negative_slope": (0.0,), "threshold": (0.0,)}, "Softmax": {"axis": (-1, 1)},
}  # fmt: skip
"""What their modules in PyTorch, and their layers in Keras, must have for that."""
WITHOUT_WEIGHTS: Final = {"Flatten", "Dropout", "InputLayer", "AlphaDropout", "Identity"}
"""Layers that change nothing when a network predicts rows."""
MATRICES, VECTORS = ("W", "w", "kernel"), ("b", "bias")
"""What trees of JAX call a layer's arrays, W (inputs, outputs)."""


def from_sklearn(classifier: Any, *, image_shape: tuple[int, int] | None = None) -> Model:
    """Return the model of a fitted MLPClassifier or FNNetClassifier; its classes are called by their labels.

    image_shape   (height, width) of a row; None for a square, or (1, features).
    Raises   UsageError for one that is not fitted, or has an output for each label of several.

    >>> import fnnet
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = [[0.0, 1.0], [1.0, 0.0]] * 20, ["a", "b"] * 20
    >>> model = fnnet.from_sklearn(MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y))
    >>> model, fnnet.predict(model, X[:2]).tolist()
    (Model(2-4-2, float64, 22 parameters, relu, 2 classes), ['a', 'b'])
    """
    if not all(hasattr(classifier, name) for name in ("coefs_", "intercepts_", "classes_")):
        expected = "a fitted MLPClassifier or FNNetClassifier"
        raise ArgumentTypeError("not a classifier with weights", expected=expected, found=type(classifier).__name__)
    layers = [Layer(*map(_own, layer)) for layer in zip(classifier.coefs_, classifier.intercepts_, strict=True)]
    output = getattr(classifier, "out_activation_", "softmax")
    if output not in ("softmax", "logistic") or (output == "logistic" and len(layers[-1].b) > 1):
        expected, found = "softmax, or one logistic unit", f"{output}, {counted(len(layers[-1].b), 'unit')}"
        raise UsageError("the outputs are not those of classes", expected=expected, found=found)
    known = getattr(classifier, "_training", {}).get("activation")
    activation = known or _known(OF_SKLEARN, classifier.activation, "activation")
    return _model(layers, activation, [*map(str, classifier.classes_.tolist())], image_shape)


def to_sklearn(model: Any, *, classes: Sequence[Any] | None = None) -> Any:
    """Return a fitted MLPClassifier with the weights of a Model or an FNNetClassifier, which can be trained further.

    classes   the labels of the outputs; None for the names of a Model's classes.
    Raises   UsageError for an activation that MLPClassifier does not have.

    >>> import fnnet
    >>> model = fnnet.Model(fnnet.init((4, 3, 2)), classes=("even", "odd"), image_shape=(2, 2))
    >>> fnnet.to_sklearn(model).predict([[0.0, 0.0, 0.0, 0.0]]).tolist()
    ['even']
    """
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import LabelBinarizer

    params, activation, names = _network(model)
    labels = np.asarray(names if classes is None else classes)
    here = {ours: theirs for theirs, ours in OF_SKLEARN.items()}
    if len(labels) != params.layers[-1].b.size:
        raise UsageError("classes", expected=f"{params.layers[-1].b.size} labels", found=len(labels))
    order = np.argsort(labels)  # MLPClassifier keeps its classes sorted
    *hidden, (W, b) = params.layers
    W, b = W[:, order], b[order]
    if len(labels) == 2:
        W, b = W[:, 1:] - W[:, :1], b[1:] - b[:1]
    layers = [*hidden, Layer(W, b)]
    sizes = layer_sizes(params)
    made = MLPClassifier(sizes[1:-1], activation=_known(here, activation, "activation"))
    made.coefs_, made.intercepts_ = [np.array(layer.W) for layer in layers], [np.array(layer.b) for layer in layers]
    made.n_features_in_, made.n_layers_, made.n_outputs_ = sizes[0], len(sizes), len(b)
    made.out_activation_ = "logistic" if len(labels) == 2 else "softmax"
    made._label_binarizer = LabelBinarizer().fit(labels)
    made.classes_ = made._label_binarizer.classes_
    made.n_iter_, made.t_, made.loss_curve_, made.best_loss_, made._no_improvement_count = 0, 0, [], np.inf, 0
    made.validation_scores_ = made.best_validation_score_ = None
    return made


def from_torch(
    module: Any, *, classes: Sequence[str] | None = None, image_shape: tuple[int, int] | None = None
) -> Model:
    """Return the model of an nn.Sequential of Linear layers with one kind of activation between them.

    Flatten, Dropout and a softmax at the end are passed over; one output is that of a logistic unit for two classes.
    classes       their names; None for "0", "1", ...
    image_shape   as in `from_sklearn`.
    Raises   UsageError at the layer that fnnet does not have.

    >>> import contextlib, fnnet
    >>> model = fnnet.Model(fnnet.init((4, 3, 2)), classes=("even", "odd"), image_shape=(2, 2))
    >>> with contextlib.suppress(fnnet.FnnetError):  # without PyTorch
    ...     assert fnnet.from_torch(fnnet.to_torch(model), classes=model.classes) == model
    """
    layers, between = list[Layer](), list[str]()
    for number, each in enumerate(_children(module)):
        kind, place = type(each).__name__, f"layer {number}"
        if kind == "Linear":
            W = _of_torch(each.weight, place).T
            bias = np.zeros(W.shape[1]) if each.bias is None else _of_torch(each.bias, place)
            layers.append(Layer(_own(W), _own(bias.astype(W.dtype))))
        elif kind in OF_TORCH:
            _check_attributes(TORCH_ATTRIBUTES, each, place)
            between.append(f"{len(layers)} {OF_TORCH[kind]}")
        elif kind not in WITHOUT_WEIGHTS:
            expected = f"Linear, {', '.join(OF_TORCH)}, Flatten, Dropout"
            raise UsageError("a layer that fnnet does not have", place=place, expected=expected, found=kind)
    return _model(layers, _between(layers, between), classes, image_shape)


def to_torch(model: Any) -> Any:
    """Return an nn.Sequential with the weights of a Model or an FNNetClassifier; its outputs are the logits.

    Raises   FnnetError where PyTorch is not installed.

    >>> import contextlib, fnnet
    >>> with contextlib.suppress(fnnet.FnnetError):  # without PyTorch
    ...     assert len(fnnet.to_torch(fnnet.Model(fnnet.init((4, 3, 2))))) == 3
    """
    try:
        import torch
    except ImportError as error:
        raise FnnetError("needs PyTorch", where="to_torch", found=error, fix="pip install torch") from None

    params, activation, _ = _network(model)
    kinds = {ours: theirs for theirs, ours in OF_TORCH.items()} | {"linear": "Identity"}
    made: list[Any] = []
    for number, (W, b) in enumerate(params.layers):
        if number:
            made.append(getattr(torch.nn, kinds[activation])())
        made.append(torch.nn.Linear(*W.shape, dtype=getattr(torch, W.dtype.name)))
        with torch.no_grad():
            made[-1].weight.copy_(torch.from_numpy(np.array(W.T)))
            made[-1].bias.copy_(torch.from_numpy(np.array(b)))
    return torch.nn.Sequential(*made)


def from_keras(
    model: Any, *, classes: Sequence[str] | None = None, image_shape: tuple[int, int] | None = None
) -> Model:
    """Return the model of a stack of Dense layers of Keras with one kind of activation between them.

    Flatten, Dropout and a softmax at the end are passed over; one output is that of a logistic unit for two classes.
    A functional model is one if it is a chain.
    classes, image_shape   as in `from_torch`.
    Raises   UsageError at the layer that fnnet does not have.

    >>> import contextlib, fnnet
    >>> model = fnnet.Model(fnnet.init((4, 3, 2)), classes=("even", "odd"), image_shape=(2, 2))
    >>> with contextlib.suppress(fnnet.FnnetError):  # without Keras
    ...     assert fnnet.from_keras(fnnet.to_keras(model), classes=model.classes) == model
    """
    _check_stack(model)
    layers, between = list[Layer](), list[str]()
    for number, each in enumerate(model.layers):
        kind, place = type(each).__name__, f"layer {number}"
        if kind == "Dense":
            layers.append(_dense(each, place))
        elif kind in WITHOUT_WEIGHTS:
            continue
        elif kind not in ("Activation", "ReLU", "Softmax"):
            expected = "Dense, Activation, ReLU, Softmax, Flatten, Dropout"
            raise UsageError("a layer that fnnet does not have", place=place, expected=expected, found=kind)
        _check_attributes(KERAS_ATTRIBUTES, each, place)
        name = kind.lower() if kind in KERAS_ATTRIBUTES else getattr(each.activation, "__name__", str(each.activation))
        if name != "linear":
            between.append(f"{len(layers)} {_known(OF_KERAS, name, place)}")
    return _model(layers, _between(layers, between), classes, image_shape)


def to_keras(model: Any) -> Any:
    """Return a keras.Sequential with the weights of a Model or an FNNetClassifier; its outputs are the logits.

    A loss of it is to be made `from_logits=True`. Keras computes parts of float64 in float32, and on JAX it keeps the
    weights in float32 unless JAX_ENABLE_X64 is set.
    Raises   FnnetError where Keras, or its backend, is not installed.

    >>> import contextlib, fnnet
    >>> with contextlib.suppress(fnnet.FnnetError):  # without Keras
    ...     assert len(fnnet.to_keras(fnnet.Model(fnnet.init((4, 3, 2)))).layers) == 2
    """
    try:
        import keras
    except ImportError as error:
        fix = "pip install keras, and jax, torch or tensorflow"
        raise FnnetError("needs Keras and a backend", where="to_keras", found=error, fix=fix) from None

    params, activation, _ = _network(model)
    _known(OF_KERAS, activation, "activation")
    dtype, last = params.layers[0].W.dtype.name, len(params.layers) - 1
    made = keras.Sequential([keras.Input((layer_sizes(params)[0],), dtype=dtype)])
    for number, (W, b) in enumerate(params.layers):
        dense = keras.layers.Dense(len(b), "linear" if number == last else activation, dtype=dtype)
        made.add(dense)
        dense.set_weights([np.array(W), np.array(b)])
    return made


def from_tree(tree: Any) -> Params:
    """Return the parameters in a tree of JAX: a sequence of layers, each a dict with W and b (or kernel and bias) or a
    pair of both; or a dict of such layers, which come in the order of the numbers in their names.

    Raises   UsageError for layers whose names have no numbers, or for other arrays in a layer.

    >>> import fnnet, numpy as np
    >>> fnnet.from_tree([{"W": np.ones((4, 2)), "b": np.zeros(2)}])
    Params(4-2, float64, 10 parameters)
    """
    if isinstance(tree, Params):
        return check_params(tree)
    if isinstance(tree, Mapping) and set(tree) == {"params"}:
        tree = tree["params"]
    if isinstance(tree, Mapping):
        tree = _in_order(tree)
    if not isinstance(tree, (tuple, list)):
        raise ArgumentTypeError("not a tree of layers", expected="a sequence or a dict", found=type(tree).__name__)
    return check_params(Params(tuple(_layer_in(each, number) for number, each in enumerate(tree, 1))))


def to_tree(params: Params | Model) -> tuple[dict[str, Array], ...]:
    """Return parameters as a tuple of dicts with W and b, plain arrays of NumPy, which JAX and optax take as a tree.

    >>> import fnnet
    >>> [{name: array.shape for name, array in layer.items()} for layer in fnnet.to_tree(fnnet.init((4, 2)))]
    [{'W': (4, 2), 'b': (2,)}]
    """
    network = _network(params)[0] if isinstance(params, Model) else check_params(params)
    return tuple({"W": np.array(W), "b": np.array(b)} for W, b in network.layers)


def _own(array: Any) -> Array:
    """Return a copy of an array, contiguous and read-only."""
    return freeze(np.array(array, order="C"))


def _known(names: Mapping[str, str], name: Any, place: str) -> str:
    if name not in names:
        problem = "an activation that is not the same function in both libraries"
        raise UsageError(problem, place=place, expected=", ".join(names), found=repr(name))
    return names[name]


def _model(
    layers: list[Layer], activation: str, classes: Sequence[str] | None, image_shape: tuple[int, int] | None
) -> Model:
    """Return a model; one logistic output is made two of softmax."""
    W, b = layers[-1]
    if len(b) == 1:
        W, b = np.concatenate([np.zeros_like(W), W], axis=1), np.concatenate([np.zeros_like(b), b])
    params = check_params(Params((*layers[:-1], Layer(_own(W), _own(b)))))
    sizes = layer_sizes(params)
    names = names_of_labels(0, sizes[-1]) if classes is None else check_classes(classes)
    if len(names) != sizes[-1]:
        raise UsageError("classes", expected=f"{sizes[-1]} names", found=f"{len(names)}")
    shape = shape_of(sizes[0]) if image_shape is None else image_shape
    if shape[0] * shape[1] != sizes[0]:
        raise UsageError("image_shape", expected=counted(sizes[0], "input"), found=shape)
    return Model(params, activation, names, shape)


def _between(layers: list[Layer], found: list[str]) -> str:
    """Return the one activation behind each hidden layer; `found` are the layers before each, and its name."""
    if not layers:
        raise UsageError("no layers with weights", expected="one at least", found="0")
    last = len(layers)
    end = f"{last} {'sigmoid' if len(layers[-1].b) == 1 else 'softmax'}"
    if found and found[-1] == end:
        found = found[:-1]  # of the probabilities
    names = {each.partition(" ")[2] for each in found}
    wanted = [str(number) for number in range(1, last)]
    places = [each.partition(" ")[0] for each in found]
    if not found and last > 1:
        names, places = {"linear"}, wanted
    if places != wanted or len(names) > 1 or "softmax" in names:
        expected = "the same one behind each hidden layer, other than softmax"
        raise UsageError("activations", expected=expected, found=", ".join(found) or "none")
    return names.pop() if names else "relu"


def _network(given: Any) -> tuple[Params, str, Sequence[Any]]:
    """Return the parameters, the activation and the classes of a Model or a classifier."""
    model = given if isinstance(given, Model) else from_sklearn(given)
    params, activation = check_network(model, None)
    if not isinstance(activation, str):
        raise UsageError("an activation of your own", expected="one of fnnet's, by its name", found=repr(activation))
    joined = join(params.members) if isinstance(params, Committee) else params
    classes = given.classes_.tolist() if hasattr(given, "classes_") else model.classes
    return joined, activation, classes[: joined.layers[-1].b.size]


def _children(module: Any) -> Iterator[Any]:
    """Yield the layers of a Sequential, those of others inside it too."""
    if not hasattr(module, "children"):
        raise ArgumentTypeError("not a module of PyTorch", expected="nn.Sequential", found=type(module).__name__)
    if type(module).__name__ != "Sequential":
        yield module
        return
    for each in module:  # its `children` leave out one that is there twice
        yield from _children(each)


def _of_torch(tensor: Any, place: str) -> Array:
    try:
        array: Array = tensor.detach().cpu().numpy()
    except (NotImplementedError, TypeError) as error:  # on the device "meta", or of bfloat16
        expected = "float32 or float64, in memory"
        raise UsageError("weights that NumPy cannot hold", place=place, expected=expected, found=error) from None
    return array


def _check_attributes(wanted: Mapping[str, Mapping[str, tuple[Any, ...]]], layer: Any, place: str) -> None:
    """Raise UsageError at a layer that is not the function its name says."""
    kind = type(layer).__name__
    for name, allowed in wanted.get(kind, {}).items():
        if (found := getattr(layer, name)) not in allowed:
            raise UsageError(f"{name} of {kind}", place=place, expected=f"{allowed[0]}", found=found)


def _check_stack(model: Any) -> None:
    """Raise an error for what is not a stack of layers, each of which is used once."""
    if not hasattr(model, "layers"):
        raise ArgumentTypeError("not a model of Keras", expected="layers", found=type(model).__name__)
    if (kind := type(model).__name__) == "Sequential":
        return
    if kind != "Functional":
        raise UsageError("layers in an order that is not known", expected="Sequential, Functional", found=kind)
    nodes = [len(each.get("inbound_nodes", ())) for each in model.get_config()["layers"]]
    if max(nodes) > 1 or len(model.outputs) > 1 or len(model.inputs) > 1:
        found = f"{counted(len(model.inputs), 'input')}, {counted(len(model.outputs), 'output')}"
        found += f", a layer used {max(nodes)} times" if max(nodes) > 1 else ""
        raise UsageError("not a chain", expected="one input, one output, each layer used once", found=found)


def _dense(layer: Any, place: str) -> Layer:
    """Return the weights of a Dense layer of Keras."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Keras, in what it calls of NumPy
        arrays = layer.get_weights()
    if len(arrays) not in (1, 2):
        found, fix = counted(len(arrays), "array"), "" if arrays else "build the model first"
        raise UsageError("weights of Dense", place=place, expected="kernel, bias", found=found, fix=fix)
    W, *bias = map(_own, arrays)
    return Layer(W, bias[0] if bias else _own(np.zeros(W.shape[1], W.dtype)))


def _in_order(tree: Mapping[Any, Any]) -> list[Any]:
    """Return the layers of a dict, in the order of the numbers in their names; the first may have none."""
    numbers = {name: tuple(map(int, re.findall("[0-9]+", str(name)))) for name in tree}
    if len({*numbers.values()}) < len(numbers):
        expected, found = "a number in each name, or a sequence of layers", ", ".join(map(str, tree))
        raise UsageError("layers in an order that is not known", expected=expected, found=found)
    return [tree[name] for name in sorted(tree, key=numbers.__getitem__)]


def _layer_in(given: Any, number: int) -> Layer:
    """Return a layer of a tree."""
    if isinstance(given, Mapping):
        arrays = [next((given[name] for name in names if name in given), None) for names in (MATRICES, VECTORS)]
        arrays = arrays if len(given) == len(arrays) else []
    else:
        arrays = [*given] if isinstance(given, (tuple, list)) else []
    if len(arrays) != 2 or any(array is None for array in arrays):
        found = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        expected = "a dict with W and b, or kernel and bias, or a pair of both"
        raise ArgumentTypeError("not a layer", place=f"layer {number}", expected=expected, found=found)
    return Layer(*map(_own, arrays))
