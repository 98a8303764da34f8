"""What was wrong without a word: gradients that are not finite, checks that were true, activations that write."""

import warnings

import numpy as np
import pytest

import fnnet
from fnnet.core.gradcheck import Check, Checks
from fnnet.core.state import Examples
from fnnet.errors import ArgumentTypeError, ModelError, UsageError

PARAMS = fnnet.init((4, 3, 2), dtype=np.float64)
X = np.linspace(-1, 1, 20).reshape(5, 4)
OPTIMIZERS = (
    fnnet.sgd(), fnnet.momentum(), fnnet.adam(), fnnet.lion(), fnnet.clipped(fnnet.sgd(), 1.0),
    fnnet.averaged(fnnet.rmsprop(), 0.9),
)  # fmt: skip


def with_number(params, layer, name, place, number):
    """The same tree with another number in one place."""
    layers = [each._replace(W=each.W.copy(), b=each.b.copy()) for each in params.layers]
    getattr(layers[layer], name)[place] = number
    return fnnet.Params(tuple(layers))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("layer", "name", "place", "words"), [(0, "W", (3, 2), r"layer 1 W\[3, 2\]"), (1, "b", (1,), r"layer 2 b\[1\]")]
)
def test_gradients_that_are_not_finite_are_refused(layer, name, place, words, number):
    grads = with_number(PARAMS, layer, name, place, number)
    message = f"{words}: gradient is not finite; expected finite numbers, found {number}"
    with pytest.raises(UsageError, match=message):
        fnnet.update(PARAMS, grads, 0.1)
    for optimizer in OPTIMIZERS:
        with pytest.raises(UsageError, match=message):
            optimizer.update(PARAMS, grads, optimizer.init(PARAMS), 0.1)
    with pytest.raises(UsageError, match="gradient is not finite"):
        fnnet.check_gradient(lambda params: float(params.layers[0].W.sum()), PARAMS, grads)


def test_the_largest_gradients_are_taken():
    """The sum of their squares is infinite."""
    grads = with_number(PARAMS, 0, "W", (0, 0), 1e200)
    with np.errstate(all="raise"):
        assert fnnet.update(PARAMS, grads, 0.5).layers[0].W[0, 0] == -5e199


@pytest.mark.parametrize("name", ["backpropagate", "input_gradient", "sample_gradients"])
def test_a_gradient_at_the_logits_that_is_not_finite_is_refused(name):
    activations, dlogits = fnnet.forward(PARAMS, X), np.zeros((5, 2))
    dlogits[3, 1] = np.nan
    with pytest.raises(
        UsageError, match=r"row 3, column 1: dlogits are not finite; expected finite float64, found nan"
    ):
        getattr(fnnet, name)(PARAMS, activations, dlogits)
    single = fnnet.init((4, 3, 2))
    with pytest.raises(UsageError, match=r"row 3, column 1: dlogits are not finite; expected finite float32"):
        getattr(fnnet, name)(single, fnnet.forward(single, X), np.where(np.isnan(dlogits), 1e300, 0))


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1e-6, 1.0, 1e12])
def test_a_wrong_gradient_of_a_function_of_any_size_is_found(scale):
    at = np.linspace(-1, 1, 6)
    assert fnnet.check_gradient(lambda x: scale * np.exp(x).sum(), at, scale * np.exp(at))
    for factor in (3, 1 + 2e-7, 0):
        assert not fnnet.check_gradient(lambda x: scale * np.exp(x).sum(), at, factor * scale * np.exp(at))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_minimum_of_0_is_checked(scale):
    """The values beside it are small, and rounded with those that they come from."""
    target = np.random.default_rng(0).normal(size=20)
    assert fnnet.check_gradient(lambda x: scale * ((x - target) ** 2).sum(), target, np.zeros(20))
    wrong = np.zeros(20)
    wrong[7] = 1e-6 * scale
    assert not fnnet.check_gradient(lambda x: scale * ((x - target) ** 2).sum(), target, wrong)


def test_a_check_is_true_only_if_it_passed():
    at = np.ones(3)
    right, wrong = (fnnet.check_gradient(lambda x: (x**2).sum(), at, factor * at) for factor in (2, 1))
    assert right
    assert right.passed
    assert right[0]
    assert not wrong
    assert not wrong.passed
    assert not wrong[0]
    assert not Checks([*right, *wrong])
    assert repr(right).startswith("Check(at: passed, 3 checked, 0 at kinks, central ")
    assert repr(wrong) == "Check(at: WRONG, 3 checked, 0 at kinks, central 5.0e-01)"
    exact = Check("b", (1,), checked=1, kinks=2, central=0.0, complex_step=2e-3)
    assert repr(exact) == "Check(b: WRONG, 1 checked, 2 at kinks, central 0.0e+00, complex step 2.0e-03)"
    assert repr(Checks([exact, exact])) == f"{exact}\n{exact}"


@pytest.mark.parametrize("place", [0, (1, 1)])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_not_checked(place, number):
    at = np.ones(3) if place == 0 else np.ones((2, 2))
    gradient = 2 * at
    gradient[place] = number
    with pytest.raises(UsageError, match=r"at \((0,|1, 1)\): gradient is not finite; expected finite numbers, found"):
        fnnet.check_gradient(lambda x: (x**2).sum(), at, gradient)


def relu_in_place(z):
    return np.maximum(z, 0, out=z)


def relu_by_mask(z):
    z[z < 0] = 0
    return z


@pytest.mark.parametrize("value", [relu_in_place, relu_by_mask])
def test_an_own_activation_cannot_change_its_argument(value, kernels):
    activation = fnnet.Activation(value, lambda da, z: da * (z > 0))
    with pytest.raises(UsageError, match=r"value of the activation; expected a function that leaves its arguments"):
        fnnet.forward(PARAMS, X, activation=activation, kernels=kernels)


def test_nor_can_its_derivative(kernels):
    def backward(da, z):
        da *= z > 0
        return da

    activation = fnnet.Activation(lambda z: np.maximum(z, 0), backward)
    activations = fnnet.forward(PARAMS, X, activation=activation, kernels=kernels)
    with pytest.raises(UsageError, match=r"backward of the activation; expected a function that leaves its arguments"):
        fnnet.backward(PARAMS, activations, np.zeros(5, int), kernels=kernels)


def test_other_errors_of_an_own_activation_are_its_own():
    def value(z):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fnnet.forward(PARAMS, X, activation=fnnet.Activation(value, value))


# Remedies: what is given in place of what is wanted.

MODEL = fnnet.Model(PARAMS, classes=("even", "odd"), image_shape=(2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fnnet.loss(PARAMS, X, np.eye(2)[[0, 1, 1, 0, 1]]), r"found float64; give labels.argmax\(axis=1\)"),
        (lambda: fnnet.loss(PARAMS, X, np.zeros(5)), r"expected an integer dtype, found float64; give labels.astype"),
        (lambda: fnnet.update(MODEL, MODEL, 0.1), r"found Model; pass model.params"),
        (lambda: fnnet.adam().init(MODEL), r"found Model; pass model.params"),
        (
            lambda: fnnet.predict(fnnet.Params((fnnet.Layer(None, None),)), X),
            r"layer 1: not a layer; expected Layer of arrays, found Layer of NoneType and NoneType",
        ),
    ],
)
def test_messages_name_the_remedy(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_floats_that_numpy_does_not_know_are_refused_with_a_remedy():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs bfloat16: pip install ml_dtypes")
    with pytest.raises(ArgumentTypeError, match=r"found bfloat16; convert it with array.astype\(np.float32\)"):
        fnnet.predict(PARAMS, X.astype(ml_dtypes.bfloat16))


@pytest.mark.parametrize(
    ("sizes", "fix"),
    [
        ((784, 10, 10), r"pass fnnet.Model\(params\)$"),
        ((784, 3), r"pass fnnet.Model\(params, classes=..., image_shape=\(height, width\)\)$"),
        ((4, 10), r"pass fnnet.Model\(params, classes=..., image_shape=\(height, width\)\)$"),
    ],
)
def test_parameters_are_not_saved_as_a_model(sizes, fix, tmp_path):
    with pytest.raises(ModelError, match=fix):
        fnnet.save_model(tmp_path / "m", fnnet.init(sizes))
    assert not list(tmp_path.iterdir())


# Activations of one's own that hide NaN, write all the same, or give the same array out again.

HIDING = {
    "where": lambda z: np.where(z > 0, z, 0),
    "fmax": lambda z: np.fmax(z, 0),
    "nan_to_num": lambda z: np.maximum(np.nan_to_num(z), 0),
}


@pytest.mark.parametrize("name", HIDING)
@pytest.mark.parametrize("call", ["forward", "scores", "predict", "predictor", "loss", "train_step", "train_block"])
def test_nan_is_refused_whatever_an_own_activation_makes_of_it(name, call, kernels):
    own = fnnet.Activation(HIDING[name], lambda da, z: da * (z > 0))
    x, labels, state = X.copy(), np.zeros(5, int), fnnet.TrainState(PARAMS, (), 0, 0)
    x[3, 1] = np.nan
    objective, options = fnnet.Objective(own), {"activation": own, "kernels": kernels}
    calls = {
        "predictor": lambda: fnnet.predictor(PARAMS, **options)(x),
        "loss": lambda: fnnet.loss(PARAMS, x, labels, **options),
        "train_step": lambda: fnnet.train_step(state, x, labels, 0.1, objective=objective, kernels=kernels),
        "train_block": lambda: fnnet.train_block(
            state, Examples(x, labels), np.arange(5), 2, 0.1, objective=objective, kernels=kernels
        ),
    }
    with pytest.raises(UsageError, match="row 3, column 1: x is not finite; expected finite float64, found nan"):
        calls.get(call, lambda: getattr(fnnet, call)(PARAMS, x, **options))()
    x[3, 1] = -np.inf
    x[3, 0] = np.inf  # their difference is NaN
    with pytest.raises(UsageError, match="row 3, column 0: x is not finite; expected finite float64, found inf"):
        calls.get(call, lambda: getattr(fnnet, call)(PARAMS, x, **options))()


DEEP = fnnet.init((4, 6, 6, 2), 1, dtype="float64")


def grads_of(value, backward=lambda da, z: da * (1 - np.tanh(z) ** 2)):
    own = fnnet.Activation(value, backward)
    return fnnet.backward(DEEP, fnnet.forward(DEEP, X, activation=own), np.array([0, 1, 1, 0, 1]))


def test_a_buffer_that_is_given_out_again_changes_nothing():
    buffer, other = np.empty((5, 6)), np.empty((5, 6))

    def backward(da, z):
        return np.multiply(da, 1 - np.tanh(z) ** 2, out=other)

    assert grads_of(lambda z: np.tanh(z, out=buffer), backward) == grads_of(np.tanh)
    assert grads_of(lambda z: np.tanh(z, out=buffer)[:]) == grads_of(np.tanh)


def test_writing_through_the_flags_changes_nothing():
    def value(z):
        made = np.tanh(z)
        z.setflags(write=True)
        z[...] = 7
        return made

    assert grads_of(value) == grads_of(np.tanh)


@pytest.mark.parametrize("words", ["my file is read-only", "array of mine: read-only", "read-only"])
def test_an_error_that_speaks_of_read_only_is_its_own(words):
    def value(z):
        raise ValueError(words)

    with pytest.raises(ValueError, match=words) as told:
        fnnet.forward(PARAMS, X, activation=fnnet.Activation(value, value))
    assert type(told.value) is ValueError
    with pytest.raises(ValueError, match=words) as told:
        fnnet.check_gradient(value, np.ones(2), np.ones(2))
    assert type(told.value) is ValueError


WRITERS = {
    "params": lambda params, grads, state, rate: params[0].W.__imul__(0.5),
    "grads": lambda params, grads, state, rate: np.clip(grads[0].W, -1, 1, out=grads[0].W),
    "state": lambda params, grads, state, rate: state["v"].sort(),
}


@pytest.mark.parametrize("name", WRITERS)
def test_an_own_optimizer_cannot_change_its_arguments(name):
    own = fnnet.Optimizer(lambda params: {"v": np.ones(3)}, WRITERS[name])
    params = fnnet.Params(tuple(fnnet.Layer(W.copy(), b.copy()) for W, b in PARAMS))
    state = fnnet.TrainState(params, own.init(params), 0, 0)
    with pytest.raises(UsageError, match="update of the optimizer; expected a function that leaves its arguments"):
        fnnet.train_step(state, X, np.zeros(5, int), 0.1, optimizer=own)
    assert params == PARAMS


@pytest.mark.parametrize("name", ["forward", "loss", "scores", "train_step", "backpropagate", "input_gradient"])
def test_nothing_is_warned_of_before_a_refusal(name):
    single, x, labels = fnnet.init((4, 3, 2)), X.copy(), np.zeros(5, int)
    x[2, 1] = 1e39
    calls = {
        "forward": lambda: fnnet.forward(single, x),
        "loss": lambda: fnnet.loss(single, x, labels),
        "scores": lambda: fnnet.scores(single, x),
        "train_step": lambda: fnnet.train_step(fnnet.TrainState(single, (), 0, 0), x, labels, 0.1),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if name in calls:
            told = r"row 2, column 1: x is not finite; expected finite float32, found 1e\+39; scale x, or use a network"
            with pytest.raises(UsageError, match=told):
                calls[name]()
        else:
            activations = fnnet.forward(single, X)
            with pytest.raises(UsageError, match=r"found 1e\+39"):
                getattr(fnnet, name)(single, activations, x[:, :2])


def test_steps_may_be_an_array_without_axes():
    optimizer, moved = fnnet.adam(), []
    for steps in (0, np.array(0), np.int32(0)):
        moments = optimizer.init(PARAMS)._replace(steps=steps)
        state = fnnet.TrainState(PARAMS, moments, 0, 0)
        made = fnnet.train_step(state, X, np.zeros(5, int), 0.1, optimizer=optimizer)[0]
        assert type(made.optimizer_state.steps) is int
        moved.append(made.params)
    assert moved[0] == moved[1] == moved[2]
    with pytest.raises(ArgumentTypeError, match="steps is not an integer"):
        optimizer.update(PARAMS, PARAMS, optimizer.init(PARAMS)._replace(steps=np.array(0.5)), 0.1)


@pytest.mark.parametrize(
    ("labels", "fix"),
    [
        (np.zeros(5, bool), r"found bool; give labels\.astype\(int\)"),
        (np.zeros((5, 1), int), r"found \(5, 1\); give labels\.ravel\(\)$"),
        (np.zeros((5, 1)), r"give labels\.ravel\(\)\.astype\(int\)"),
        (np.eye(2, dtype=bool)[[0, 1, 1, 0, 1]], r"give labels\.argmax\(axis=1\)"),
        (np.array([0, 0.5, 1, 0, 1]), "give the number of the class of each row$"),
        (np.array([0, np.nan, 1, 0, 1]), "give the number of the class of each row$"),
    ],
)
def test_labels_are_refused_with_a_remedy_that_works(labels, fix):
    with pytest.raises(UsageError, match=fix):
        fnnet.loss(PARAMS, X, labels)
    with pytest.raises(UsageError, match="labels"):
        fnnet.train_block(fnnet.TrainState(PARAMS, (), 0, 0), Examples(X, labels), np.arange(5), 2, 0.1)


def test_truth_values_as_input_are_refused_with_a_remedy():
    with pytest.raises(ArgumentTypeError, match=r"found bool; give 0 and 1, as array\.astype\(np\.float32\)"):
        fnnet.predict(PARAMS, X > 0)


# Functions of the user's own that go round a read-only array.


def made_writable(array):
    array.setflags(write=True)
    return array


def test_an_own_optimizer_cannot_change_what_it_is_given_nor_what_it_returned():
    buffer = [np.empty_like(layer.W) for layer in PARAMS.layers]

    def update(params, grads, state, rate):
        for layer in params.layers:
            made_writable(layer.W)[...] *= 2
        layers = [
            layer._replace(W=np.subtract(layer.W, 1, out=into))
            for layer, into in zip(params.layers, buffer, strict=True)
        ]
        return fnnet.Params(tuple(layers)), state

    own = fnnet.sgd()._replace(update=update, name="own")
    before = [layer.W.copy() for layer in PARAMS.layers]
    start = fnnet.TrainState(PARAMS, (), step=0, seed=0)
    first, *_ = fnnet.train_step(start, X, np.zeros(5, int), 0.1, optimizer=own)
    kept = [layer.W.copy() for layer in first.params.layers]
    second, *_ = fnnet.train_step(first, X, np.zeros(5, int), 0.1, optimizer=own)
    assert all(np.array_equal(layer.W, W) for layer, W in zip(PARAMS.layers, before, strict=True))
    assert all(np.array_equal(layer.W, W) for layer, W in zip(first.params.layers, kept, strict=True))
    assert not np.array_equal(second.params[0].W, first.params[0].W)


def test_a_checked_function_cannot_change_the_parameters():
    before = PARAMS[1].W.copy()

    def function(params):
        made_writable(params[1].W)[...] *= 0.5
        return float((params[0].W ** 2).sum())

    grads = fnnet.Params(tuple(layer._replace(W=layer.W * 0, b=layer.b * 0) for layer in PARAMS.layers))
    fnnet.check_gradient(function, PARAMS, grads)
    assert np.array_equal(PARAMS[1].W, before)


def test_checks_that_are_repeated_are_checks():
    wrong = fnnet.check_gradient(lambda x: (x**2).sum(), np.ones(3), np.ones(3))
    assert not wrong * 2
    assert not 2 * wrong
