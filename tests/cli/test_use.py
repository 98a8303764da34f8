"""`fnnet evaluate` and `fnnet predict` with a model that was trained by `fnnet train`."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from fnnet.core import int8
from tests.cli.conftest import class_folders, save_digits
from tests.tools.samples import csv_file


def test_evaluate(model, run, idx_folder):
    document = run("evaluate", model, "--data", idx_folder, "--json").json
    assert list(document) == [
        "model",
        "dataset",
        "images",
        "jit",
        "precision",
        "accuracy_lost",
        "loss",
        "accuracy",
        "interval",
        "classes",
        "confusion",
        "mistakes",
        "calibration",
        "plot",
        "confusion_plot",
        "notes",
    ]
    assert document["images"] == np.sum(document["confusion"]) == 10
    assert document["accuracy"] == np.trace(document["confusion"]) / 10 == 1.0
    assert [row["class"] for row in document["classes"]] == list("0123456789")
    assert run("evaluate", model, "--data", idx_folder, "--json", "--jit").json["accuracy"] == 1.0
    lines = run("evaluate", model, "--data", idx_folder).out.splitlines()
    assert lines[0].startswith("data: idx, 10 test images")
    assert lines[-1].startswith("accuracy 100.00%")
    assert len(run("evaluate", model, "--data", idx_folder, "--quiet").out.splitlines()) == 1


def test_evaluate_with_int8_says_what_it_loses(model, run, idx_folder, monkeypatch):
    command = ("evaluate", model, "--data", idx_folder)
    floats = run(*command, "--json").json
    assert (floats["precision"], floats["accuracy_lost"]) == ("float", None)
    for jit in ("--no-jit", "--jit"):
        document = run(*command, "--precision", "int8", jit, "--json").json
        assert (document["precision"], document["accuracy_lost"]) == ("int8", 0.0)
        assert document["loss"] == pytest.approx(floats["loss"], abs=0.01)
        assert document["loss"] != floats["loss"]
    lines = run(*command, "--precision", "int8").out.splitlines()
    assert lines[-2].startswith("accuracy 100.00%")
    assert re.fullmatch(
        r"int8: as accurate as floats \(100.00%, loss 0\.\d{4}\); 0 images classed otherwise", lines[-1]
    )
    quantise = int8.quantise

    def worse(params, activation):
        """The scores of the first class have the other sign."""
        found = quantise(params, activation)
        last = found.layers[-1]
        return found._replace(layers=(*found.layers[:-1], last._replace(W=last.W * np.int8([-1] + [1] * 9))))

    monkeypatch.setattr(int8, "quantise", worse)
    document = run(*command, "--precision", "int8", "--json").json
    assert document["accuracy_lost"] == 1 - document["accuracy"] > 0
    lost, wrong = 100 * document["accuracy_lost"], round(10 * document["accuracy_lost"])
    line = run(*command, "--precision", "int8", "--quiet").out.splitlines()[-1]
    assert f"int8: {lost:.2f} points less accurate than floats (100.00%" in line
    assert f"; {wrong} image" in line
    run(*command, "--precision", "int4").failed(2, "--precision", "float", "int8")


def test_evaluate_with_int8_refuses_activations_before_the_data(run, idx_folder):
    made = run("train", "--data", idx_folder, "--activation", "tanh", "--epochs", 1, "--quiet")
    assert made.code == 0
    run("evaluate", "model.safetensors", "--data", "missing", "--precision", "int8").failed(
        2, "--precision: activation has no int8 form", "relu or leaky_relu or linear", "tanh", "leave the option out"
    )


def test_evaluate_where_there_is_no_test_set(model, run, idx_folder):
    result = run("evaluate", model, "--data", idx_folder / "train-images-idx3-ubyte", "--json")
    assert result.json["images"] == 50
    assert "50 labelled images" in result.err


def test_f50_class_names_are_compared_and_quoted(run, tmp_path):
    pets = class_folders(tmp_path / "pets", ["cat, small", "dog"])
    assert run("train", "--data", pets, "--epochs", 2, "--quiet").code == 0
    assert run("evaluate", "model.safetensors", "--data", pets, "--quiet").code == 0
    others = class_folders(tmp_path / "others", ["dog", "zebra"])
    run("evaluate", "model.safetensors", "--data", others).failed(1, "does not fit others", "cat, small, dog", "zebra")
    three = class_folders(tmp_path / "three", ["cat", "dog", "zebra"])
    run("evaluate", "model.safetensors", "--data", three).failed(1, "does not fit three")
    files = sorted(pets.rglob("*.png"))
    assert run("predict", "model.safetensors", *files, "-o", "answers.csv").code == 0
    with open(tmp_path / "answers.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 7
    assert {label for _, _, label, _ in rows[1:]} <= {"cat, small", "dog"}


def test_f14_f29_f50_model_for_other_sizes(model, run, tmp_path):
    Image.new("L", (27, 28)).save(tmp_path / "a.png")
    run("predict", model, tmp_path / "a.png").failed(1, "a.png", "28x28", "27x28")
    rows = [[0, *range(16)], [1, *range(16)]]
    run("evaluate", model, "--data", csv_file(tmp_path / "small.csv", rows)).failed(1, "28x28", "4x4")


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_predict_png(jit, model, run, tmp_path, small_images):
    files = save_digits(tmp_path, small_images, 3)
    document = run("predict", model, *files, "--json", jit).json
    assert [each["label"] for each in document["predictions"]] == ["0", "1", "2"]
    assert [each["file"] for each in document["predictions"]] == [str(file) for file in files]
    for each in document["predictions"]:
        assert sum(each["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert each["probability"] == max(each["probabilities"].values()) == each["probabilities"][each["label"]]


def test_predict_draws_the_digit_beside_its_probabilities(model, run, tmp_path, small_images):
    lines = run("predict", model, *save_digits(tmp_path, small_images, 1)).out.splitlines()
    assert lines[0].startswith(f"{tmp_path / '0.png'}: 0 (")
    ink = [line for line in lines[1:] if any(mark in line for mark in "▀▄█")]
    assert ink[0].startswith(" " * 4 + "█" * 20) or ink[0].startswith(" " * 4 + "▄" * 20)
    assert sum("%" in line for line in lines) == 11


def test_predict_idx_and_many(model, run, idx_folder, small_images):
    result = run("predict", model, idx_folder / "t10k-images-idx3-ubyte")
    lines = result.out.splitlines()
    assert len(lines) == 10
    assert lines[3].startswith(f"{idx_folder / 't10k-images-idx3-ubyte'}[3]: {small_images[1][53]} (")


def test_kaggle_submission(run, tmp_path, small_images):
    x, labels = small_images
    rows = np.column_stack([labels, x.reshape(60, 784)]).tolist()
    train_csv = csv_file(tmp_path / "epochs.csv", rows)
    names = ",".join(f"pixel{i}" for i in range(784))
    text = "\n".join([names, *(",".join(map(str, row[1:])) for row in rows)])
    (tmp_path / "test.csv").write_text(text + "\n")
    words = ("train", "--data", train_csv, "--json", "--epochs", 60, "--batch-size", 10, "--test-data", "none")
    document = run(*words).json
    assert (document["images"]["test"], document["test_loss"], document["test_accuracy"]) == (0, None, None)
    assert run("predict", "model.safetensors", "test.csv", "-o", "submission.csv", "--kaggle").code == 0
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert lines == ["ImageId,Label", *(f"{number},{label}" for number, label in enumerate(labels, 1))]


def test_f37_predict_goes_on_after_a_bad_file(model, run, tmp_path, small_images):
    good, _ = save_digits(tmp_path, small_images, 2)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = run("predict", model, tmp_path / "bad.png", good, "--json")
    result.failed(1, "bad.png")
    assert len(result.json["predictions"]) == 1
    assert [failure["file"] for failure in result.json["failures"]] == [str(tmp_path / "bad.png")]
    result = run("predict", model, tmp_path / "bad.png", good, "-o", tmp_path / "out.csv")
    assert result.code == 1
    assert not (tmp_path / "out.csv").exists()


def test_predict_labels_and_missing_files(model, run, idx_folder):
    run("predict", model, idx_folder / "t10k-labels-idx1-ubyte").failed(
        1, "byte 3", "these are labels", "rank 3", "rank 1", "name the file of images"
    )
    run("predict", model, "none.png").failed(1, "none.png", "No such file")
    run("predict", "none.safetensors", "none.png").failed(1, "none.safetensors")
    run("predict", model).failed(2, "IMAGE")
