"""The table of operations and its two values: NumPy, the definition, and the compiled twins, the speed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fnnet.errors import ArgumentTypeError, FnnetError, UsageError
from fnnet.kernels import reference
from fnnet.kernels.checked import checked
from fnnet.limits import available_threads
from fnnet.params import Array


class Kernels(NamedTuple):
    """One implementation of every operation, all with the signatures and meaning of `kernels.reference`.

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
    softmax: Callable[..., Array]
    cross_entropy: Callable[..., tuple[float, Array]]
    update: Callable[..., Array]
    threads: int = 1
    pixels: Callable[..., Any] | None = None
    trainer: Callable[..., Any] | None = None
    predictor: Callable[..., Any] | None = None
    deform: Callable[..., Array] | None = None


OPERATIONS: Final = Kernels._fields[1 : Kernels._fields.index("threads")]
"""The names of the operations, in the order of the table."""

MAX_THREADS: Final = 1024


def _table(name: str, module: Any) -> Kernels:
    missing = [operation for operation in OPERATIONS if not hasattr(module, operation)]
    if missing:
        raise FnnetError("operation has no twin", where=name, expected=", ".join(OPERATIONS), found=f"no {missing[0]}")
    operations: Any = {each: checked(each, getattr(module, each)) for each in OPERATIONS}
    return Kernels(name, **operations)


NUMPY: Final = _table("numpy", reference)


def load(
    name: str = "numpy",
    *,
    threads: int | None = None,
    notify: Callable[[str], None] = warnings.warn,
    on_compile: Callable[[], None] = lambda: None,
) -> Kernels:
    """The table `name`: "numpy", or "numba", whose first use on a machine compiles (seconds).

    threads   of the compiled block trainer and predictor; None for as many as this process may use at once. The
              results are the same bits for any number.
    notify    is told, once, where Numba is absent, broken or forbidden, and the table is then NumPy's; and where what
              was compiled cannot be kept.
    on_compile   is called before something is compiled.
    Raises    UsageError for another name or number of threads.
    """
    threads = check_threads(threads)
    if not isinstance(name, str) or name not in ("numpy", "numba"):
        raise UsageError("unknown kernels", expected="numpy or numba", found=repr(name))
    if name == "numpy":
        return NUMPY
    try:
        from fnnet.kernels import compiled, deform, library, pixels, predictor, trainer

        library.load_all("float32", on_compile, notify)
    except UsageError:
        raise
    except (FnnetError, ImportError, OSError, RuntimeError) as error:
        reason = error.found if isinstance(error, FnnetError) and error.found else error
        notify(f"no compiled kernels, NumPy computes instead: {reason}")
        return NUMPY
    table = _table("numba", compiled)
    return table._replace(
        threads=threads,
        pixels=pixels.pixels,
        trainer=trainer.Trainer,
        predictor=predictor.Predictor,
        deform=deform.deform,
    )


def check_kernels(kernels: Any) -> None:
    """ArgumentTypeError unless `kernels` is a table of operations."""
    if not isinstance(kernels, Kernels):
        expected = "a table, as fnnet.load_kernels('numba') gives"
        raise ArgumentTypeError("kernels", expected=expected, found=repr(kernels))


def check_threads(threads: Any) -> int:
    """`threads`, or where it is None the number that can run at once, as an int from 1 to MAX_THREADS."""
    if threads is None:
        return available_threads()
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise ArgumentTypeError("threads", expected="an integer", found=repr(threads))
    if not 1 <= threads <= MAX_THREADS:
        raise UsageError("threads out of range", expected=f"1 to {MAX_THREADS}", found=threads)
    return threads
