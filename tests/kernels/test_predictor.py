"""Compiled prediction: the bits of a row depend on nothing beside it, and workspaces are made once."""

import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fnnet
from fnnet.kernels import layout, predictor, row_predictor
from fnnet.kernels.machine import machine
from tests.kernels.test_block import data


def test_a_predictor_answers_as_predict_does(kernels):
    x = data(50, 60, 4, zeros=0.5, as_bytes=True).x
    params = fnnet.init((60, 9, 4), 0)
    answer = fnnet.predictor(params, kernels=kernels)
    wanted = fnnet.predict(params, x)
    for images in (x, x / 255, x[:, ::-1][:, ::-1], np.asfortranarray(x), np.float32(x) / 255):
        np.testing.assert_array_equal(answer(images), wanted)
        assert [int(answer(row[None])[0]) for row in images] == wanted.tolist()
    with pytest.raises(fnnet.FnnetError, match="one image as"):
        answer(x[0])
    large = 3e38 * np.sign(params.layers[0].W[:, 0])  # each product is finite, their sum is not
    for row, fault in ((np.full(60, np.nan), ", column 0: x is not finite"), (large, ": scores are not numbers")):
        with pytest.raises(fnnet.FnnetError, match=f"row 1{fault}"):
            answer(np.array([np.zeros(60), row]))
        with pytest.raises(fnnet.FnnetError, match=f"row 0{fault}"):
            answer(row[None])


def test_a_predictor_serves_several_threads(numba_kernels):
    x = data(200, 784, 10, zeros=0.8, as_bytes=True).x
    answer = fnnet.predictor(fnnet.init((784, 20, 10), 0), kernels=numba_kernels)
    wanted = answer(x).tolist()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: int(answer(x[i % 200][None])[0]), range(4000)))
    assert found == wanted * 20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "linear"])
@pytest.mark.parametrize("hidden", [(63,), (64, 65), (200, 7, 130), (300, 1000), (5, 64)])
@pytest.mark.parametrize("inputs", [30, 200])
def test_one_row_has_the_bits_of_many(inputs, hidden, activation, dtype, numba_kernels):
    """Fewer than four rows go a way of their own: hidden units that are 0 are skipped, and two parts side by side."""
    sizes = (inputs, *hidden, 11)
    params = fnnet.init(sizes, 5, dtype=dtype)
    layers = [layer._replace(b=np.linspace(-1, 1, layer.b.size, dtype=dtype)) for layer in params.layers]
    predict = predictor.Predictor(fnnet.Params(tuple(layers)), 1, activation)
    x = np.random.default_rng(0).random((67, inputs)).astype(dtype)
    x[:, ::3] = 0
    x[40:50, : inputs // 2] = x[50:60, inputs // 2 :] = x[66] = 0
    for rows_of in (x, np.rint(x * 255).astype(np.uint8)):
        wanted = predict.scores(np.repeat(rows_of, 4, axis=0))[0][::4]
        for rows in (1, 2, 3, 27, 65, 66, 67):
            logits, best = predict.scores(rows_of[-rows:])
            np.testing.assert_array_equal(logits, wanted[-rows:])
            np.testing.assert_array_equal(best, wanted[-rows:].argmax(axis=1))
        alone = [int(predict.best(rows_of[row : row + 1])[0]) for row in range(67)]
        np.testing.assert_array_equal(alone, wanted.argmax(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(5,), (130,)])
def test_whether_rows_are_searched_for_zeros_moves_no_bits(hidden, dtype, numba_kernels):
    predict = predictor.Predictor(fnnet.init((200, *hidden, 11), 5, dtype=dtype), 1)
    x = np.random.default_rng(0).integers(0, 256, (70, 200)).astype(np.uint8)
    x[:, ::3] = 0
    for rows in (x, (x / 255).astype(dtype)):
        found = []
        for count in (0, 100, 201):
            predict._dense_from = np.array([count, count])
            found.append(predict.scores(rows)[0])
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.parametrize("inputs", [1, 784])
@pytest.mark.parametrize("compress", [True, False])
def test_the_narrower_a_layer_the_sparser_rows_must_be_to_be_searched(inputs, compress, monkeypatch):
    monkeypatch.setattr(predictor, "machine", lambda: machine()._replace(compress=compress))

    def shares(outputs):
        plan = layout.layout((inputs, outputs), np.float32, 32, 64)
        return predictor.dense_from(plan).tolist()

    bytes_from, floats_from = zip(*(shares(outputs) for outputs in (1, 10, 40, 100, 10_000)), strict=True)
    for each in (bytes_from, floats_from):
        assert list(each) == sorted(each)
        assert each[0] >= 0
        assert abs(each[-1] - layout.DENSE * inputs) <= 1
    assert all(few <= many for few, many in zip(floats_from, bytes_from, strict=True))


@pytest.mark.parametrize("threads", [1, 2])
def test_workspaces_that_are_used_again_move_no_bits(threads, numba_kernels, monkeypatch):
    """Whatever was in them: bytes or floats, sparse or dense, more rows or fewer."""
    monkeypatch.setattr(predictor, "TEAM_WORK", 1)
    params, draw = fnnet.init((200, 40, 11), 5), np.random.default_rng(0)
    again = predictor.Predictor(params, threads)
    x = draw.integers(1, 256, (300, 200)).astype(np.uint8)
    x[100:, ::2] = 0
    x[200:] = 0
    for _ in range(40):
        first = int(draw.integers(0, 299))
        rows = x[first : first + int(draw.integers(1, 200))]
        rows = rows if draw.random() < 0.5 else (rows / 255).astype(np.float32)
        for found, wanted in zip(again.scores(rows), predictor.Predictor(params, threads).scores(rows), strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert {key: len(free) for key, free in again._teams.items()} == {(1, 64): 1, (threads, 64): 1}


def test_what_is_predicted_is_let_go(numba_kernels):
    predict = predictor.Predictor(fnnet.init((20, 11), 5), 1)
    x = np.ones((70, 20), np.float32)
    logits, best = predict.scores(x)
    held = [weakref.ref(array) for array in (x, logits, best)]
    del x, logits, best
    assert [array() for array in held] == [None] * 3


def test_what_is_predicted_is_held_while_a_call_runs(numba_kernels, monkeypatch):
    """As where a signal ends the call of one thread, and another still writes."""
    predict, teams = predictor.Predictor(fnnet.init((20, 11), 5), 1), []

    def interrupted(calls, threads):
        teams.append(calls)
        raise KeyboardInterrupt

    monkeypatch.setattr(row_predictor, "run_each", interrupted)
    x = np.ones((70, 20), np.float32)
    with pytest.raises(KeyboardInterrupt):
        predict.scores(x)
    assert teams[0][0].held["x_floats"].base is x
    assert teams[0][0].held["logits"].size == 770
    assert not predict._teams[1, 64]
