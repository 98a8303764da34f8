"""What was wrong without a word: gradients that are not finite, checks that were true, activations that write."""

import numpy as np
import pytest

import fnnet
from fnnet.core.gradcheck import Check, Checks
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
