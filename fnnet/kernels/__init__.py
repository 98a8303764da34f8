"""The compiled kernels: twins of the operations, and block training, prediction and deformation as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fnnet.errors import FnnetError, UsageError
from fnnet.limits import MAX_THREADS, available_threads

if TYPE_CHECKING:
    from fnnet.core.table import Kernels


def load(
    name: str = "numpy",
    *,
    threads: int | None = None,
    parts: Sequence[str] = ("train",),
    notify: Callable[[str], None] = warnings.warn,
    on_compile: Callable[[], None] = lambda: None,
    on_part: Callable[[float], None] = lambda done: None,
) -> Kernels:
    """Return the table `name`: "numpy", or "numba", whose first use on a machine compiles (seconds).

    threads   of the compiled functions; None for as many as this process may run at once. The results are the same
              bits for any number.
    parts     of the compiled code that are made ready now: "train", which predicts too, "infer" for predictions alone,
              "quantised" for those with int8, "augment" for deformed images, "clip" for training that clips gradients
              or is shared by ranks, "operations" for the table's operations; others at their first use.
    notify    called with a message, once, where Numba is absent, broken or forbidden, and the table is then NumPy's;
              and where what was compiled cannot be kept.
    on_compile   called before something is compiled.
    on_part   called with the fraction of it that is done, from time to time.
    Raises    UsageError for another name or number of threads, FnnetError if the files of fnnet were changed since this
              process imported them.

    >>> import fnnet
    >>> fnnet.load_kernels("numpy").name
    'numpy'
    """
    # Imported here: the compiler imports this package too, and the key of the cache covers all that it imports.
    from fnnet.core.checks import shown
    from fnnet.core.table import NUMPY, Kernels

    threads = check_threads(threads)
    if not isinstance(name, str) or name not in ("numpy", "numba"):
        raise UsageError("unknown kernels", expected="numpy or numba", found=shown(name))
    if name == "numpy":
        return NUMPY
    from fnnet.kernels.cache import ChangedError

    try:
        from fnnet.kernels import compiled, deform, library, pixels, predictor, trainer

        library.load_parts(parts, "float32", on_compile, notify, on_part)
    except (UsageError, ChangedError):
        raise
    except (FnnetError, ImportError, OSError, RuntimeError) as error:
        reason = error.found if isinstance(error, FnnetError) and error.found else error
        notify(f"no compiled kernels, NumPy computes instead: {reason}")
        return NUMPY
    return Kernels(
        "numba",
        compiled.OPERATIONS,
        threads=threads,
        pixels=pixels.pixels,
        trainer=trainer.Trainer,
        predictor=predictor.Predictor,
        deform=deform.deform,
        int8=_int8,
    )


def _int8(quantised: Any, threads: int) -> Any:
    """Return a compiled int8 network, whose code is imported at its first use."""
    from fnnet.kernels.int8_predictor import Int8Predictor

    return Int8Predictor(quantised, threads)


def check_threads(threads: Any) -> int:
    """Return `threads`, or where it is None the number that can run at once, as an int from 1 to MAX_THREADS."""
    if threads is None:
        return available_threads()
    from fnnet.core.checks import check_count

    return check_count("threads", threads, 1, MAX_THREADS)
