"""Images to test on, named or held out, and `evaluate` on the data that a model was trained on."""

import os
import re
import shutil

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.data.stream import fingerprint_of
from fnnet.training.advice import NAMES
from tests.cli.conftest import class_folders

FEW = ("--epochs", 2, "--batch-size", 10)


@pytest.fixture
def own(small_images, tmp_path):
    """60 images of ten classes without a test set."""
    x, labels = small_images
    np.savez(tmp_path / "own.npz", x_train=x, y_train=labels)
    return "own.npz"


@pytest.fixture
def others(small_images, tmp_path):
    """Ten other images, one of each class."""
    x, labels = small_images
    np.savez(tmp_path / "others.npz", x_train=x[:10] // 2 * 2 + 1, y_train=labels[:10])
    return "others.npz"


def codes(document):
    """Of the notes on the data: those on how the training went are left out."""
    return [note["code"] for note in document["notes"] if note["code"] not in NAMES]


# Held out


@pytest.mark.parametrize("recipe", ["classic", "quick", "accurate"])
def test_without_a_test_set_a_share_is_held_out_and_its_figure_printed(recipe, run, own):
    words = ("train", "--data", own, "--recipe", recipe, "--hidden", "9", *FEW)
    found = run(*words, "--json").json
    assert found["images"]["test"] == 10
    assert sum(found["images"].values()) == 60
    assert codes(found) == ["held-out"]
    assert found["test_accuracy"] is not None
    result = run(*words, "--quiet", "--out", "b.safetensors")
    assert result.err == ""
    assert result.out.splitlines()[0].startswith("data: own.npz, ")
    assert "10 test images" in result.out.splitlines()[0]
    assert any(line.startswith("test accuracy ") for line in result.out.splitlines())
    assert "note: own.npz: no test set: 10 of 60 images" in run(*words, "--out", "c.safetensors").err


def test_every_seed_has_the_same_share(run, own):
    for seed in (0, 7):
        run("train", "--data", own, *FEW, "--seed", seed, "--out", f"seed-{seed}.safetensors")
    run("train", "--data", own, *FEW, "--seeds", "3,9")
    run("train", "--data", own, *FEW, "--members", 2, "--out", "c.safetensors")
    names = ("seed-0", "seed-7", "model-3", "model-9", "c")
    assert len({fnnet.load_model(f"{name}.safetensors").training["test"]["sha256"] for name in names}) == 1


def test_networks_of_many_seeds_have_the_bits_of_one_alone(run, own):
    many = run("train", "--data", own, *FEW, "--seeds", "3,9", "--json").json["networks"]
    alone = run("train", "--data", own, *FEW, "--seed", 9, "--json").json
    assert many[1]["weights_sha256"] == alone["weights_sha256"]
    assert many[1]["test_accuracy"] == alone["test_accuracy"]


def test_too_few_images_are_trained_on_and_that_is_noted(run, tmp_path):
    class_folders(tmp_path / "pets", ["cat", "dog"])
    result = run("train", "--data", "pets", "--epochs", 1, "--json")
    assert "no-test-set" in codes(result.json)
    assert (result.json["images"], result.json["test_accuracy"]) == ({"train": 6, "dev": 0, "test": 0}, None)


def test_a_run_goes_on_with_the_share_that_it_was_begun_with(run, own):
    words = ("train", "--data", own, *FEW, "--run-dir", "kept")
    first = run(*words, "--json").json
    again = run(*words, "--resume", "--json").json
    assert (again["weights_sha256"], again["test_accuracy"]) == (first["weights_sha256"], first["test_accuracy"])
    result = run(*words, "--resume", "--test-data", "none")
    result.failed(2, "kept: the data differs from the run", "--test-data")


# Named


def test_images_to_test_on_can_be_named(run, own, others, idx_folder):
    for given, counts in ((own, (54, 6, 10)), ("idx", (45, 5, 10))):
        found = run("train", "--data", given, *FEW, "--test-data", others, "--json").json
        assert tuple(found["images"].values()) == counts
        assert found["options"]["test_data"] == others
        model = fnnet.load_model("model.safetensors")
        x, labels = data.load(others).train
        assert found["test_accuracy"] == (fnnet.predict(model.params, x) == labels).mean()
        assert model.training["test"]["path"] == others
    found = run("train", "--data", own, *FEW, "--test-data", "none", "--json", "--out", "m.safetensors").json
    assert (found["images"]["train"], found["images"]["test"], found["test_accuracy"]) == (54, 0, None)
    assert codes(found) == []
    assert "no test set" in run("train", "--data", own, *FEW, "--test-data", "none").out


def test_images_to_test_on_that_do_not_fit_are_refused_first(run, own, others, small_images, monkeypatch):
    np.savez("small.npz", x_train=small_images[0][:, :8, :8], y_train=small_images[1])
    words = ("train", "--data", own, *FEW, "--test-data")
    run(*words, "small.npz").failed(2, "--test-data: small.npz: images differ", "(28, 28)", "(8, 8)")
    run(*words, own).failed(2, "--test-data: tests on what is trained on", "60 images that are")
    run("train", "--data", own, "--test-data", others, "--out", others).failed(2, "--out: would replace another file")
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    run(*words, "nowhere").failed(1, "--test-data: no such data set", "'nowhere'")


def test_validation_on_the_images_of_training_is_noted_also_where_some_are_held_out(run, own):
    found = run("train", "--data", own, *FEW, "--dev-data", own, "--json").json
    assert codes(found) == ["dev-in-train", "held-out"]


def test_a_stream_without_a_test_set_says_so_and_takes_one(run, own, others):
    assert run("data", "expand", "--data", own, "--times", 2, "-o", "stream").code == 0
    found = run("train", "--data", "stream", *FEW, "--json").json
    assert codes(found) == ["no-test-set"]
    assert found["test_accuracy"] is None
    found = run("train", "--data", "stream", *FEW, "--test-data", others, "--json", "--out", "m.safetensors").json
    assert (codes(found), found["images"]["test"]) == ([], 10)
    measured = run("evaluate", "m.safetensors", "--json").json
    assert measured["accuracy"] == found["test_accuracy"]


# The model's own data


def test_evaluate_takes_the_data_of_the_model(run, idx_folder, own, others):
    cases = {
        "idx": ("--data", "idx"),
        "held": ("--data", own),
        "named": ("--data", own, "--test-data", others),
        "digits": ("--data", "digits"),
        "set": ("--data", own, "--test-data", "digits"),
    }
    for name, words in cases.items():
        trained = run("train", *words, *FEW, "--json", "--out", f"{name}.safetensors").json
        found = run("evaluate", f"{name}.safetensors", "--json")
        assert found.code == 0, (name, found.err)
        assert (found.json["accuracy"], found.json["images"]) == (trained["test_accuracy"], trained["images"]["test"])
        assert found.json["loss"] == pytest.approx(trained["test_loss"])
        assert codes(found.json) == [], name


TABLES = {
    "column": (("--label-column", "last", "--first-label", 3, "--classes", 2), lambda x, y: [*x, y + 3]),
    "names": (("--label-column", "first", "--class-names", "cat,dog"), lambda x, y: [y, *x]),
    "numbers": (("--label-column", "first", "--class-names", "1,0"), lambda x, y: [y, *x]),
    "text": (("--label-column", "first"), lambda x, y: ["ab"[y], *x]),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_data_are_read_as_for_training(name, run, tmp_path):
    words, row = TABLES[name]
    rng = np.random.default_rng(0)
    labels = [int(label) for label in rng.integers(0, 2, 60)]
    rows = [row((rng.integers(0, 99, 16) + 100 * label).tolist(), label) for label in labels]
    write(tmp_path / "own.csv", rows)
    trained = run("train", "--data", "own.csv", "--image", *words, "--epochs", 60, "--json")
    assert trained.code == 0, trained.err
    found = run("evaluate", "model.safetensors", "--json")
    assert found.code == 0, found.err
    assert found.json["accuracy"] == trained.json["test_accuracy"] == 1.0
    assert "other-data" not in codes(found.json)


def write(path, rows):
    path.write_text("".join(",".join(map(str, each)) + "\n" for each in rows))


def test_large_parquet_of_the_model_is_read_at_once_for_its_share(run, small_images, tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    x, labels = small_images
    write_table(pa.table({"image": [*x.reshape(60, -1)], "label": labels}), tmp_path / "a.parquet")
    monkeypatch.setattr("fnnet.data.parquet_folder.LARGE", 1)
    trained = run("train", "--data", "a.parquet", *FEW, "--json").json
    found = run("evaluate", "model.safetensors", "--json").json
    assert (found["images"], found["accuracy"]) == (10, trained["test_accuracy"])


def test_data_are_found_above_the_model_from_any_folder(run, own, tmp_path, monkeypatch):
    trained = run("train", "--data", own, *FEW, "--run-dir", "runs/a", "--json").json
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert run("evaluate", "../runs/a", "--json").json["accuracy"] == trained["test_accuracy"]


@pytest.mark.parametrize("which", ["data", "test"])
def test_data_that_have_gone_are_named(which, run, own, others, tmp_path):
    run("train", "--data", own, *FEW, *(("--test-data", others) if which == "test" else ()))
    gone = own if which == "data" else others
    os.rename(gone, "moved.npz")
    said = (
        "model.safetensors: its data have gone",
        f"expected {gone}, as it was called for training",
        "name it with --data",
    )
    run("evaluate", "model.safetensors").failed(1, *said)
    assert run("evaluate", "model.safetensors", "--data", "moved.npz").code == 0


def test_a_model_that_does_not_say_where_its_data_are(run, tmp_path):
    params = fnnet.init((784, 10))
    for about in ({"dataset": "frame"}, {"dataset": "own.npz", "data": {"path": 3}}, {"dataset": 7}):
        fnnet.save_model("m.safetensors", fnnet.Model(params, training=about))
        run("evaluate", "m.safetensors").failed(
            1, "m.safetensors: does not say where its data are", "name it with --data"
        )
    fnnet.save_model("m.safetensors", fnnet.Model(params, training={"dataset": "digits"}))
    assert run("evaluate", "m.safetensors", "--json").json["dataset"] == "digits"
    fnnet.save_model("m.safetensors", fnnet.Model(params))
    assert run("evaluate", "m.safetensors", "--json").json["dataset"] == "digits"  # auto, without MNIST


def test_other_data_are_noted(run, own, others, idx_folder):
    run("train", "--data", "idx", *FEW)
    for given, noted in (("idx", False), (own, True), (others, True), ("idx/train-images-idx3-ubyte", True)):
        found = run("evaluate", "model.safetensors", "--data", given, "--json").json
        assert ("other-data" in codes(found)) is noted, given
    (note,) = [note["note"] for note in found["notes"] if note["code"] == "other-data"]
    assert note.endswith("these 50 images are not those that the model was tested on (idx, 10 images)")
    assert "note: " in run("evaluate", "model.safetensors", "--data", own).err


def test_the_share_is_measured_where_its_data_are_named_too(run, own):
    trained = run("train", "--data", own, *FEW, "--json").json
    found = run("evaluate", "model.safetensors", "--data", own, "--json").json
    assert (found["images"], found["accuracy"], codes(found)) == (10, trained["test_accuracy"], [])


def test_data_that_have_changed_are_noted(run, own, small_images):
    run("train", "--data", own, *FEW)
    x, labels = small_images
    np.savez(own, x_train=x // 2, y_train=labels)
    found = run("evaluate", "model.safetensors", "--json").json
    (note,) = [note["note"] for note in found["notes"] if note["code"] == "other-data"]
    assert "the data have changed: these 60 images are not those that the model was tested on" in note


def test_a_model_that_was_tested_on_none_is_measured_on_what_trained_it(run, own):
    run("train", "--data", own, *FEW, "--test-data", "none")
    found = run("evaluate", "model.safetensors", "--json").json
    assert (found["images"], codes(found)) == (60, ["trained-on"])


def test_how_other_data_are_read_says_nothing_of_the_model_s_own(run, own, others, idx_folder):
    run("train", "--data", own, *FEW)
    run("train", "--data", own, *FEW, "--test-data", others, "--out", "named.safetensors")
    for model in ("model.safetensors", "named.safetensors"):
        for option in (("--label-column", "last"), ("--transpose",), ("--class-names", "a,b"), ("--first-label", 1)):
            run("evaluate", model, *option).failed(2, f"{option[0]}: has no effect", "expected --data PATH", "own data")
        run("evaluate", model, "--data-dir", "idx").failed(2, "--data-dir: has no effect")


def test_a_path_of_a_stranger_is_read_as_data_alone(run, tmp_path):
    """Never one on another machine, and nothing that is not a data set."""
    params = fnnet.init((784, 10))
    (tmp_path / "secret").write_text("root:x:0\n")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    for path, said in (("secret", "secret"), ("pipe", "pipe"), ("//host/a", "its data have gone"), ("", "its data")):
        if path == "pipe" and not hasattr(os, "mkfifo"):
            continue
        about = {"dataset": "a", "data": {"path": path, "label_column": 3}}
        fnnet.save_model("m.safetensors", fnnet.Model(params, training=about))
        run("evaluate", "m.safetensors").failed(1, said)


def test_evaluate_s_own_data_leave_a_stream_a_stream(run, own):
    assert run("data", "expand", "--data", own, "--times", 2, "-o", "stream").code == 0
    run("train", "--data", "stream", *FEW)
    found = run("evaluate", "model.safetensors", "--json").json
    assert (found["images"], codes(found)) == (120, ["trained-on"])


def test_the_digest_is_that_of_the_images_tested_on(run, idx_folder):
    run("train", "--data", "idx", *FEW)
    about = fnnet.load_model("model.safetensors").training["test"]
    assert about == {"images": 10, "sha256": fingerprint_of(data.load("idx").test)}
    shutil.rmtree("idx")
    assert re.search("its data have gone; expected idx", run("evaluate", "model.safetensors").err)
