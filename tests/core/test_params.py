"""State: immutable, and the same from the same seed on every machine."""

import copy
import hashlib
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core import params as parameters
from fnnet.core.checks import check_classes
from fnnet.errors import UsageError

GOLDEN = {
    "he": "8a48aa115dd43e2961ae0b12412e12c31b7188d8f8341dd4dd20febd214aeb41",
    "glorot": "4c914db253e43c5f52f879a52372543259ce4da17ed83fd0c40984b09842e53b",
    "notebook": "94e2dec29802e05f3d2202bc65fab72a275b062b2304f47b05ea86d8a63bef0f",
}


@pytest.mark.parametrize("scheme", GOLDEN)
def test_golden_initial_weights(scheme):
    assert parameters.weights_sha256(fnnet.init((784, 10, 10), 0, scheme=scheme)) == GOLDEN[scheme]


def test_arrays_are_read_only():
    params = fnnet.init((4, 3, 2))
    for layer in params.layers:
        for array in layer:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_he_and_glorot_have_the_variance_of_their_papers():
    for scheme, wanted in (("he", 2 / 400), ("glorot", 2 / 700)):
        W, b = fnnet.init((400, 300), 1, scheme=scheme).layers[0]
        assert W.var() == pytest.approx(wanted, rel=0.02)
        assert abs(W.mean()) < 0.001
        assert not b.any()
        assert not np.signbit(b).any()


def test_notebook_start_is_uniform_around_zero():
    W, b = fnnet.init((784, 10), 1, scheme="notebook").layers[0]
    assert -0.5 <= W.min() < -0.49
    assert 0.49 < W.max() <= 0.5
    assert b.any()
    assert abs(b).max() <= 0.5


def test_layers_and_seeds_differ():
    a, b = fnnet.init((5, 5, 5), 0).layers
    assert (a.W != b.W).all()
    assert (fnnet.init((5, 5), 1).layers[0].W != a.W).all()


def test_float64_rounds_to_float32():
    a, b = (fnnet.init((7, 6, 5), 3, dtype=dtype) for dtype in (np.float32, np.float64))
    for narrow, wide in zip(a.layers, b.layers, strict=True):
        np.testing.assert_array_equal(narrow.W, wide.W.astype(np.float32))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((784,), "too few"),
        ((), "too few"),
        ((5, 0), ">= 1"),
        ((5, -1), ">= 1"),
        ((5, 2.5), "integer"),
        ((10**6,) * 2, "too large"),
    ],
)
def test_bad_sizes(sizes, message):
    with pytest.raises(UsageError, match=message):
        fnnet.init(sizes)


def test_bad_scheme_and_dtype():
    with pytest.raises(UsageError, match="he or glorot or notebook"):
        fnnet.init((2, 2), scheme="xavier")
    with pytest.raises(TypeError, match="float32 or float64"):
        fnnet.init((2, 2), dtype=np.int32)


def test_params_are_a_jax_pytree_as_they_stand():
    jax = pytest.importorskip("jax", reason="needs jax: pip install jax")
    params = fnnet.init((4, 3, 2), 5)
    doubled = jax.tree_util.tree_map(lambda array: 2 * array, params)
    assert type(doubled) is fnnet.Params
    assert type(doubled.layers[1]) is fnnet.Layer
    np.testing.assert_array_equal(doubled.layers[1].W, 2 * params.layers[1].W)
    assert fnnet.predict(doubled, np.ones((1, 4), np.float32)).shape == (1,)


def test_count_parameters():
    assert parameters.count_parameters((784, 10, 10)) == 7960
    assert parameters.layer_sizes(fnnet.init((784, 10, 10))) == (784, 10, 10)


def test_weights_sha256_is_that_of_little_endian_bytes():
    params = fnnet.init((3, 2), 1)
    wanted = hashlib.sha256(params.layers[0].W.astype("<f4").tobytes() + params.layers[0].b.astype("<f4").tobytes())
    big = fnnet.Params((fnnet.Layer(*(array.astype(">f4") for array in params.layers[0])),))
    assert parameters.weights_sha256(params) == parameters.weights_sha256(big) == wanted.hexdigest()


@pytest.mark.parametrize("names", [["a", "a"], [""], ["a\nb"], [3]])
def test_bad_class_names(names):
    with pytest.raises(UsageError, match="class name"):
        check_classes(names)


@pytest.mark.parametrize(("arguments", "options"), [((784,), {}), (((4, 2),), {"dtype": "bogus"}), (("ab",), {})])
def test_arguments_of_the_wrong_kind(arguments, options):
    with pytest.raises(TypeError):
        fnnet.init(*arguments, **options)


def copies(given):
    """What pickles, deep copies and copies of `given` give back."""
    pickled = [pickle.loads(pickle.dumps(given, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    return [*pickled, copy.copy(given), copy.deepcopy(given)]


def leaves(given):
    if isinstance(given, np.ndarray):
        return [given]
    return [leaf for part in given for leaf in leaves(part)] if isinstance(given, tuple) else []


PARAMS = fnnet.init((4, 3, 2))
STATE = fnnet.TrainState(PARAMS, fnnet.adam().init(PARAMS), 0, 0)


@pytest.mark.parametrize(
    "given",
    [
        PARAMS,
        PARAMS.layers[0],
        fnnet.forward(PARAMS, np.ones((2, 4)), masks=(np.ones((2, 3)),)),
        fnnet.train_step(STATE, np.ones((2, 4)), np.zeros(2, int), 0.1, optimizer=fnnet.adam())[0],
        data.load("digits").train,
        fnnet.Model(PARAMS, classes=("a", "b"), image_shape=(2, 2)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_copies_are_read_only(given):
    for again in copies(given):
        assert type(again) is type(given)
        assert len(leaves(again)) == len(leaves(given)) > 0
        for array, original in zip(leaves(again), leaves(given), strict=True):
            assert not array.flags.writeable
            np.testing.assert_array_equal(array, original)


def test_a_copy_of_writable_arrays_leaves_them_writable():
    """Such a layer is not fnnet's own: a copy shares its arrays, a deep copy has read-only ones."""
    layer = fnnet.Layer(np.ones((2, 2)), np.ones(2))
    assert copy.copy(layer).W is layer.W
    assert not copy.deepcopy(layer).W.flags.writeable
    assert layer.W.flags.writeable


def test_what_another_process_returns_is_read_only():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        params = pool.submit(fnnet.init, (4, 3, 2), 5).result()
    assert parameters.weights_sha256(params) == parameters.weights_sha256(fnnet.init((4, 3, 2), 5))
    assert not any(array.flags.writeable for array in leaves(params))
