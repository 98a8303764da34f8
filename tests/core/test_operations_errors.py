"""Every operation of the registry: what it refuses, its gradient, and that both tables are one."""

import re

import numpy as np
import pytest

import fnnet
from fnnet.core import gradcheck, operations
from fnnet.core.table import NAMES, NUMPY
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError
from tests.tools.operation import ARRAYS, FLAG, REALS, TREE, assert_same, fresh, rebuilt
from tests.tools.registry import REGISTRY
from tests.tools.tolerance import COMPLEX_LIMIT

ALL = sorted(REGISTRY)
TAKING = [name for name in ALL if REGISTRY[name].takes]
NONSENSE = {
    "none": lambda: None,
    "text": lambda: "nonsense",
    "dict": dict,
    "generator": lambda: (each for each in (1, 2)),
    "object": object,
    "float": lambda: 1.5,
    "complex": lambda: 3 + 4j,
    "empty": list,
    "array": lambda: np.array(["a", "b"]),
    "ragged": lambda: [[1.0, 2.0], [3.0]],
    "ragged deep": lambda: [[[1, 2], [3, 4]], [[5], [6, 7]]],
    "huge": lambda: [10**400, 1],
}


def told(operation, changed, kernels):
    """The error of a call with some arguments changed."""
    with pytest.raises(FnnetError) as info:
        operation.call(**fresh(operation) | changed, **({"kernels": kernels} if operation.takes else {}))
    return info.value


def assert_tells(error, kinds=UsageError):
    assert isinstance(error, kinds), repr(error)
    assert error.expected is not None, error
    assert error.found is not None, error
    assert "\n" not in str(error)
    assert len(str(error)) < 2000


def bad_calls(operation):
    """(what, changed arguments) of calls that must be refused."""
    for name, kind in operation.kinds.items():
        value, fine = operation.arguments[name], operation.fine.get(name, ())
        for what, make in NONSENSE.items() if kind != FLAG else ():
            alone = kind == REALS and len(operation.kinds) == 1  # a number is an array of no axes
            if what in fine or (what == "float" and isinstance(value, float)):
                continue
            if alone and what in ("float", "empty"):
                continue
            yield f"{name}: {what}", {name: make()}
        if value is None:
            continue
        if kind in ARRAYS and value.ndim == 2:
            yield f"{name}: one row", {name: value[0]}
            yield f"{name}: axes", {name: value[None]}
        if kind in ARRAYS and value.ndim == 1:
            yield f"{name}: a column", {name: value[:, None]}
        if kind == TREE:
            yield from ((f"{name}: {what}", {name: bad}) for what, bad in bad_trees(value) if what not in fine)


def bad_trees(tree):
    """(what, something that is no network)."""
    first, *others = tree.layers
    yield from (("an array", first.W), ("a list", list(tree.layers)))
    for what, layers in {
        "none": None, "a number": 3, "no layers": (), "no layer": (None,), "a pair": ((1, 2),), "no pair": (first.W,),
        "one wrong": (3, *others), "lists": tuple(each._replace(W=each.W.tolist()) for each in tree.layers),
    }.items():  # fmt: skip
        yield f"layers: {what}", tree._replace(layers=layers)
    for what, change in {
        "int": lambda a: a.astype(int), "half": lambda a: a.astype(np.float16), "axes": lambda a: a[None],
        "none": lambda a: None, "empty": lambda a: a[:0],
    }.items():  # fmt: skip
        yield f"arrays: {what}", rebuilt(tree, change)


# Where a shape is free.
FREE = {"metrics.per_class"}


@pytest.mark.parametrize("name", ALL)
def test_f81_every_bad_call_is_one_error_of_ours(name, numba_kernels):
    operation, refused = REGISTRY[name], 0
    elementwise = set(operation.kinds.values()) <= {REALS, "other"} and name.startswith("operations.")
    for what, changed in bad_calls(operation):
        shape = what.split(": ")[1] in ("one row", "axes", "a column")
        free = name.startswith("schedules.") or name in FREE
        if shape and (free or (elementwise and len(operation.arguments) == 1)):
            continue
        error = told(operation, changed, NUMPY)
        assert_tells(error)
        refused += 1
        if operation.takes:
            other = told(operation, changed, numba_kernels)
            assert type(other) is type(error), what
            assert _plain(other) == _plain(error), what
    assert refused


def _plain(error):
    return str(error).split(" at 0x")[0]


@pytest.mark.parametrize("name", [name for name in ALL if REGISTRY[name].errors])
def test_f78_what_is_out_of_range_is_told(name, numba_kernels):
    operation = REGISTRY[name]
    for changed, words in operation.errors:
        for kernels in (NUMPY, numba_kernels) if operation.takes else (NUMPY,):
            error = told(operation, changed, kernels)
            assert_tells(error)
            assert re.search(words, str(error)), error


@pytest.mark.parametrize("name", TAKING)
def test_kernels_that_are_no_table_are_refused(name):
    operation = REGISTRY[name]
    if name.startswith("operations."):
        return
    for kernels in ("numba", None, NUMPY[1:]):
        assert_tells(told(operation, {}, kernels), ArgumentTypeError)


@pytest.mark.parametrize("name", TAKING)
def test_both_tables_give_the_same(name, numba_kernels):
    operation = REGISTRY[name]
    if name.startswith("operations."):
        return  # tests/kernels/test_kernels.py has their own rules, and more cases
    found, wanted = (operation.call(**fresh(operation), kernels=kernels) for kernels in (numba_kernels, NUMPY))
    assert_same(found, wanted, operation.steps)


# Gradients.


@pytest.mark.parametrize("name", [name for name in ALL if REGISTRY[name].gradient and name.startswith("operations.")])
def test_every_gradient_is_the_derivative(name, kernels):
    """Of sum(da f(...)), by the complex step, at every array that the operation has reals in."""
    operation = REGISTRY[name]
    function = name.split(".")[-1].split(",")[0]
    given = {
        key: value[:5] if operation.kinds[key] != "other" and key not in ("W", "b") and value is not None else value
        for key, value in operation.arguments.items()
    }
    reals = [key for key, kind in operation.kinds.items() if kind == REALS]
    at = {key: given[key] for key in reals}
    rest = {key: value for key, value in given.items() if key not in at}
    if function == "cross_entropy":
        rest_of_it = {key: value for key, value in given.items() if key != "logits"}
        found, da = [kernels.cross_entropy_backward(kernels.softmax(given["logits"]), **rest_of_it)], None
    else:
        da = np.random.default_rng(0).standard_normal(getattr(operations, function)(**given).shape)
        backward = getattr(kernels, f"{function}_backward")
        found = backward(da, given["x"], given["W"]) if function == "affine" else [backward(da, given["z"])]

    def value(**moved):
        out = getattr(operations, function)(**at | moved, **rest)
        return out if da is None else (out * da).sum()

    for key, gradient in zip(reals, found, strict=True):
        wanted = np.empty(at[key].shape)
        for place in np.ndindex(wanted.shape):
            moved = at[key].astype(complex)
            moved[place] += 1e-100j
            wanted[place] = value(**{key: moved}).imag / 1e-100
        if function in ("relu", "leaky_relu"):
            wanted[at[key] == 0] = gradient[at[key] == 0]  # there is none
        assert np.abs(gradient - wanted).max() <= COMPLEX_LIMIT * max(1, np.abs(wanted).max()), key


def test_the_gradient_of_the_loss_is_the_derivative(kernels):
    arguments = fresh(REGISTRY["public.loss"])
    for check in gradcheck.check_gradients(**arguments, kernels=kernels):
        assert check.passed, check


def test_f81_tables_and_optimizers_of_another_kind_are_refused():
    for name in (None, 3, ["numpy"], np.array(["numpy", "numba"]), "cuda"):
        with pytest.raises(UsageError, match="unknown kernels; expected numpy or numba, found"):
            fnnet.load_kernels(name)
    for optimizer in (None, "sgd", fnnet.Optimizer(1, 2), fnnet.Optimizer(tuple, None)):
        with pytest.raises(ArgumentTypeError, match="optimizer; expected an Optimizer"):
            fnnet.clipped(optimizer, 1.0)


def test_every_gradient_has_its_function():
    backward = {name for name in NAMES if name.endswith("_backward")}
    named = {each.gradient.split(".")[-1] for each in REGISTRY.values() if each.gradient}
    assert named == backward | {"backward"}
