"""For those who import fnnet: Params as a tuple, representations, trees of JAX, own losses and activations."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import fnnet
from fnnet import core
from fnnet.core import gradcheck
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY
from fnnet.data import load
from fnnet.errors import ArgumentTypeError, ModelError, UsageError
from fnnet.training import lbfgs, plan
from tests.tools.operation import bits

PARAMS = fnnet.init((6, 5, 4, 3), 1, scheme="notebook", dtype=np.float64)
X, LABELS = np.random.default_rng(0).random((7, 6)) - 0.3, np.arange(7) % 3
TANH = fnnet.Activation(np.tanh, lambda da, z: da * (1 - np.tanh(z) ** 2))
MASKS = tuple(np.random.default_rng(1).integers(0, 2, (7, width)) * 2.0 for width in (5, 4))


def writable(params=PARAMS):
    return fnnet.Params(tuple(fnnet.Layer(W.copy(), b.copy()) for W, b in params.layers))


# Params as the tuple of their layers.


def test_params_are_the_tuple_of_their_layers():
    layers = PARAMS.layers
    assert PARAMS[0] is layers[0]
    assert PARAMS[-1] is layers[2]
    assert PARAMS[1:] == layers[1:]
    assert len(PARAMS) == 3
    assert [*PARAMS] == list(layers)
    assert layers[1] in PARAMS
    with pytest.raises(IndexError):
        _ = PARAMS[3]


def test_params_remain_a_named_tuple():
    shorter = PARAMS._replace(layers=PARAMS[:1])
    assert type(shorter) is fnnet.Params
    assert len(shorter) == 1
    assert PARAMS._replace() == PARAMS
    assert PARAMS._asdict() == {"layers": PARAMS.layers}
    assert fnnet.Params._make([PARAMS.layers]) == PARAMS
    assert PARAMS._fields == ("layers",)
    for params in (PARAMS, shorter):  # as torch's and other libraries' trees rebuild a NamedTuple
        assert type(params)(*[each for each in params]) == params  # noqa: C416
    assert fnnet.Params(layers=PARAMS.layers) == PARAMS


def copies(given):
    return [copy.copy(given), copy.deepcopy(given), pickle.loads(pickle.dumps(given))]


GIVEN = [
    PARAMS, PARAMS[0], fnnet.forward(PARAMS, X, masks=MASKS), Examples(X, LABELS),
    fnnet.adam().init(PARAMS), fnnet.TrainState(PARAMS, fnnet.adam().init(PARAMS), 0, 0), fnnet.Model(PARAMS),
]  # fmt: skip


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: type(given).__name__)
def test_tuples_of_arrays_are_compared_by_value(given):
    for again in copies(given):
        assert (again == given) is True
        assert (again != given) is False
        if not isinstance(given, fnnet.Model):
            assert hash(again) == hash(given)


def test_what_differs_is_not_equal():
    moved = writable()
    moved[1].b[2] += 1e-12
    others = [
        moved, fnnet.init((6, 5, 4, 3), 1, scheme="notebook"), PARAMS._replace(layers=PARAMS[:2]), PARAMS.layers, None,
        fnnet.Params(tuple(fnnet.Layer(W, b[None]) for W, b in PARAMS)),
    ]  # fmt: skip
    for other in others:
        assert (other == PARAMS) is False
        assert (other != PARAMS) is True
    assert (PARAMS[0] == tuple(PARAMS[0])) is False
    assert fnnet.forward(PARAMS, X) != fnnet.forward(PARAMS, X, activation="tanh")
    narrow = fnnet.init((3, 2))
    assert narrow != fnnet.Params(tuple(fnnet.Layer(*(array.astype(np.float64) for array in each)) for each in narrow))
    zeros = fnnet.Layer(np.zeros((1, 1)), np.zeros(1))
    negative = fnnet.Layer(-zeros.W, zeros.b)
    assert zeros == negative
    assert hash(zeros) == hash(negative)


# Representations.


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (fnnet.init((784, 10, 10)), "Params(784-10-10, float32, 7,960 parameters)"),
        (fnnet.init((3, 2))[0], "Layer(W=float32 (3, 2), b=float32 (2,))"),
        (fnnet.Params(()), "Params(layers=())"),
        (fnnet.Params((3,)), "Params(layers=(3))"),
        (Examples(X, LABELS), "Examples(x=float64 (7, 6), labels=int64 (7,))"),
        (fnnet.Model(fnnet.init((784, 10)), "tanh"), "Model(784-10, float32, 7,850 parameters, tanh, 10 classes)"),
        (NUMPY, "Kernels(numpy)"),
        (fnnet.momentum(0.8), "Optimizer(momentum, beta=0.8, weight_decay=0.0, decoupled=False)"),
        (fnnet.Optimizer(tuple, tuple), "Optimizer(own)"),
        (load("digits"), "Dataset(digits, 1,437 train, 360 test images of 28x28, 10 classes)"),
    ],
)
def test_one_line_shows_it(given, shown):
    assert repr(given) == shown


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: type(given).__name__)
def test_no_representation_lists_numbers(given):
    assert "\n" not in repr(given)
    assert "array(" not in repr(given)
    assert len(repr(given)) < 400


@pytest.mark.parametrize("name", ["forward", "predict", "train_step", "train_block"])
def test_signatures_are_readable(name):
    shown = str(inspect.signature(getattr(fnnet, name)))
    assert "kernels: 'Kernels' = Kernels(numpy)" in shown
    assert len(shown) < 500


def test_compiled_kernels_are_shown(numba_kernels):
    assert repr(numba_kernels) == f"Kernels(numba, threads={numba_kernels.threads})"


# Trees of other libraries.


class Wrapped:
    """An array of another library."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array__(self, dtype=None, copy=None):
        return self.array


class LongTracer(Wrapped):
    """An array that is not known yet."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("The numpy.ndarray conversion method __array__() was called on a tracer")


def of(kind, params=PARAMS):
    return fnnet.Params(tuple(fnnet.Layer(kind(W), kind(b)) for W, b in params))


def calls(params):
    state = fnnet.TrainState(params, (), 0, 0)
    return {
        "forward": lambda: fnnet.forward(params, X),
        "predict": lambda: fnnet.predict(params, X),
        "backward": lambda: fnnet.backward(params, fnnet.forward(PARAMS, X), LABELS),
        "update": lambda: fnnet.update(params, params, 0.1),
        "optimizer": lambda: fnnet.adam().update(params, params, fnnet.adam().init(params), 0.1),
        "train_step": lambda: fnnet.train_step(state, X, LABELS, 0.1),
    }


@pytest.mark.parametrize("name", calls(PARAMS))
def test_arrays_of_other_libraries_are_taken(name):
    assert bits(calls(of(Wrapped))[name]()) == bits(calls(PARAMS)[name]())


@pytest.mark.parametrize("name", calls(PARAMS))
def test_tracers_are_refused_with_a_remedy(name):
    with pytest.raises(ArgumentTypeError, match=r"cannot be traced; .*found a JAX tracer; call it outside jax\.jit"):
        calls(of(LongTracer))[name]()


def test_a_tracer_as_input_is_refused():
    with pytest.raises(ArgumentTypeError, match="cannot be traced"):
        fnnet.predict(PARAMS, LongTracer(X))


def test_masked_and_half_arrays_are_refused_with_a_remedy():
    with pytest.raises(ArgumentTypeError, match=r"without a mask, found masked; fill the values in"):
        fnnet.predict(of(lambda array: np.ma.MaskedArray(array, mask=False)), X)
    with pytest.raises(ArgumentTypeError, match=r"layer 1: layer dtype; .*found W float16.*astype\('float32'\)"):
        fnnet.predict(of(lambda array: array.astype(np.float16)), X)
    with pytest.raises(ArgumentTypeError, match=r"found Model; pass model\.params"):
        fnnet.forward(fnnet.Model(PARAMS), X)


def test_trees_of_jax_and_optax_are_taken():
    jax = pytest.importorskip("jax", reason="needs jax: pip install jax")
    params, x = fnnet.init((6, 5, 3)), X.astype(np.float32)
    doubled = jax.tree.map(lambda array: 2 * jax.numpy.asarray(array), params)
    assert doubled == of(lambda array: 2 * array, params)
    assert bits(fnnet.scores(doubled, x)) == bits(fnnet.scores(of(lambda array: 2 * array, params), x))
    leaves, tree = jax.tree.flatten(params)
    assert jax.tree.unflatten(tree, leaves) == params
    assert [str(path[0]) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]] == [".layers"] * 4
    with pytest.raises(ArgumentTypeError, match="found W bfloat16"):
        fnnet.predict(jax.tree.map(lambda array: array.astype("bfloat16"), doubled), x)
    for traced in (jax.jit, jax.grad):
        with pytest.raises(ArgumentTypeError, match="cannot be traced"):
            traced(lambda params: fnnet.loss(params, x, LABELS))(doubled)
    optax = pytest.importorskip("optax", reason="needs optax: pip install optax")
    optimizer = optax.adam(0.1)
    updates, _ = optimizer.update(params, optimizer.init(params))
    moved = optax.apply_updates(params, updates)
    assert fnnet.predict(moved, x).shape == (7,)
    assert type(moved) is fnnet.Params


# Models.


@pytest.mark.parametrize("table", ["numpy", "numba"])
def test_a_model_is_used_with_its_activation(table, numba_kernels):
    kernels = {"kernels": NUMPY if table == "numpy" else numba_kernels}
    model = fnnet.Model(PARAMS, "tanh")
    tanh = {"activation": "tanh", **kernels}
    assert bits(fnnet.scores(model, X, **kernels)) == bits(fnnet.scores(PARAMS, X, **tanh))
    assert bits(fnnet.scores(model, X, **kernels)) != bits(fnnet.scores(PARAMS, X, **kernels))
    numbers = fnnet.predict(PARAMS, X, **tanh)
    assert fnnet.predict(model, X, **tanh).tolist() == [model.classes[number] for number in numbers]
    assert fnnet.loss(model, X, LABELS, **kernels) == fnnet.loss(PARAMS, X, LABELS, **tanh)
    assert bits(fnnet.predictor(model, **kernels)(X)) == bits(fnnet.predict(model, X, **kernels))
    for call in (fnnet.scores, fnnet.predict, lambda *given, **rest: fnnet.loss(*given, LABELS, **rest)):
        with pytest.raises(UsageError, match="not the model's; expected tanh, found 'relu'; leave `activation` out"):
            call(model, X, activation="relu", **kernels)
    with pytest.raises(UsageError, match="not the model's"):
        fnnet.predictor(model, activation="relu", **kernels)


# Activations of the user's own.


def test_an_own_activation_is_that_of_its_formula(kernels):
    named, own = ({"activation": each, "kernels": kernels} for each in ("tanh", TANH))
    ours, theirs = (fnnet.forward(PARAMS, X, masks=MASKS, **each) for each in (own, named))
    assert ours.activation is TANH
    np.testing.assert_allclose(ours.probs, theirs.probs, rtol=1e-12)
    grads = [fnnet.backward(PARAMS, each, LABELS, kernels=kernels) for each in (ours, theirs)]
    for one, other in zip(*(sum(map(tuple, tree), ()) for tree in grads), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(fnnet.scores(PARAMS, X, **own), fnnet.scores(PARAMS, X, **named))
    assert fnnet.loss(PARAMS, X, LABELS, **own) == pytest.approx(fnnet.loss(PARAMS, X, LABELS, **named), rel=1e-12)
    assert bits(fnnet.predictor(PARAMS, **own)(X)) == bits(fnnet.predict(PARAMS, X, **named))
    model = fnnet.Model(PARAMS, TANH)
    assert bits(fnnet.predict(model, X, kernels=kernels)) == bits(fnnet.predict(model, X, activation=TANH))


def test_training_with_an_own_activation(kernels):
    """Compiled kernels run the loop over the steps, as for an optimizer of the user's own."""
    state, examples = fnnet.TrainState(PARAMS, (), 0, 3), Examples(X, LABELS)
    calls = []

    def value(z):
        calls.append(z.shape)
        return np.tanh(z)

    counted, made = TANH._replace(value=value), {}
    for activation in ("tanh", counted):
        objective = fnnet.Objective(activation, 0.3)
        block = fnnet.train_block(state, examples, np.arange(7), 4, 0.1, objective=objective, kernels=kernels)
        step = fnnet.train_step(state, X, LABELS, 0.1, objective=objective, kernels=kernels)
        minimum = lbfgs.minimise(PARAMS, examples, iterations=3, activation=activation, kernels=kernels)
        made[activation] = [*block[0].params[0], block[1], *step[0].params[0], step[1], *minimum[0][0]]
    assert calls
    for one, other in zip(*made.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_an_own_activation_keeps_its_arrays(kernels):
    kept = {}

    def value(z):
        return kept.setdefault(z.shape, np.tanh(z))

    fnnet.forward(PARAMS, X, activation=TANH._replace(value=value), kernels=kernels)
    assert all(array.flags.writeable for array in kept.values())


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (TANH._replace(value=lambda z: z[0]), r"value of the activation; expected the shape of z, \(7, 5\)"),
        (TANH._replace(value=lambda z: "text"), "value of the activation; expected floats"),
        (TANH._replace(value=3), "functions value"),
        ("sign", "or an fnnet.Activation, found 'sign'"),
        (np.tanh, "unknown activation"),
        ((np.tanh, np.tanh), "unknown activation"),
    ],
)
def test_activations_that_do_not_fit(activation, message):
    for call in (fnnet.forward, fnnet.scores, fnnet.predict):
        with pytest.raises(UsageError, match=message):
            call(PARAMS, X, activation=activation)
    objective = fnnet.Objective(activation)
    with pytest.raises(UsageError, match=message):
        fnnet.train_step(fnnet.TrainState(PARAMS, (), 0, 0), X, LABELS, 0.1, objective=objective)


def test_a_derivative_that_does_not_fit():
    activations = fnnet.forward(PARAMS, X, activation=TANH._replace(backward=lambda da, z: da[0]))
    with pytest.raises(UsageError, match="backward of the activation; expected the shape of z"):
        fnnet.backward(PARAMS, activations, LABELS)


def test_float32_stays_float32():
    params, wide = fnnet.init((6, 5, 3)), TANH._replace(value=lambda z: np.tanh(z.astype(np.float64)))
    assert fnnet.forward(params, X, activation=wide).probs.dtype == np.float32


def test_an_own_activation_is_not_saved(tmp_path):
    model = fnnet.Model(fnnet.init((4, 3, 2)), TANH, ("a", "b"), (2, 2))
    with pytest.raises(ModelError, match="a model file stores no code"):
        fnnet.save_model(tmp_path / "m", model)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="activation: unknown activation"):
        plan.check_plan(plan.Plan(1, 1, 0.1, activation=TANH))


def test_the_gradient_of_an_own_activation_is_checked():
    params, x, labels = gradcheck.example((5, 4, 3), 1)
    checks = gradcheck.check_gradients(params, x, labels, activation=TANH)
    assert all(check.passed and check.complex_step is None and not check.kinks for check in checks)
    wrong = TANH._replace(backward=lambda da, z: 1.001 * TANH.backward(da, z))
    assert [check.passed for check in gradcheck.check_gradients(params, x, labels, activation=wrong)][:2] == [False] * 2


# Losses of the user's own.


@pytest.mark.parametrize("activation", ["relu", "tanh", TANH], ids=["relu", "tanh", "own"])
def test_backward_is_backpropagate_from_the_cross_entropy(activation, kernels):
    activations = fnnet.forward(PARAMS, X, activation=activation, masks=MASKS, kernels=kernels)
    dlogits = kernels.cross_entropy_backward(activations.probs, LABELS)
    grads = fnnet.backpropagate(PARAMS, activations, dlogits, kernels=kernels)
    assert bits(grads) == bits(fnnet.backward(PARAMS, activations, LABELS, kernels=kernels))
    samples = fnnet.sample_gradients(PARAMS, activations, dlogits, kernels=kernels)
    assert samples[0].W.shape == (7, 6, 5)
    for each, whole in zip(samples, grads, strict=True):
        np.testing.assert_allclose(each.W.sum(axis=0), whole.W, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(each.b.sum(axis=0), whole.b, rtol=1e-12, atol=1e-15)
    assert not any(array.flags.writeable for layer in samples for array in layer)


def test_the_gradient_of_a_sample_is_that_of_the_sample_alone():
    activations = fnnet.forward(PARAMS, X)
    dlogits = NUMPY.cross_entropy_backward(activations.probs, LABELS)
    samples = fnnet.sample_gradients(PARAMS, activations, dlogits)
    for row in range(7):
        alone = fnnet.backward(PARAMS, fnnet.forward(PARAMS, X[row : row + 1]), LABELS[row : row + 1])
        for each, other in zip(samples, alone, strict=True):
            np.testing.assert_allclose(7 * each.W[row], other.W, rtol=1e-10, atol=1e-15)
            np.testing.assert_allclose(7 * each.b[row], other.b, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("masks", [None, MASKS], ids=["plain", "dropout"])
def test_own_losses_and_inputs_against_differences(masks, kernels):
    targets = np.random.default_rng(2).random((7, 3))

    def loss(params, x):
        return float(((core.forward(params, x, "tanh", masks).logits - targets) ** 2).sum())

    activations = fnnet.forward(PARAMS, X, activation="tanh", masks=masks, kernels=kernels)
    dlogits = 2 * (activations.logits - targets)
    grads = fnnet.backpropagate(PARAMS, activations, dlogits, kernels=kernels)
    slope = fnnet.input_gradient(PARAMS, activations, dlogits, kernels=kernels)
    assert slope.shape == X.shape
    assert not slope.flags.writeable
    checks = fnnet.check_gradient(lambda params: loss(params, X), PARAMS, grads)
    assert [check.name for check in checks] == [f"layer {n} {name}" for n in (1, 2, 3) for name in "Wb"]
    checks += fnnet.check_gradient(lambda x: loss(PARAMS, x), X, slope)
    assert all(check.passed and not check.kinks for check in checks)
    wrong = fnnet.check_gradient(lambda x: loss(PARAMS, x), X, slope * 1.00001)
    assert not wrong[0].passed


def test_dlogits_stay_writable_and_unshared():
    activations, dlogits = fnnet.forward(PARAMS, X), np.ones((7, 3))
    samples = fnnet.sample_gradients(PARAMS, activations, dlogits)
    assert dlogits.flags.writeable
    assert not np.shares_memory(samples[-1].b, dlogits)


# The checker.


def test_kinks_are_counted_and_not_compared():
    at = np.array([-1.0, -4e-4, 0.0, 1e-5, 1.5e-3, 0.5])
    for function, gradient in (
        (lambda x: float(np.abs(x).sum()), np.sign(at)),
        (lambda x: float(np.maximum(x, 0).sum()), (at > 0) * 1.0),
    ):
        (check,) = fnnet.check_gradient(function, at, gradient)
        assert check.passed
        assert (check.checked, check.kinks) == (2, 4)
        assert not fnnet.check_gradient(function, at, gradient + 1e-5)[0].passed


def test_functions_of_any_size_are_checked():
    at = np.linspace(-1, 1, 6).reshape(2, 3)
    for scale in (1e-6, 1.0, 1e6):
        (check,) = fnnet.check_gradient(lambda x, scale=scale: scale * np.exp(x).sum(), at, scale * np.exp(at))
        assert check.passed
        assert (check.shape, check.checked, check.complex_step) == ((2, 3), 6, None)
    far = fnnet.check_gradient(lambda x: 1e6 + np.exp(x).sum(), at, np.exp(at), step=1e-2)
    assert far[0].kinks == 0


def test_the_complex_step_is_an_option():
    at = np.linspace(-1, 1, 5)
    (check,) = fnnet.check_gradient(lambda x: np.exp(x).sum(), at, np.exp(at), complex_step=True)
    assert check.passed
    assert check.complex_step < 1e-14
    (check,) = fnnet.check_gradient(lambda x: np.exp(x).sum(), at, np.exp(at) * (1 + 1e-9), complex_step=True)
    assert not check.passed
    (check,) = fnnet.check_gradient(lambda x: np.exp(x).sum(), at, np.exp(at) * (1 + 1e-9))
    assert check.passed


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"value of the function; expected a number, found shape \(3,\)"),
        (lambda x: "text", "expected a number, found 'text'"),
        (lambda x: np.nan, "expected a finite number, found nan"),
        (3, "expected a function of `at`, found 3"),
    ],
)
def test_functions_that_cannot_be_checked(function, message):
    with pytest.raises(UsageError, match=message):
        fnnet.check_gradient(function, np.ones(3), np.ones(3))


def test_points_that_cannot_be_checked():
    for at, message in ((np.ones(3, "f"), r"give at\.astype\(np\.float64\)"), (fnnet.init((2, 2)), "dtype='float64'")):
        with pytest.raises(ArgumentTypeError, match=message):
            fnnet.check_gradient(lambda x: 0.0, at, at)
    with pytest.raises(UsageError, match="gradient does not fit"):
        fnnet.check_gradient(lambda x: 0.0, np.ones(3), np.ones(4))


def test_the_function_cannot_change_the_point():
    at = np.ones(3)
    with pytest.raises(ValueError, match="read-only"):
        fnnet.check_gradient(lambda x: x.sort() or 0.0, at, at)
    fnnet.check_gradient(lambda x: float(x.sum()), at, at)
    assert at.flags.writeable
