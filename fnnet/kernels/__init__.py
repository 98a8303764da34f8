"""The table of operations and its two values: NumPy, the definition, and Numba, the speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fnnet.errors import FnnetError, UsageError
from fnnet.kernels import reference
from fnnet.params import Array


class Kernels(NamedTuple):
    """One implementation of every operation, all with the signatures and meaning of `kernels.reference`."""

    name: str
    affine: Callable[..., Array]
    affine_backward: Callable[..., tuple[Array | None, Array, Array]]
    relu: Callable[..., Array]
    relu_backward: Callable[..., Array]
    softmax: Callable[..., Array]
    cross_entropy: Callable[..., tuple[float, Array]]
    update: Callable[..., Array]


OPERATIONS: Final = Kernels._fields[1:]
"""The names of the operations, in the order of the table."""


def _table(name: str, module: Any) -> Kernels:
    missing = [operation for operation in OPERATIONS if not hasattr(module, operation)]
    if missing:
        raise FnnetError("operation has no twin", where=name, expected=", ".join(OPERATIONS), found=f"no {missing[0]}")
    return Kernels(name, *(getattr(module, operation) for operation in OPERATIONS))


NUMPY: Final = _table("numpy", reference)


def load(name: str = "numpy") -> Kernels:
    """The table `name`: "numpy", or "numba", which imports numba and compiles (seconds, once a process).

    Raises   UsageError for another name, FnnetError where numba cannot be imported.
    """
    if name == "numpy":
        return NUMPY
    if name != "numba":
        raise UsageError("unknown kernels", expected="numpy or numba", found=repr(name))
    try:
        from fnnet.kernels import compiled
    except ImportError as error:
        raise FnnetError(
            "numba cannot be imported", found=str(error), fix="pip install numba, or run without --jit"
        ) from error
    compiled.warm()
    return _table("numba", compiled)
