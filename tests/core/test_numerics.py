"""The edges of the numbers: divergence, extreme scores, dead units, odd batches, counters beyond 32 bits."""

import decimal
import itertools
import json
import math
from decimal import Decimal

import numpy as np
import pytest

import fnnet
from fnnet.core import dropout, metrics, rng, schedules
from fnnet.core import public_optimizers as optimizers
from fnnet.core.params import Layer, Params
from fnnet.core.state import Examples, Moments
from fnnet.core.table import NUMPY
from fnnet.errors import DivergedError, UsageError
from fnnet.training import epochs, steps
from fnnet.training.plan import Plan
from tests.tools import cases
from tests.tools.tolerance import assert_bitwise, assert_loss, assert_probs, assert_stepped, assert_trained

SIZES = (6, 5, 3)
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def batch(n=8, dtype=np.float32):
    draw = np.random.default_rng(n)
    return Examples(draw.random((n, SIZES[0])).astype(dtype), np.arange(n) % SIZES[-1])


def one_step(kernels, params, examples, rate=0.1, way="step", **options):
    """The state after one step, by `train_step`, a block or an epoch."""
    state = steps.start(params, 0, optimizer=options.get("optimizer", optimizers.SGD))
    if way == "step":
        return fnnet.train_step(state, *examples, rate, kernels=kernels, **options)[0]
    if way == "block":
        return fnnet.train_block(state, examples, None, 1, rate, kernels=kernels, **options)[0]
    plan = Plan(1, None, rate)
    return next(epochs.epochs(epochs.start(params, 0, plan), examples, plan, kernels=kernels)).state


def changed(params, layer, value, field="W"):
    """The network with one weight or bias of a layer, counted from 1, at `value`."""
    array = getattr(params.layers[layer - 1], field).copy()
    array.flat[0] = value
    layers = list(params.layers)
    layers[layer - 1] = layers[layer - 1]._replace(**{field: array})
    return Params(tuple(layers))


WAYS = pytest.mark.parametrize("way", ["step", "block", "epoch"])


@WAYS
@FLOATS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_f71_what_is_not_finite_in_x_ends_the_step(value, dtype, way, kernels):
    examples = batch(dtype=dtype)
    examples.x[3, 2] = value
    told = f"row 3, column 2: x is not finite; expected finite {np.dtype(dtype)}, found {value}; "
    told += "fill it in" if np.isnan(value) else r"bring x into a range, as np\.clip does, or leave"
    with pytest.raises(UsageError, match=told):
        one_step(kernels, fnnet.init(SIZES, 1, dtype=dtype), examples, way=way)


@WAYS
@pytest.mark.parametrize("field", ["W", "b"])
@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_f71_what_is_not_finite_in_the_weights_ends_the_step(value, layer, field, way, kernels):
    """A unit at -inf is only dead; its weights are then found not to be finite."""
    params = changed(fnnet.init(SIZES, 1), layer, value, field)
    with pytest.raises(DivergedError, match=rf"step 1, layer {layer}: training diverged"):
        one_step(kernels, params, batch(), way=way)


@pytest.mark.parametrize("rate", [1e3, 1e20, 1e30])
def test_f71_a_rate_far_too_high_diverges_at_the_same_step_in_both_paths(rate, numba_kernels):
    places, plan = [], Plan(100, 4, rate)
    for kernels in (NUMPY, numba_kernels):
        reached = training = epochs.start(fnnet.init(SIZES, 1), 0, plan)
        try:
            for reached in epochs.epochs(training, batch(), plan, kernels=kernels):
                assert np.isfinite(reached.history[-1].train_loss)
        except DivergedError as error:
            places.append(error.place)
        # The last state that was given out is one to go on from.
        assert all(np.isfinite(array).all() for layer in reached.state.params.layers for array in layer)
    assert len(places) in (0, 2), "one path diverged, the other did not"
    assert len(set(places)) < 2 or abs(int(places[0].split()[1][:-1]) - int(places[1].split()[1][:-1])) <= 1, places
    assert places or rate < 1e20


def test_f71_the_state_before_is_untouched(kernels):
    state, examples = steps.start(fnnet.init(SIZES, 1), 0), batch()
    before = [array.tobytes() for layer in state.params.layers for array in layer]
    with pytest.raises(DivergedError, match="finite weights"):
        fnnet.train_step(state, *examples, 1e39, kernels=kernels)
    assert [array.tobytes() for layer in state.params.layers for array in layer] == before
    assert np.isfinite(fnnet.loss(state.params, *examples))


# Softmax and cross-entropy against 60 digits.


def exact(logits, label, smoothing=0.0):
    """Probabilities and loss of one row."""
    with decimal.localcontext() as context:
        context.prec = 60
        context.Emin, context.Emax = -(10**9), 10**9
        scores = [Decimal(float(score)) for score in logits]
        top = max(scores)
        terms = [(score - top).exp() for score in scores]
        total = sum(terms)
        share = Decimal(smoothing) / len(scores)
        targets = [share + (1 - Decimal(smoothing) if j == label else 0) for j in range(len(scores))]
        loss = -sum(target * (score - top - total.ln()) for target, score in zip(targets, scores, strict=True))
        return [float(term / total) for term in terms], float(loss)


EXTREME = {
    "far apart": [1e4, -1e4, 0.0],
    "far below": [-1e4, -1e4 + 1, -1e4 + 3],
    "far above": [1e4, 1e4 - 1, 1e4 - 3],
    "beyond exp in float32": [89.0, -89.0, 88.5],
    "beyond exp in float64": [710.0, -710.0, 709.5],
    "underflow": [0.0, -103.9, -745.2],
    "equal": [7.0, 7.0, 7.0],
    "denormal": [1e-40, -1e-40, 0.0],
    "one class": [-1e4],
}


@FLOATS
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1 - 2**-20])
@pytest.mark.parametrize("name", sorted(EXTREME))
def test_f72_f73_f74_extreme_scores_against_60_digits(name, smoothing, dtype, kernels):
    row = np.array(EXTREME[name], dtype)
    for label in range(len(row)):
        probs, loss = exact(row, label, float(dtype(smoothing)))
        assert_probs(kernels.softmax(row[None]), np.array([probs], dtype), len(row))
        found, dlogits = cases.loss_and_dlogits(kernels, row[None], [label], None, smoothing)
        assert_loss(found, loss, len(row), 1, dtype)
        targets = np.full(len(row), smoothing / len(row))
        targets[label] += 1 - smoothing
        assert_probs(dlogits, (np.array([probs]) - targets).astype(dtype), len(row))


def test_the_check_of_60_digits_can_fail(kernels):
    probs, _ = exact([1.0, 2.0], 0)
    with pytest.raises(AssertionError):
        assert_probs(kernels.softmax(np.array([[1.0, 2.001]])), np.array([probs]), 2)


@FLOATS
def test_f73_f74_scores_of_minus_infinity(dtype, kernels):
    """An impossible class costs nothing, unless the target asks for it."""
    logits = np.array([[0.0, -np.inf, 0.0]], dtype)
    assert_probs(kernels.softmax(logits), np.array([[0.5, 0, 0.5]], dtype), 3)
    loss, dlogits = cases.loss_and_dlogits(kernels, logits, [0])
    assert_loss(loss, math.log(2), 3, 1, dtype)
    assert_probs(dlogits, np.array([[-0.5, 0, 0.5]], dtype), 3)
    for label, smoothing in ((1, 0.0), (0, 0.1)):
        loss, dlogits = cases.loss_and_dlogits(kernels, logits, [label], None, smoothing)
        assert loss == math.inf
        assert np.isfinite(dlogits).all()


@FLOATS
def test_f74_one_class_has_no_loss_and_no_gradient(dtype, kernels):
    for smoothing in (0.0, 0.5):
        loss, dlogits = cases.loss_and_dlogits(kernels, np.array([[3.0], [-1e4]], dtype), [0, 0], None, smoothing)
        assert loss == 0
        assert_bitwise(dlogits, np.zeros((2, 1), dtype))
    params, examples = fnnet.init((6, 5, 1), 1, dtype=dtype), Examples(batch(dtype=dtype).x, np.zeros(8, int))
    assert_trained(one_step(kernels, params, examples).params, params, 1)


def test_f74_data_of_one_class_alone_trains(kernels):
    examples, plan = Examples(batch().x, np.full(8, 2)), Plan(30, 3, 0.5, label_smoothing=0.1)
    training = epochs.start(fnnet.init(SIZES, 1), 0, plan)
    *_, last = epochs.epochs(training, examples, plan, kernels=kernels)
    assert last.history[-1].train_accuracy == 1
    assert fnnet.predict(last.state.params, examples.x, kernels=kernels).tolist() == [2] * 8


# Units.


def test_f75_relu_at_0_is_the_same_in_the_block_and_the_step(numba_kernels):
    """All hidden units at exactly 0: nothing of the first layer moves."""
    (W, b), last = fnnet.init(SIZES, 1).layers
    params = Params((Layer(np.zeros_like(W), np.zeros_like(b)), last))
    for kernels, way in itertools.product((NUMPY, numba_kernels), ("step", "block", "epoch")):
        found = one_step(kernels, params, batch(), way=way).params
        assert_bitwise(found.layers[0].W, params.layers[0].W)
        assert_bitwise(found.layers[0].b, params.layers[0].b)
        assert not np.array_equal(found.layers[1].b, last.b)


@pytest.mark.parametrize("n", [1, 300, 9000])
def test_f75_dead_units_are_counted(n, kernels):
    (W, b), (V, c), last = fnnet.init((6, 5, 4, 3), 1, scheme="notebook").layers
    x, b = np.random.default_rng(n).random((n, 6)), np.abs(b) + 10
    b[[1, 3]] = -1e3
    dead = Params((Layer(W, b), Layer(V, np.abs(c) + 10), last))
    assert metrics.dead_units(dead, x, kernels=kernels) == ((2, 5), (0, 4))
    assert metrics.dead_units(dead._replace(layers=(Layer(W, b - 1e3), *dead.layers[1:])), x)[0] == (5, 5)
    # One that only the last row wakes.
    W, x = W.copy(), np.zeros((n, 6))
    W[0], x[-1, 0] = np.arange(5) == 1, 2e3
    awake = Params((Layer(W, np.where(np.arange(5) == 1, -1e3, 1).astype(np.float32)), *dead.layers[1:]))
    assert metrics.dead_units(awake, x, kernels=kernels)[0] == (0, 5)
    assert metrics.dead_units(fnnet.init((6, 3)), x) == ()
    assert metrics.dead_units(dead, x, activation="sigmoid")[1] == (0, 4)


def test_f75_train_tells_of_dead_units(run, idx_folder):
    arguments = ("train", "--no-jit", "--data", idx_folder, "--epochs", 3, "--batch-size", 5, "--learning-rate", 30)
    document = json.loads(run(*arguments, "--hidden", "8,6", "--json").out)
    first, second = document["dead_units"]
    assert second == 1, "the test wants a rate that kills"
    assert f"hidden layer 2: {second:.1%} of its units are dead" in run(*arguments, "--hidden", "8,6").out
    assert 0 <= first <= 1
    assert run(*arguments[:-2], "--hidden", "", "--json").json["dead_units"] == []


# Batches.


@pytest.mark.parametrize("size", [1, 7, 16, 69, 70, 71, 1000, None])
def test_f76_every_image_counts_alike_whatever_the_batch(size, kernels):
    """Steps so small that the weights stay: the mean over the pass is that over the images."""
    examples, plan = batch(70, np.float64), Plan(1, size, 1e-30)
    params = fnnet.init(SIZES, 1, scheme="notebook", dtype=np.float64)
    (reached,) = epochs.epochs(epochs.start(params, 0, plan), examples, plan, kernels=kernels)
    assert_loss(reached.history[0].train_loss, fnnet.loss(params, *examples), 3, 70, np.float64)
    assert reached.history[0].train_accuracy == (fnnet.predict(params, examples.x) == examples.labels).mean()
    assert reached.state.step == -(-70 // min(size or 70, 70))


def test_f76_the_last_batch_is_averaged_over_its_own_images(kernels):
    examples, params = batch(11, np.float64), fnnet.init(SIZES, 1, dtype=np.float64)
    found, *_ = fnnet.train_block(steps.start(params, 0), examples, np.arange(11), 8, 0.5, kernels=kernels)
    wanted = params
    for part in (slice(0, 8), slice(8, 11)):
        activations = fnnet.forward(wanted, examples.x[part])
        wanted = fnnet.update(wanted, fnnet.backward(wanted, activations, examples.labels[part]), 0.5)
    assert_trained(found.params, wanted, 2)


def test_f76_one_image_trains_and_none_is_refused(kernels):
    one = Examples(batch(1).x, np.array([2]))
    for way in ("step", "block", "epoch"):
        state = one_step(kernels, fnnet.init(SIZES, 1), one, way=way)
        assert fnnet.loss(state.params, *one) < fnnet.loss(fnnet.init(SIZES, 1), *one)
        with pytest.raises(UsageError, match="x is empty; expected at least 1 row"):
            one_step(kernels, fnnet.init(SIZES, 1), Examples(one.x[:0], one.labels[:0]), way=way)


@pytest.mark.parametrize("limit", [1.0, 1e20])
@pytest.mark.parametrize("depth", [1, 2])
def test_f71_the_norm_of_a_gradient_whose_squares_float32_cannot_hold(depth, limit, kernels):
    """Weights of 0 have the probabilities 1/2: the gradient of one row is half of x and its negative."""
    layers = [Layer(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))] * (depth - 1)
    params = Params((*layers, Layer(np.zeros((2, 2), np.float32), np.zeros(2, np.float32))))
    examples, size = Examples(np.array([[6e19, 0]], np.float32), np.array([0])), 3e19
    for way in ("step", "block"):
        optimizer = optimizers.clipped(optimizers.sgd(), limit)
        found = one_step(kernels, params, examples, rate=0.5, way=way, optimizer=optimizer).params.layers[-1]
        share = 0.5 * min(1, limit / (math.sqrt(2) * size))
        np.testing.assert_allclose(found.W, share * size * np.array([[1, -1], [0, 0]]), rtol=1e-6)
        np.testing.assert_allclose(found.b, share * np.array([0.5, -0.5]), rtol=1e-6)


# Figures that cannot be.


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--learning-rate", value) for value in ("0", "-1", "nan", "inf", "1e400")),
        *(("--momentum", value) for value in ("1", "-0.1", "nan", "1e400")),
        *(("--weight-decay", value) for value in ("-1", "nan", "inf", "1e400")),
        *(("--label-smoothing", value) for value in ("1", "nan")),
        *(("--ema", value) for value in ("1", "nan")),
        *(("--dropout", value) for value in ("1", "nan")),
        *(("--clip-norm", value) for value in ("-1", "inf")),
        *(("--batch-size", value) for value in ("0", "-1", "1.5")),
        ("--epochs", "-1"),
        ("--hidden", "0"),
        ("--hidden", "5,0"),
    ],
)
def test_f77_f78_figures_that_cannot_be_are_refused_before_anything_is_read(option, value, run):
    run("train", "--data", "nowhere", option, value).failed(2, option, "expected", "found")


def test_f78_decay_beyond_all_measure_is_divergence(kernels):
    for optimizer in (optimizers.sgd(weight_decay=1e300), optimizers.sgd(weight_decay=1e300, decoupled=True)):
        for way in ("step", "block"):
            with pytest.raises(DivergedError, match="step 1, layer 1"):
                one_step(kernels, fnnet.init(SIZES, 1), batch(), way=way, optimizer=optimizer)


def test_f79_constant_pixels_divide_nothing_by_0(kernels):
    """Pixels are bytes/255 and nothing else: there is no deviation to divide by."""
    for value in (0, 255):
        examples = Examples(np.full((12, 6), value, np.uint8), np.arange(12) % 3)
        plan = Plan(20, 4, 0.5)
        *_, last = epochs.epochs(epochs.start(fnnet.init(SIZES, 1), 0, plan), examples, plan, kernels=kernels)
        assert last.history[-1].train_loss == pytest.approx(math.log(3), rel=0.1)


# Small and large counts.


@FLOATS
def test_f80_denormals_are_numbers(dtype, kernels):
    least = np.finfo(dtype).smallest_subnormal
    x = np.full((4, 6), 3 * least, dtype)
    params = fnnet.init(SIZES, 1, dtype=dtype)
    assert_stepped(fnnet.scores(params, x, kernels=kernels), fnnet.forward(params, x).logits, 1)
    for way in ("step", "block"):
        found = one_step(kernels, params, Examples(x, np.arange(4) % 3), rate=float(least), way=way).params
        assert_trained(found, params, 1)
    assert_bitwise(kernels.relu(x), x)


FAR = [2**31 - 2, 2**32 - 2, 2**53, 2**62]


@pytest.mark.parametrize("first", FAR)
@pytest.mark.parametrize("name", ["adam", "averaged"])
def test_f80_steps_beyond_32_bits(first, name, numba_kernels):
    """Adam's correction has long become 1; dropout's masks are those of the step itself."""
    optimizer = {"adam": optimizers.adam(epsilon=1e-3), "averaged": optimizers.averaged(optimizers.SGD, 0.9)}[name]
    examples, params = batch(9, np.float64), fnnet.init(SIZES, 1, dtype=np.float64)
    start = steps.start(params, 3, optimizer=optimizer)
    start = start._replace(step=first, optimizer_state=start.optimizer_state._replace(steps=first))
    options = {"optimizer": optimizer, "objective": steps.Objective(dropout=0.4)}
    found, wanted = (
        fnnet.train_block(start, examples, np.arange(9), 2, 0.05, kernels=kernels, **options)[0]
        for kernels in (numba_kernels, NUMPY)
    )
    assert found.step == wanted.step == first + 5
    assert isinstance(found.optimizer_state, Moments)
    assert found.optimizer_state.steps == first + 5
    assert_trained(found.params, wanted.params, 5)


@pytest.mark.parametrize("far", FAR)
def test_f80_numbers_of_far_places_are_their_own(far):
    near = far % 2**30
    for place in ("epoch", "step", "start"):
        assert rng.words(1, "check", 4, **{place: far}).tolist() != rng.words(1, "check", 4, **{place: near}).tolist()
    assert dropout.masks(1, far, (16,), 2, 0.5)[0].tolist() != dropout.masks(1, near, (16,), 2, 0.5)[0].tolist()
    for name in schedules.OPTIONS:
        rates = schedules.make(name, 0.4, 30)(np.array([far, far + 1]))
        assert (rates >= 0).all()
        assert np.isfinite(rates).all()


def test_f80_bytes_do_not_wrap(kernels):
    """255 images of class 19 of 20 are told by numbers beyond a byte."""
    answers, labels = np.full(255, 18, np.uint8), np.full(255, 19, np.uint8)
    assert metrics.confusion(answers, labels, 20)[19, 18] == 255
    assert metrics.per_class(metrics.confusion(answers, labels, 20).astype(np.uint8))[19].images == 255
    x = np.array([[250, 10, 255, 0, 1, 254]], np.uint8)
    ones = Params((Layer(np.ones((6, 2)), np.zeros(2)),))
    assert fnnet.scores(ones, x, kernels=kernels)[0, 0] == pytest.approx(770 / 255, rel=1e-15)
