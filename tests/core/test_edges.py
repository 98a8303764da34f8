"""Edges of ranges, defaults and last rows: each test fails with one small change that no other test noticed."""

import math
import subprocess
import sys

import numpy as np
import pytest

import fnnet
from fnnet.core import gradcheck, metrics, operations, optimizers, own, public_optimizers, rng, schedules
from fnnet.core.check_network import check_operands, check_params, check_sizes
from fnnet.core.checks import as_array
from fnnet.core.deform import Deformation, check_deformation, deform
from fnnet.core.params import Layer, Params
from fnnet.core.state import Moments
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.names import ACTIVATIONS
from tests.conftest import ROOT

LIMITS = {"shift": 1000.0, "rotation": 179.0, "scale": 0.9, "shear": 10.0, "elastic": 1000.0, "fade": 1.0}


@pytest.mark.parametrize("name", LIMITS)
def test_a_deformation_may_have_its_limit_and_no_more(name):
    assert getattr(check_deformation(Deformation(**{name: LIMITS[name]})), name) == LIMITS[name]
    with pytest.raises(UsageError, match=f"{name} out of range; expected 0 to {LIMITS[name]:g}, found"):
        check_deformation(Deformation(**{name: math.nextafter(LIMITS[name], math.inf)}))


def test_the_least_correlation():
    assert check_deformation(Deformation(correlation=0.5)).correlation == 0.5
    with pytest.raises(UsageError, match=r"correlation out of range; expected at least 0\.5 pixels"):
        check_deformation(Deformation(correlation=math.nextafter(0.5, 0)))


@pytest.mark.parametrize("elastic", [0.5, 1.0])
def test_elastic_deformation_of_a_pixel_or_less(elastic, kernels):
    x = np.random.default_rng(0).integers(0, 256, (3, 100)).astype(np.uint8)
    still = deform(x, (10, 10), Deformation(), seed=1, epoch=1, kernels=kernels)
    moved = deform(x, (10, 10), Deformation(elastic=elastic, correlation=2.0), seed=1, epoch=1, kernels=kernels)
    np.testing.assert_array_equal(still, x)
    assert (moved != x).mean() > 0.5


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("parts", [1, 2])
def test_dead_units_where_the_rows_end_with_a_part(parts, beyond, kernels):
    W = np.array([[1.0, -1.0]], np.float32)
    params = Params((Layer(W, np.zeros(2, np.float32)), Layer(W.T, np.zeros(1, np.float32))))
    rows = metrics.FEW + (parts - 1) * metrics.CHUNK + beyond
    assert metrics.dead_units(params, np.ones((rows, 1)), kernels=kernels) == ((1, 2),)
    last = np.r_[np.ones((rows - 1, 1)), [[-1.0]]]  # what only the last row shows
    assert metrics.dead_units(params, last, kernels=kernels) == ((0, 2),)


def test_an_order_without_an_epoch_is_that_of_epoch_0():
    assert rng.order(3, "show", 50).tolist() == rng.order(3, "show", 50, epoch=0).tolist()
    assert rng.order(3, "show", 50).tolist() != rng.order(3, "show", 50, epoch=1).tolist()


@pytest.mark.parametrize("name", ["sgd", "adam", "momentum"])
def test_an_optimizer_by_its_name_alone_has_no_extras(name):
    made, plain = public_optimizers.make(name), getattr(fnnet, name)()
    assert made.figures == plain.figures
    assert made.figures["weight_decay"] == 0
    assert made.trees == plain.trees


def test_lion_decouples_its_weight_decay():
    assert optimizers.lion(weight_decay=0.1).figures["decoupled"] is True


def test_one_cycle_between_two_steps():
    """Its top is at step 0.5: step 1 is 0.5 of 3.5 steps down."""
    schedule = schedules.one_cycle(1.0, 5, warmup=0.3, start_factor=10.0, final_factor=10.0)
    down = [0.01 + 0.99 * (1 + math.cos(math.pi * (step - 0.5) / 3.5)) / 2 for step in range(1, 5)]
    np.testing.assert_allclose(schedule(np.arange(5)), [0.1, *down], rtol=1e-12)


def test_one_cycle_with_factors_of_1_is_flat():
    flat = schedules.one_cycle(0.5, 10, start_factor=1.0, final_factor=1.0)
    np.testing.assert_allclose(flat(np.arange(12)), 0.5, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 0), (0, 3)])
def test_a_layer_without_units_or_inputs_is_no_network(shape):
    params = Params((Layer(np.zeros(shape, np.float32), np.zeros(shape[1], np.float32)),))
    for call in (fnnet.forward, fnnet.scores, fnnet.predict):
        with pytest.raises(UsageError):
            call(params, np.zeros((2, shape[0])))


def test_only_labels_of_the_shape_of_the_scores_are_called_one_hot():
    params, x = fnnet.init((4, 3), 0), np.zeros((5, 4))
    with pytest.raises(UsageError, match=r"give labels.argmax\(axis=1\) of one-hot labels"):
        fnnet.loss(params, x, np.zeros((5, 3), int))
    with pytest.raises(UsageError, match="labels do not fit x") as told:
        fnnet.loss(params, x, np.zeros(4, int))
    assert "argmax" not in str(told.value)


def test_one_row_of_floats_and_one_class(kernels):
    assert fnnet.forward(fnnet.init((4, 1), 0), np.ones((1, 4)), kernels=kernels).probs.tolist() == [[1.0]]


@pytest.mark.parametrize(("kink", "checked"), [(1.9, 0), (2.1, 1)])
def test_a_kink_within_the_points_of_the_five_point_rule(kink, checked):
    at, step = np.array([1.0]), gradcheck.STEP
    for sign in (-1, 1):
        found = gradcheck._check_array(
            "at",
            at,
            np.array([2.0]),
            lambda array: array[0] ** 2,
            False,
            lambda array, sign=sign: bool(sign * (array[0] - 1.0) > kink * step),
        )
        assert (found.checked, found.kinks) == (checked, 1 - checked)
        assert found.passed is bool(checked)


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 3, 1), (2, 4), ()])
def test_operands_that_do_not_fit(shape):
    with pytest.raises(UsageError, match=r"affine: (x|W) does not fit; expected shape"):
        check_operands("affine", x=np.zeros(shape), W=np.zeros((3, 2)), b=np.zeros(2))


def test_the_largest_network():
    assert check_sizes((10**9 - 1, 1)) == (10**9 - 1, 1)
    with pytest.raises(UsageError, match="expected at most 1,000,000,000 parameters, found 1,000,000,001"):
        check_sizes((10**9, 1))


@pytest.mark.parametrize(("value", "least"), [(0.0, 1e-316), (1e-9, 1e-20), (1.0, 1e-11), (-3.0, 3e-11)])
def test_a_gradient_of_0_may_be_wrong_by_what_rounding_leaves(value, least):
    """1e-7 of 1e-4, times the size of the value."""
    for share in (0.9, 1.1):
        (check,) = fnnet.check_gradient(lambda x: value, np.zeros(1), np.full(1, share * least))
        assert check.passed is (share < 1)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_are_looked_for_where_an_activation_has_one(name):
    """The step moves the hidden unit across 0."""
    params = Params((Layer(np.full((1, 1), 5e-4), np.zeros(1)), Layer(np.array([[1.0, -1.0]]), np.zeros(2))))
    first = gradcheck.check_gradients(params, np.ones((1, 1)), [0], activation=name)[0]
    assert (first.checked, first.kinks) == ((0, 1) if name in {"relu", "leaky_relu", "elu"} else (1, 0))


@pytest.mark.parametrize("shape", [(1, 4, 1), (2, 5), (2, 3), (0, 4), (4,), (3, 4, 2)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_predictor_refuses_other_shapes(shape, dtype, kernels):
    """Compiled code reads as many numbers as the network has inputs."""
    classify = fnnet.predictor(fnnet.init((4, 3, 2)), kernels=kernels)
    with pytest.raises(UsageError, match=r"x (does not fit the network|is empty)"):
        classify(np.zeros(shape, dtype))


@pytest.mark.parametrize("held", [lambda row: row, lambda row: [row], lambda row: ([0.0], (row,)[0])])
def test_masked_values_are_refused_however_they_are_held(held):
    masked, plain = (np.ma.MaskedArray([1.0], mask=[mask]) for mask in (True, False))
    with pytest.raises(ArgumentTypeError, match="a; expected floats, found masked values"):
        as_array("a", held(masked), "f", "floats")
    assert as_array("a", held(plain), "f", "floats").max() == 1


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_nan_in_any_row_is_refused_by_forward(rows, classes):
    params, x = fnnet.init((3, classes)), np.ones((rows, 3), np.float32)
    assert fnnet.forward(params, x).probs.sum() == pytest.approx(rows)
    for row in range(rows):
        with pytest.raises(UsageError, match=f"row {row}, column 2: x is not finite"):
            fnnet.forward(params, np.where(np.arange(3 * rows).reshape(rows, 3) == 3 * row + 2, np.nan, x))


def test_states_of_any_form_become_read_only_copies():
    made = fnnet.init((3, 2))
    arrays = [np.zeros(2) for _ in range(4)]
    state = {"a": (arrays[0], [arrays[1], 7]), "b": Layer(arrays[2], arrays[3]), "c": Moments(3, (made,)), "d": made}
    found = own.read_only(state)
    assert found["a"][1][1] == 7
    assert (type(found["a"]), type(found["a"][1]), type(found["b"]), found["c"].steps) == (tuple, list, Layer, 3)
    seen = [found["a"][0], found["a"][1][0], *found["b"]]
    for array, view in zip(arrays, seen, strict=True):
        assert not np.shares_memory(array, view)
        assert np.array_equal(array, view)
        assert (array.flags.writeable, view.flags.writeable) == (True, False)
    for tree in (found["d"], *found["c"].trees):
        for mine, given in zip(tree.layers[0], made.layers[0], strict=True):
            assert not np.shares_memory(mine, given)
            assert np.array_equal(mine, given)
            assert not mine.flags.writeable


def test_lion_by_hand():
    """The sign of 0.9 m + 0.1 g, where the two disagree; then 0.99 m + 0.01 g."""
    lion, params = fnnet.lion(), Params((Layer(np.array([[1.0, 2.0, 3.0]]), np.array([4.0, 5.0, 6.0])),))
    first = Params((Layer(np.array([[100.0, -100.0, 0.0]]), np.array([100.0, 100.0, -1.0])),))
    then = Params((Layer(np.array([[-8.0, 8.0, -1.0]]), np.array([-9.5, 0.0, 0.0])),))
    params, state = lion.update(params, first, lion.init(params), 0.5)
    assert params.layers[0].W.tolist() == [[0.5, 2.5, 3.0]]
    assert params.layers[0].b.tolist() == [3.5, 4.5, 6.5]
    params, state = lion.update(params, then, state, 0.5)
    assert params.layers[0].W.tolist() == [[0.0, 3.0, 3.5]]  # and more than 0.8
    assert params.layers[0].b.tolist() == [4.0, 4.0, 7.0]  # 0.9 is less than 0.95
    assert state.steps == 2
    np.testing.assert_allclose(state.trees[0].layers[0].b, [0.895, 0.99, -0.0099], rtol=1e-12)


def test_a_check_passes_up_to_its_limits():
    central, exact = gradcheck.CENTRAL_LIMIT, gradcheck.COMPLEX_LIMIT
    assert (central, exact) == (1e-7, 1e-12)
    assert gradcheck.Check("a", (1,), 1, 0, central, exact).passed
    assert not gradcheck.Check("a", (1,), 0, 1, 0.0, 0.0).passed
    assert not gradcheck.Check("a", (1,), 1, 0, math.nextafter(central, 1), None).passed
    assert not gradcheck.Check("a", (1,), 1, 0, central, math.nextafter(exact, 1)).passed


def test_hashes_tell_shapes_and_dtypes_apart():
    made = [fnnet.init(sizes, dtype=dtype) for sizes in ((3, 2), (2, 3), (3, 2, 2)) for dtype in ("float32", "float64")]
    assert len({hash(params) for params in made}) == len(made)
    assert len({hash(params.layers[0]) for params in made}) == 4
    assert hash(made[0]) == hash(fnnet.init((3, 2), 7))


def test_a_confusion_matrix_of_one_class():
    assert metrics.confusion([0, 0], [0, 0], 1).tolist() == [[2]]


def test_plain_parameters_are_taken_as_they_are():
    for params in (fnnet.init((3, 2)), fnnet.init((4, 3, 2), dtype="float64")):
        assert check_params(params) is params
    odd = Params([*fnnet.init((3, 2)).layers])
    assert check_params(odd) is not odd
    assert type(check_params(odd).layers) is tuple


def test_layers_of_arrays_and_of_numbers_are_compared():
    arrays, numbers = Layer(np.zeros(2), np.zeros(2)), Layer(0, 0)
    assert arrays != numbers
    assert numbers != arrays
    assert arrays == Layer(np.zeros(2), np.zeros(2))


def test_a_warm_up_is_of_a_schedule():
    with pytest.raises(ArgumentTypeError, match=r"schedule; expected a function of the steps, found 0\.1"):
        schedules.warm_up(0.1, 5)


def test_the_gradient_at_the_input_of_an_affine_map_is_made_unless_it_is_not_wanted():
    dz, x, W = np.ones((2, 3)), np.ones((2, 4)), np.full((4, 3), 2.0)
    assert operations.affine_backward(dz, x, W)[0].tolist() == [[6.0] * 4] * 2
    assert operations.affine_backward(dz, x, W, False)[0] is None


@pytest.mark.parametrize(("bend", "kinks"), [(5e-11, 0), (5e-9, 1)])
def test_a_kink_is_one_next_to_the_largest_derivative(bend, kinks):
    """A limit of 1e-7 of a thousandth of that, 10."""
    (check,) = fnnet.check_gradient(lambda x: 10 * x[0] + bend * abs(x[1]), np.zeros(2), np.array([10.0, 0.0]))
    assert (check.checked, check.kinks, check.passed) == (2 - kinks, kinks, True)


def test_the_plain_mathematics_is_imported_at_its_first_use():
    code = "import sys, fnnet.core as core; assert 'numpy' not in sys.modules; core.sgd; assert 'numpy' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(("n", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4)])
def test_an_index_replaces_no_more_bits_of_a_word_than_it_needs(n, bits, monkeypatch):
    """Words that differ in the lowest of the other bits alone are in their order, and others in that of the index."""
    words = np.arange(n, dtype=np.uint64)[::-1] << np.uint64(bits)
    monkeypatch.setattr(rng, "words", lambda *arguments, **options: words.copy())
    assert rng.order(1, "show", n).tolist() == list(range(n))[::-1]
    words = np.arange(n, dtype=np.uint64)[::-1] & np.uint64(2**bits - 1)
    assert rng.order(1, "show", n).tolist() == list(range(n))


def test_figures_of_batches_are_those_of_all_images():
    rng = np.random.default_rng(5)
    params, x, labels = fnnet.init([7, 4], 0), rng.normal(size=(50, 7)).astype(np.float32), rng.integers(0, 4, 50)
    expected = metrics.evaluate(params, x, labels)
    found = metrics.evaluate_in(params, ((x[at : at + 16], labels[at : at + 16]) for at in range(0, 50, 16)), 4)
    assert found.accuracy == expected.accuracy
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    np.testing.assert_array_equal(found.confusion, metrics.confusion(expected.predicted, labels, 4))
    with pytest.raises(UsageError, match="no images; expected at least one batch"):
        metrics.evaluate_in(params, [], 4)
