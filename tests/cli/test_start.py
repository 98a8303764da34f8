"""`fnnet train --start MODEL`: trained further, on what the user has, from the command line."""

import signal
import time

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet.core.params import weights_sha256
from tests.cli.test_cli_train import command_of, of
from tests.conftest import start


def folders(place, names, shape=(6, 5), dark=False):
    """A folder for each class, with images of a bar at a height of its own."""
    for number, name in enumerate(names):
        (place / name).mkdir(parents=True)
        for i in range(12):
            image = np.random.default_rng(i).integers(0, 20, shape, np.uint8)
            image[number % shape[0], 1:-1] = 255
            Image.fromarray(255 - image if dark else image).save(place / name / f"{i}.png")
    return place


@pytest.fixture
def old(run, tmp_path):
    """A model of cats, dogs and eels, in 8 hidden units of tanh."""
    folders(tmp_path / "pets", ("cat", "dog", "eel"))
    options = ("--hidden", 8, "--activation", "tanh", "--epochs", 3, *ALL, "--out", "old.safetensors")
    assert run("train", "--data", "pets", *options).code == 0
    return fnnet.load_model(tmp_path / "old.safetensors")


ALL = ("--dev", 0, "--test-data", "none")
"""All images are trained on."""
ARGUMENTS = ("train", "--start", "old.safetensors", *ALL, "--epochs")


def test_the_same_data_go_on_from_the_model(old, run, tmp_path):
    found = run(*ARGUMENTS, 0, "--data", "pets", "--json")
    assert found.json["weights_sha256"] == weights_sha256(old.params)
    assert found.json["sizes"] == [30, 8, 3]
    assert found.json["notes"] == []
    run(*ARGUMENTS, 4, "--data", "pets")
    new = fnnet.load_model(tmp_path / "model.safetensors")
    assert (new.activation, new.classes) == ("tanh", ("cat", "dog", "eel"))
    assert new.training["start"] == weights_sha256(old.params)
    assert weights_sha256(fnnet.load_model(tmp_path / "old.safetensors").params) == weights_sha256(old.params)


def test_other_classes_are_named(old, run, tmp_path):
    folders(tmp_path / "zoo", ("ape", "cat", "eel"))
    found = run(*ARGUMENTS, 0, "--data", "zoo", "--json")
    said = "start from a model: outputs kept of classes cat, eel; new: ape; left out: dog"
    assert found.json["notes"] == [{"code": "start-classes", "note": said}]
    assert f"note: {said}\n" in found.err
    new = fnnet.load_model(tmp_path / "model.safetensors")
    assert new.classes == ("ape", "cat", "eel")
    assert new.params.layers[0].W.tobytes() == old.params.layers[0].W.tobytes()
    np.testing.assert_array_equal(new.params.layers[1].W[:, 1:], old.params.layers[1].W[:, ::2])


def test_a_file_of_numbers_has_the_classes_of_the_model_or_its_own(old, run, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 5), np.uint8)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=np.arange(40) % 3)
    np.savez(tmp_path / "more.npz", x_train=x.reshape(40, 30), y_train=np.arange(40) % 4)
    for name, options, classes in (
        ("own.npz", (), ("cat", "dog", "eel")),
        ("own.npz", ("--class-names", "eel,cat,dog"), ("eel", "cat", "dog")),
        ("more.npz", ("--classes", 4), ("0", "1", "2", "3")),
    ):
        found = run(*ARGUMENTS, 1, "--data", name, *options, "--json", "--out", "new.safetensors")
        assert fnnet.load_model(tmp_path / "new.safetensors").classes == classes
        code = "start-classes" if classes != old.classes else "numbered-classes"
        assert [note["code"] for note in found.json["notes"]] == [code, "at-chance"], "after one epoch of noise"
    run(*ARGUMENTS, 1, "--data", "more.npz").failed(1, "label out of range", "--classes")


def test_numbers_that_may_be_names_or_places_are_noted_with_the_option_that_decides(run, tmp_path):
    """Labels 0, 1, 2 of classes called 1, 2, 0: --class-names says in all commands that they are places."""
    x, y = np.random.default_rng(0).integers(0, 50, (60, 6, 5), np.uint8), np.arange(60) % 3
    x[np.arange(60), y] = 255
    for name in ("own", "dev"):
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y)
        x = x.copy()
        x[:, 5] = 1
    names = ("--class-names", "1,2,0")
    trained = run("train", "--data", "own.npz", *names, "--epochs", 30, "--batch-size", 5, "--dev-data", "dev.npz",
                  "--test-data", "none", "--json", "--out", "old.safetensors").json  # fmt: skip
    assert [note["code"] for note in trained["notes"]] == ["numbered-classes"] * 2  # of training, and of validation
    assert trained["epochs"][-1]["dev_accuracy"] == 1
    assert run("evaluate", "old.safetensors", "--data", "own.npz", *names, "--json").json["accuracy"] == 1
    for command in (("evaluate", "old.safetensors"), (*ARGUMENTS[:-1], "--out", "new.safetensors")):
        found = run(*command, "--data", "own.npz", "--json")
        (note,) = found.json["notes"]
        assert note["code"] == "numbers-as-names"
        assert note["note"].endswith("if they are places (0 is 1, 1 is 2, 2 is 0), --class-names 1,2,0 says so")
        assert run(*command, "--data", "own.npz", *names, "--json").json["notes"] == []


def test_pixels_are_read_as_the_model_reads_them(run, tmp_path):
    """Of a model of dark ink; on light ink it is noted."""
    folders(tmp_path / "dark", ("cat", "dog", "eel"), dark=True)
    folders(tmp_path / "light", ("cat", "dog", "eel"))
    options = ("--hidden", 8, "--dev", 0, "--epochs", 1)
    run("train", "--data", "dark", *options, "--ink", "dark", "--out", "old.safetensors")
    old = fnnet.load_model(tmp_path / "old.safetensors")
    assert old.preprocessing.paper > old.preprocessing.ink
    run(*ARGUMENTS, 2, "--data", "dark", "--json")
    assert fnnet.load_model(tmp_path / "model.safetensors").preprocessing == old.preprocessing
    further = (*ARGUMENTS, 2, "--data", "dark")
    assert run(*further, "--ink", "dark", "--out", "same.safetensors").code == 0
    run(*further, "--ink", "light").failed(2, "--ink: contradicts --start; expected dark, found light; leave it out")
    run(*further, "--pixel-max", 16).failed(2, "--pixel-max: contradicts --start; expected 255, found 16")
    digits = (*ARGUMENTS, 1, "--data", "digits")
    run(*digits).failed(2, "--start: images of another size; expected 6x5, as the model has, found 28x28")


def test_what_contradicts_the_model_is_refused(old, run, tmp_path):
    folders(tmp_path / "large", ("cat", "dog", "eel"), shape=(5, 6))
    arguments = (*ARGUMENTS, 1, "--data")
    run(*arguments, "large").failed(2, "--start: images of another size; expected 6x5, as the model has, found 5x6")
    run(*arguments, "pets", "--hidden", 9).failed(
        2, "--hidden: contradicts --start; expected 8, found 9; leave --hidden out"
    )
    run(*arguments, "pets", "--activation", "relu").failed(2, "--activation: contradicts --start; expected tanh, found")
    assert run(*arguments, "pets", "--hidden", 8, "--activation", "tanh").code == 0
    run("train", "--start", "none.safetensors", "--data", "pets").failed(1, "none.safetensors")
    run(*arguments, "pets", "--out", "old.safetensors").failed(2, "--out", "the input old.safetensors")
    run(*arguments, "pets", "--run-dir", "kept", "--out", "kept/start.safetensors").failed(2, "a file of the run")


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_f52_killed_and_resumed_without_the_file_of_the_model(jit, old, run, tmp_path, numba_kernels):
    folders(tmp_path / "zoo", ("ape", "cat", "eel"))
    options = (jit, "--data", "zoo", "--dev", 0, "--batch-size", 4, "--epochs", 400 if jit == "--jit" else 60)
    wanted = of(run("train", "--start", "old.safetensors", *options, "--json").json)
    log = tmp_path / "kept" / "log.jsonl"
    for number, seconds in enumerate((0.0, 0.05)):
        more = ["--resume"] if number else ["--start", "old.safetensors"]
        before = log.stat().st_size if number else 0
        with start(command_of(*options, "--run-dir", "kept", *more), tmp_path) as process:
            while not (log.exists() and log.stat().st_size != before):
                time.sleep(0.005)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        if not number:
            (tmp_path / "old.safetensors").rename(tmp_path / "moved.safetensors")
    resumed = (*options, "--run-dir", "kept", "--resume")
    assert of(run("train", *resumed, "--json").json) == wanted
    assert of(run("train", *resumed, "--start", "moved.safetensors", "--json").json) == wanted
    run("train", *resumed, "--start", "model.safetensors", "--out", "other.safetensors").failed(
        2, "kept: --start differs from the run; expected a model with SHA-256 ", "resume without --start"
    )
    run("train", *resumed, "--hidden", 3).failed(2, "--hidden: contradicts --start; expected 8, found 3")
    (tmp_path / "kept" / "start.safetensors").unlink()
    run("train", *resumed, "--hidden", 8, "--activation", "tanh").failed(
        2,
        "--start differs from the run; expected a model",
        "found none; resume with the model that it was started from",
    )
    assert of(run("train", *resumed, "--start", "moved.safetensors", "--json").json) == wanted
    assert (tmp_path / "kept" / "start.safetensors").exists()
