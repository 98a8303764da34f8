"""The Numba twins equal the NumPy definitions, and both equal what the mathematics says."""

import ast
import inspect
import math
from pathlib import Path

import numpy as np
import pytest

from fnnet import kernels as tables
from fnnet.core.table import NAMES, NUMPY
from fnnet.errors import UsageError
from fnnet.names import ACTIVATIONS
from tests.tools import cases

NATIVE = Path(tables.__file__).with_name("native")


@pytest.mark.parametrize(("call", "case"), cases.GRID, ids=cases.IDS)
def test_twins_are_equal(call, case, numba_kernels):
    found = getattr(numba_kernels, cases.operation(call))(*cases.arguments(call, case))
    cases.assert_equal(call, case, found)


def test_every_operation_has_cases():
    assert {cases.operation(call) for call in cases.CALLS} == set(NAMES)
    assert {name for name in NAMES if f"{name}_backward" in NAMES} == {"affine", "cross_entropy", *ACTIVATIONS}


@pytest.mark.parametrize("call", cases.CALLS)
def test_the_equality_check_can_fail(call):
    case = next(case for case in cases.CASES if case.name == "batch-64")
    right = getattr(NUMPY, cases.operation(call))(*cases.arguments(call, case))
    if not isinstance(right, tuple):
        with pytest.raises(AssertionError):
            cases.assert_equal(call, case, 1.001 * right)
        return
    for spoiled in range(len(right)):
        wrong = tuple(1.001 * part if number == spoiled else part for number, part in enumerate(right))
        with pytest.raises(AssertionError):
            cases.assert_equal(call, case, wrong)


@pytest.mark.parametrize("operation", NAMES)
def test_twins_share_names_order_and_defaults(operation, numba_kernels):
    definition, twin = (inspect.signature(cases.plain(table, operation)) for table in (NUMPY, numba_kernels))
    assert list(definition.parameters.values()) == list(twin.parameters.values())
    checked = inspect.signature(getattr(NUMPY, operation)).parameters
    assert [(each.name, each.default) for each in checked.values()] == [
        (each.name, each.default) for each in definition.parameters.values()
    ]


@pytest.mark.parametrize(("call", "case"), cases.GRID, ids=cases.IDS)
def test_f82_f83_arguments_stay_and_results_are_new(call, case, kernels):
    arguments = cases.arguments(call, case)
    before = [None if argument is None else np.array(argument) for argument in arguments]
    writeable = [argument.flags.writeable for argument in arguments if isinstance(argument, np.ndarray)]
    result = getattr(kernels, cases.operation(call))(*arguments)
    for argument, copy in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, copy)
    assert writeable == [argument.flags.writeable for argument in arguments if isinstance(argument, np.ndarray)]
    for part in result if isinstance(result, tuple) else (result,):
        if isinstance(part, np.ndarray):
            assert not any(isinstance(a, np.ndarray) and np.shares_memory(part, a) for a in arguments)


def test_every_activation_has_its_twin(numba_kernels):
    assert list(numba_kernels.operations.activations) == list(NUMPY.operations.activations) == list(ACTIVATIONS)
    for name, activation in NUMPY.operations.activations.items():
        assert numba_kernels.operations.activations[name].kinked == activation.kinked
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        type(NUMPY.operations)(*NUMPY.operations[:-1])
    with pytest.raises(AttributeError, match="no attribute 'swish'"):
        _ = NUMPY.swish


def test_unknown_table():
    with pytest.raises(UsageError, match="numpy or numba"):
        tables.load("cuda")


def test_first_layer_needs_no_dx(kernels):
    case = cases.CASES[1]
    dx, dW, _ = kernels.affine_backward(case.da, case.x, case.W, need_dx=False)
    assert dx is None
    assert dW.shape == case.W.shape


def test_f72_f73_softmax_and_cross_entropy_at_large_logits(kernels):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.0, 0.0, -1e4]], np.float32)
    probs = kernels.softmax(logits)
    np.testing.assert_allclose(probs, [[1, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0]], rtol=1e-6)
    loss, dlogits = cases.loss_and_dlogits(kernels, logits, np.array([1, 0, 0]))
    assert loss == pytest.approx((2e4 + math.log(3) + math.log(2)) / 3, rel=1e-6)
    assert np.isfinite(dlogits).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_by_hand(smoothing, weighted, kernels):
    logits, labels = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 1.0, 1.0]]), np.array([0, 2, 1])
    weights = np.array([0.5, 0.0, 2.0]) if weighted else np.ones(3)
    targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -(targets * np.log(probs)).sum(axis=1)
    loss, dlogits = cases.loss_and_dlogits(kernels, logits, labels, weights if weighted else None, smoothing)
    assert loss == pytest.approx((weights * losses).sum() / weights.sum(), rel=1e-14)
    np.testing.assert_allclose(dlogits, weights[:, None] / weights.sum() * (probs - targets), rtol=1e-13, atol=1e-15)


def test_cross_entropy_against_torch(kernels):
    """PyTorch's class weights with the mean are our sample weights by the labels' classes. With smoothing they part:
    there each class's share of the target is weighted too, here the sample."""
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    rng = np.random.default_rng(5)
    logits, labels, by_class = 3 * rng.standard_normal((40, 7)), rng.integers(0, 7, 40), rng.exponential(size=7)
    for weights, smoothing in ((None, 0.0), (None, 0.3), (by_class, 0.0)):
        given = torch.tensor(logits, requires_grad=True)
        weight = None if weights is None else torch.tensor(weights)
        wanted = torch.nn.functional.cross_entropy(
            given, torch.tensor(labels), weight=weight, label_smoothing=smoothing
        )
        wanted.backward()
        loss, dlogits = cases.loss_and_dlogits(
            kernels, logits, labels, None if weights is None else weights[labels], smoothing
        )
        assert loss == pytest.approx(wanted.item(), rel=1e-13)
        np.testing.assert_allclose(dlogits, given.grad.numpy(), rtol=1e-12, atol=1e-16)


def test_weights_of_nothing_have_no_loss(kernels):
    loss, dlogits = cases.loss_and_dlogits(
        kernels, np.ones((3, 2), np.float32), np.zeros(3, np.int64), np.zeros(3), 0.1
    )
    assert loss == 0
    assert not dlogits.any()


def test_equal_weights_of_any_size_are_no_weights(kernels):
    logits, labels = np.random.default_rng(0).standard_normal((20, 5)), np.arange(20) % 5
    plain, gradient = cases.loss_and_dlogits(kernels, logits, labels)
    for size in (1e-300, 3.0, 1e300):
        loss, dlogits = cases.loss_and_dlogits(kernels, logits, labels, np.full(20, size))
        assert loss == pytest.approx(plain, rel=1e-14)
        np.testing.assert_allclose(dlogits, gradient, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_the_dtype_of_the_weights_does_not_matter(dtype, kernels):
    """Whose sum may be beyond it: 70,000 ones in float16."""
    n = 70_000
    logits, labels = np.random.default_rng(0).standard_normal((n, 3)), np.arange(n) % 3
    plain, gradient = cases.loss_and_dlogits(kernels, logits, labels)
    loss, dlogits = cases.loss_and_dlogits(kernels, logits, labels, np.ones(n, dtype))
    assert loss == pytest.approx(plain, rel=1e-12)
    np.testing.assert_allclose(dlogits, gradient, rtol=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_f74_smoothed_loss_at_large_logits(smoothing, kernels):
    logits = np.array([[1e4, -1e4, 0.0]], np.float32)
    loss, dlogits = cases.loss_and_dlogits(kernels, logits, np.array([0]), None, smoothing)
    assert loss == pytest.approx(smoothing * 1e4, rel=1e-6)
    np.testing.assert_allclose(dlogits, [[smoothing * 2 / 3, -smoothing / 3, -smoothing / 3]], rtol=1e-5)


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
        functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        # Numba types cores; what has types of its own is Python that emits code.
        for core in functions if path.stem != "__init__" else []:
            names = {getattr(decorator, "id", None) for decorator in core.decorator_list}
            assert core.returns or names & {"compiled", "inlined", "intrinsic"}, (path.name, core.name)
    assert set(flags) <= {'("reassoc",'}


def test_f81_other_dtypes_are_refused(numba_kernels):
    with pytest.raises(TypeError, match="float32, float64"):
        numba_kernels.relu(np.zeros((2, 2), np.float16))


def test_the_mean_loss_of_many_rows_does_not_drift(kernels):
    """200,000 equal rows have the loss of one; a sum in float32 would be off in the fourth digit."""
    row = np.array([[0.1, 1.3, -0.7]], np.float32)
    one = kernels.cross_entropy(row, np.array([0]))
    many = kernels.cross_entropy(np.repeat(row, 200_000, axis=0), np.zeros(200_000, np.int64))
    assert many == pytest.approx(one, rel=1e-9)


def test_update_keeps_the_dtype_of_the_value(kernels):
    value = np.ones((2, 2), np.float32)
    assert kernels.update(value, value, np.float64(0.1)).dtype == np.float32
