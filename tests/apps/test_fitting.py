"""Training in one call: what is given as data, what is passed on, and how a callback ends it."""

import numpy as np
import pandas as pd
import pytest

import fnnet
from fnnet import data
from fnnet.core.params import weights_sha256
from fnnet.core.state import EpochReport, Examples
from fnnet.data.convert import convert
from fnnet.data.stream import fingerprint_of
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError
from fnnet.training import session
from fnnet.training.advice import NAMES
from fnnet.training.dev_set import with_test_set

SETTINGS = {"hidden": (9,), "epochs": 4, "batch_size": 7, "optimizer": "adam", "learning_rate": 0.01, "dropout": 0.2}


@pytest.fixture
def images(small_images):
    x, labels = small_images
    return x, labels.astype(np.int64)


def digest(model):
    return weights_sha256(model.params)


def figures(history):
    return [report._replace(seconds=0.0) for report in history]


def test_it_is_the_session_s_training(images, kernels):
    dataset = data.from_arrays(*images)
    given = {"class_weights": "3=2", "seed": 3, "init_seed": 5}
    job = session.prepare(with_test_set(dataset), "classic", SETTINGS | {"dev": 9}, **given)
    model, reports = session.train(job, kernels=kernels)
    for source in (dataset, images):
        found = fnnet.fit(source, **given, dev=9, kernels=kernels, **SETTINGS)
        assert type(found) is fnnet.Fitted
        assert digest(found.model) == digest(model)
        assert figures(found.history) == figures(reports)
        assert found.model.training == model.training
    again, history = fnnet.fit(images, "classic", **given, dev=9, kernels=kernels, **SETTINGS)
    assert (digest(again), len(history)) == (digest(model), 4)


def test_the_same_rows_in_any_form_are_the_same_data(images, tmp_path):
    x, labels = images
    flat = x.reshape(len(x), -1)
    wanted = fnnet.fit(images, dev=0, **SETTINGS)
    frame = pd.DataFrame({"label": labels} | {f"pixel{at}": flat[:, at] for at in range(784)})
    convert(data.from_arrays(*images), tmp_path / "some.npz", "npz")
    ways = [
        (flat, labels.tolist()), (x, pd.Series(labels)), Examples(flat, labels), frame, tmp_path / "some.npz",
        str(tmp_path / "some.npz"), data.load(str(tmp_path / "some.npz")),
    ]  # fmt: skip
    for given in ways:
        found = fnnet.fit(given, dev=0, **SETTINGS)
        assert digest(found.model) == digest(wanted.model), type(given)
        assert found.model.classes == wanted.model.classes == tuple("0123456789")
        assert found.model.image_shape == (28, 28)


def test_names_and_numbers_that_are_no_places(images):
    x, labels = images
    names = np.array([f"k{10 - number}" for number in range(10)])
    model, _ = fnnet.fit((x, names[labels]), dev=0, **SETTINGS)
    assert model.classes == tuple(f"k{number}" for number in range(1, 11))  # in natural order
    assert set(fnnet.predict(model, x).tolist()) <= {*names.tolist()}
    model, _ = fnnet.fit((x, labels * 10 - 5), dev=0, **SETTINGS)
    assert model.classes == tuple(str(number) for number in range(-5, 95, 10))
    found = fnnet.evaluate(model, (x, labels * 10 - 5))
    assert found.accuracy == (fnnet.predict(model, x) == (labels * 10 - 5).astype(str)).mean()


def test_floats_are_taken_as_they_are():
    x = np.random.default_rng(0).standard_normal((90, 3))
    labels = (x[:, 0] > 0).astype(int)
    model, _ = fnnet.fit(
        (x, labels), dev=0, hidden=(8,), epochs=30, batch_size=10, optimizer="adam", learning_rate=0.01
    )
    assert model.image_shape == (1, 3)
    assert fnnet.evaluate(model, (x, labels)).accuracy > 0.95
    assert model.params[0].W.dtype == np.float32


def test_images_for_validation(images, tmp_path):
    x, labels = images
    names = np.array(list("abcdefghij"))
    train, dev = (x[:40], names[labels[:40]]), (x[40:], names[labels[40:]])
    wanted = fnnet.fit(train, dev_data=dev, **SETTINGS)
    assert all(report.dev_loss is not None for report in wanted.history)
    found = fnnet.evaluate(wanted.model, dev)
    assert found.loss == pytest.approx(wanted.history[-1].dev_loss)
    places = Examples(x[40:].reshape(len(x) - 40, -1), labels[40:])
    assert figures(fnnet.fit(train, dev_data=places, **SETTINGS).history) == figures(wanted.history)
    convert(data.from_arrays(*dev, classes=[*names]), tmp_path / "dev.npz", "npz")
    assert figures(fnnet.fit(train, dev_data=tmp_path / "dev.npz", **SETTINGS).history) == figures(wanted.history)
    early = fnnet.fit(train, dev_data=dev, **SETTINGS | {"epochs": 100, "learning_rate": 0.5}, early_stopping=2)
    assert len(early.history) < 100


def test_without_a_test_set_the_share_of_the_command_line_is_held_out(images, tmp_path):
    noted = []
    found = fnnet.fit(images, dev=0, notify=noted.append, **SETTINGS)
    about = found.model.training
    assert (about["images"], about["test"]["images"], about["test"]["held_out"]) == (50, 10, True)
    (note,) = [each for each in noted if each.code not in NAMES]
    assert note.code == "held-out"
    assert note.endswith("held out to test on; test_data names others, or none to train on all")
    share = with_test_set(data.from_arrays(*images)).test
    assert (fnnet.predict(found.model, share.x) == share.labels.astype(str)).mean() == about["test_accuracy"]
    assert about["test"]["sha256"] == fingerprint_of(share)
    # Of the data themselves, evaluate measures the share; of arrays, all that are given.
    convert(data.from_arrays(*images), tmp_path / "some.npz", "npz")
    frame = pd.DataFrame({"label": images[1]} | {f"pixel{at}": images[0].reshape(60, -1)[:, at] for at in range(784)})
    for given in (data.from_arrays(*images), tmp_path / "some.npz", frame):
        again = fnnet.evaluate(found.model, given)
        assert (again.images, again.accuracy) == (10, about["test_accuracy"])
    assert fnnet.evaluate(found.model, images).images == 60
    others = data.from_arrays(images[0] // 2, images[1])
    assert fnnet.evaluate(found.model, others).images == 60


def test_images_to_test_on(images, tmp_path):
    x, labels = images
    names = np.array(list("abcdefghij"))
    train, test = (x[:40], names[labels[:40]]), (x[40:], names[labels[40:]])
    convert(data.from_arrays(*test, classes=[*names]), tmp_path / "test.npz", "npz")
    for given in (test, Examples(x[40:].reshape(20, -1), labels[40:]), tmp_path / "test.npz"):
        about = fnnet.fit(train, dev=0, test_data=given, **SETTINGS).model.training
        assert (about["images"], about["test"]["images"]) == (40, 20)
        assert about["test_accuracy"] is not None
    noted = []
    about = fnnet.fit(train, dev=0, test_data="none", notify=noted.append, **SETTINGS).model.training
    assert (about["images"], about["test"], noted) == (40, None, [])
    with pytest.raises(UsageError, match="test_data: tests on what is trained on"):
        fnnet.fit(train, dev=0, test_data=train, **SETTINGS)


def test_it_starts_from_a_model(images):
    x, labels = images
    start, _ = fnnet.fit(images, dev=0, **SETTINGS)
    noted = []
    few = labels < 4
    further, _ = fnnet.fit((x[few], labels[few]), start=start, dev=0, epochs=1, notify=noted.append)
    assert further.classes == tuple("0123")
    assert any("outputs kept of classes 0, 1, 2, 3" in note for note in noted)
    further, _ = fnnet.fit(Examples(x[few].reshape(-1, 784), labels[few]), start=start, dev=0, epochs=1)
    assert further.classes == tuple("0123456789")


# Callbacks.


def test_reports_are_passed_on_as_they_are_made(images, kernels):
    seen, blocks = [], []
    found = fnnet.fit(images, dev=9, on_report=seen.append, on_block=blocks.append, kernels=kernels, **SETTINGS)
    assert tuple(seen) == found.history
    assert all(type(report) is EpochReport for report in seen)
    assert [progress.epoch for progress in blocks][-1] == 4
    assert digest(found.model) == digest(fnnet.fit(images, dev=9, kernels=kernels, **SETTINGS).model)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": 50}, {"ema": 0.9}, {"batch_size": None}])
def test_a_text_ends_the_training_with_what_it_had_reached(images, kernels, settings):
    settings = SETTINGS | {"schedule": "constant"} | settings
    stopped = fnnet.fit(
        images, dev=9, kernels=kernels, on_report=lambda report: "enough" * (report.epoch == 2), **settings
    )
    wanted = fnnet.fit(images, dev=9, kernels=kernels, **settings | {"epochs": 2})
    assert figures(stopped.history) == figures(wanted.history)
    assert digest(stopped.model) == digest(wanted.model)
    assert stopped.model.training["steps"] == wanted.model.training["steps"]


def test_a_text_of_the_last_report_changes_nothing(images, tmp_path):
    run = tmp_path / "run"
    found = fnnet.fit(images, dev=9, run_dir=run, on_report=lambda report: "enough" * (report.epoch == 4), **SETTINGS)
    assert len(found.history) == 4
    again = fnnet.fit(images, dev=9, run_dir=run, resume=True, **SETTINGS)
    assert digest(again.model) == digest(found.model)


def test_a_run_that_a_report_stopped_goes_on(images, kernels, tmp_path):
    run = tmp_path / "run"
    given = {"dev": 9, "kernels": kernels, "run_dir": run, **SETTINGS}
    stopped = fnnet.fit(images, on_report=lambda report: "enough" * (report.epoch == 2), **given)
    assert len(stopped.history) == 2
    seen = []
    resumed = fnnet.fit(images, resume=True, on_report=seen.append, **given)
    assert [report.epoch for report in seen] == [3, 4]
    assert digest(resumed.model) == digest(fnnet.fit(images, **given | {"run_dir": None}).model)


def test_a_block_ends_the_training_too(images, kernels):
    found = fnnet.fit(
        images, dev=9, kernels=kernels, on_block=lambda progress: "enough" * (progress.epoch == 3), **SETTINGS
    )
    assert len(found.history) == 2
    assert found.model.training["steps"] > 0


def test_an_error_of_a_callback_is_passed_on(images):
    def fail(report):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fnnet.fit(images, dev=9, on_report=fail, **SETTINGS)


def test_lbfgs_reports_at_its_end(images):
    seen = []
    found = fnnet.fit(
        images, dev=0, hidden=(9,), optimizer="lbfgs", epochs=5, on_report=lambda each: seen.append(each) or "x"
    )
    assert tuple(seen) == found.history
    assert len(seen) == 5


def test_a_committee(images):
    seen = []
    found = fnnet.fit(images, dev=9, members=2, on_report=seen.append, **SETTINGS)
    assert tuple(seen) == found.history
    assert [report.epoch for report in seen] == [1, 2, 3, 4] * 2
    with pytest.raises(session.StoppedError, match=r"member 1 of 2, step \d+: enough"):
        fnnet.fit(images, dev=9, members=2, on_report=lambda report: "enough", **SETTINGS)


def test_without_a_path_it_is_pure(images, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    x, labels = (each.copy() for each in images)
    first, second = (fnnet.fit((x, labels), dev=9, **SETTINGS) for _ in range(2))
    assert digest(first.model) == digest(second.model)
    assert x.tobytes() == images[0].tobytes()
    assert x.flags.writeable
    assert labels.flags.writeable
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (None, {}, "data: not a data set; expected a name, a path, a Dataset, a frame, .* found NoneType"),
        ("nowhere", {}, "data: no such data set; expected auto, mnist, digits or a path that exists, found 'nowhere'"),
        ((np.eye(4), [1, 1, 1, 1]), {}, "data: labels; expected 2 to .* classes, found 1 value"),
        ((np.eye(4), [0, 1, 0]), {}, r"data: labels do not fit x; expected shape \(4,\), found \(3,\)"),
        ((np.eye(4, dtype=int), [0, 1, 0, 1]), {}, "data: x has no usable dtype; .* found int64"),
        ((np.eye(4), ["a", None, "a", "b"]), {}, "data: row 1: label is not a name; expected text, found None"),
        ("digits", {"epoch": 3}, "epoch: unknown setting; expected a field of a plan or a recipe, found 'epoch'"),
        ("digits", {"epochs": -1}, "epochs"),
        ("digits", {"recipe": "clasic"}, "recipe: unknown recipe"),
        ("digits", {"dev_data": 5}, "dev_data: not labelled images; .* found int"),
        ("digits", {"test_data": 5}, "test_data: not labelled images; .* found int"),
        ("digits", {"test_data": "nowhere"}, "test_data: no such data set"),
        ("digits", {"dev_data": (np.zeros((3, 784)), [0, 1, 10])}, "dev_data: row 2: label of no class"),
        ("digits", {"class_weights": "x=1"}, "class_weights"),
        ("digits", {"resume": True}, "needs the folder of the run"),
        ("digits", {"start": 3}, "start"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(given, settings, message):
    with pytest.raises(FnnetError, match=message) as info:
        fnnet.fit(given, **settings)
    assert isinstance(info.value, (UsageError, ArgumentTypeError, FnnetError))
    assert "\n" not in str(info.value)
