"""L-BFGS: the minimum that scikit-learn finds, and nothing changed on the way."""

import math
import signal
import sys
import time

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core import metrics
from fnnet.core.flat import flatten, unflatten
from fnnet.core.params import Layer, Params, weights_sha256
from fnnet.core.state import Examples
from fnnet.errors import DivergedError, FnnetError, UsageError
from fnnet.training import lbfgs, session
from tests.conftest import ROOT, start
from tests.tools.tolerance import assert_loss


def blobs(n=60, inputs=5, classes=3, dtype=np.float64):
    draw = np.random.default_rng(n)
    labels = draw.integers(0, classes, n)
    return Examples((draw.standard_normal((n, inputs)) + np.eye(classes, inputs)[labels]).astype(dtype), labels)


def objective(params, examples, l2):
    squares = sum(float((each.astype(np.float64) ** 2).sum()) for layer in params.layers for each in layer)
    return fnnet.loss(params, *examples) + l2 / 2 * squares


def test_the_minimum_is_scikit_learn_s(kernels):
    """Softmax regression on the bundled digits has one minimum. l2 is 1 / (C n): scikit-learn sums over the images.

    It leaves an intercept out of its penalty, but not the coefficient of a column of ones.
    """
    from sklearn.linear_model import LogisticRegression

    x, labels = (part[:400] for part in data.load("digits").train)
    x, l2 = x[:, ::3] / 255, 0.1
    theirs = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-6, max_iter=1000, fit_intercept=False)
    theirs.fit(np.hstack([x, np.ones((len(x), 1))]), labels)
    wanted = Params((Layer(theirs.coef_.T[:-1].copy(), theirs.coef_.T[-1].copy()),))
    start = fnnet.init((x.shape[1], 10), 0, dtype=np.float64)
    found, history = lbfgs.minimise(start, Examples(x, labels), iterations=500, l2=l2, kernels=kernels)
    assert history[-1] == pytest.approx(objective(found, (x, labels), l2), rel=1e-12)
    assert history[-1] == pytest.approx(objective(wanted, (x, labels), l2), abs=1e-6)
    assert history[-1] <= objective(wanted, (x, labels), l2) + 1e-9
    np.testing.assert_allclose(found.layers[0].W, wanted.layers[0].W, atol=1e-3)
    assert len(history) < 500


def test_a_hidden_layer_learns_and_every_iteration_goes_down():
    examples, told = blobs(), []
    start = fnnet.init((5, 8, 3), 0, dtype=np.float64)
    found, history = lbfgs.minimise(start, examples, iterations=40, on_iteration=lambda *each: told.append(each))
    assert [each[:2] for each in told] == list(enumerate(history, 1))
    assert [fnnet.loss(params, *examples) for _, _, params in told] == list(history)
    assert len(history) == 40
    assert (np.diff(history) < 0).all()
    assert history[-1] < fnnet.loss(start, *examples) / 5
    assert metrics.evaluate(found, *examples).accuracy > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_in_and_the_given_dtype_out(dtype):
    draw = np.random.default_rng(1)
    x = draw.integers(0, 256, (50, 6), dtype=np.uint8)
    labels = (x[:, 0] > 127).astype(np.int64)
    start = fnnet.init((6, 2), 0, dtype=dtype)
    found, history = lbfgs.minimise(start, Examples(x, labels), iterations=30, l2=1e-3)
    for layer in found.layers:
        for each in layer:
            assert each.dtype == dtype
            assert not each.flags.writeable
    assert_loss(objective(found, (x, labels), 1e-3), history[-1], 2, 50, dtype)


def test_arguments_stay_and_the_same_arguments_give_the_same_bits():
    examples, start = blobs(), fnnet.init((5, 4, 3), 3)
    before = weights_sha256(start), examples.x.tobytes(), examples.labels.tobytes()
    hashes = {weights_sha256(lbfgs.minimise(start, examples, iterations=9)[0]) for _ in range(2)}
    assert len(hashes) == 1
    assert before == (weights_sha256(start), examples.x.tobytes(), examples.labels.tobytes())
    assert weights_sha256(start) not in hashes


def test_flat_and_back():
    params = fnnet.init((4, 3, 2), 5, scheme="notebook")
    flat = flatten(params, np.float64)
    assert flat.shape == (3 * 5 + 2 * 4,)
    assert flat.dtype == np.float64
    assert flat[4 * 3 : 4 * 3 + 3].tolist() == params.layers[0].b.tolist()
    assert weights_sha256(unflatten(flat, (4, 3, 2), np.float32)) == weights_sha256(params)


def test_iterations_are_a_limit():
    assert len(lbfgs.minimise(fnnet.init((5, 4, 3), 3), blobs(), iterations=1)[1]) == 1


def test_a_loss_that_is_not_finite_ends_it():
    examples = blobs()
    examples.x[7, 2] = math.inf
    with pytest.raises(UsageError, match=r"row 7, column 2: x is not finite; expected finite float64, found inf"):
        lbfgs.minimise(fnnet.init((5, 4, 3), 3), examples, iterations=5)
    start = fnnet.init((5, 4, 3), 3, dtype=np.float64)
    huge = Params(tuple(Layer(1e200 * W, b) for W, b in start.layers))
    with pytest.raises(DivergedError, match=r"iteration 1: training diverged; expected a finite loss"):
        lbfgs.minimise(huge, blobs(), iterations=5)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"iterations": 0}, "iterations out of range; expected an integer >= 1, found 0"),
        ({"iterations": 1.5}, "iterations is not an integer"),
        ({"l2": -1.0}, "l2 out of range; expected a finite number >= 0, found -1.0"),
        ({"l2": math.nan}, "l2 out of range"),
        ({"activation": "sign"}, "unknown activation"),
    ],
)
def test_bad_figures(options, fault):
    with pytest.raises(UsageError, match=fault):
        lbfgs.minimise(fnnet.init((5, 3), 0), blobs(), **{"iterations": 5, **options})


def test_labels_are_checked():
    examples = blobs()
    with pytest.raises(UsageError, match="0 to 1, found 2"):
        lbfgs.minimise(fnnet.init((5, 2), 0), examples, iterations=5)


def test_weights_of_samples_are_repetitions():
    examples, start = blobs(), fnnet.init((5, 3), 0, dtype=np.float64)
    times = np.arange(60) % 3
    again = Examples(*(np.repeat(part, times, axis=0) for part in examples))
    options = {"iterations": 200, "l2": 0.01, "label_smoothing": 0.1}
    weighted, _ = lbfgs.minimise(start, examples, weights=times, **options)
    repeated, _ = lbfgs.minimise(start, again, **options)
    np.testing.assert_allclose(weighted.layers[0].W, repeated.layers[0].W, atol=1e-5)


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_the_command_line_goes_to_the_minimum(jit, run):
    """Of softmax regression on the bundled digits, and no further."""
    command = ("train", jit, "--data", "digits", "--optimizer", "lbfgs", "--hidden", "", "--weight-decay", 0.1)
    document = run(*command, "--dev", 50, "--epochs", 500, "--json").json
    reports = document["epochs"]
    assert [report["epoch"] for report in reports] == list(range(1, len(reports) + 1))
    assert 3 < len(reports) < 500
    assert reports[-1]["train_loss"] < reports[0]["train_loss"] / 2
    assert None not in (reports[-1]["dev_loss"], reports[-1]["dev_accuracy"])
    assert reports[-1]["learning_rate"] is None
    from sklearn.linear_model import LogisticRegression

    train_set, _ = data.split(data.load("digits").train, 50, 0)
    x = train_set.x / 255
    theirs = LogisticRegression(C=1 / (0.1 * len(x)), tol=1e-6, max_iter=5000, fit_intercept=False)
    theirs.fit(np.hstack([x, np.ones((len(x), 1))]), train_set.labels)
    wanted = Params((Layer(theirs.coef_.T[:-1].copy(), theirs.coef_.T[-1].copy()),))
    found = fnnet.load_model("model.safetensors").params
    np.testing.assert_allclose(found.layers[0].W, wanted.layers[0].W, atol=2e-3)
    examples = Examples(x, train_set.labels)
    assert objective(found, examples, 0.1) == pytest.approx(objective(wanted, examples, 0.1), abs=1e-6)


@pytest.mark.parametrize(
    ("jit", "number", "code", "word"),
    [("--jit", "SIGINT", 130, "interrupted"), ("--no-jit", "SIGTERM", 143, "terminated")],
)
def test_a_signal_ends_it_at_once(jit, number, code, word, idx_folder, tmp_path, numba_kernels):
    """Within an iteration, and without a word of --run-dir, which it cannot have."""
    command = [sys.executable, str(ROOT / "cli.py"), "train", jit, "--data", str(idx_folder), "--optimizer", "lbfgs"]
    # The pull of the weights keeps it from its minimum for more than a minute.
    command += ["--hidden", "900,900", "--activation", "tanh", "--weight-decay", "1e-4", "--epochs", "1000000"]
    with start(command, tmp_path) as process:
        assert process.stdout.readline().startswith("data: ")
        time.sleep(1.0)
        process.send_signal(getattr(signal, number))
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, f"error: {word}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idx"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--batch-size", 5), "--batch-size: not with lbfgs; expected full"),
        (("--schedule", "cosine"), "--schedule: not with lbfgs; expected constant"),
        (("--schedule", "constant:warmup=2"), "--schedule: not with lbfgs; expected constant"),
        (("--dropout", 0.5), "--dropout: not with lbfgs; expected 0"),
        (("--clip-norm", 1), "--clip-norm: not with lbfgs; expected 0"),
        (("--ema", 0.9), "--ema: not with lbfgs; expected 0"),
        (("--early-stopping", 3, "--dev", 5), "--early-stopping: not with lbfgs; expected none"),
        (("--augment",), "--deformation: not with lbfgs; expected none (--no-augment)"),
        (("--recipe", "accurate"), "--deformation: not with lbfgs; expected none (--no-augment)"),
        (("--run-dir", "runs"), "--run-dir keeps steps"),
        (("--resume",), "--resume needs the folder of the run"),
    ],
)
def test_what_needs_steps_is_refused(options, part, run, idx_folder, tmp_path):
    run("train", "--data", idx_folder, "--optimizer", "lbfgs", *options).failed(2, part)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idx"]


def test_no_iterations_is_no_training(run, idx_folder):
    command = ("train", "--data", idx_folder, "--optimizer", "lbfgs", "--epochs", 0, "--json")
    document = run(*command).json
    assert document["epochs"] == []
    assert document["test_accuracy"] is not None


def test_without_scipy_one_line_names_the_extra_before_the_work(run, idx_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    line = "`optimizer` lbfgs needs SciPy; expected the library scipy, found .*; pip install 'fnnet\\[lbfgs\\]'$"
    settings = {"optimizer": "lbfgs", "epochs": 2}
    for call in (
        lambda: session.check_settings("classic", settings),
        lambda: session.prepare(data.load("digits"), "classic", settings),
        lambda: lbfgs.minimise(fnnet.init((5, 3), dtype=np.float64), blobs(), iterations=1),
    ):
        with pytest.raises(FnnetError, match=f"^{line}"):
            call()
    result = run("train", "--data", idx_folder, "--optimizer", "lbfgs")
    result.failed(1, "--optimizer lbfgs needs SciPy; expected the library scipy", "; pip install 'fnnet[lbfgs]'")
    assert not (tmp_path / "model.safetensors").exists()
    assert run("train", "--data", idx_folder, "--activation", "gelu", "--hidden", 4, "--epochs", 1).code == 0
