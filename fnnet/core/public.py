"""The public functions of the mathematics.

Each checks and converts its arguments once, calls the plain function of the same name, and makes the result read-only.

Shapes   `x` is (n, inputs): floats, taken in the dtype of the parameters, or uint8, which is divided by 255. `labels`
         is (n,), integers. NaN in `x` is refused, and infinity where it makes a result that is not finite.
Raises   UsageError for an argument that does not fit or is out of range; its subclass ArgumentTypeError for a wrong
         type or dtype.

Results do not depend on the caller's `np.errstate`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from fnnet.core import network, notes, optimizers, rng
from fnnet.core import params as parameters
from fnnet.core.check_network import (
    as_input,
    as_stored,
    check_activation,
    check_activations,
    check_finite_input,
    check_initialiser,
    check_input,
    check_masks,
    check_network,
    check_params,
    check_sizes,
    contiguous,
    copied,
)
from fnnet.core.check_trees import check_finite_grads, check_like
from fnnet.core.checks import (
    as_array,
    calm,
    check_dtype,
    check_finite,
    check_label_smoothing,
    check_labels,
    check_weights,
    shown,
)
from fnnet.core.network import Activations
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params, freeze, freeze_params
from fnnet.core.state import Committee, Model, class_names
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import UsageError
from fnnet.names import PRECISIONS

CHUNK: Final = 4096
"""Rows that NumPy's kernels score at a time: bounds the memory of the float copy and of the activations."""


def init(sizes: Sequence[int], seed: int = 0, *, scheme: str = "he", dtype: DTypeLike = np.float32) -> Params:
    """Return initial parameters for layer sizes (inputs, hidden..., outputs).

    The same seed gives the same bits on every machine.

    scheme   of the uniform weights: "he" (variance 2 / inputs), "glorot" (2 / (inputs + outputs)), both with biases 0,
             or "notebook" (weights and biases in (-0.5, 0.5)). The first two are Keras's HeUniform and GlorotUniform;
             PyTorch's Linear has the variance 1 / (3 inputs), and scikit-learn draws biases like weights.
    dtype    float32, or float64 for checks.

    >>> import fnnet
    >>> params = fnnet.init((784, 10, 10), seed=0)
    >>> [layer.W.shape for layer in params.layers]
    [(784, 10), (10, 10)]
    """
    sizes, seed, dtype = check_sizes(sizes), rng.check_seed(seed), check_dtype(dtype)
    check_initialiser(scheme)
    return freeze_params(parameters.init(sizes, seed, scheme, dtype))


@calm
def forward(
    params: Params,
    x: Any,
    *,
    activation: str | Activation = "relu",
    masks: tuple[Array, ...] | None = None,
    kernels: Kernels = NUMPY,
) -> Activations:
    """Propagate forward: Z = A W + b through every layer, the activation between them, softmax at the end.

    activation   of the hidden layers: a name, or an Activation of your own.
    masks    factors of each hidden layer's activations, (n, units) each, as `dropout.masks` draws them; None for ones.
    Returns  Activations: each layer's input `a` and output `z`, and the probabilities `probs` (n, classes).

    >>> import fnnet, numpy as np
    >>> activations = fnnet.forward(fnnet.init((4, 3, 2)), np.zeros((5, 4)))
    >>> activations.probs.shape, activations.probs[0].tolist()
    ((5, 2), [0.5, 0.5])
    """
    checked = check_activation(activation)
    check_kernels(kernels)
    params = check_params(params)
    floats = as_input(x, params)
    masks = None if masks is None else check_masks(masks, len(floats), params)
    with np.errstate(over="ignore", invalid="ignore"):
        activations = network.forward(params, floats, checked, masks, kernels.operations)
    probs = activations.probs
    # Bytes are finite. A row of probabilities is NaN as a whole; their sum of squares is the quickest look at several.
    if getattr(x, "dtype", None) is not network.BYTES and not math.isfinite(
        probs.item(0) if len(probs) == 1 else (flat := probs.ravel()).dot(flat)
    ):
        check_finite_input(x, params)
    if checked is not activation:
        activations = activations._replace(activation=activation)
    for array in activations.a[1:]:  # the first is x, which is read-only already
        array.setflags(write=False)
    for array in activations.z:
        array.setflags(write=False)
    probs.setflags(write=False)
    return activations


@calm
def loss(
    params: Params | Committee | Model,
    x: Any,
    labels: Any,
    *,
    activation: str | Activation | None = None,
    weights: Any = None,
    label_smoothing: float = 0.0,
    kernels: Kernels = NUMPY,
) -> float:
    """Return the mean cross-entropy in nats of the network at `x` (n, inputs) against `labels` (n,).

    params            or a Committee, or a Model, whose activation is used.
    activation        a name, or an Activation of your own; None for the model's, or for relu.
    weights           of the samples (n,): the mean is sum(weight loss) / sum(weight), 0 where all are 0. None for
                      equal ones. Keras divides by n; PyTorch gives NaN where all are 0.
    label_smoothing   fraction of the target spread evenly over all classes. The whole loss of a row has its weight; in
                      PyTorch the part of the target that is spread has the weight of each class.

    >>> import fnnet, numpy as np
    >>> round(fnnet.loss(fnnet.init((4, 3, 2)), np.zeros((5, 4)), np.zeros(5, int)), 4)
    0.6931
    """
    params, formula = check_network(params, activation)
    check_kernels(kernels)
    if isinstance(params, Committee):
        logits = scores(params, x, activation=formula, kernels=kernels)
        targets = _check_targets(params.members[0], len(logits), labels, weights, label_smoothing)
        with np.errstate(over="ignore", invalid="ignore"):
            return kernels.operations.cross_entropy(logits, *targets)
    floats = as_input(x, params)
    targets = _check_targets(params, len(floats), labels, weights, label_smoothing)
    with np.errstate(over="ignore", invalid="ignore"):
        mean_loss = network.loss(params, floats, targets[0], formula, *targets[1:], kernels.operations)
    if not math.isfinite(mean_loss):
        check_finite_input(x, params)
    return mean_loss


@calm
def backward(
    params: Params,
    activations: Activations,
    labels: Any,
    *,
    weights: Any = None,
    label_smoothing: float = 0.0,
    kernels: Kernels = NUMPY,
) -> Params:
    """Propagate backward: return the gradient of the mean cross-entropy, as Params.

    activations   what `forward` returned for these parameters.
    weights, label_smoothing   as in `loss`.

    >>> import fnnet, numpy as np
    >>> params, x, labels = fnnet.init((4, 3, 2)), np.ones((5, 4)), np.array([0, 1, 1, 0, 1])
    >>> grads = fnnet.backward(params, fnnet.forward(params, x), labels)
    >>> [layer.W.shape for layer in grads.layers]
    [(4, 3), (3, 2)]
    """
    check_kernels(kernels)
    params = check_params(params)
    activations = check_activations(params, activations)
    targets = _check_targets(params, len(activations.probs), labels, weights, label_smoothing)
    return freeze_params(network.backward(params, activations, *targets, kernels.operations))


@calm
def update(params: Params, grads: Params, learning_rate: float, *, kernels: Kernels = NUMPY) -> Params:
    """Return the parameters after a step of gradient descent: W - learning_rate dW and b - learning_rate db.

    Raises   UsageError for gradients that do not fit or are not finite.

    >>> import fnnet, numpy as np
    >>> params = fnnet.init((4, 2))
    >>> stepped = fnnet.update(params, params, 1.0)
    >>> bool(np.any(stepped.layers[0].W))
    False
    """
    learning_rate = check_finite("learning_rate", learning_rate)
    check_kernels(kernels)
    params, grads = check_like(params, grads, "grads")
    check_finite_grads(grads)
    with _overflowing(params, learning_rate):
        return freeze_params(optimizers.update(params, grads, learning_rate, kernels.operations))


@calm
def scores(
    params: Params | Committee | Model,
    x: Any,
    *,
    activation: str | Activation | None = None,
    precision: str = "float",
    kernels: Kernels = NUMPY,
) -> Array:
    """Return the logits of each row of `x` (n, inputs), read-only (n, classes).

    params, activation   as in `loss`.
    precision            "float", that of the parameters, or "int8": weights and hidden values are whole numbers of
                         eight bits, as `fnnet.core.int8` defines them, and scores are float32. It takes less time and
                         is less exact, and the activation must be relu, leaky_relu or linear.

    NumPy's kernels take CHUNK rows at a time. Compiled kernels take all in one call; the bits of a row then do not
    depend on the other rows. With int8 they never do, and both kernels give the same bits.

    >>> import fnnet, numpy as np
    >>> fnnet.scores(fnnet.init((4, 3, 2)), np.zeros((5, 4))).shape
    (5, 2)
    >>> fnnet.scores(fnnet.init((4, 3, 2)), np.zeros((5, 4)), precision="int8").dtype
    dtype('float32')
    """
    params, formula = check_network(params, activation)
    check_kernels(kernels)
    if isinstance(params, Committee):
        return freeze(_members(params, formula, precision, kernels).scores(x))
    if _is_int8(precision):
        return freeze(_int8_network(params, formula, kernels).scores(x))
    x, dtype = check_input(x, params), params.layers[0].W.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        if kernels.predictor is not None and isinstance(formula, str):
            logits = kernels.predictor(params, kernels.threads, formula).scores(contiguous(x, dtype))[0]
        else:
            chunks = (network.as_floats(x[start : start + CHUNK], dtype) for start in range(0, len(x), CHUNK))
            each = [network.scores(params, chunk, formula, kernels.operations) for chunk in chunks]
            logits = each[0] if len(each) == 1 else np.concatenate(each)
        # The sum of squares is quicker and makes no array of booleans; it may overflow even if all scores are finite.
        if not (math.isfinite(np.vdot(logits, logits)) or np.isfinite(logits).all()):
            check_finite_input(x, params)
    return freeze(logits)


def predict(
    params: Params | Committee | Model,
    x: Any,
    *,
    activation: str | Activation | None = None,
    precision: str = "float",
    kernels: Kernels = NUMPY,
) -> Array:
    """Return the most probable class of each row of `x` (n, inputs), the lowest of equally probable ones: its number,
    int64 (n,), or, of a Model, the name that it has, text (n,).

    params, activation   as in `loss`: a Model predicts with its own activation.
    precision            as in `scores`.
    Raises   UsageError for a row that has a NaN among its scores, or whose highest score is infinite; for another
             activation than the model's.

    >>> import fnnet, numpy as np
    >>> fnnet.predict(fnnet.init((4, 3, 2)), np.zeros((3, 4))).tolist()
    [0, 0, 0]
    """
    best = best_classes(scores(params, x, activation=activation, precision=precision, kernels=kernels))
    return freeze(class_names(params)[best] if isinstance(params, Model) else best)


def predictor(
    params: Params | Committee | Model,
    *,
    activation: str | Activation | None = None,
    precision: str = "float",
    kernels: Kernels = NUMPY,
) -> Callable[[Any], Array]:
    """Return a function of `x` alone that predicts as `predict` does, for many calls on one network.

    params, activation, precision   as in `scores`.

    With compiled kernels the parameters are packed once, and one row then takes microseconds. Threads may share it.

    >>> import fnnet, numpy as np
    >>> classify = fnnet.predictor(fnnet.init((4, 3, 2)))
    >>> classify(np.zeros((1, 4))).tolist()
    [0]
    >>> classify = fnnet.predictor(fnnet.init((4, 3, 2)), precision="int8")
    >>> classify(np.zeros((1, 4), np.uint8)).tolist()
    [0]
    """
    given, (params, formula) = params, check_network(params, activation)
    check_kernels(kernels)
    if isinstance(given, Model):
        names, of = class_names(given), predictor(params, activation=formula, precision=precision, kernels=kernels)
        return lambda x: freeze(names[of(x)])
    if isinstance(params, Committee):
        return calm(_members(params, formula, precision, kernels).best)
    if _is_int8(precision):
        return calm(_int8_network(params, formula, kernels).best)
    dtype = params.layers[0].W.dtype
    if kernels.predictor is None or not isinstance(formula, str):
        kept = copied(params)  # as compiled kernels do
        return lambda x: predict(kept, x, activation=formula, kernels=kernels)
    ready = kernels.predictor(params, kernels.threads, formula)

    @calm
    def classify_rows(x: Any) -> Array:
        x = as_stored(x, params, dtype)
        best: Array = ready.best(x)
        if best[0] < 0 or (len(best) > 1 and best.min() < 0):
            check_finite_input(x, params)
            raise _not_numbers(int((best < 0).argmax()))
        return best

    plain, one_row = network.BYTES, (1, params.layers[0].W.shape[0])
    best_of_one, note, note_bits = ready.best_of_one, calm(notes.note_pixels), notes.note_bits

    def classify(x: Any) -> Array:
        # One row as it is to be is neither converted nor made calm: all that took as long as its answer.
        kind = x.dtype if type(x) is ndarray else None
        if (kind is plain or kind is dtype) and x.shape == one_row and x.flags.c_contiguous:
            if kind is plain:
                if next(notes.turns_of_bytes):
                    note_bits(x)
            elif next(notes.turns):
                note(x)
            best: Array = best_of_one(x)
            if best.item() >= 0:
                return best
        return classify_rows(x)

    return classify


def _is_int8(precision: Any) -> bool:
    """Return True for "int8", False for "float", else raise UsageError."""
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise UsageError("unknown precision", expected=" or ".join(PRECISIONS), found=shown(precision))
    return precision == "int8"


def _int8_network(params: Params, formula: str | Activation, kernels: Kernels) -> Any:
    from fnnet.core.public_int8 import Int8Network  # imported here: few programs use it

    return Int8Network(params, formula, kernels)


def _members(committee: Committee, formula: str | Activation, precision: Any, kernels: Kernels) -> Any:
    from fnnet.core.public_committee import Members  # imported here: few programs use it

    return Members(committee, formula, _is_int8(precision), kernels)


def best_classes(logits: Any) -> Array:
    """Return the class with the highest score of each row, int64 (n,).

    Raises   UsageError for a row with NaN among its scores, or whose highest is not finite.
    """
    logits = as_array("scores", logits, "f", "floats")
    if logits.ndim != 2 or not logits.size:
        raise UsageError("scores", expected="shape (n, classes)", found=logits.shape)
    best: Array = logits.argmax(axis=1)
    unknown = ~np.isfinite(logits[np.arange(len(logits)), best])  # argmax finds NaN first
    if unknown.any():
        raise _not_numbers(int(unknown.argmax()))
    return best


def _not_numbers(row: int) -> UsageError:
    problem, fix = "scores are not numbers", "give finite inputs, or use a network whose weights are smaller"
    return UsageError(problem, place=f"row {row}", expected="finite numbers", found="NaN or infinity", fix=fix)


def _check_targets(
    params: Params, n: int, labels: Any, weights: Any, label_smoothing: Any
) -> tuple[Array, Array | None, float]:
    share = check_label_smoothing(label_smoothing)
    return check_labels(labels, (n, params.layers[-1].b.size)), check_weights(weights, n), share


def _overflowing(params: Params, learning_rate: float) -> Any:
    """Return a context in which a rate beyond the dtype's range overflows silently: training reports that itself."""
    beyond = abs(learning_rate) > float(np.finfo(params.layers[0].W.dtype).max)
    return np.errstate(over="ignore", invalid="ignore") if beyond else contextlib.nullcontext()
