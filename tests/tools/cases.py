"""The one table of inputs: equality tests and benchmarks run over the same cases."""

from typing import Any, NamedTuple

import numpy as np

from fnnet.core.table import NUMPY
from fnnet.names import ACTIVATIONS
from tests.tools import tolerance


class Case(NamedTuple):
    """One batch going through one layer: x (n, inputs), W, b, z, da (n, outputs), logits, labels (n,), weights (n,)."""

    name: str
    x: Any
    W: Any
    b: Any
    z: Any
    da: Any
    logits: Any
    labels: Any
    weights: Any


def _case(name, n, inputs, outputs, *, seed=0, dtype=np.float32, scale=1.0, zeros=0.0, lay=np.ascontiguousarray):
    rng = np.random.default_rng([seed, n, inputs, outputs])
    normal = lambda *shape: rng.standard_normal(shape)  # noqa: E731
    x, W, b, z, da, logits = (
        normal(n, inputs),
        normal(inputs, outputs),
        normal(outputs),
        normal(n, outputs),
        normal(n, outputs),
        normal(n, outputs) * scale,
    )
    x[rng.random(x.shape) < zeros] = 0
    z[rng.random(z.shape) < max(zeros, 0.05)] = 0
    z *= max(scale, 1)
    labels = rng.integers(0, outputs, n)
    weights = rng.exponential(size=n) * (rng.random(n) < 0.9) * min(scale, 1)
    return Case(name, *(lay(array.astype(dtype)) for array in (x, W, b, z, da, logits)), lay(labels), lay(weights))


def _strided(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def _read_only(array):
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def _random_cases(count):
    rng = np.random.default_rng(20261123)
    for number in range(count):
        n, inputs, outputs = (int(size) for size in rng.integers(1, 70, 3))
        yield _case(f"random-{n}x{inputs}x{outputs}", n, inputs, outputs, seed=number)


CASES = (
    _case("batch-1", 1, 784, 10),
    _case("batch-64", 64, 784, 10, zeros=0.81),
    _case("ragged", 37, 784, 10, zeros=0.81),
    _case("wide", 128, 784, 128, zeros=0.81),
    _case("hidden", 128, 128, 10),
    _case("many-rows", 1101, 20, 12),
    _case("one-by-one", 1, 1, 1),
    _case("float64", 33, 50, 12, dtype=np.float64),
    _case("strided", 21, 30, 12, lay=_strided),
    _case("fortran", 21, 30, 12, lay=np.asfortranarray),
    _case("reversed", 21, 30, 12, lay=lambda array: array[::-1]),
    _case("read-only", 21, 30, 12, lay=_read_only),
    _case("large-logits", 40, 20, 10, scale=1e4),
    _case("zeros", 16, 20, 10, zeros=1.0, scale=0.0),
    *_random_cases(12),
)


ACTIVATED = {name: lambda case: (case.z,) for name in ACTIVATIONS}
SLOPES = {f"{name}_backward": lambda case: (case.da, case.z) for name in ACTIVATIONS}
TARGETS = {
    "": lambda case: (case.labels,),
    ", smoothed": lambda case: (case.labels, None, 0.1),
    ", weighted": lambda case: (case.labels, case.weights),
    ", both": lambda case: (case.labels, case.weights, 0.3),
}
CALLS = {
    "affine": lambda case: (case.x, case.W, case.b),
    "affine_backward": lambda case: (case.da, case.x, case.W),
    **ACTIVATED,
    **SLOPES,
    "softmax": lambda case: (case.logits,),
    **{f"cross_entropy{way}": lambda case, rest=rest: (case.logits, *rest(case)) for way, rest in TARGETS.items()},
    **{
        f"cross_entropy_backward{way}": lambda case, rest=rest: (NUMPY.softmax(case.logits), *rest(case))
        for way, rest in TARGETS.items()
    },
    "update": lambda case: (case.W, case.W[::-1], 0.1),
}
"""What is called, and with what of a case: an operation, and behind a comma which way of calling it."""


def loss_and_dlogits(kernels, logits, *targets):
    """The mean cross-entropy of a table, and its gradient at the logits."""
    return kernels.cross_entropy(logits, *targets), kernels.cross_entropy_backward(kernels.softmax(logits), *targets)


def plain(kernels, name):
    """The operation of that name without checks of its arguments."""
    if name in kernels.operations._fields:
        return getattr(kernels.operations, name)
    activation = kernels.operations.activations[name.removesuffix("_backward")]
    return activation.backward if name.endswith("_backward") else activation.value


def operation(call):
    """The operation's name."""
    return call.split(",")[0]


def arguments(call, case):
    """What the operation is called with for `case`."""
    return CALLS[call](case)


def assert_equal(call, case, found):
    """`found`, a kernel's result for `case`, equals the definition's within the rule for the operation."""
    name = operation(call)
    wanted = getattr(NUMPY, name)(*arguments(call, case))
    n, outputs = case.z.shape
    inputs = len(case.W)
    size = lambda array: np.abs(array.astype(np.float64))  # noqa: E731
    if name == "affine":
        tolerance.assert_sums(found, wanted, inputs + 1, size(case.x) @ size(case.W) + size(case.b))
    elif name == "affine_backward":
        tolerance.assert_sums(found[0], wanted[0], outputs, size(case.da) @ size(case.W).T)
        tolerance.assert_sums(found[1], wanted[1], n, size(case.x).T @ size(case.da))
        tolerance.assert_sums(found[2], wanted[2], n, size(case.da).sum(axis=0))
    elif name == "softmax":
        tolerance.assert_probs(found, wanted, outputs)
    elif name == "cross_entropy":
        tolerance.assert_loss(found, wanted, outputs, n, case.logits.dtype)
    elif name == "cross_entropy_backward":
        tolerance.assert_probs(found, wanted, outputs)
    elif "relu" in name or "linear" in name or name == "update":
        tolerance.assert_bitwise(found, wanted)
    else:
        tolerance.assert_activated(found, wanted, size(case.da) if name in SLOPES else 1.0)


def named(name):
    """The case of that name."""
    return next(case for case in CASES if case.name == name)


GRID = [(call, case) for call in CALLS for case in CASES]
IDS = [f"{call}-{case.name}" for call, case in GRID]
