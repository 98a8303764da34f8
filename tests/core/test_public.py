"""The plain functions of the mathematics, and the public ones that check for them: one each, the same results."""

import ast
import copy
import inspect
import warnings

import numpy as np
import pytest

import fnnet
from fnnet import core
from fnnet.core import (
    check_network,
    checks,
    network,
    operations,
    optimizers,
    params,
    public,
    public_gradients,
    public_optimizers,
)
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.training import steps
from tests.conftest import ROOT
from tests.tools.operation import bits

PAGES = (params, operations, network, optimizers)
PLAIN = {name: getattr(core, name) for name in core.__all__}
X, LABELS = np.random.default_rng(0).random((7, 6)), np.arange(7) % 3
PARAMS = fnnet.init((6, 5, 3), 1, scheme="notebook", dtype=np.float64)


def code_lines(module):
    """The lines of a module that are neither blank nor of a docstring."""
    text = inspect.getsource(module)
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def test_the_four_pages_are_short():
    assert sum(map(code_lines, PAGES)) <= 500


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_the_four_pages_import_nothing_but_one_another_numpy_state_and_erf(page):
    names = set()
    for node in ast.walk(ast.parse(inspect.getsource(page))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fnnet"):
            own = node.module == "fnnet.core"
            names |= {f"{node.module}.{each.name}" if own else node.module for each in node.names}
    assert names <= {f"fnnet.core.{name}" for name in ("params", "operations", "network", "rng", "state", "erf")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_the_four_pages_check_nothing(page):
    tree = ast.parse(inspect.getsource(page))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, (ast.Raise, ast.Assert, ast.Try))]


def called(function):
    """The names that a function calls, with the module's where there is one, how often each."""
    tree = ast.parse(inspect.getsource(inspect.unwrap(function)))
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


GRADIENTS = ("backpropagate", "input_gradient", "sample_gradients")
PLACES = {"init": "parameters", **dict.fromkeys(("forward", "backward", "loss", "scores", *GRADIENTS), "network")}


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_each_plain_function_has_one_public_one_that_calls_it_once(name):
    function = public.predict if name == "predict" else getattr(fnnet, name)  # apps.use reads files for it
    assert function is not PLAIN[name]
    assert function.__module__ in (public.__name__, public_gradients.__name__, public_optimizers.__name__)
    if name in ("predict", "adamw"):  # in two steps, by public functions of their own
        assert called(function).count({"predict": "scores", "adamw": "adam"}[name]) == 1
        return
    assert called(function).count(f"{PLACES.get(name, 'optimizers')}.{name}") == 1


def test_every_public_function_of_the_mathematics_stands_before_a_plain_one():
    own = {"predictor", "best_classes", "make", "checked", "unchecked", "check_optimizer", "check_state"}
    for module in (public, public_gradients, public_optimizers):
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                assert name in PLAIN or name in own, name


def test_plain_and_public_give_the_same_bits():
    activations = core.forward(PARAMS, X)
    assert bits(activations) == bits(fnnet.forward(PARAMS, X))
    grads = core.backward(PARAMS, activations, LABELS)
    assert bits(grads) == bits(fnnet.backward(PARAMS, fnnet.forward(PARAMS, X), LABELS))
    assert bits(core.update(PARAMS, grads, 0.1)) == bits(fnnet.update(PARAMS, grads, 0.1))
    assert core.loss(PARAMS, X, LABELS) == fnnet.loss(PARAMS, X, LABELS)
    assert bits(core.scores(PARAMS, X)) == bits(fnnet.scores(PARAMS, X))
    assert bits(core.predict(PARAMS, X)) == bits(fnnet.predict(PARAMS, X))
    assert bits(core.init((6, 5, 3), 1)) == bits(fnnet.init((6, 5, 3), 1))


@pytest.mark.parametrize("name", ["sgd", "momentum", "rmsprop", "adam", "adamw", "lion"])
def test_plain_and_public_optimizers_give_the_same_bits(name):
    grads = fnnet.init((6, 5, 3), 2, scheme="notebook", dtype=np.float64)
    ours, plain = getattr(fnnet, name)(), getattr(core, name)()
    found, wanted = (PARAMS, ours.init(PARAMS)), (PARAMS, plain.init(PARAMS))
    for _ in range(3):
        found = ours.update(found[0], grads, found[1], 0.1)
        wanted = plain.update(wanted[0], grads, wanted[1], 0.1)
    assert bits(found) == bits(wanted)
    assert public_optimizers.unchecked(ours).name == plain.name


def test_complex_numbers_pass_through_the_plain_functions():
    """The loss at W + ih has the derivative in its imaginary part."""
    moved = params.each(lambda array: array.astype(complex), PARAMS)
    moved.layers[0].W[2, 3] += 1e-100j
    found = core.loss(moved, X, LABELS, "tanh").imag / 1e-100
    wanted = fnnet.backward(PARAMS, fnnet.forward(PARAMS, X, activation="tanh"), LABELS).layers[0].W[2, 3]
    assert found == pytest.approx(wanted, rel=1e-13)


def test_training_checks_a_batch_once(monkeypatch):
    """What a step checks it checks at its own entry: the plain functions inside look at nothing again."""
    counts = {}
    for module, name in ((check_network, "check_params"), (checks, "check_labels"), (check_network, "as_input")):
        original = getattr(module, name)

        def counting(*arguments, name=name, original=original):
            counts[name] = counts.get(name, 0) + 1
            return original(*arguments)

        for user in (module, public, public_optimizers, steps):
            if hasattr(user, name):
                monkeypatch.setattr(user, name, counting)
    state = fnnet.TrainState(PARAMS, (), 0, 0)
    fnnet.train_step(state, (X * 255).astype(np.uint8), LABELS, 0.1)
    assert counts == {"check_params": 1, "check_labels": 1, "as_input": 1}


def test_the_core_knows_its_names():
    assert all(callable(getattr(core, name)) for name in core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = core.nonsense
    text = (ROOT / "fnnet" / "core" / "__init__.py").read_text()
    for name, home in core._HOMES.items():
        assert f"    from fnnet.core.{home} import {name} as {name}\n" in text


def own_update(params, grads, state, rate):
    """The last layer alone moves; the others are the arrays that came in."""
    last, grad = params.layers[-1], grads.layers[-1]
    moved = fnnet.Layer(last.W - np.float32(rate) * grad.W, last.b - np.float32(rate) * grad.b)
    return fnnet.Params((*params.layers[:-1], moved)), state


OWN = fnnet.Optimizer(lambda params: (), own_update)


@pytest.mark.parametrize("wrap", [lambda own: own, lambda own: fnnet.clipped(own, 1.0)], ids=["own", "clipped"])
def test_an_optimizer_that_returns_what_it_was_given_leaves_it_writable(wrap):
    given = fnnet.Params(tuple(fnnet.Layer(W.copy(), b.copy()) for W, b in PARAMS.layers))
    optimizer, x = wrap(OWN), (X * 255).astype(np.uint8)
    state = fnnet.TrainState(given, (), 0, 0)
    made, _, _ = fnnet.train_step(state, x, LABELS, 0.1, optimizer=optimizer)
    examples = Examples(x, LABELS)
    block = fnnet.train_block(state, examples, None, 7, 0.1, optimizer=optimizer)[0]
    stepped, _ = fnnet.clipped(OWN, 1.0).update(given, given, (), 0.1)
    assert all(array.flags.writeable for layer in given.layers for array in layer)
    for made_of in (made.params, block.params, stepped):
        assert not any(array.flags.writeable for layer in made_of.layers for array in layer)


@pytest.mark.parametrize("wrap", [fnnet.clipped, fnnet.averaged])
def test_an_own_update_under_a_known_name_is_called(wrap, numba_kernels):
    calls = []

    def update(params, grads, state, rate):
        calls.append(rate)
        return params, state

    optimizer = wrap(fnnet.sgd()._replace(update=update), 0.5)
    state = fnnet.TrainState(PARAMS, optimizer.init(PARAMS), 0, 0)
    fnnet.train_block(state, Examples(X, LABELS), None, 7, 0.1, optimizer=optimizer, kernels=numba_kernels)
    assert calls == [0.1]


def test_matrices_are_taken_as_arrays():
    """Of a matrix, `*` would be a product of matrices."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = fnnet.Params(tuple(fnnet.Layer(np.asmatrix(W), b) for W, b in PARAMS.layers))
    wanted, found = (fnnet.forward(params, X, activation="silu") for params in (PARAMS, given))
    np.testing.assert_array_equal(found.probs, wanted.probs)
    assert type(found.probs) is np.ndarray
    step, wanted_step = (fnnet.train_step(fnnet.TrainState(each, (), 0, 0), X, LABELS, 0.1) for each in (given, PARAMS))
    assert step[1:] == wanted_step[1:]


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.longdouble, np.complex128])
def test_updates_of_other_dtypes_are_refused(dtype):
    given = fnnet.Params(tuple(fnnet.Layer(W.astype(dtype), b.astype(dtype)) for W, b in PARAMS.layers))
    for update in (fnnet.update, lambda params, grads, rate: fnnet.sgd().update(params, grads, (), rate)):
        with pytest.raises(ArgumentTypeError, match="dtype of params; expected float32, float64"):
            update(given, given, 0.5)
    with pytest.raises(ArgumentTypeError, match="Params with layers"):
        fnnet.update(fnnet.Params(()), fnnet.Params(()), 0.5)


def test_optimizers_and_kernels_can_be_copied_and_hashed():
    for each in (fnnet.adam(), fnnet.core.adam(), NUMPY):
        assert copy.deepcopy(each) is each
        assert {each: 1}[each] == 1
    assert fnnet.sgd().update(PARAMS, PARAMS, (), learning_rate=1.0)[1] == ()
    with pytest.raises(UsageError, match="not of this optimizer"):
        fnnet.sgd().update(PARAMS, PARAMS, np.zeros(3), 0.1)


@pytest.mark.parametrize("n", [4095, 4096, 4097, 8192, 8193])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_scores_of_more_rows_than_a_chunk(n, dtype, kernels):
    """Whole numbers, whose sums are exact: row i has the scores 2 i + 1 and -i."""
    W, b = np.array([[510, -255], [510 * 255, -255 * 255]], np.float32), np.array([1, 0], np.float32)
    numbers = np.arange(n)
    x = np.stack([numbers % 255, numbers // 255], axis=1).astype(dtype)
    unit = np.float32(1 if dtype == np.uint8 else 255)  # bytes are divided by 255
    found = fnnet.scores(params.Params((params.Layer(W / unit, b),)), x, kernels=kernels)
    assert found.shape == (n, 2)
    np.testing.assert_allclose(found, np.stack([2 * numbers + 1, -numbers], axis=1), rtol=1e-5, atol=1e-3)
    assert fnnet.predict(params.Params((params.Layer(W / unit, b),)), x, kernels=kernels).tolist() == [0] * n
