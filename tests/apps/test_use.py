"""A model in use: names of classes, probabilities, figures, of arrays and of files."""

import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core import metrics
from fnnet.core.state import Examples, Preprocessing
from fnnet.data.convert import convert
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, UsageError

CLASSES = ("ant", "bee", "cow")
PARAMS = fnnet.init((12, 5, 3), 1, scheme="notebook")
MODEL = fnnet.Model(PARAMS, "tanh", CLASSES, (3, 4))
DRAW = np.random.default_rng(0)
X, LABELS = DRAW.standard_normal((60, 12)), np.arange(60) % 3
NUMBERS = fnnet.predict(PARAMS, X, activation="tanh")


def test_a_model_gives_names_and_params_numbers(kernels):
    assert len({*NUMBERS.tolist()}) == 3
    names = fnnet.predict(MODEL, X, kernels=kernels)
    assert names.tolist() == [CLASSES[number] for number in NUMBERS]
    assert NUMBERS.dtype == np.int64
    assert not names.flags.writeable
    assert fnnet.predictor(MODEL, kernels=kernels)(X).tolist() == names.tolist()
    assert fnnet.predictor(MODEL, kernels=kernels)(X[:1]).tolist() == names[:1].tolist()
    committee = fnnet.Committee((PARAMS, fnnet.init((12, 5, 3), 2, scheme="notebook")))
    numbers = fnnet.predict(committee, X, activation="tanh", kernels=kernels)
    assert fnnet.predict(MODEL._replace(params=committee), X, kernels=kernels).tolist() == [CLASSES[n] for n in numbers]
    assert fnnet.predictor(MODEL._replace(params=committee))(X).tolist() == [CLASSES[number] for number in numbers]


def test_a_model_with_too_few_names_is_refused():
    few = MODEL._replace(classes=("ant", "bee"))
    for call in (fnnet.predict, lambda model, x: fnnet.predictor(model)(x)):
        with pytest.raises(UsageError, match="classes of the model; expected a name for each of 3 outputs, found 2"):
            call(few, X)
    assert fnnet.predict(MODEL._replace(classes=tuple("abcdefg")), X).tolist() == ["abc"[number] for number in NUMBERS]


def test_probabilities_are_the_softmax_of_the_scores(kernels):
    found = fnnet.probabilities(MODEL, X, kernels=kernels)
    np.testing.assert_allclose(found, fnnet.forward(PARAMS, X, activation="tanh").probs, rtol=1e-5)
    assert found.argmax(axis=1).tolist() == NUMBERS.tolist()
    assert not found.flags.writeable
    committee = fnnet.Committee((PARAMS, PARAMS))
    np.testing.assert_allclose(fnnet.probabilities(committee, X, activation="tanh", kernels=kernels), found, rtol=1e-5)
    np.testing.assert_allclose(fnnet.probabilities(PARAMS, X, activation="tanh", kernels=kernels), found, rtol=1e-5)
    with pytest.raises(UsageError, match="scores are not numbers; expected finite numbers"):
        fnnet.probabilities(fnnet.init((12, 3)).layers and fnnet.Params((fnnet.Layer(
            np.full((12, 3), np.inf, np.float32), np.zeros(3, np.float32)),)), np.ones((2, 12)))  # fmt: skip


def test_images_of_height_and_width_are_rows():
    images = X.reshape(60, 3, 4)
    assert fnnet.predict(MODEL, images).tolist() == fnnet.predict(MODEL, X).tolist()
    assert fnnet.probabilities(MODEL, images).tobytes() == fnnet.probabilities(MODEL, X).tobytes()
    for wrong in (X.reshape(60, 4, 3), X.reshape(60, 1, 12), X.reshape(60, 3, 4, 1)):
        with pytest.raises(UsageError, match=r"x\.reshape\(len\(x\), -1\)"):
            fnnet.predict(MODEL, wrong)
    with pytest.raises(UsageError, match=r"x\.reshape\(len\(x\), -1\)"):
        fnnet.predict(PARAMS, images)


@pytest.fixture
def digits_model(small_images):
    x, labels = small_images
    settings = {"hidden": (30,), "epochs": 30, "batch_size": 10, "optimizer": "adam", "learning_rate": 0.01}
    found = fnnet.fit((x, labels), dev=0, test_data="none", **settings)
    return found.model


def test_files_are_read_as_those_of_training(digits_model, small_images, tmp_path):
    x, _ = small_images
    model = digits_model._replace(preprocessing=Preprocessing(paper=255, ink=0))
    paths = []
    for number in range(3):
        Image.fromarray(255 - x[number]).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    wanted = fnnet.predict(digits_model, x[:3]).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fnnet.predict(model, paths).tolist() == wanted
        assert fnnet.predict(model, [str(paths[0])]).tolist() == wanted[:1]
        assert fnnet.predict(model, str(paths[2])).tolist() == wanted[2:]
        assert fnnet.probabilities(model, paths[1]).tobytes() == fnnet.probabilities(digits_model, x[1:2]).tobytes()
    Image.fromarray(x[0]).save(tmp_path / "light.png")
    with pytest.warns(UserWarning, match=r"light\.png: .*look"):
        fnnet.predict(model, tmp_path / "light.png")
    np.save(tmp_path / "many.npy", x[:9])
    assert fnnet.predict(digits_model, tmp_path / "many.npy").tolist() == fnnet.predict(digits_model, x[:9]).tolist()


def test_files_that_cannot_be_read(digits_model, tmp_path):
    for bad in (tmp_path / "missing.png", tmp_path, [tmp_path / "missing.png"]):
        with pytest.raises(FnnetError, match=str(tmp_path)) as info:
            fnnet.predict(digits_model, bad)
        assert "\n" not in str(info.value)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png"):
        fnnet.predict(digits_model, tmp_path / "text.png")
    for given in ("a.png", ["a.png"]):
        with pytest.raises(ArgumentTypeError, match="x has no usable dtype"):
            fnnet.predict(digits_model.params, given)


# Figures.


def wanted(x, labels):
    found = metrics.evaluate(MODEL, x, labels)
    return found.loss, found.accuracy, metrics.confusion(found.predicted, labels, 3).tolist()


def figures(found):
    assert type(found) is fnnet.Evaluated
    assert not found.confusion.flags.writeable
    return found.loss, found.accuracy, found.confusion.tolist()


def test_figures_of_arrays_by_names_places_and_examples(kernels):
    names, places = np.array(CLASSES)[LABELS], wanted(X, LABELS)
    assert 0 < places[1] < 1
    for given in ((X, names), (X, names.tolist()), (X, names.astype(object)), (X, pd.Series(names)), (X, LABELS),
                  (X.reshape(60, 3, 4), LABELS), Examples(X, LABELS)):  # fmt: skip
        assert figures(fnnet.evaluate(MODEL, given)) == places
    found = fnnet.evaluate(MODEL, (X, LABELS), kernels=kernels)
    assert found.loss == pytest.approx(places[0], rel=1e-5)
    assert (found.images, found.classes, [*found.per_class]) == (60, CLASSES, [*CLASSES])
    assert found.per_class["cow"] == metrics.per_class(found.confusion)[2]


def test_labels_that_are_numbers_are_names_where_all_names_are(kernels):
    model = MODEL._replace(classes=("3", "1", "-2"))
    by_name = np.array([3, 1, -2])[LABELS]
    assert figures(fnnet.evaluate(model, (X, by_name))) == wanted(X, LABELS)
    assert figures(fnnet.evaluate(model, Examples(X, LABELS))) == wanted(X, LABELS)
    with pytest.raises(UsageError, match="data: row 0: label of no class; expected 3, 1, -2, found 0"):
        fnnet.evaluate(model, (X, LABELS))


def test_figures_of_data_sets_names_frames_and_files(digits_model, small_images, tmp_path):
    x, labels = small_images
    found = fnnet.evaluate(digits_model, (x, labels))
    assert found.accuracy > 0.9
    whole = data.from_arrays(x, labels)
    assert figures(fnnet.evaluate(digits_model, whole)) == figures(found)
    tested = whole._replace(test=Examples(whole.train.x[:20], whole.train.labels[:20]))
    assert fnnet.evaluate(digits_model, tested).images == 20
    convert(whole, tmp_path / "some.npz", "npz")
    assert figures(fnnet.evaluate(digits_model, tmp_path / "some.npz")) == figures(found)
    columns = {f"pixel{at}": x.reshape(len(x), -1)[:, at] for at in range(784)}
    frame = pd.DataFrame({"label": labels} | columns)
    assert figures(fnnet.evaluate(digits_model, frame)) == figures(found)
    assert fnnet.evaluate(digits_model, "digits").images == 360


def test_figures_of_a_stream(digits_model, small_images, tmp_path):
    from fnnet.data.expand import expand

    whole = data.from_arrays(*small_images)
    expand(whole, tmp_path / "stream", times=2, deformation=None)
    found = fnnet.evaluate(digits_model, tmp_path / "stream")
    assert found.images == 2 * len(whole.train.labels)
    assert found.accuracy == fnnet.evaluate(digits_model, whole).accuracy


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X, "data: not a data set; expected a name, a path, .* found ndarray"),
        (None, "data: not a data set; .* found NoneType"),
        ((X, LABELS, LABELS), "data: not a data set; .* found tuple"),
        ("nowhere", "data: no such data set; .* found 'nowhere'"),
        ((X, LABELS[:5]), r"data: labels do not fit x; expected shape \(60,\), found \(5,\)"),
        ((X[:, :5], LABELS), r"data: x does not fit; expected \(n, 12\) or \(n, 3, 4\), found \(60, 5\)"),
        ((X, ["dog"] * 60), "data: row 0: label of no class; expected ant, bee, cow, found 'dog'"),
        ((X, LABELS + 1.5), "data: labels are neither numbers nor names; .* found float64"),
        ("digits", "data: does not fit the model; expected 3x4 pixels, 3 classes: ant, bee, cow, found 28x28 pixels"),
    ],
)  # fmt: skip
def test_data_that_do_not_fit_are_one_line(given, message):
    with pytest.raises(FnnetError, match=message) as info:
        fnnet.evaluate(MODEL, given)
    assert "\n" not in str(info.value)


def test_only_a_model_is_measured():
    with pytest.raises(ArgumentTypeError, match="model: not a model; expected a Model, found Params"):
        fnnet.evaluate(PARAMS, (X, LABELS))


def test_nothing_of_it_changes_arguments():
    x, labels = X.copy(), LABELS.copy()
    fnnet.evaluate(MODEL, (x, labels))
    fnnet.predict(MODEL, x)
    assert x.flags.writeable
    assert labels.flags.writeable
    assert x.tobytes() == X.tobytes()


def test_one_number_is_no_rows(digits_model):
    with pytest.raises(UsageError, match=r"x does not fit the network; expected shape \(n, \d+\), found \(\)$"):
        fnnet.predict(digits_model, 3)


def test_a_series_is_not_rows_of_a_table():
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5, 3.5], "b": [1.0, 2.0, 4.0, 3.0], "kind": ["x", "y", "x", "y"]})
    model, _ = fnnet.fit(frame, epochs=1)
    assert len(fnnet.predict(model, frame.iloc[[0]])) == 1
    with pytest.raises(
        ArgumentTypeError, match=r"x: not rows of a table; expected a frame, found a series; .*iloc\[\[0\]\]"
    ):
        fnnet.predict(model, frame.iloc[0])
