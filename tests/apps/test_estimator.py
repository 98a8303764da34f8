"""The classifier of scikit-learn: its checks, and that it trains by the block trainer as that is defined."""

import copy
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fnnet
from fnnet import FNNetClassifier
from fnnet.apps.estimator import course, options, rows, scores
from fnnet.core.orders import epoch_order
from fnnet.core.schedules import plateau_scale
from fnnet.core.sparse_rows import SparseRows
from fnnet.core.state import Examples, Objective
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.kernels import pixels
from fnnet.training import steps
from tests.conftest import ROOT
from tests.tools import tolerance

DRAW = np.random.default_rng(0)
X = DRAW.standard_normal((103, 6))
Y = np.array(["ant", "bee", "cow"])[(X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1)]
CODES = np.unique(Y, return_inverse=True)[1]
QUICK = {"hidden": (9,), "epochs": 4, "batch_size": 20, "learning_rate": 0.01, "tol": None, "random_state": 3}


@parametrize_with_checks([
    FNNetClassifier(), FNNetClassifier(kernels="numpy"),
    FNNetClassifier(optimizer="lbfgs", weight_decay=0.01), FNNetClassifier((), optimizer="lbfgs", weight_decay=0.01),
])  # fmt: skip
def test_the_checks_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def quick(**given):
    return FNNetClassifier(**QUICK | given)


def weights_of(model):
    return [*model.coefs_, *model.intercepts_]


def same(one, other):
    ours, theirs = weights_of(one), weights_of(other)
    return len(ours) == len(theirs) and all(a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))


def close(one, other, rtol=1e-9):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


# What it trains is what train_block trains.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "given",
    [
        {}, {"batch_size": 103}, {"batch_size": None}, {"batch_size": 7}, {"shuffle": False}, {"hidden": (9, 5)},
        {"hidden": ()}, {"dropout": 0.3}, {"label_smoothing": 0.1, "optimizer": "nesterov"}, {"weight_decay": 0.01},
        {"schedule": "cosine", "optimizer": "sgd", "learning_rate": 0.5}, {"clip_norm": 0.1, "activation": "tanh"},
        {"weights": True}, {"weights": True, "batch_size": 103}, {"kernels": "numpy"}, {"n": 100}, {"epochs": 40},
        {"initialiser": "he"},
    ],
)  # fmt: skip
def test_it_is_the_block_trainer_s_training(given, dtype, numba_kernels):
    given = dict(given)
    n, weighted = given.pop("n", 103), given.pop("weights", False)
    weights = DRAW.random(n) + 0.1 if weighted else None
    x = X[:n].astype(dtype)
    model = quick(**given).fit(x, Y[:n], weights)
    settings = QUICK | given
    kernels = fnnet.load_kernels() if settings.get("kernels") == "numpy" else numba_kernels
    plan = options.plan_of(model, options.hidden_of(model.hidden))
    optimizer, objective = course.make_optimizer(plan), Objective(plan.activation, plan.dropout, plan.label_smoothing)
    params = fnnet.init((6, *model.hidden, 3), 3, scheme=settings.get("initialiser", "glorot"), dtype=dtype)
    state = steps.start(params, 3, optimizer=optimizer)
    batch = min(settings["batch_size"] or n, n)
    schedule, losses = course.schedule_of(plan, -(-n // batch)), []
    for epoch in range(1, settings["epochs"] + 1):
        shuffled = settings.get("shuffle", True) and batch < n
        order = epoch_order(3, epoch, n) if shuffled else np.arange(n)
        state, loss_sum, _ = fnnet.train_block(
            state, Examples(x, CODES[:n]), order, batch, schedule, weights=weights, objective=objective,
            optimizer=optimizer, kernels=kernels,
        )  # fmt: skip
        losses.append(loss_sum / n)
    for found, layer in zip(zip(model.coefs_, model.intercepts_, strict=True), state.params.layers, strict=True):
        for one, other in zip(found, layer, strict=True):
            assert one.tobytes() == np.ascontiguousarray(other).tobytes()
            assert one.dtype == dtype
            assert not one.flags.writeable
    if not weighted:
        np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-12)
    assert model.n_iter_ == len(model.loss_curve_) == settings["epochs"]
    assert model.classes_.tolist() == ["ant", "bee", "cow"]


@pytest.mark.parametrize("given", [{}, {"dropout": 0.2}, {"batch_size": 30}, {"batch_size": 60, "hidden": (40, 30)}])
def test_where_blocks_end_changes_nothing(given, monkeypatch):
    wanted = quick(epochs=12, **given).fit(X, Y)
    monkeypatch.setattr(course, "PADDED", 0)
    assert same(quick(epochs=12, **given).fit(X, Y), wanted)
    monkeypatch.setattr(course, "BLOCK_SECONDS", 1e-9)  # a step in each
    alone = quick(epochs=12, **given).fit(X, Y)
    assert same(alone, wanted)
    np.testing.assert_allclose(alone.loss_curve_, wanted.loss_curve_, rtol=1e-12)


def test_threads_change_nothing():
    x = DRAW.standard_normal((2000, 30)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    one, other = (quick(hidden=(64,), batch_size=500, threads=threads).fit(x, y) for threads in (1, 2))
    assert same(one, other)


def test_the_dtype_is_that_of_x_or_the_one_that_is_given():
    for x, given, wanted in (
        (X, None, np.float64), (np.float32(X), None, np.float32), (X.astype(int), None, np.float64),
        (X, "float32", np.float32), (np.float32(X), np.float64, np.float64), (np.float16(X), None, np.float64),
    ):  # fmt: skip
        model = quick(dtype=given).fit(x, Y)
        assert model.coefs_[0].dtype == model.predict_proba(x).dtype == wanted
        assert model.predict(x.astype(np.float64)).tolist() == model.predict(x).tolist()


# When it ends.


def stops_after(losses, tol, stale):
    """The epochs after which a rule ends, by the rule's own words."""
    best, count = np.inf, 0
    for number, loss in enumerate(losses, 1):
        count = 0 if loss <= best - tol else count + 1
        best = min(best, loss)
        if count > stale:
            return number
    return len(losses)


@pytest.mark.parametrize("tol", [1e-4, 1e-2, 0.1, 0.0])
@pytest.mark.parametrize("stale", [1, 3, 10])
@pytest.mark.parametrize("batch_size", [20, 103])
def test_it_ends_where_the_loss_falls_no_longer(tol, stale, batch_size):
    given = {"epochs": 150, "learning_rate": 0.05, "batch_size": batch_size}
    whole = quick(**given).fit(X, Y)
    found = quick(**given, tol=tol, n_iter_no_change=stale).fit(X, Y)
    wanted = stops_after(whole.loss_curve_, tol, stale)
    assert found.n_iter_ == wanted
    np.testing.assert_allclose(found.loss_curve_, whole.loss_curve_[:wanted], rtol=1e-12)
    assert same(found, quick(**given | {"epochs": wanted}).fit(X, Y))


def test_some_of_these_end_early():
    assert quick(epochs=150, learning_rate=0.05, tol=0.1).fit(X, Y).n_iter_ < 150


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
def test_early_stopping_restores_the_best_weights(kernels):
    given = {"epochs": 300, "learning_rate": 0.1, "hidden": (40,), "kernels": kernels}
    rows_train, rows_val = slice(0, 70), slice(70, None)
    held = {"X_val": X[rows_val], "y_val": Y[rows_val]}
    model = quick(**given, early_stopping=4).fit(X[rows_train], Y[rows_train], **held)
    curve = model.validation_loss_curve_
    best = int(np.argmin(curve))
    assert model.n_iter_ == len(curve) == best + 1 + 4 < 300
    at_best = quick(**given | {"epochs": best + 1}).fit(X[rows_train], Y[rows_train])
    assert same(model, at_best)
    logs = model.predict_log_proba(X[rows_val])
    assert -logs[np.arange(33), CODES[rows_val]].mean() == pytest.approx(min(curve))
    assert model.validation_scores_[best] == pytest.approx(model.score(X[rows_val], Y[rows_val]))
    noted = quick(**given | {"epochs": 5}).fit(X[rows_train], Y[rows_train], **held)
    np.testing.assert_allclose(noted.validation_loss_curve_, curve[:5])
    assert same(noted, quick(**given | {"epochs": 5}).fit(X[rows_train], Y[rows_train]))


def test_rows_that_are_held_out_are_of_every_class():
    counts = np.array([200] * 10 + [2, 1])
    labels = DRAW.permutation(np.repeat(np.arange(12), counts))
    seen = set()
    for seed in range(40):
        train, out = rows.held_out(labels, 12, 0.1, seed)
        assert sorted([*train, *out]) == [*range(len(labels))]
        by_class = np.bincount(labels[out], minlength=12)
        assert (by_class[:10] == 20).all()
        assert by_class[10] <= 1
        assert by_class[11] == 0
        seen.add(tuple(out.tolist()))
    assert len(seen) == 40
    few = np.repeat([0, 1, 2], [10, 2, 1])
    assert np.bincount(few[rows.held_out(few, 3, 0.9, 0)[1]], minlength=3).tolist() == [9, 1, 0]
    model = quick(early_stopping=3, validation_fraction=0.3, epochs=50).fit(X, Y)
    train, out = rows.held_out(CODES, 3, 0.3, 3)
    again = quick(early_stopping=3, epochs=50).fit(X[train], Y[train], X_val=X[out], y_val=Y[out])
    assert same(model, again)


def test_plateau_lowers_the_rate_by_the_losses_so_far(numba_kernels):
    given = {"epochs": 25, "optimizer": "sgd", "learning_rate": 2.0, "batch_size": 103}
    model = quick(**given, schedule="plateau:patience=0,factor=0.5").fit(X, Y)
    state, losses, rates = steps.start(fnnet.init((6, 9, 3), 3, scheme="glorot", dtype=np.float64), 3), [], []
    for _ in range(25):
        rates.append(2.0 * plateau_scale(losses, 0.5, 0))
        state, loss_sum, _ = fnnet.train_block(state, Examples(X, CODES), None, 103, rates[-1], kernels=numba_kernels)
        losses.append(loss_sum / 103)
    assert len({*rates}) > 1
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-12)
    assert model.coefs_[0].tobytes() == state.params[0].W.tobytes()


# Weights of rows and of classes.


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    weights = np.where(np.arange(103) % 3 == 0, 0.0, 1.0 + np.arange(103) % 4)
    there = weights > 0
    wanted = quick().fit(X[there], Y[there], weights[there])
    assert same(quick().fit(X, Y, weights), wanted)
    assert same(quick().fit(sp.csr_array(X), Y, weights), quick().fit(sp.csr_array(X[there]), Y[there], weights[there]))
    early = quick(early_stopping=3, epochs=30)
    assert same(clone(early).fit(X, Y, weights), clone(early).fit(X[there], Y[there], weights[there]))
    without = np.where(Y == "cow", 0.0, 1.0)
    assert quick().fit(X, Y, without).classes_.tolist() == ["ant", "bee"]
    first = quick().partial_fit(X, Y, np.unique(Y), sample_weight=weights)
    assert same(first, quick().partial_fit(X[there], Y[there], np.unique(Y), sample_weight=weights[there]))
    assert quick(batch_size=1).fit(X, Y, np.where(np.arange(103) < 90, 0.0, 1.0)).n_iter_ == 4


def test_weights_count_relative_to_each_other():
    weights = DRAW.random(103)
    one, five = (quick(weight_decay=0.01).fit(X, Y, scale * weights) for scale in (1, 5))
    close(one, five)
    assert same(quick().fit(X, Y, np.full(103, 3)), quick().fit(X, Y, 3))


def test_a_repeated_row_is_a_weight_of_two_in_the_full_batch():
    repeated = quick(batch_size=None, epochs=50).fit(np.concatenate([X, X[:40]]), np.concatenate([Y, Y[:40]]))
    close(quick(batch_size=None, epochs=50).fit(X, Y, np.where(np.arange(103) < 40, 2, 1)), repeated)


def test_class_weights_are_weights_of_rows():
    given = {"ant": 3.0, "cow": 0.5}
    by_row = np.array([given.get(name, 1.0) for name in Y])
    assert same(quick(class_weight=given).fit(X, Y), quick().fit(X, Y, by_row))
    own = DRAW.random(103)
    assert same(quick(class_weight=given).fit(X, Y, own), quick().fit(X, Y, own * by_row))
    assert same(quick(class_weight={"cow": 0}).partial_fit(X, Y, np.unique(Y)), quick().partial_fit(
        X[Y != "cow"], Y[Y != "cow"], np.unique(Y)))  # fmt: skip
    counts = np.bincount(CODES)
    assert same(quick(class_weight="balanced").fit(X, Y), quick().fit(X, Y, (103 / (3 * counts))[CODES]))


# Going on.


def test_a_warm_start_goes_on_where_the_last_fit_ended():
    for given in ({}, {"optimizer": "momentum"}, {"dropout": 0.2}, {"kernels": "numpy"}, {"batch_size": None}):
        whole = quick(**given, epochs=5).fit(X, Y)
        model = quick(**given, epochs=3, warm_start=True).fit(X, Y)
        assert model.set_params(epochs=2).fit(X, Y).n_iter_ == 5
        assert same(model, whole)
        assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-12)


def test_a_warm_start_has_new_patience():
    model = quick(epochs=400, learning_rate=0.05, tol=1e-3, warm_start=True).fit(X, Y)
    first = model.n_iter_
    assert first < 400
    made = [model.fit(X, Y).n_iter_ for _ in range(3)]
    assert np.diff([first, *made]).min() > 10
    early = quick(epochs=400, learning_rate=0.1, early_stopping=5, warm_start=True).fit(X, Y)
    assert early.n_iter_ < 400
    assert early.fit(X, Y).n_iter_ >= early.n_iter_ + 0
    assert len(early.validation_loss_curve_) == early.n_iter_


def test_passes_of_partial_fit_are_the_epochs_of_fit():
    for given in ({}, {"schedule": "exponential:every=2,factor=0.5"}, {"batch_size": None}, {"dropout": 0.3}):
        model = quick(**given)
        for _ in range(4):
            model.partial_fit(X, Y, np.unique(Y))
        assert same(model, quick(**given).fit(X, Y))
        assert model.n_iter_ == 4
    parts = quick().partial_fit(X[:50], Y[:50], ["cow", "bee", "ant"]).partial_fit(sp.csr_array(X[50:]), Y[50:])
    assert parts.classes_.tolist() == ["ant", "bee", "cow"]
    assert not hasattr(FNNetClassifier(optimizer="lbfgs"), "partial_fit")


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "skops"])
def test_a_copy_is_frozen_and_goes_on(how):
    model = quick(warm_start=True).fit(pd.DataFrame(X, columns=[*"abcdef"]), Y)
    if how == "skops":
        io = pytest.importorskip("skops.io", reason="needs skops: pip install skops")
        content = io.dumps(model)
        kinds = io.get_untrusted_types(data=content)
        assert kinds == ["fnnet.apps.estimator.classifier.FNNetClassifier"]
        found = io.loads(content, trusted=kinds)
    else:
        found = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    assert same(found, model)
    moments = [array for tree in found._training["trees"] for layer in tree for array in layer]
    assert moments
    assert not any(array.flags.writeable for array in (*weights_of(found), *moments))
    frame = pd.DataFrame(X, columns=[*"abcdef"])
    assert found.predict_proba(frame).tobytes() == model.predict_proba(frame).tobytes()
    assert same(found.partial_fit(frame, Y), model.partial_fit(frame, Y))
    assert not any(array.flags.writeable for array in weights_of(found))


# Sparse rows.

SPARSE = np.where(DRAW.random((103, 300)) < 0.05, DRAW.standard_normal((103, 300)), 0)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_rows_are_those_of_the_array(kind, dtype):
    x = SPARSE.astype(dtype)
    dense, sparse = quick().fit(x, Y), quick().fit(getattr(sp, f"{kind}_array")(x), Y)
    assert same(sparse, dense)
    np.testing.assert_allclose(sparse.predict_proba(getattr(sp, f"{kind}_array")(x)), dense.predict_proba(x), rtol=1e-4)
    early = {"early_stopping": 2, "epochs": 20}
    close(quick(**early).fit(getattr(sp, f"{kind}_array")(x), Y), quick(**early).fit(x, Y), 1e-4)


def test_sparse_rows_that_compiled_code_cannot_read(monkeypatch):
    wanted = quick(epochs=7).fit(SPARSE, Y)
    for given in ({}, {"batch_size": None}):
        monkeypatch.setattr(pixels, "MAX_SPARSE_INPUTS", 299)
        assert not pixels.fits(SparseRows(np.zeros(4, int), np.zeros(0, int), np.zeros(0), 300))
        close(quick(epochs=7, **given).fit(sp.csr_array(SPARSE), Y), quick(epochs=7, **given).fit(SPARSE, Y))
        monkeypatch.setattr(course, "DENSE_BYTES", 20 * 300 * 8 * 2)  # two steps at a time
        close(quick(epochs=7, **given).fit(sp.csr_array(SPARSE), Y), quick(epochs=7, **given).fit(SPARSE, Y))
    monkeypatch.undo()
    close(quick(epochs=7, kernels="numpy").fit(sp.csr_array(SPARSE), Y), wanted, 1e-8)


def test_sparse_rows_of_odd_kinds():
    x = sp.csr_array(SPARSE)
    wanted = quick().fit(x, Y)
    twice = sp.coo_array(
        (np.concatenate([x.data / 2] * 2), tuple(np.tile(each, 2) for each in x.tocoo().coords)), x.shape
    )
    unsorted = sp.csr_array((x.data.copy(), x.indices.copy(), x.indptr.copy()), x.shape)
    for row in range(103):
        part = slice(*unsorted.indptr[row : row + 2])
        unsorted.data[part], unsorted.indices[part] = (
            unsorted.data[part][::-1].copy(),
            unsorted.indices[part][::-1].copy(),
        )
    unsorted.has_sorted_indices = unsorted.has_canonical_format = False
    before = unsorted.indices.tobytes()
    wide = sp.csr_array((x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64)), x.shape)
    zeros = x.copy()
    zeros.data[::7] = 0
    for given in (twice, unsorted, wide):
        close(quick().fit(given, Y), wanted)
        np.testing.assert_allclose(wanted.predict_proba(given), wanted.predict_proba(SPARSE))
    assert unsorted.indices.tobytes() == before
    close(quick().fit(zeros, Y), quick().fit(zeros.toarray(), Y))
    empty = sp.csr_array((103, 300))
    assert len({*quick().fit(empty, Y).predict(empty).tolist()}) == 1
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(sp.csr_array(np.where(SPARSE > 2, np.nan, SPARSE)), Y)


def test_many_sparse_rows(monkeypatch):
    monkeypatch.setattr(pixels, "SORTED_ROWS", 10)
    monkeypatch.setattr(scores, "SPARSE_ROWS", 10)
    found = quick().fit(sp.csr_array(SPARSE), Y)
    assert same(found, quick().fit(SPARSE, Y))
    np.testing.assert_allclose(found.predict_proba(sp.csr_array(SPARSE)), found.predict_proba(SPARSE))
    softmax = quick(hidden=()).fit(SPARSE, Y)
    np.testing.assert_allclose(softmax.predict_proba(sp.csr_array(SPARSE)), softmax.predict_proba(SPARSE))


def test_sparse_rows_by_hand():
    x = SparseRows(np.array([0, 2, 2, 5]), np.array([0, 3, 1, 2, 3]), np.arange(1.0, 6.0), 4)
    dense = np.array([[1, 0, 0, 2], [0, 0, 0, 0], [0, 3, 4, 5.0]])
    for some in (slice(None), [2, 0], np.array([1]), slice(0, 0), np.array([], int)):
        assert x[some].tolist() == dense[some].tolist()
        assert x.taken(some)[:].tolist() == dense[some].tolist()
    assert (len(x), x.shape, x.dtype, x.density) == (3, (3, 4), np.float64, 5 / 12)


# Predictions.


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
def test_probabilities(kernels):
    model = quick(kernels=kernels, epochs=30).fit(X, Y)
    probs, logs = model.predict_proba(X), model.predict_log_proba(X)
    params = fnnet.Params(tuple(map(fnnet.Layer, model.coefs_, model.intercepts_)))
    np.testing.assert_allclose(probs, fnnet.probabilities(params, X), rtol=1e-10)
    np.testing.assert_allclose(logs, np.log(probs), rtol=1e-9)
    assert model.predict(X).tolist() == model.classes_[probs.argmax(axis=1)].tolist()
    assert model.score(X, Y) == (model.predict(X) == Y).mean() > 0.7
    far = quick(kernels=kernels, epochs=30).fit(X, Y).predict_log_proba(1000 * X)
    assert np.isfinite(far).all()
    assert far.min() < -800


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_refused(bad):
    model = quick().fit(X, Y)
    model.coefs_[0] = -np.abs(model.coefs_[0])  # so that a ReLU hides infinity
    x = X.copy()
    x[5, 2] = bad
    for predict in (model.predict, model.predict_proba, model.predict_log_proba):
        for rows_given in (x, x[5:6], np.asfortranarray(x), x.tolist()):
            with pytest.raises(ValueError, match="Input X contains"):
                predict(rows_given)


@pytest.mark.parametrize("at", [0, 999])
def test_each_thread_looks_at_its_rows(at, monkeypatch):
    monkeypatch.setattr(rows, "ADDED", 100)
    x = DRAW.standard_normal((1000, 6))
    for values in (x, np.asfortranarray(x), x[::-1]):
        assert rows.have_finite_sums(values, 3)
    for bad in (np.nan, np.inf, -np.inf):
        x[at, 5] = bad
        assert not rows.have_finite_sums(x, 3)
    x[0, 0], x[999, 0] = np.inf, -np.inf  # whose sum warns nobody
    assert not rows.have_finite_sums(x, 2)
    assert not rows.have_finite_sums(np.full((1000, 6), 1e308), 2)  # scikit-learn looks closer


def test_predictions_are_those_of_the_weights_it_has():
    model = quick().fit(X, Y)
    before = model.predict_proba(X)
    model.coefs_[0] = np.zeros_like(model.coefs_[0])
    assert (model.predict_proba(X) != before).any()
    model.fit(X, Y)
    assert model.predict_proba(X).tobytes() == before.tobytes()
    model.set_params(activation="tanh")  # of the next fit
    assert model.predict_proba(X).tobytes() == before.tobytes()


# In scikit-learn's own company.


def test_in_pipelines_and_searches():
    x, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), FNNetClassifier((16,), learning_rate=0.01, random_state=0))
    assert cross_val_score(pipeline, x, y).mean() > 0.9
    grid = {"fnnetclassifier__hidden": [(4,), (8, 4)], "fnnetclassifier__dropout": [0.0, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(x, y)
    assert search.best_score_ > 0.85
    assert (
        clone(search.best_estimator_).get_params()["fnnetclassifier__hidden"]
        == search.best_params_["fnnetclassifier__hidden"]
    )
    pipeline.set_output(transform="pandas").fit(x, y)
    assert pipeline[-1].feature_names_in_.tolist() == [f"x{number}" for number in range(4)]
    assert "FNNetClassifier" in pipeline._repr_html_()


def test_metadata_is_routed():
    weights = np.where(np.arange(103) % 2, 1.0, 0.0)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, quick().set_fit_request(sample_weight=True))
        routed = pipeline.fit(X, Y, sample_weight=weights)[-1]
        assert same(routed, quick().fit(StandardScaler().fit_transform(X), Y, weights))
        held = quick(early_stopping=2, epochs=30).set_fit_request(X_val=True, y_val=True)
        pipeline = sklearn.pipeline.Pipeline(
            [("scale", StandardScaler()), ("net", held)], transform_input=["X_val"]
        )  # fmt: skip
        fitted = pipeline.fit(X[:70], Y[:70], X_val=X[70:], y_val=Y[70:])[-1]
        scale = StandardScaler().fit(X[:70])
        wanted = quick(early_stopping=2, epochs=30)
        wanted.fit(scale.transform(X[:70]), Y[:70], X_val=scale.transform(X[70:]), y_val=Y[70:])
        assert same(fitted, wanted)


def test_random_states():
    assert same(quick(random_state=np.int64(3)).fit(X, Y), quick().fit(X, Y))
    ours, again = (quick(random_state=np.random.RandomState(0)).fit(X, Y) for _ in range(2))
    assert same(ours, again)
    state = np.random.RandomState(0)
    assert not same(quick(random_state=state).fit(X, Y), quick(random_state=state).fit(X, Y))
    assert not same(*(quick(random_state=None).fit(X, Y) for _ in range(2)))
    assert quick(random_state=2**64 - 1).fit(X, Y)._training["seed"] == 2**64 - 1


def test_it_learns_as_well_as_mlp_classifier():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = x / 16
    given = {"random_state": 0, "batch_size": 100}
    ours = FNNetClassifier((32,), epochs=40, **given).fit(x[:1200], y[:1200])
    theirs = MLPClassifier((32,), max_iter=40, alpha=0, tol=0, n_iter_no_change=99, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(x[:1200], y[:1200])
    assert ours.score(x[1200:], y[1200:]) > theirs.score(x[1200:], y[1200:]) - 0.03
    assert ours.classes_.dtype == y.dtype


@pytest.mark.parametrize("labels", [
    np.array([5, -3, 5, -3] * 5, "i1"), np.array([10**15, 7] * 10), np.array([2**63 + 5, 1] * 10, np.uint64),
    np.array([True, False] * 10), np.array([1.0, 2.0] * 10), np.array(["b", "a"] * 10, object), ["b", "a"] * 10,
    pd.Series(["b", "a"] * 10, dtype="category"), np.array([2, 300] * 10, "u2"),
])  # fmt: skip
def test_labels_of_any_kind(labels):
    x = DRAW.standard_normal((20, 3)) + 5 * (np.asarray(labels) == np.asarray(labels)[0])[:, None]
    model = quick(epochs=200, tol=1e-5, n_iter_no_change=50).fit(x, labels)
    assert model.classes_.tolist() == np.unique(labels).tolist()
    assert model.classes_.dtype == np.unique(np.asarray(labels)).dtype
    assert model.predict(x).tolist() == np.asarray(labels).tolist()


# What does not fit.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": (0,)}, "hidden: layer size out of range"),
        ({"hidden": "9"}, "hidden: not sizes of layers; expected a size, or one for each hidden layer, found '9'"),
        ({"activation": "rely"}, "activation: unknown activation"),
        ({"optimizer": "adan"}, "optimizer: unknown optimizer"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"schedule": "cosin"}, "schedule"),
        ({"batch_size": 0}, "batch_size"),
        ({"epochs": 0}, "epochs: out of range; expected an integer >= 1, found 0"),
        ({"epochs": 2.5}, "epochs"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": (0.1, 0.2)}, "dropout"),
        ({"hidden": (), "dropout": 0.1}, "dropout: has no effect without hidden layers"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"early_stopping": 0}, "early_stopping"),
        ({"validation_fraction": 2.0}, "validation_fraction"),
        ({"early_stopping": 2, "validation_fraction": 0}, "validation_fraction: out of range"),
        ({"early_stopping": 2, "validation_fraction": 1.0}, "validation_fraction"),
        ({"tol": -1.0}, "tol"),
        ({"n_iter_no_change": 0}, "n_iter_no_change"),
        ({"class_weight": "even"}, "class_weight: not weights"),
        (
            {"class_weight": {"dog": 1}},
            "class_weight: weight for an unknown class; expected ant, bee, cow, found 'dog'",
        ),
        ({"class_weight": {"ant": -1}}, "class_weight: weight of class ant"),
        ({"dtype": "int8"}, "dtype: unsupported dtype; expected float32 or float64, found 'int8'"),
        ({"threads": 0}, "threads"),
        ({"initialiser": "xavier"}, "initialiser: unknown initialiser"),
        ({"kernels": "cuda"}, "kernels: unknown kernels; expected numpy or numba, found 'cuda'"),
        ({"random_state": -1}, "random_state"),
        ({"optimizer": "lbfgs", "early_stopping": 3}, "early_stopping: not with lbfgs"),
        ({"optimizer": "lbfgs", "dropout": 0.1}, "dropout: not with lbfgs"),
    ],
)
def test_parameters_that_do_not_fit_are_one_line(given, message):
    with pytest.raises(ValueError, match=message) as info:
        quick(**given).fit(X, Y)
    assert isinstance(info.value, UsageError)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("given", [True, False])
def test_early_stopping_is_a_number_of_epochs(given):
    """Not the flag that MLPClassifier has by this name."""
    with pytest.raises(ArgumentTypeError, match=rf"early_stopping: is a number of epochs; .* found {given}; 10 is"):
        quick(early_stopping=given).fit(X, Y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": ["ant"] * 103}, "y: the labels are of one class; expected at least 2 classes, found one class: ant"),
        ({"sample_weight": np.zeros(103)}, "sample_weight: all weights are zero"),
        ({"sample_weight": -np.ones(103)}, "sample_weight: negative weight; expected weights >= 0, found -1 in row 0"),
        ({"sample_weight": np.ones(5)}, r"sample_weight: does not fit X; expected shape \(103,\), found \(5,\)"),
        ({"X_val": X}, "y_val: missing; expected X_val and y_val, found X_val alone"),
        ({"y_val": Y}, "X_val: missing; expected X_val and y_val, found y_val alone"),
        (
            {"X_val": X, "y_val": ["dog"] * 103},
            "y_val: label of an unknown class; expected classes ant, bee, cow, found dog",
        ),
    ],
)
def test_rows_that_do_not_fit_are_one_line(arguments, message):
    with pytest.raises(UsageError, match=message) as info:
        quick().fit(**{"X": X, "y": Y} | arguments)
    assert "\n" not in str(info.value)


HOLES = np.where((np.arange(103) == 5)[:, None] & (np.arange(300) == 7), np.nan, SPARSE)
COLOURS = pd.DataFrame({"size": np.arange(103.0), "code": ["1.5"] * 103, "colour": ["red"] * 103})
FILL = "expected finite numbers; fill in what is missing, as SimpleImputer does"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (sp.csr_array(HOLES), f"row 5, column 7: Input X contains NaN; {FILL}"),
        (sp.csc_array(HOLES), f"row 5, column 7: Input X contains NaN; {FILL}"),
        (HOLES, f"row 5, column 7: Input X contains NaN; {FILL}"),
        (pd.DataFrame({"age": HOLES[:, 7]}), f"row 5, column 'age': Input X contains NaN; {FILL}"),
        (pd.DataFrame({"age": [None, *range(102)]}, dtype=object), "row 0, column 'age': Input X contains NaN"),
        (pd.DataFrame({"age": [pd.NA, *range(102)]}, dtype="Int64"), "Input X contains NaN"),
        (np.where(np.isnan(HOLES), np.inf, HOLES), "row 5, column 7: Input X contains infinity or a value too large"),
        (COLOURS, "X: row 0, column 'colour': text; expected numbers, found 'red'; make it numbers, as OneHotEncoder"),
        (COLOURS.to_numpy().tolist(), "X: row 0, column 2: text; expected numbers, found 'red'"),
    ],
)  # fmt: skip
def test_rows_that_are_not_numbers_are_one_line(x, message):
    with pytest.raises(ValueError, match=re.escape(message)) as info:
        quick().fit(x, Y)
    assert isinstance(info.value, UsageError)
    assert "\n" not in str(info.value)


def test_rows_to_predict_and_to_validate_with_are_named():
    model = quick().fit(SPARSE, Y)
    for x in (HOLES, sp.csr_array(HOLES)):
        with pytest.raises(UsageError, match="row 5, column 7: Input X contains NaN"):
            model.predict(x)
        with pytest.raises(UsageError, match="row 5, column 7: Input X_val contains NaN"):
            quick().fit(SPARSE, Y, X_val=x, y_val=Y)
    with pytest.raises(ValueError, match="could not convert string"):
        quick().fit(["red", "blue"], ["a", "b"])
    too_large = pytest.raises(UsageError, match="contains infinity or a value too large for dtype")
    with np.errstate(over="ignore", invalid="ignore"), too_large as info:
        quick(dtype="float32").fit(1e300 * X, Y)
    assert info.value.place == ""


def test_what_cannot_go_on():
    model = quick(warm_start=True).fit(X, Y)
    with pytest.raises(UsageError, match="y: other classes with warm_start"):
        model.fit(X, np.where(Y == "ant", "dog", Y))
    with pytest.raises(UsageError, match=r"hidden: other layers than before; expected \(9,\), found \(8,\)"):
        model.set_params(hidden=(8,)).fit(X, Y)
    with pytest.raises(ValueError, match="5 features"):
        quick(warm_start=True).fit(X, Y).fit(X[:, :5], Y)
    for call, message in (
        (lambda: quick().partial_fit(X, Y), "classes: missing at the first call of partial_fit"),
        (lambda: quick().fit(X, Y).partial_fit(X, Y, ["ant", "bee"]), "classes: other classes than before"),
        (lambda: quick().partial_fit(X, Y, ["ant", "bee"]), "y: label of an unknown class"),
        (lambda: quick(early_stopping=3).partial_fit(X, Y, np.unique(Y)), "early_stopping: not with partial_fit"),
        (lambda: quick(class_weight="balanced").partial_fit(X, Y, np.unique(Y)), "class_weight: not with partial_fit"),
        (lambda: quick(early_stopping=3).fit(X[:3], ["a", "b", "c"]), "validation_fraction: no row can be held out"),
    ):
        with pytest.raises(UsageError, match=message):
            call()


def test_a_training_that_diverges_says_so():
    with pytest.raises(fnnet.FnnetError, match="training diverged"):
        quick(optimizer="sgd", learning_rate=1e30, epochs=20).fit(1e30 * X, Y)


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import fnnet
try:
    fnnet.FNNetClassifier
except fnnet.FnnetError as error:
    print(error)
print(fnnet.init((4, 2)))
"""


def test_without_scikit_learn_one_line_names_the_extra():
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("the classifier needs scikit-learn; expected fnnet[sklearn], found ")
    assert first.endswith("pip install 'fnnet[sklearn]'")
    assert second.startswith("Params(4-2")


def test_lbfgs():
    model = FNNetClassifier((5,), optimizer="lbfgs", epochs=200, random_state=0).fit(X, Y)
    assert model.loss_ < 0.15
    assert model.n_iter_ == len(model.loss_curve_)
    close(FNNetClassifier((5,), optimizer="lbfgs", epochs=3, random_state=0).fit(sp.csr_array(X), Y), FNNetClassifier(
        (5,), optimizer="lbfgs", epochs=3, random_state=0).fit(X, Y))  # fmt: skip
    held = FNNetClassifier((5,), optimizer="lbfgs", epochs=3).fit(X, Y, X_val=X, y_val=Y)
    assert len(held.validation_loss_curve_) == 1
    tolerance.assert_bitwise(held.predict_proba(X).argmax(axis=1), np.searchsorted(held.classes_, held.predict(X)))
