"""The Numba twins equal the NumPy definitions, and both equal what the mathematics says."""

import ast
import inspect
import math
from pathlib import Path

import numpy as np
import pytest

from fnnet import kernels as tables
from fnnet.errors import FnnetError, UsageError
from fnnet.kernels import NUMPY, OPERATIONS
from tests import cases

NATIVE = Path(tables.__file__).with_name("native")


@pytest.mark.parametrize(("operation", "case"), cases.GRID, ids=cases.IDS)
def test_twins_are_equal(operation, case, numba_kernels):
    found = getattr(numba_kernels, operation)(*cases.arguments(operation, case))
    cases.assert_equal(operation, case, found)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_equality_check_can_fail(operation):
    case = next(case for case in cases.CASES if case.name == "batch-64")
    right = getattr(NUMPY, operation)(*cases.arguments(operation, case))
    if not isinstance(right, tuple):
        with pytest.raises(AssertionError):
            cases.assert_equal(operation, case, 1.001 * right)
        return
    for spoiled in range(len(right)):
        wrong = tuple(1.001 * part if number == spoiled else part for number, part in enumerate(right))
        with pytest.raises(AssertionError):
            cases.assert_equal(operation, case, wrong)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_twins_share_names_order_and_defaults(operation, numba_kernels):
    reference, twin = (inspect.signature(getattr(table, operation)) for table in (NUMPY, numba_kernels))
    assert reference == twin


@pytest.mark.parametrize(("operation", "case"), cases.GRID, ids=cases.IDS)
def test_arguments_stay_and_results_are_new(operation, case, kernels):
    arguments = cases.arguments(operation, case)
    before = [np.array(argument) for argument in arguments]
    writeable = [argument.flags.writeable for argument in arguments if isinstance(argument, np.ndarray)]
    result = getattr(kernels, operation)(*arguments)
    for argument, copy in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, copy)
    assert writeable == [argument.flags.writeable for argument in arguments if isinstance(argument, np.ndarray)]
    for part in result if isinstance(result, tuple) else (result,):
        if isinstance(part, np.ndarray):
            assert not any(isinstance(a, np.ndarray) and np.shares_memory(part, a) for a in arguments)


def test_missing_twin_fails_when_the_table_is_built():
    class Lame:
        affine = NUMPY.affine

    with pytest.raises(FnnetError, match="no affine_backward"):
        tables._table("lame", Lame)


def test_unknown_table():
    with pytest.raises(UsageError, match="numpy or numba"):
        tables.load("cuda")


def test_first_layer_needs_no_dx(kernels):
    case = cases.CASES[1]
    dx, dW, _ = kernels.affine_backward(case.da, case.x, case.W, need_dx=False)
    assert dx is None
    assert dW.shape == case.W.shape


def test_softmax_and_cross_entropy_at_large_logits(kernels):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.0, 0.0, -1e4]], np.float32)
    probs = kernels.softmax(logits)
    np.testing.assert_allclose(probs, [[1, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0]], rtol=1e-6)
    loss, dlogits = kernels.cross_entropy(logits, np.array([1, 0, 0]))
    assert loss == pytest.approx((2e4 + math.log(3) + math.log(2)) / 3, rel=1e-6)
    assert np.isfinite(dlogits).all()


def test_relu_at_zero_and_nan(kernels):
    z = np.array([[-1.0, 0.0, 2.0, np.nan]], np.float32)
    np.testing.assert_array_equal(kernels.relu(z), [[0, 0, 2, np.nan]])
    np.testing.assert_array_equal(kernels.relu_backward(np.full_like(z, 3), z), [[0, 0, 3, 0]])


def test_rows_do_not_depend_on_their_batch(numba_kernels):
    case = next(case for case in cases.CASES if case.name == "wide")
    together = numba_kernels.affine(case.x, case.W, case.b)
    alone = np.vstack([numba_kernels.affine(row[None], case.W, case.b) for row in case.x])
    cases.tolerance.assert_bitwise(alone, together)


def test_no_core_assumes_that_there_is_no_nan_or_infinity():
    """One constant says how every core is compiled, and relaxes nothing; only a vector's lanes may be added freely."""
    import re

    from fnnet.kernels import native

    assert "fastmath" not in native.OPTIONS
    flags = []
    for path in NATIVE.glob("*.py"):
        text = path.read_text()
        flags += re.findall(r"fastmath=(.*?)\)\)?$", text, re.MULTILINE)
        cores = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and path.stem != "vector"]
        for core in cores if path.stem not in ("packing", "__init__") else []:
            names = {getattr(decorator, "id", None) for decorator in core.decorator_list}
            emits = [argument.arg for argument in core.args.args][:1] in (["vector"], ["formula"])
            assert emits or names & {"core", "intrinsic"}, (path.name, core.name)
    assert set(flags) <= {'("reassoc",'}


def test_other_dtypes_are_refused(numba_kernels):
    with pytest.raises(TypeError, match="float32, float64"):
        numba_kernels.relu(np.zeros((2, 2), np.float16))


def test_the_mean_loss_of_many_rows_does_not_drift(kernels):
    """200,000 equal rows have the loss of one; a sum in float32 would be off in the fourth digit."""
    row = np.array([[0.1, 1.3, -0.7]], np.float32)
    one = kernels.cross_entropy(row, np.array([0]))[0]
    many = kernels.cross_entropy(np.repeat(row, 200_000, axis=0), np.zeros(200_000, np.int64))[0]
    assert many == pytest.approx(one, rel=1e-9)


def test_update_keeps_the_dtype_of_the_value(kernels):
    value = np.ones((2, 2), np.float32)
    assert kernels.update(value, value, np.float64(0.1)).dtype == np.float32
