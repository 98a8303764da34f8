"""Images to test on: named, held out or the data's own; never trained on, and the same when a run goes on."""

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples
from fnnet.data.expand import expand
from fnnet.data.stream import fingerprint_of
from fnnet.errors import DataError, UsageError
from fnnet.files.run_folder import model_file
from fnnet.training import committee, session
from fnnet.training.about import versions
from fnnet.training.dev_set import load_test_set, with_test_set
from fnnet.training.options import differing, options_of_config, options_of_model
from fnnet.training.session import prepare, train

DIGITS = data.load("digits")
ALONE = DIGITS._replace(test=None)
FEW = {"epochs": 1, "min_steps": 0, "batch_size": 64}


def save(path, examples, **more):
    np.savez(path, x_train=examples.x.reshape(-1, 28, 28), y_train=examples.labels, **more)
    return path


def codes(notes):
    return [note.code for note in notes]


def test_a_named_test_set_takes_the_place_of_the_datas_own(tmp_path):
    notes = []
    path = save(tmp_path / "t.npz", Examples(DIGITS.test.x[:50], DIGITS.test.labels[:50]))
    for dataset in (DIGITS, ALONE):
        found = with_test_set(dataset, path, notes.append)
        assert found.train is dataset.train
        assert found.test.x.tobytes() == DIGITS.test.x[:50].tobytes()
        assert found.origin.test == str(path)
    assert notes == []
    model, _ = train(prepare(found, "classic", FEW))
    assert model.training["test"] == {"images": 50, "sha256": fingerprint_of(found.test), "path": str(path)}


def test_of_a_data_set_with_a_test_set_that_is_taken(tmp_path):
    more = {"x_test": DIGITS.test.x[:9].reshape(-1, 28, 28), "y_test": DIGITS.test.labels[:9]}
    path = save(tmp_path / "t.npz", Examples(DIGITS.test.x[9:], DIGITS.test.labels[9:]), **more)
    notes = []
    assert len(load_test_set(path, ALONE, notes.append).labels) == 9
    assert codes(notes) == ["not-used"]
    assert len(with_test_set(ALONE, "digits").test.labels) == 360


def test_what_is_trained_on_is_not_tested_on(tmp_path):
    path = save(tmp_path / "same.npz", Examples(DIGITS.train.x[5:25], DIGITS.train.labels[5:25]))
    said = r"test_data: tests on what is trained on; .* found 20 images that are; leave it out"
    with pytest.raises(UsageError, match=said):
        load_test_set(path, ALONE)
    x, labels = (np.concatenate([a[:3], b[:7]]) for a, b in zip(DIGITS.train, DIGITS.test, strict=True))
    notes = []
    assert len(load_test_set(save(tmp_path / "some.npz", Examples(x, labels)), ALONE, notes.append).labels) == 10
    (note,) = [note for note in notes if note.code == "test-in-train"]
    assert "3 of 10 images to test on are trained on, too" in note


def test_test_images_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(DataError, match="test_data: no such data set"):
        load_test_set(tmp_path / "none.npz", DIGITS)
    np.savez(tmp_path / "small.npz", x_train=np.zeros((4, 20, 20), np.uint8), y_train=np.arange(4))
    with pytest.raises(UsageError, match=r"test_data: .*small.npz: images differ; expected \(28, 28\)"):
        load_test_set(tmp_path / "small.npz", DIGITS)


def test_notes_on_test_images_are_of_test_images(tmp_path):
    path = save(tmp_path / "dark.npz", Examples(255 - DIGITS.test.x, DIGITS.test.labels))
    notes = []
    load_test_set(path, DIGITS, notes.append)
    assert codes(notes) == ["other-ink"]
    assert "test images" in notes[0]
    assert "labelled" not in notes[0]


def test_without_a_test_set_a_share_is_held_out():
    notes = []
    found = with_test_set(ALONE, None, notes.append)
    assert codes(notes) == ["held-out"]
    assert len(found.train.labels) + len(found.test.labels) == 1437
    for seed in (0, 1):
        model, _ = train(prepare(found, "classic", FEW, seed=seed))
        test = model.training["test"]
        assert test == {"images": len(found.test.labels), "sha256": fingerprint_of(found.test), "held_out": True}
        assert model.training["test_accuracy"] is not None
    assert with_test_set(DIGITS, None, pytest.fail) is DIGITS


def test_none_tests_on_none_and_trains_on_all():
    found = with_test_set(DIGITS, "none", pytest.fail)
    assert (found.test, found.train) == (None, DIGITS.train)
    model, _ = train(prepare(found, "classic", FEW))
    assert (model.training["test"], model.training["test_loss"]) == (None, None)


def test_of_a_stream_none_is_held_out_and_a_note_says_so(tmp_path):
    expand(ALONE, tmp_path / "stream", 1)
    stream, notes = data.open_stream(tmp_path / "stream"), []
    assert with_test_set(stream, None, notes.append) is stream
    assert codes(notes) == ["no-test-set"]
    assert "of a stream none is held out; --test-data names one" in notes[0]
    path = save(tmp_path / "t.npz", DIGITS.test)
    found = with_test_set(stream, path, pytest.fail)
    model, _ = train(prepare(found, "classic", FEW))
    assert model.training["test"]["images"] == 360
    assert with_test_set(found, "none").test is None


@pytest.mark.parametrize("other", ["none", "named", "other data"])
def test_a_run_goes_on_with_the_same_cut_alone(other, tmp_path):
    job = prepare(with_test_set(ALONE), "classic", FEW)
    train(job, run_dir=tmp_path / "run")
    train(job, run_dir=tmp_path / "run", resume=True)
    again = prepare(with_test_set(data.load("digits")._replace(test=None)), "classic", FEW)
    model, _ = train(again, run_dir=tmp_path / "run", resume=True)
    assert model.training["test"]["held_out"] is True
    changed = ALONE._replace(train=Examples(ALONE.train.x, np.roll(ALONE.train.labels, 1)))
    dataset = {
        "none": lambda: with_test_set(ALONE, "none"),
        "named": lambda: with_test_set(ALONE, save(tmp_path / "t.npz", DIGITS.test)),
        "other data": lambda: with_test_set(changed),
    }[other]()
    with pytest.raises(UsageError, match=r"(data|images)\.train differs from the run"):
        train(prepare(dataset, "classic", FEW), run_dir=tmp_path / "run", resume=True)


@pytest.mark.parametrize("members", [1, 2])
def test_a_run_keeps_its_model(members, tmp_path, kernels):
    import fnnet

    job = prepare(DIGITS, "classic", FEW | {"members": members})
    model, _ = train(job, kernels=kernels, run_dir=tmp_path / "run")
    kept = fnnet.load_model(model_file(tmp_path / "run"))
    assert (kept.params, kept.training) == (model.params, model.training)
    assert kept.training["jit"] is kernels.compiled
    for number in range(1, members + 1) if members > 1 else ():
        own = fnnet.load_model(model_file(tmp_path / "run" / f"member-0{number}"))
        assert own.training["seed"] == committee.seeds(0, members)[number - 1]
    more = prepare(DIGITS, "classic", FEW | {"members": members, "epochs": 2})
    model, _ = train(more, kernels=kernels, run_dir=tmp_path / "run", resume=True)
    assert fnnet.load_model(model_file(tmp_path / "run")).params == model.params


def test_no_file_of_the_user_gives_way_to_the_model_of_a_run(tmp_path):
    job = prepare(DIGITS, "classic", FEW)
    for place, members in ((tmp_path / "a", 1), (tmp_path / "b", 2), (tmp_path / "c" / "member-02", 2)):
        place.mkdir(parents=True)
        (place / "model.safetensors").write_bytes(b"mine")
        run_dir = place.parent if place.name == "member-02" else place
        own = job._replace(members=members)
        for resume in (False, True):
            with pytest.raises(UsageError, match="would be replaced by the model"):
                train(own, run_dir=run_dir, resume=resume)
        assert (place / "model.safetensors").read_bytes() == b"mine"


def test_the_run_is_held_until_its_model_is_kept(tmp_path, monkeypatch):
    """Else another process could go on with it, and this one write an older model over that one's."""
    from fnnet.files.lock import holder

    model_of, seen = session.model_of, []

    def noted(*given):
        seen.append(holder(tmp_path / "run"))
        return model_of(*given)

    monkeypatch.setattr(session, "model_of", noted)
    train(prepare(DIGITS, "classic", FEW), run_dir=tmp_path / "run")
    assert [held and held[1] for held in seen] == [True]


# Options


def test_options_are_the_same_whatever_kept_them(tmp_path):
    from fnnet.files.runs import newest

    settings = FEW | {"hidden": (9, 8), "optimizer": "momentum", "deformation": {}, "early_stopping": 3}
    job = prepare(DIGITS, "classic", settings, seed=3, class_weights="balanced")
    model, _ = train(job, run_dir=tmp_path / "run")
    found = options_of_config(newest(tmp_path / "run").config)
    assert found["class_weights"].startswith("SHA-256 ")
    kept = options_of_model(model.training, job.sizes[1:-1])
    assert {**found, "class_weights": None} == kept
    wanted = {"recipe": "classic", "seed": 3, "jit": False, "hidden": [9, 8], "momentum": 0.9, "batch_size": 64}
    assert {name: found[name] for name in wanted} == wanted
    assert found["augment"] is True
    assert found["deformation"]["rotation"] == 12.0
    assert found["dev"] == 143


@pytest.mark.parametrize(
    ("settings", "none"),
    [
        ({}, {"momentum"}),
        ({"optimizer": "lbfgs"}, {"momentum", "learning_rate", "schedule"}),
        ({"hidden": ()}, {"momentum", "activation", "dropout"}),
        ({"optimizer": "nesterov"}, set()),
    ],
)
def test_an_option_without_effect_has_no_value(settings, none):
    model, _ = train(prepare(DIGITS, "classic", {"epochs": 1, "min_steps": 0} | settings))
    found = options_of_model(model.training, list(settings.get("hidden", (10,))))
    may_be = {"early_stopping", "deformation", "window", "init_seed", "class_weights", "start"}
    assert {name for name, value in found.items() if value is None} - may_be == none


@pytest.mark.parametrize(
    "config", [{}, {"plan": 3}, {"plan": {}, "hidden": [], "images": []}, {"plan": {}, "hidden": "x"}, {"weights": 5}]
)
def test_a_strangers_config_is_no_fault(config):
    assert isinstance(options_of_config(config), dict)
    assert isinstance(options_of_model(config, [3]), dict)


def test_options_that_differ():
    one = {"seed": 0, "epochs": 3}
    assert differing([one, dict(one)]) == []
    assert differing([]) == differing([one]) == differing([{}, one]) == []
    assert differing([one, {"seed": 1, "epochs": 3}, {}]) == ["seed"]
    assert differing([one, {"epochs": 4, "ema": 0.5}]) == ["seed", "epochs", "ema"]


def test_versions_are_those_that_computed(kernels):
    import fnnet

    found = versions(kernels)
    assert found["fnnet"] == fnnet.__version__
    assert found["numpy"] == np.__version__
    assert ("numba" in found) is kernels.compiled
    if kernels.compiled:
        from importlib.metadata import version

        assert found["numba"] == version("numba")
