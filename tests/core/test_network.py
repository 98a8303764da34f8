"""Forward, loss, backward, update, predict: right, pure, and clear about what they refuse."""

import math

import numpy as np
import pytest

import fnnet
from fnnet.core import dropout, gradcheck
from fnnet.core.params import Layer, Params
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError
from fnnet.names import ACTIVATIONS
from fnnet.training.class_weights import class_weights
from tests.tools.tolerance import assert_bitwise

SIZES = [(6, 4), (7, 5, 4), (5, 1, 3), (6, 8, 7, 5, 3)]


def batch(n=5, inputs=7, classes=4, dtype=np.float64):
    rng = np.random.default_rng(n)
    return rng.standard_normal((n, inputs)).astype(dtype), rng.integers(0, classes, n)


def test_forward_and_loss_by_hand():
    params = Params((Layer(np.array([[1.0, -1.0]]), np.array([0.0, 0.0])), Layer(np.eye(2), np.array([0.0, 1.0]))))
    activations = fnnet.forward(params, np.array([[2.0], [-3.0]]))
    np.testing.assert_array_equal(activations.a[1], [[2, 0], [0, 3]])
    np.testing.assert_array_equal(activations.logits, [[2, 1], [0, 4]])
    e = math.e
    np.testing.assert_allclose(activations.probs, [[e / (e + 1), 1 / (e + 1)], [1 / (1 + e**4), e**4 / (1 + e**4)]])
    wanted = (math.log(1 + 1 / e) + math.log(1 + e**4)) / 2
    assert fnnet.loss(params, np.array([[2.0], [-3.0]]), [0, 0]) == pytest.approx(wanted, rel=1e-12)
    assert fnnet.predict(params, np.array([[2.0], [-3.0]])).tolist() == [0, 1]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_every_gradient_against_differences(sizes, seed, kernels):
    for check in gradcheck.check_gradients(*gradcheck.example(sizes, seed), kernels=kernels):
        assert check.passed, check
        assert check.kinks <= check.checked


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_gradient_of_every_kind(activation, dropped, weighted, kernels):
    """Label smoothing goes with the weights; the last layer alone has no activation to check."""
    sizes = (6, 8, 7, 5)
    params, x, labels = gradcheck.example(sizes, 1, images=4)
    masks = dropout.masks(1, 0, sizes[1:-1], 4, (0.3, 0.5), dtype=np.float64) if dropped else None
    options = {"weights": gradcheck.example_weights(1, 4), "label_smoothing": 0.2} if weighted else {}
    options |= {"activation": activation, "masks": masks, "kernels": kernels}
    for check in gradcheck.check_gradients(params, x, labels, **options):
        assert check.passed, check
        assert check.kinks <= check.checked


@pytest.mark.parametrize("option", ["activation", "masks", "weights", "label_smoothing"])
def test_the_checker_sees_what_the_gradient_left_out(option):
    """A gradient taken without an option does not pass for the loss with it."""
    params, x, labels = gradcheck.example((7, 6, 4), 0)
    grads = fnnet.backward(params, fnnet.forward(params, x), labels)
    given = {
        "activation": "silu",
        "masks": dropout.masks(0, 0, (6,), 3, 0.5, dtype=np.float64),
        "weights": gradcheck.example_weights(0),
        "label_smoothing": 0.01,
    }
    checks = gradcheck.check_gradients(params, x, labels, grads=grads, **{option: given[option]})
    assert not any(check.passed for check in checks)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_every_activation_against_torch(activation, kernels):
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    function = getattr(torch.nn.functional, activation) if activation != "sigmoid" else torch.sigmoid
    params, x, labels = gradcheck.example((9, 8, 7, 5), 4, images=6)
    masks = dropout.masks(3, 1, (8, 7), 6, 0.4, dtype=np.float64)
    tensors = [[torch.tensor(array, requires_grad=True) for array in layer] for layer in params.layers]
    a = torch.tensor(x)
    for number, (W, b) in enumerate(tensors):
        a = (function(a) * torch.tensor(masks[number - 1]) if number else a) @ W + b
    by_class = np.array([0.5, 1.0, 2.0, 0.0, 3.0])
    wanted = torch.nn.functional.cross_entropy(a, torch.tensor(labels), weight=torch.tensor(by_class))
    wanted.backward()
    activations = fnnet.forward(params, x, activation=activation, masks=masks, kernels=kernels)
    weights = class_weights(by_class, labels, 5)
    loss = fnnet.loss(params, x, labels, activation=activations.activation, weights=weights, kernels=kernels)
    found = fnnet.backward(params, activations, labels, weights=weights, kernels=kernels)
    assert loss == pytest.approx(wanted.item(), rel=1e-13)
    for layer, pair in zip(found.layers, tensors, strict=True):
        for gradient, tensor in zip(layer, pair, strict=True):
            np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("field", ["W", "b"])
@pytest.mark.parametrize("pick", ["largest", "median"])
def test_the_checker_finds_a_planted_error(layer, field, pick):
    """One single derivative, wrong by 0.1%."""
    params, x, labels = gradcheck.example((7, 5, 4), 0)
    grads = fnnet.backward(params, fnnet.forward(params, x), labels)
    wrong = getattr(grads.layers[layer], field).copy()
    ranked = np.argsort(np.abs(wrong), axis=None)
    ranked = ranked[np.abs(wrong.flat[ranked]) > 0]
    wrong.flat[ranked[-1] if pick == "largest" else ranked[len(ranked) // 2]] *= 1.001
    layers = list(grads.layers)
    layers[layer] = layers[layer]._replace(**{field: wrong})
    checks = gradcheck.check_gradients(params, x, labels, grads=Params(tuple(layers)))
    assert [check.passed for check in checks].count(False) == 1
    bad = checks[2 * layer + ("W", "b").index(field)]
    assert bad.central > gradcheck.CENTRAL_LIMIT
    assert bad.complex_step > gradcheck.COMPLEX_LIMIT
    if pick == "largest":
        assert (bad.central, bad.complex_step) == (pytest.approx(1e-3, rel=0.01),) * 2


def test_a_check_of_nothing_does_not_pass():
    assert not gradcheck.Check("x", (1,), checked=0, kinks=1, central=0.0, complex_step=0.0).passed
    assert gradcheck.Check("x", (1,), checked=1, kinks=0, central=0.0, complex_step=0.0).passed


def test_gradient_against_jax():
    jax = pytest.importorskip("jax", reason="needs jax: pip install jax")
    jax.config.update("jax_enable_x64", True)
    params, x, labels = gradcheck.example((9, 8, 7, 5), 3, images=6)

    def loss(params):
        a = x
        for layer in params.layers[:-1]:
            a = jax.nn.relu(a @ layer.W + layer.b)
        logits = a @ params.layers[-1].W + params.layers[-1].b
        return -jax.nn.log_softmax(logits)[np.arange(len(labels)), labels].mean()

    value, wanted = jax.value_and_grad(loss)(params)
    found_loss = fnnet.loss(params, x, labels)
    found = fnnet.backward(params, fnnet.forward(params, x), labels)
    assert found_loss == pytest.approx(float(value), rel=1e-14)
    jax.tree_util.tree_map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), found, wanted)


def test_gradient_against_torch():
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    params, x, labels = gradcheck.example((9, 8, 7, 5), 4, images=6)
    tensors = [[torch.tensor(array, requires_grad=True) for array in layer] for layer in params.layers]
    a = torch.tensor(x)
    for number, (W, b) in enumerate(tensors):
        a = (torch.relu(a) if number else a) @ W + b
    loss = torch.nn.functional.cross_entropy(a, torch.tensor(labels))
    loss.backward()
    found_loss = fnnet.loss(params, x, labels)
    found = fnnet.backward(params, fnnet.forward(params, x), labels)
    assert found_loss == pytest.approx(loss.item(), rel=1e-14)
    for layer, pair in zip(found.layers, tensors, strict=True):
        for gradient, tensor in zip(layer, pair, strict=True):
            np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-12, atol=1e-15)


# The mistakes of the notebook that this network comes from.


def test_bias_gradient_is_one_number_per_unit():
    params, x, labels = gradcheck.example((7, 5, 4), 0)
    activations = fnnet.forward(params, x)
    db = fnnet.backward(params, activations, labels).layers[-1].b
    wanted = (activations.probs - np.eye(4)[labels]).mean(axis=0)
    np.testing.assert_allclose(db, wanted, rtol=1e-12)
    assert db.shape == (4,)
    assert abs(db).max() > 0.01
    # Summed over the units as well it would be 0, and the output bias would never learn.
    assert abs(db.sum()) < 1e-15


def test_f76_gradient_is_the_mean_over_the_images_that_were_given():
    params, x, labels = gradcheck.example((7, 5, 4), 1, images=6)
    whole = fnnet.backward(params, fnnet.forward(params, x), labels)
    single = [
        fnnet.backward(params, fnnet.forward(params, x[i : i + 1]), labels[i : i + 1]).layers[0].W for i in range(6)
    ]
    np.testing.assert_allclose(whole.layers[0].W, np.mean(single, axis=0), rtol=1e-12)


def test_f72_large_scores_do_not_overflow():
    params = Params((Layer(np.array([[1e4, -1e4]], np.float32), np.zeros(2, np.float32)),))
    activations = fnnet.forward(params, np.ones((1, 1), np.float32))
    assert activations.probs.tolist() == [[1.0, 0.0]]
    assert fnnet.loss(params, np.ones((1, 1), np.float32), [1]) == 2e4


def test_a_batch_without_the_last_class_keeps_every_column():
    params, x, _ = gradcheck.example((7, 5, 10), 0)
    grads = fnnet.backward(params, fnnet.forward(params, x), np.array([0, 1, 2]))
    assert grads.layers[-1].W.shape == (5, 10)
    assert (grads.layers[-1].b[3:] > 0).all()


def test_same_seed_same_bits():
    for a, b in zip(fnnet.init((6, 5, 4), 9).layers, fnnet.init((6, 5, 4), 9).layers, strict=True):
        assert_bitwise(a.W, b.W)


# Purity and inputs.


def test_update_is_gradient_descent(kernels):
    params, x, labels = gradcheck.example((7, 5, 4), 0)
    grads = fnnet.backward(params, fnnet.forward(params, x), labels)
    stepped = fnnet.update(params, grads, 0.25, kernels=kernels)
    for new, old, gradient in zip(stepped.layers, params.layers, grads.layers, strict=True):
        assert_bitwise(new.W, old.W - 0.25 * gradient.W)
        assert_bitwise(new.b, old.b - 0.25 * gradient.b)
    assert fnnet.loss(stepped, x, labels) < fnnet.loss(params, x, labels)


def test_bytes_are_divided_by_255(kernels):
    params = fnnet.init((6, 4, 3), 1)
    x = np.random.default_rng(0).integers(0, 256, (5, 6)).astype(np.uint8)
    floats = (x / np.float32(255)).astype(np.float32)
    assert_bitwise(
        fnnet.forward(params, x, kernels=kernels).probs, fnnet.forward(params, floats, kernels=kernels).probs
    )


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros(7), UsageError, r"x\[None, :\]"),
        (np.zeros((2, 6)), UsageError, r"shape \(n, 7\)"),
        (np.zeros((0, 7)), UsageError, "at least 1 row"),
        (np.zeros((2, 7), int), ArgumentTypeError, "uint8"),
        (np.zeros((2, 7), bool), ArgumentTypeError, "bool"),
        (np.zeros((2, 7), complex), ArgumentTypeError, "complex"),
        (np.full((2, 7), "a"), ArgumentTypeError, "dtype"),
        (None, ArgumentTypeError, "object"),
    ],
)
def test_inputs_that_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        fnnet.forward(fnnet.init((7, 5, 4)), x)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1], UsageError, r"shape \(3,\)"),
        ([0, 1, 4], UsageError, "index 2.*0 to 3, found 4"),
        ([0, -1, 2], UsageError, "index 1"),
        ([0.0, 1.0, 2.0], ArgumentTypeError, "integer"),
        (np.eye(3, 4, dtype=int), UsageError, "shape"),
    ],
)
def test_labels_that_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        fnnet.loss(fnnet.init((7, 5, 4)), np.zeros((3, 7)), labels)


def test_networks_that_are_refused():
    good = fnnet.init((4, 3, 2))
    bad = Params((good.layers[0], Layer(np.zeros((5, 2), np.float32), np.zeros(2, np.float32))))
    with pytest.raises(UsageError, match=r"layer 2.*W \(3, outputs\).*found W \(5, 2\)"):
        fnnet.forward(bad, np.zeros((1, 4)))
    mixed = Params((good.layers[0], Layer(*(array.astype(np.float64) for array in good.layers[1]))))
    with pytest.raises(ArgumentTypeError, match="layer 2"):
        fnnet.forward(mixed, np.zeros((1, 4)))
    with pytest.raises(ArgumentTypeError, match="Params"):
        fnnet.forward(None, np.zeros((1, 4)))
    with pytest.raises(UsageError, match="another network"):
        fnnet.backward(good, fnnet.forward(fnnet.init((4, 5, 2)), np.zeros((1, 4))), [0])
    with pytest.raises(UsageError, match="activation"):
        fnnet.forward(good, np.zeros((1, 4)), activation="swish")
    with pytest.raises(UsageError, match=r"relu or leaky_relu.*found 'swish'"):
        fnnet.backward(good, fnnet.forward(good, np.zeros((1, 4)))._replace(activation="swish"), [0])
    with pytest.raises(UsageError, match="masks do not fit"):
        fnnet.forward(good, np.zeros((1, 4)), masks=(np.ones((1, 4)),))
    with pytest.raises(UsageError, match="grads do not fit"):
        fnnet.update(good, fnnet.init((4, 5, 2)), 0.1)
    with pytest.raises(UsageError, match="learning_rate out of range"):
        fnnet.update(good, good, math.nan)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, 2.0], UsageError, r"shape \(3,\)"),
        ([1.0, -0.5, 1.0], UsageError, "index 1.*-0.5"),
        ([1.0, 1.0, np.nan], UsageError, "index 2.*nan"),
        ([1.0, np.inf, 1.0], UsageError, "index 1.*inf"),
        ([1e308] * 3, UsageError, "finite sum"),
        (["1", "2", "3"], ArgumentTypeError, "weights"),
        ([True, False, True], ArgumentTypeError, "bool"),
        (1.0, UsageError, "shape"),
    ],
)
def test_weights_that_are_refused(weights, error, message):
    params, x, labels = gradcheck.example((7, 5, 4), 0)
    with pytest.raises(error, match=message):
        fnnet.loss(params, x, labels, weights=weights)
    with pytest.raises(error, match=message):
        fnnet.backward(params, fnnet.forward(params, x), labels, weights=weights)


@pytest.mark.parametrize("share", [1, 1.0, -0.1, math.nan, "0.1", None, True])
def test_f74_label_smoothing_that_is_refused(share):
    params, x, labels = gradcheck.example((7, 5, 4), 0)
    with pytest.raises(UsageError, match=r"label_smoothing.*0 or more and less than 1"):
        fnnet.loss(params, x, labels, label_smoothing=share)


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        ((), UsageError, r"shapes \[\(3, 5\)\], found \[\]"),
        ((np.ones((3, 4)),), UsageError, "masks do not fit"),
        ((np.ones((2, 5)),), UsageError, "masks do not fit"),
        ((np.ones((3, 5)), np.ones((3, 4))), UsageError, "masks do not fit"),
        ((np.ones((3, 5), int),), ArgumentTypeError, "floats, found int"),
        (np.ones((1, 3, 5)), ArgumentTypeError, "one array for each hidden layer"),
        (0.5, ArgumentTypeError, "found float"),
    ],
)
def test_masks_that_are_refused(masks, error, message):
    params, x, _ = gradcheck.example((7, 5, 4), 0)
    with pytest.raises(error, match=message):
        fnnet.forward(params, x, masks=masks)


def test_masks_are_taken_in_the_dtype_of_the_network_and_left_alone(kernels):
    params, x = fnnet.init((7, 5, 4), 1), batch(3)[0]
    mask = np.where(np.arange(15).reshape(3, 5) % 3, 1.5, 0.0)
    activations = fnnet.forward(params, x, masks=[mask], kernels=kernels)
    assert activations.a[1].dtype == activations.probs.dtype == np.float32
    assert_bitwise(activations.a[1], fnnet.forward(params, x, kernels=kernels).a[1] * mask.astype(np.float32))
    assert mask.flags.writeable
    assert not any(array.flags.writeable for array in (*activations.masks, activations.a[1]))
    grads = fnnet.backward(params, activations, [0, 1, 2], kernels=kernels)
    assert {array.dtype for layer in grads.layers for array in layer} == {np.dtype(np.float32)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_answers_know_the_activation(activation, kernels):
    """Compiled predictions do not go through `forward`, and must be the same."""
    params, x = fnnet.init((7, 6, 5, 4), 2, dtype=np.float64), batch(70)[0]
    wanted = fnnet.forward(params, x, activation=activation).logits
    found = fnnet.scores(params, x, activation=activation, kernels=kernels)
    assert np.abs(found - wanted).max() <= 1e-14 * np.abs(wanted).max() * sum(layer.W.size for layer in params.layers)
    for rows in (x, x[:1]):
        found = fnnet.predictor(params, activation=activation, kernels=kernels)(rows)
        assert found.tolist() == wanted[: len(rows)].argmax(axis=1).tolist()


def test_f80_scores_that_are_not_numbers_have_no_class(kernels):
    x = np.array([[1.0, 2.0], [np.nan, 0.0]], np.float32)
    with pytest.raises(UsageError, match="row 1"):
        fnnet.predict(fnnet.init((2, 3, 2)), x, kernels=kernels)


def test_f83_results_are_read_only():
    activations = fnnet.forward(fnnet.init((2, 3, 2)), np.ones((1, 2)))
    for array in (*activations.a, *activations.z, activations.probs):
        assert not array.flags.writeable


def test_arguments_of_the_wrong_kind():
    params, x, labels = gradcheck.example((7, 5, 4), 0)
    for call in (
        lambda: fnnet.forward(params, x, kernels="numba"),
        lambda: fnnet.backward(params, None, labels),
        lambda: fnnet.update(params, None, 0.1),
        lambda: fnnet.save_model("x", params),
    ):
        with pytest.raises(FnnetError, match="expected"):
            call()
    with pytest.raises(UsageError, match="learning_rate"):
        fnnet.update(params, params, "0.1")
    with pytest.raises(UsageError, match="grads do not fit"):
        fnnet.update(params, Params(tuple(Layer(W.astype("f4"), b.astype("f4")) for W, b in params.layers)), 0.1)


def test_update_takes_what_jax_maps():
    jax = pytest.importorskip("jax", reason="needs jax: pip install jax")
    params = fnnet.init((4, 3, 2), 5)
    mapped = jax.tree_util.tree_map(lambda array: jax.numpy.asarray(array), params)
    stepped = fnnet.update(mapped, mapped, 0.5)
    np.testing.assert_allclose(stepped.layers[0].W, params.layers[0].W / 2, rtol=1e-6)


def test_readme_in_ten_lines():
    """A user trains on arrays of their own."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    params = fnnet.init((2, 16, 2), seed=1)
    for _ in range(400):
        activations = fnnet.forward(params, x)
        grads = fnnet.backward(params, activations, labels)
        params = fnnet.update(params, grads, learning_rate=0.5)
    assert (fnnet.predict(params, x) == labels).mean() > 0.95


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_f80_scores_that_are_no_finite_numbers_are_no_answer(value, kernels):
    W = np.zeros((3, 2), np.float32)
    params = fnnet.Params((fnnet.Layer(W, np.array([value, 0], np.float32)),))
    x = np.zeros((2, 3), np.float32)
    for call in (fnnet.predict, lambda *arguments, kernels: fnnet.predictor(arguments[0], kernels=kernels)(x)):
        with pytest.raises(UsageError, match="scores are not numbers; expected finite numbers"):
            call(params, x, kernels=kernels)
    least = fnnet.Params((fnnet.Layer(W, np.array([-np.inf, 0], np.float32)),))
    assert fnnet.predict(least, x, kernels=kernels).tolist() == [1, 1]
    assert fnnet.predictor(least, kernels=kernels)(x[:1]).tolist() == [1]


def test_f83_a_predictor_keeps_the_network_that_it_was_made_of(kernels):
    W = np.array([[1, -1]], np.float32)
    answer = fnnet.predictor(fnnet.Params((fnnet.Layer(W, np.zeros(2, np.float32)),)), kernels=kernels)
    W *= -1
    assert answer(np.ones((1, 1), np.float32)).tolist() == [0]


def test_f81_a_list_within_itself_is_refused(kernels):
    inside = []
    inside.append(inside)
    with pytest.raises(ArgumentTypeError, match=r"RecursionError|no usable dtype"):
        fnnet.predict(fnnet.init((1, 2)), inside, kernels=kernels)


def test_f78_a_rate_beyond_the_numbers_of_the_weights_makes_infinity_without_a_warning(kernels):
    params = fnnet.init((2, 2))
    found = fnnet.update(params, params, 1e308, kernels=kernels)
    assert np.isinf(found.layers[0].W).all()
