"""The network, read like its equations: forward, loss, backward, predict.

Shapes are checked once here; then only kernels run. `x` is (n, inputs): floats are taken in the dtype of the
parameters, uint8 is divided by 255. Every function is pure: arguments are never changed, and what comes back owns its
memory or is read-only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.checks import as_array, calm
from fnnet.core.params import Array, Layer, Params, check_params, copied, freeze, freeze_params
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.names import ACTIVATIONS

CHUNK: Final = 4096
"""Rows that NumPy's kernels score at a time: bounds the memory of the float copy and of the activations."""


class Activations(NamedTuple):
    """What `forward` leaves for `backward`.

    a      each layer's input: (x as float, hidden activations...), each (n, units).
    z      each layer's output before its activation, each (n, units); the last are the logits.
    probs  softmax of the logits, (n, classes).
    activation, masks   as they were given to `forward`.
    """

    a: tuple[Array, ...]
    z: tuple[Array, ...]
    probs: Array
    activation: str = "relu"
    masks: tuple[Array, ...] | None = None

    @property
    def logits(self) -> Array:
        """The final scores, (n, classes)."""
        return self.z[-1]


@calm
def forward(
    params: Params,
    x: Any,
    *,
    activation: str = "relu",
    masks: tuple[Array, ...] | None = None,
    kernels: Kernels = NUMPY,
) -> Activations:
    """Forward propagation: z = a W + b through every layer, the activation between them, softmax at the end.

    masks    what each hidden layer's activations are multiplied with, (n, units) each, as `dropout.masks` draws them;
             None for all ones.
    Raises   UsageError where shapes or options do not fit, ArgumentTypeError for a dtype that is no number.
    """
    check_activation(activation)
    check_kernels(kernels)
    a = [as_input(x, check_params(params))]
    masks = check_masks(masks, len(a[0]), params)
    z: list[Array] = []
    for number, layer in enumerate(params.layers):
        if number:
            active = getattr(kernels, activation)(z[-1])
            a.append(freeze(active if masks is None else active * masks[number - 1]))
        z.append(freeze(kernels.affine(a[-1], layer.W, layer.b)))
    return Activations(tuple(a), tuple(z), freeze(kernels.softmax(z[-1])), activation, masks)


@calm
def loss(
    params: Params,
    x: Any,
    labels: Any,
    *,
    activation: str = "relu",
    weights: Any = None,
    label_smoothing: float = 0.0,
    kernels: Kernels = NUMPY,
) -> float:
    """Mean cross-entropy in nats of the network's answers to `x` (n, inputs) against `labels` (n,).

    weights           of the samples (n,), the mean being sum(weight loss) / sum(weight); None for equal ones.
    label_smoothing   share of the target spread evenly over all classes.
    """
    logits = forward(params, x, activation=activation, kernels=kernels).logits
    return kernels.cross_entropy(logits, labels, weights, label_smoothing)[0]


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
    """Backward propagation: the gradient of the mean cross-entropy, in the form of the parameters (`grads`)."""
    options: dict[str, Any] = {"weights": weights, "label_smoothing": label_smoothing, "kernels": kernels}
    return loss_and_grads(params, activations, labels, **options)[1]


@calm
def loss_and_grads(
    params: Params,
    activations: Activations,
    labels: Any,
    *,
    weights: Any = None,
    label_smoothing: float = 0.0,
    kernels: Kernels = NUMPY,
) -> tuple[float, Params]:
    """The loss and its gradient from one backward pass."""
    check_kernels(kernels)
    check_activations(params, activations)
    logits, masks = activations.logits, check_masks(activations.masks, len(activations.logits), params)
    mean_loss, dz = kernels.cross_entropy(logits, labels, weights, label_smoothing)
    slope_of = getattr(kernels, f"{activations.activation}_backward")
    grads = []
    for number in reversed(range(len(params.layers))):
        da, dW, db = kernels.affine_backward(dz, activations.a[number], params.layers[number].W, need_dx=number > 0)
        grads.append(Layer(dW, db))
        if da is not None:
            dz = slope_of(da if masks is None else da * masks[number - 1], activations.z[number - 1])
    return mean_loss, freeze_params(Params(tuple(reversed(grads))))


@calm
def scores(params: Params, x: Any, *, activation: str = "relu", kernels: Kernels = NUMPY) -> Array:
    """The logits of each row of `x` (n, inputs), read-only (n, classes), CHUNK rows at a time.

    Compiled kernels do it in one call; each row's bits are then the same whatever rows are beside it.
    """
    check_activation(activation)
    check_kernels(kernels)
    x = check_input(x, check_params(params))
    with np.errstate(over="ignore", invalid="ignore"):
        if kernels.predictor is not None:
            logits = kernels.predictor(params, kernels.threads, activation).scores(_as_stored(x, params))[0]
        else:
            chunks = (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))
            each = [forward(params, chunk, activation=activation, kernels=kernels).logits for chunk in chunks]
            logits = each[0] if len(each) == 1 else np.concatenate(each)
    found: Array = freeze(logits)
    return found


def predict(params: Params, x: Any, *, activation: str = "relu", kernels: Kernels = NUMPY) -> Array:
    """The most probable class of each row of `x` (n, inputs), as int64 (n,); the lowest of equals.

    Raises   UsageError also for a row whose scores are not numbers.
    """
    return freeze(answers(scores(params, x, activation=activation, kernels=kernels)))


def predictor(params: Params, *, activation: str = "relu", kernels: Kernels = NUMPY) -> Callable[[Any], Array]:
    """`predict` for many calls on one network: a function of `x` alone.

    With compiled kernels the parameters are brought into their form once, and one row then takes microseconds. Several
    threads may call it.
    """
    check_activation(activation)
    check_kernels(kernels)
    inputs, dtype = check_params(params).layers[0].W.shape[0], params.layers[0].W.dtype
    if kernels.predictor is None:
        params = copied(params)  # as compiled kernels do: the network is the one of now
        return lambda x: predict(params, x, activation=activation, kernels=kernels)
    ready, as_bytes = kernels.predictor(params, kernels.threads, activation), np.dtype(np.uint8)

    @calm
    def answer(x: Any) -> Array:
        plain = type(x) is np.ndarray and (x.dtype is as_bytes or x.dtype == dtype) and x.flags.c_contiguous
        if not (plain and x.ndim == 2 and x.shape[1] == inputs and len(x)):
            x = _as_stored(check_input(x, params), params)
        best: Array = ready.best(x)
        if best[0] < 0 or (len(best) > 1 and best.min() < 0):
            raise _no_answer(int((best < 0).argmax()))
        return best

    return answer


def _as_stored(x: Array, params: Params) -> Array:
    """`x` contiguous, as uint8 or in the parameters' dtype."""
    stored: Array = np.ascontiguousarray(x, dtype=np.uint8 if x.dtype == np.uint8 else params.layers[0].W.dtype)
    return stored


def answers(logits: Array) -> Array:
    """The class with the highest score of each row, int64 (n,).

    Raises   UsageError for a row with NaN among its scores, or whose highest is no finite number.
    """
    logits = as_array("scores", logits, "f", "floats")
    if logits.ndim != 2 or not logits.size:
        raise UsageError("scores", expected="shape (n, classes)", found=logits.shape)
    best: Array = logits.argmax(axis=1)
    unknown = ~np.isfinite(logits[np.arange(len(logits)), best])  # argmax finds NaN first
    if unknown.any():
        raise _no_answer(int(unknown.argmax()))
    return best


def _no_answer(row: int) -> UsageError:
    fix = "give finite inputs, or use a network whose weights are smaller"
    return UsageError(
        "scores are not numbers", place=f"row {row}", expected="finite numbers", found="NaN or infinity", fix=fix
    )


def check_activation(activation: str) -> None:
    """UsageError unless `activation` is one of ACTIVATIONS."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise UsageError("unknown activation", expected=" or ".join(ACTIVATIONS), found=repr(activation))


def check_input(given: Any, params: Params) -> Array:
    """`given` as an array x (n, inputs) of floats or uint8 that fits the network, else UsageError."""
    W = params.layers[0].W
    problem, expected = "x has no usable dtype", "floats, or uint8 for bytes/255"
    x = as_array(problem, given, "fu", expected)
    if x.dtype.kind == "u" and x.dtype != np.uint8:
        raise ArgumentTypeError(problem, expected=expected, found=x.dtype)
    if x.ndim != 2 or x.shape[1] != W.shape[0]:
        fix = "give one image as x[None, :]" if x.ndim == 1 else ""
        raise UsageError("x does not fit the network", expected=f"shape (n, {W.shape[0]})", found=x.shape, fix=fix)
    if len(x) == 0:
        raise UsageError("x is empty", expected="at least 1 row", found="0 rows")
    return x


def as_input(x: Any, params: Params) -> Array:
    """`x` as a read-only float array (n, inputs) of the parameters' dtype; uint8 divided by 255."""
    dtype = params.layers[0].W.dtype
    x = check_input(x, params)
    if x.dtype == np.uint8:
        return freeze(np.divide(x, 255, dtype=dtype))
    return freeze(np.asarray(x, dtype=dtype).view())


def check_examples(given: Any) -> Examples:
    """What has `x` and `labels` as Examples, else ArgumentTypeError."""
    if not (hasattr(given, "x") and hasattr(given, "labels")):
        raise ArgumentTypeError("examples", expected="Examples(x, labels)", found=type(given).__name__)
    return Examples(given.x, given.labels)


def check_masks(given: Any, n: int, params: Params) -> tuple[Array, ...] | None:
    """The masks `given`, one (n, units) of floats for each hidden layer, read-only in the parameters' dtype; None stays
    None; else UsageError."""
    if given is None:
        return None
    if not isinstance(given, (tuple, list)):
        raise ArgumentTypeError("masks", expected="one array for each hidden layer", found=type(given).__name__)
    masks = [as_array("masks have no usable dtype", mask, "f", "floats") for mask in given]
    wanted, found = [(n, layer.b.size) for layer in params.layers[:-1]], [mask.shape for mask in masks]
    if found != wanted:
        raise UsageError("masks do not fit the network", expected=f"shapes {wanted}", found=found)
    return tuple(freeze(np.asarray(mask, dtype=params.layers[0].W.dtype).view()) for mask in masks)


def check_activations(params: Params, activations: Any) -> None:
    """UsageError unless `activations` could come from `forward` with these parameters."""
    if not isinstance(activations, Activations):
        kind = type(activations).__name__
        raise ArgumentTypeError("activations", expected="what forward returns", found=kind)
    check_activation(activations.activation)
    widths = [layer.W.shape for layer in check_params(params).layers]
    try:
        found = [(a.shape[1], z.shape[1]) for a, z in zip(activations.a, activations.z, strict=True)]
    except (AttributeError, IndexError, TypeError, ValueError):
        found = []
    if widths != found:
        raise UsageError("activations come from another network", expected=f"layers {widths}", found=found)
