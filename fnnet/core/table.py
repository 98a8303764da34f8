"""The table of operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fnnet.core import operations as reference
from fnnet.core.checked import checked
from fnnet.core.params import Array
from fnnet.errors import ArgumentTypeError, FnnetError


class Kernels(NamedTuple):
    """One implementation of every operation, all with the signatures and meaning of `core.operations`.

    Operations check what they are given: UsageError for arrays that do not fit one another or the operation,
    ArgumentTypeError for what is no float32 or float64, or not the dtype of the first.

    The last fields are what compiled code does as a whole, and None where the definition alone holds.

    threads      how many threads the compiled block trainer and predictor use.
    pixels       (x, dtype, threads) -> the rows of x as they read them.
    trainer      the block trainer: `kernels.trainer.Trainer`.
    predictor    compiled inference: `kernels.predictor.Predictor`.
    deform       compiled deformation of images: `kernels.deform.deform`.
    """

    name: str
    affine: Callable[..., Array]
    affine_backward: Callable[..., tuple[Array | None, Array, Array]]
    relu: Callable[..., Array]
    relu_backward: Callable[..., Array]
    leaky_relu: Callable[..., Array]
    leaky_relu_backward: Callable[..., Array]
    elu: Callable[..., Array]
    elu_backward: Callable[..., Array]
    gelu: Callable[..., Array]
    gelu_backward: Callable[..., Array]
    silu: Callable[..., Array]
    silu_backward: Callable[..., Array]
    tanh: Callable[..., Array]
    tanh_backward: Callable[..., Array]
    sigmoid: Callable[..., Array]
    sigmoid_backward: Callable[..., Array]
    linear: Callable[..., Array]
    linear_backward: Callable[..., Array]
    mish: Callable[..., Array]
    mish_backward: Callable[..., Array]
    softmax: Callable[..., Array]
    cross_entropy: Callable[..., tuple[float, Array]]
    update: Callable[..., Array]
    threads: int = 1
    pixels: Callable[..., Any] | None = None
    trainer: Callable[..., Any] | None = None
    predictor: Callable[..., Any] | None = None
    deform: Callable[..., Array] | None = None

    @property
    def compiled(self) -> bool:
        """True if blocks of training run in compiled code."""
        return self.trainer is not None


OPERATIONS: Final = Kernels._fields[1 : Kernels._fields.index("threads")]
"""The names of the operations, in the order of the table."""


def _table(name: str, module: Any) -> Kernels:
    missing = [operation for operation in OPERATIONS if not hasattr(module, operation)]
    if missing:
        raise FnnetError("operation has no twin", where=name, expected=", ".join(OPERATIONS), found=f"no {missing[0]}")
    operations: Any = {each: checked(each, getattr(module, each)) for each in OPERATIONS}
    return Kernels(name, **operations)


NUMPY: Final = _table("numpy", reference)


def check_kernels(kernels: Any) -> None:
    """ArgumentTypeError unless `kernels` is a table of operations."""
    if not isinstance(kernels, Kernels):
        expected = "a table, as fnnet.load_kernels('numba') gives"
        raise ArgumentTypeError("kernels", expected=expected, found=repr(kernels))
