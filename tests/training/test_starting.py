"""Trained further from a model: what is kept of it by the names of classes, what is drawn, what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet.core.params import weights_sha256
from fnnet.core.state import Examples, Preprocessing
from fnnet.data import Dataset
from fnnet.errors import ModelError, UsageError
from fnnet.files.model import load_model, save_model
from fnnet.files.runs import OtherRunError
from fnnet.training import epochs
from fnnet.training.rate_search import find_learning_rate
from fnnet.training.session import StoppedError, prepare, train
from fnnet.training.starting import first_params, note_of_start, start_of

SETTINGS = {"batch_size": 9, "epochs": 3, "learning_rate": 0.05, "optimizer": "adam"}
NAMES = tuple("abcdef")
PLAIN = Preprocessing()


def dataset(classes=("a", "b", "c"), shape=(4, 4), preprocessing=PLAIN):
    rng = np.random.default_rng(len(classes))
    n, (height, width) = 50, shape
    x, labels = rng.integers(0, 256, (n, height * width), np.uint8), np.arange(n) % len(classes)
    return Dataset("small", "here", Examples(x, labels), None, classes, shape, preprocessing)


def model(classes=("a", "b", "c"), hidden=(6, 5), activation="tanh", dtype=np.float32, preprocessing=PLAIN):
    params = fnnet.init((16, *hidden, len(classes)), 9, scheme="notebook", dtype=dtype)  # no bias is 0
    return fnnet.Model(params, activation, classes, (4, 4), preprocessing)


@settings(max_examples=60, deadline=None)
@given(st.permutations(NAMES), st.permutations(NAMES), st.integers(2, 6), st.integers(2, 6), st.integers(0, 2))
def test_outputs_are_kept_by_the_names_of_their_classes(mine, theirs, few, more, layers):
    """Whatever the two have in common, in any order: what an output is for stays, all else is a new network's."""
    known, wanted = tuple(mine[:few]), tuple(theirs[:more])
    old = model(known, (6, 5)[:layers])
    job = prepare(dataset(wanted), "classic", SETTINGS, seed=3, start=old)
    assert job.sizes == (16, *(6, 5)[:layers], len(wanted))
    assert job.plan.activation == "tanh"
    first, new = first_params(job), fnnet.init(job.sizes, 3)
    for found, same in zip(first.layers[:-1], old.params.layers[:-1], strict=True):
        assert found.W.tobytes() == same.W.tobytes()
        assert found.b.tobytes() == same.b.tobytes()
    for number, name in enumerate(wanted):
        source, at = (old.params, known.index(name)) if name in known else (new, number)
        assert first.layers[-1].W[:, number].tobytes() == source.layers[-1].W[:, at].tobytes()
        assert first.layers[-1].b[number] == source.layers[-1].b[at]
    if set(known) == set(wanted):
        x = dataset().train.x
        scores, before = fnnet.scores(first, x, activation="tanh"), fnnet.scores(old, x)
        order = [known.index(name) for name in wanted]
        np.testing.assert_allclose(scores, before[:, order], rtol=1e-6)
    said = note_of_start(old, wanted)
    assert (said is None) == (known == wanted)
    for name in {*known} ^ {*wanted} if said else ():
        assert name in said


@pytest.mark.parametrize(
    ("known", "classes", "said"),
    [
        ("abc", "abc", None),
        ("abc", "cab", "its outputs are put in the order of the classes of the data"),
        ("abc", "abcd", "outputs kept of classes a, b, c; new: d"),
        ("abc", "ca", "outputs kept of classes c, a; left out: b"),
        ("abc", "ax", "outputs kept of classes a; new: x; left out: b, c"),
        ("abc", "xy", "its last layer is new, for classes x, y; it knew a, b, c"),
    ],
)
def test_what_becomes_of_the_outputs_is_said(known, classes, said):
    notes = []
    job = prepare(dataset(tuple(classes)), "classic", SETTINGS, start=model(tuple(known)))
    train(job, notify=notes.append)
    assert [str(note) for note in notes] == ([f"start from a model: {said}"] if said else [])
    assert [note.code for note in notes] == ["start-classes"] * len(notes)


def test_a_start_is_new_parameters_that_are_the_model_s(kernels):
    """Nothing else is carried over: no moments, no steps; the seed is the new training's."""
    old = model(("c", "a", "b"))
    job = prepare(dataset(), "classic", SETTINGS, seed=5, start=old)
    found, reports = train(job, kernels=kernels)
    training = epochs.start(first_params(job), 5, job.plan)
    options = {"image_shape": (4, 4), "kernels": kernels, "dev": job.dev}
    *_, by_hand = epochs.epochs(training, job.train, job.plan, **options)
    assert weights_sha256(found.params) == weights_sha256(by_hand.state.params)
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert found.training["steps"] == by_hand.state.step
    assert found.training["start"] == weights_sha256(old.params)
    assert (found.activation, found.classes) == ("tanh", ("a", "b", "c"))
    other, _ = train(prepare(dataset(), "classic", SETTINGS, seed=6, start=old), kernels=kernels)
    assert weights_sha256(other.params) != weights_sha256(found.params)


@pytest.mark.parametrize("more", [{"optimizer": "lbfgs", "batch_size": None}, {"epochs": 0}, {}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_optimizer_and_dtype_start_from_it(more, dtype, kernels):
    old = model(dtype=dtype)
    given = {name: value for name, value in (SETTINGS | more).items() if name != "learning_rate" or not more}
    job = prepare(dataset(), "classic", given, start=old)
    found, _ = train(job, kernels=kernels)
    assert found.params.layers[-1].W.dtype == dtype
    assert (weights_sha256(found.params) == weights_sha256(old.params)) == (job.plan.epochs == 0)


def test_the_range_test_starts_from_it():
    figures = {"steps": 30, "low": 1e-3, "high": 1.0}
    losses = [
        find_learning_rate(
            prepare(dataset(), "classic", {"hidden": (6, 5), "activation": "tanh", "epochs": 2}, **more), **figures
        ).test
        for more in ({}, {"start": model()})
    ]
    assert losses[0].losses != losses[1].losses


def test_what_contradicts_the_model_is_refused_by_name():
    def refused(where, words, settings=(), data=None, start=None):
        with pytest.raises(UsageError, match=words) as error:
            prepare(data or dataset(), "classic", SETTINGS | dict(settings), start=start or model())
        assert error.value.where == where

    refused("hidden", "contradicts `start`; expected 6,5, found 7; leave `hidden` out", {"hidden": (7,)})
    refused("hidden", "expected 6,5, found no hidden layers", {"hidden": ()})
    refused(
        "activation", "contradicts `start`; expected tanh, found relu; leave `activation` out", {"activation": "relu"}
    )
    refused("start", "images of another size; expected 4x4, as the model has, found 2x8", data=dataset(shape=(2, 8)))
    inverted = Preprocessing(paper=255, ink=0)
    refused("start", "pixels read in another way; .*load the data set with preprocessing=model.preprocessing",
            data=dataset(preprocessing=inverted))  # fmt: skip
    refused("", "start; expected a Model, found str", start="model.safetensors")
    for same in ({"hidden": [6, 5]}, {"hidden": np.array([6, 5])}, {"activation": "tanh"}):
        assert prepare(dataset(), "classic", SETTINGS | same, start=model()).sizes == (16, 6, 5, 3)
    own = fnnet.Activation("own", np.abs, np.sign)
    refused("activation", "unknown activation", start=model(activation=own))
    assert prepare(dataset(), "classic", SETTINGS, start=model(hidden=())).sizes == (16, 3)
    refused("hidden", "expected no hidden layers, found 6", {"hidden": (6,)}, start=model(hidden=()))


def test_a_committee_held_apart_is_not_trained_further():
    old = model()
    apart = old._replace(params=fnnet.Committee((old.params,) * 3))
    with pytest.raises(UsageError, match="start: cannot be trained further; expected a model of one network, found"):
        prepare(dataset(), "classic", SETTINGS, start=apart)
    joined = old._replace(params=fnnet.join([old.params] * 3))
    assert prepare(dataset(), "classic", SETTINGS, start=joined).sizes == (16, 18, 15, 3)


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("c", "d", "a", "b")])
def test_a_run_is_resumed_without_the_file_of_the_model(classes, kernels, tmp_path):
    """Killed and stopped at any epoch, for more epochs, with the model of the run directory alone."""
    whole, _ = train(prepare(dataset(classes), "classic", SETTINGS | {"epochs": 5}, start=model()), kernels=kernels)
    for number, more in itertools.product((1, 2, 3), (3, 5)):
        folder, notes = tmp_path / f"{number}-{more}", []
        job = prepare(dataset(classes), "classic", SETTINGS | {"epochs": more}, start=model())
        with pytest.raises(StoppedError):
            train(
                job, kernels=kernels, run_dir=folder, on_block=lambda at, last=number: "x" if at.epoch == last else None
            )
        kept = start_of(folder)
        assert (kept.classes, kept.activation) == (("a", "b", "c"), "tanh")
        again = prepare(dataset(classes), "classic", SETTINGS | {"epochs": 5}, start=kept)
        found, _ = train(again, kernels=kernels, run_dir=folder, resume=True, notify=notes.append)
        assert weights_sha256(found.params) == weights_sha256(whole.params)
        assert not [note for note in notes if "start from a model" in note]


def test_another_start_is_another_run(tmp_path):
    job, plain = (prepare(dataset(), "classic", SETTINGS | {"hidden": (6, 5), "activation": "tanh"}, **more)
                  for more in ({"start": model()}, {}))  # fmt: skip
    others = [plain, job._replace(start=model(("b", "a", "c"))), job._replace(start=model(dtype=np.float64))]
    train(job, run_dir=tmp_path / "run")
    for other in others:
        with pytest.raises(OtherRunError, match="start differs from the run"):
            train(other, run_dir=tmp_path / "run", resume=True)
    train(plain, run_dir=tmp_path / "plain")
    assert start_of(tmp_path / "plain") is None
    assert start_of(tmp_path / "none") is None
    with pytest.raises(OtherRunError, match="start differs from the run; expected none, found"):
        train(job, run_dir=tmp_path / "plain", resume=True)
    assert start_of(tmp_path / "plain") is None


def test_the_model_of_a_run_is_never_overwritten(tmp_path):
    """It may be of a run that was killed before its first checkpoint."""
    job, folder = prepare(dataset(), "classic", SETTINGS, start=model()), tmp_path / "run"
    folder.mkdir()
    save_model(folder / "start.safetensors", model(hidden=(3,)))
    with pytest.raises(UsageError, match="holds a run already"):
        train(job, run_dir=folder)
    assert load_model(folder / "start.safetensors").params.layers[0].W.shape == (16, 3)


def test_a_damaged_model_of_a_run_is_named_and_can_be_given_again(tmp_path):
    job, place = prepare(dataset(), "classic", SETTINGS, start=model()), tmp_path / "run" / "start.safetensors"
    first, _ = train(job, run_dir=tmp_path / "run")
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"start\.safetensors: .*; move it away, and give the model again as `start`"):
        start_of(tmp_path / "run")
    place.unlink()
    again, _ = train(job, run_dir=tmp_path / "run", resume=True)
    assert weights_sha256(again.params) == weights_sha256(first.params)
    assert start_of(tmp_path / "run").classes == ("a", "b", "c")


def test_killed_before_its_first_checkpoint_a_run_starts_from_the_model_again(tmp_path):
    job, folder = prepare(dataset(), "classic", SETTINGS, start=model()), tmp_path / "run"
    whole, _ = train(job)
    folder.mkdir()
    save_model(folder / "start.safetensors", model())
    again = prepare(dataset(), "classic", SETTINGS, start=start_of(folder))
    found, _ = train(again, run_dir=folder, resume=True)
    assert weights_sha256(found.params) == weights_sha256(whole.params)
