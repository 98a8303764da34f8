"""`Kernels`: a table of operations, NumPy's or their compiled twins, whose arguments are checked."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fnnet.core.check_network import check_operands
from fnnet.core.checks import calm, check_finite, check_label_smoothing, check_labels, check_weights, shown
from fnnet.core.operations import OPERATIONS, Activation, Operations
from fnnet.core.params import Array
from fnnet.errors import ArgumentTypeError


def _remade(*parts: Any) -> Operations:
    return Operations._make((*parts[:-1], MappingProxyType(parts[-1])))


# A mapping proxy cannot be pickled; a dict can.
copyreg.dispatch_table[Operations] = lambda table: (_remade, (*table[:-1], dict(table.activations)))


class Kernels(NamedTuple):
    """One implementation of every operation.

    Its methods, and `relu`, `relu_backward` and the like for every activation, compute what the functions of
    `fnnet.core.operations` compute, and check their arguments: UsageError for arrays that do not fit one another or the
    operation, ArgumentTypeError for arrays that are not float32 or float64, or not all of the same dtype.

    operations   the operations themselves, which check nothing.
    threads      number of threads of the compiled functions.

    The last fields are whole computations in compiled code; in NumPy's table they are None:
    pixels       (x, dtype, threads) -> the rows of x as the block trainer reads them.
    trainer      the block trainer: `kernels.trainer.Trainer`.
    predictor    compiled inference: `kernels.predictor.Predictor`.
    int8         compiled inference of int8: `kernels.int8_predictor.Int8Predictor`.
    deform       compiled deformation of images: `kernels.deform.deform`.
    """

    name: str
    operations: Operations
    threads: int = 1
    pixels: Callable[..., Any] | None = None
    trainer: Callable[..., Any] | None = None
    predictor: Callable[..., Any] | None = None
    deform: Callable[..., Array] | None = None
    int8: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"Kernels({self.name}, threads={self.threads})" if self.compiled else f"Kernels({self.name})"

    def __hash__(self) -> int:
        return hash((self.name, self.threads))

    def __deepcopy__(self, memo: Any) -> Kernels:
        return self

    @property
    def compiled(self) -> bool:
        """True if blocks of training run in compiled code."""
        return self.trainer is not None

    @calm
    def affine(self, x: Any, W: Any, b: Any) -> Array:
        """z = x W + b."""
        return self.operations.affine(*check_operands("affine", x=x, W=W, b=b))

    @calm
    def affine_backward(self, dz: Any, x: Any, W: Any, need_dx: bool = True) -> tuple[Array | None, Array, Array]:
        """dx = dz W^T, or None unless `need_dx`; dW = x^T dz; db = the sum of dz over the samples."""
        return self.operations.affine_backward(*check_operands("affine_backward", dz=dz, x=x, W=W), need_dx)

    @calm
    def softmax(self, logits: Any) -> Array:
        """Return each row's exp(logits) divided by its sum."""
        return self.operations.softmax(*check_operands("softmax", logits=logits))

    @calm
    def cross_entropy(self, logits: Any, labels: Any, weights: Any = None, label_smoothing: float = 0.0) -> float:
        """Return the mean cross-entropy of logits (n, classes) against labels (n,), in nats."""
        (logits,) = check_operands("cross_entropy", logits=logits)
        return self.operations.cross_entropy(logits, *_check_targets(logits, labels, weights, label_smoothing))

    @calm
    def cross_entropy_backward(
        self, probs: Any, labels: Any, weights: Any = None, label_smoothing: float = 0.0
    ) -> Array:
        """Return dZ = (P - Y) / n, from the probabilities (n, classes)."""
        (probs,) = check_operands("cross_entropy_backward", probs=probs)
        return self.operations.cross_entropy_backward(probs, *_check_targets(probs, labels, weights, label_smoothing))

    @calm
    def update(self, value: Any, gradient: Any, learning_rate: float) -> Array:
        """Return value - learning_rate gradient."""
        value, gradient = check_operands("update", value=value, gradient=gradient)
        return self.operations.update(value, gradient, check_finite("learning_rate", learning_rate))

    def __getattr__(self, name: str) -> Callable[..., Array]:
        activation = self.operations.activations.get(name.removesuffix("_backward"))
        if activation is None:
            raise AttributeError(f"'Kernels' object has no attribute {name!r}")
        return _checked_activation(name, activation)

    def __dir__(self) -> list[str]:
        names = self.operations.activations
        return sorted({*object.__dir__(self), *names, *(f"{name}_backward" for name in names)})


def _checked_activation(name: str, activation: Activation) -> Callable[..., Array]:
    def value(z: Any) -> Array:
        return activation.value(*check_operands(name, z=z))

    def backward(da: Any, z: Any) -> Array:
        return activation.backward(*check_operands(name, da=da, z=z))

    return calm(backward if name.endswith("_backward") else value)


def _check_targets(values: Array, labels: Any, weights: Any, label_smoothing: Any) -> tuple[Array, Array | None, float]:
    share = check_label_smoothing(label_smoothing)
    return check_labels(labels, values.shape), check_weights(weights, len(values)), share


NAMES: Final = (
    *(name for name in Operations._fields if name != "activations"),
    *(name for activation in OPERATIONS.activations for name in (activation, f"{activation}_backward")),
)
"""Every operation of a table, by the name of its method."""

NUMPY: Final = Kernels("numpy", OPERATIONS)
"""NumPy's table, the definition."""


def check_kernels(kernels: Any) -> None:
    """Raise ArgumentTypeError unless `kernels` is a table of operations."""
    if not isinstance(kernels, Kernels):
        expected = "a table, such as fnnet.load_kernels('numba')"
        raise ArgumentTypeError("kernels", expected=expected, found=shown(kernels))
