"""The command line: what it prints where, what it refuses, and that nothing is half-written."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet.core.params import weights_sha256
from fnnet.errors import FnnetError
from fnnet.kernels import cache, library
from tests.conftest import ROOT, idx_bytes, start
from tests.tools.samples import ROWS, changed, csv_file

TRAIN_KEYS = [
    "dataset",
    "images",
    "recipe",
    "sizes",
    "parameters",
    "jit",
    "threads",
    "seed",
    "epochs",
    "load_seconds",
    "compile_seconds",
    "train_seconds",
    "total_seconds",
    "test_loss",
    "test_accuracy",
    "dead_units",
    "weights_sha256",
    "model",
]
EPOCH_KEYS = ["epoch", "seconds", "train_loss", "train_accuracy", "dev_loss", "dev_accuracy", "learning_rate"]


@pytest.fixture
def model(run, idx_folder, tmp_path):
    """A model trained on the small folder."""
    assert run("train", "--data", idx_folder, "--epochs", 60, "--batch-size", 10, "--quiet").code == 0
    return tmp_path / "model.safetensors"


# train


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_train_json_has_exactly_its_keys(jit, run, idx_folder, tmp_path):
    result = run("train", "--data", idx_folder, jit, "--json", "--epochs", 3, "--dev", 10, "--seed", 4)
    assert result.code == 0, result.err
    document = result.json
    assert list(document) == TRAIN_KEYS
    assert [list(epoch) for epoch in document["epochs"]] == [EPOCH_KEYS] * 3
    assert document["images"] == {"train": 40, "dev": 10, "test": 10}
    assert document["sizes"] == [784, 10, 10]
    assert document["parameters"] == 7960
    assert document["jit"] is (jit == "--jit")
    assert document["threads"] >= 1
    assert (document["recipe"], document["seed"], document["dataset"]) == ("classic", 4, "idx")
    assert [epoch["epoch"] for epoch in document["epochs"]] == [1, 2, 3]
    seconds = sum(epoch["seconds"] for epoch in document["epochs"])
    assert document["train_seconds"] == pytest.approx(seconds)
    parts = ("load_seconds", "compile_seconds", "train_seconds")
    assert document["total_seconds"] >= sum(document[part] for part in parts)
    saved = fnnet.load_model(tmp_path / document["model"])
    assert weights_sha256(saved.params) == document["weights_sha256"]
    assert saved.training["seed"] == 4
    assert "data: idx" in result.err


def test_dev_0_trains_on_all(run, idx_folder):
    document = run("train", "--data", idx_folder, "--json", "--epochs", 2, "--dev", 0).json
    assert document["images"] == {"train": 50, "dev": 0, "test": 10}
    assert all(epoch["dev_loss"] is None and epoch["dev_accuracy"] is None for epoch in document["epochs"])


def test_train_prints_the_data_first_and_nothing_long(run, idx_folder):
    result = run("train", "--data", idx_folder, "--epochs", 30)
    lines = result.out.splitlines()
    assert lines[0].startswith("data: idx, 45 train, 5 dev, 10 test images (")
    assert lines[1].split() == ["epoch", *("train", "loss", "train", "acc", "dev", "loss", "dev", "acc"), "seconds"]
    assert len(lines) < 50
    assert "[" not in result.out  # no array is printed
    assert lines[-1] == "saved model.safetensors"
    assert any(line.startswith("test accuracy ") for line in lines)
    assert "\x1b" not in result.out + result.err


def test_quiet_train(run, idx_folder):
    result = run("train", "--data", idx_folder, "--epochs", 2, "--quiet")
    assert result.err == ""
    assert len(result.out.splitlines()) == 4


def test_options_override_the_recipe(run, idx_folder):
    document = run(
        "train", "--data", idx_folder, "--json", "--recipe", "notebook", "--epochs", 7, "--hidden", "12,5", "--dev", 5
    ).json
    assert document["sizes"] == [784, 12, 5, 10]
    assert document["recipe"] == "notebook"
    assert [epoch["epoch"] for epoch in document["epochs"]] == list(range(1, 8))
    document = run(
        *("train", "--data", idx_folder, "--json", "--epochs", 2, "--hidden", ""),
        *("--batch-size", "full", "--learning-rate", "0.01"),
    ).json
    assert document["sizes"] == [784, 10]
    assert document["epochs"][0]["learning_rate"] == 0.01


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_the_same_run_twice_gives_the_same_weights(jit, run_process, idx_folder):
    command = ("train", "--data", idx_folder, jit, "--json", "--epochs", 3, "--quiet")
    first, second, other = run_process(*command), run_process(*command), run_process(*command, "--seed", 1)
    assert first.json["weights_sha256"] == second.json["weights_sha256"] != other.json["weights_sha256"]


def test_without_data_and_network_it_trains_on_digits(run_process, tmp_path):
    result = run_process("train", "--jit", "--json", HOME=str(tmp_path), FNNET_DATA="")
    assert result.code == 0, result.err
    assert result.json["dataset"] == "digits"
    assert result.json["images"] == {"train": 1294, "dev": 143, "test": 360}
    assert result.json["test_accuracy"] >= 0.85
    result = run_process("train", "--epochs", 1, HOME=str(tmp_path), FNNET_DATA="")
    assert result.out.splitlines()[0].startswith("data: digits, ")


def test_real_mnist_is_learned(run, mnist_folder):
    document = run("train", "--jit", "--json", "--data-dir", mnist_folder, "--epochs", 2).json
    assert document["dataset"] == "mnist"
    assert document["images"] == {"train": 55000, "dev": 5000, "test": 10000}
    assert document["test_accuracy"] > 0.9


def test_train_without_jit_never_imports_numba(run_process, idx_folder):
    result = run_process("train", "--data", idx_folder, "--epochs", 1, python=("-X", "importtime"))
    assert result.code == 0
    imported = {line.split("|")[-1].strip() for line in result.err.splitlines() if line.startswith("import time:")}
    assert "fnnet.core.operations" in imported
    assert not any(name.split(".")[0] in ("numba", "llvmlite", "matplotlib") for name in imported)


def test_help_imports_nothing_heavy(run_process):
    for command in (
        (),
        ("train",),
        ("evaluate",),
        ("predict",),
        ("lr-find",),
        ("plot",),
        ("gradcheck",),
        ("data",),
        ("data", "show"),
        ("warmup",),
    ):
        result = run_process(*command, "--help", python=("-X", "importtime"))
        assert result.code == 0
        assert "Usage: fnnet" in result.out
        imported = {line.split("|")[-1].strip() for line in result.err.splitlines()}
        assert not imported & {
            "numpy",
            "numba",
            "rich",
            "scipy",
            "sklearn",
            "PIL",
            "pooch",
            "safetensors",
            "matplotlib",
        }


def test_every_option_has_help():
    import click

    from fnnet.cli.program import cli

    def commands(group):
        for command in group.commands.values():
            yield command
            if isinstance(command, click.Group):
                yield from commands(command)

    for command in [cli, *commands(cli)]:
        assert command.help, command.name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, (command.name, parameter.name)


def test_three_ways_to_start_are_one_program(run_process):
    outputs = {run_process("--version").out}
    for way in (["-m", "fnnet"], ["-c", "from fnnet.cli import main; main()"]):
        done = subprocess.run([sys.executable, *way, "--version"], capture_output=True, text=True, cwd=ROOT, check=True)
        outputs.add(done.stdout)
    assert outputs == {f"fnnet, version {fnnet.__version__}\n"}


# Bad input: one line, the right code, nothing written.


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--learning-rate", "-1"), ("--learning-rate", "> 0", "'-1'")),
        (("--learning-rate", "nan"), ("--learning-rate",)),
        (("--hidden", "abc"), ("--hidden", "128,64", "'abc'")),
        (("--hidden", "0"), ("--hidden",)),
        (("--batch-size", "0"), ("--batch-size", "1 or more or full", "'0'")),
        (("--epochs", "-1"), ("--epochs",)),
        (("--seed", "-1"), ("--seed",)),
        (("--seed", str(2**64)), ("--seed", "18446744073709551615")),
        (("--dev", "50"), ("--dev", "0 to 49")),
        (("--dev", "x"), ("--dev",)),
        (("--recipe", "magic"), ("--recipe", "classic", "notebook")),
        (("--activation", "sign"), ("--activation", "relu")),
        (("--plot", "curves.txt"), ("--plot", ".png or .svg")),
        (("--hidden", "1000000,1000000"), ("too large",)),
        (("--no-such-option",), ("--no-such-option",)),
        (("extra",), ("extra",)),
    ],
)
def test_wrong_usage(arguments, parts, run, idx_folder, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    run("train", "--data", idx_folder, "--quiet", *arguments).failed(2, *parts)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("rate", "parts"), [("1e30", ("test loss", "found nan")), ("1e39", ("step 1, layer 1", "finite weights"))]
)
def test_last_step_that_diverges_is_noticed(rate, parts, run, idx_folder, tmp_path):
    arguments = ("--epochs", 1, "--batch-size", "full", "--learning-rate", rate, "--quiet")
    run("train", "--data", idx_folder, *arguments).failed(1, "diverged", *parts)
    assert not (tmp_path / "model.safetensors").exists()


def test_options_that_do_not_apply_are_told(run, idx_folder):
    run("train", "--data", "digits", "--classes", 26, "--quiet").failed(2, "--classes", "10, as digits has", "26")
    run("data", "info", "--data", "digits", "--classes", 26).failed(2, "--classes", "10, as digits has", "26")
    for option in ("--data", "--out", "--plot", "--data-dir"):
        run("train", option, "").failed(2, option, "expected a name")


def test_usage_of_every_kind_is_one_line(run):
    run("evaluate").failed(2, "Missing argument 'MODEL'", "fnnet evaluate --help")
    run("trian").failed(2, "No such command 'trian'")
    run("train", "--seed").failed(2, "--seed", "requires an argument")
    assert run("data").out.startswith("Usage: fnnet data")
    assert run().out.startswith("Usage: fnnet")
    run("gradcheck", "--sizes", "").failed(2, "too few layer sizes")


def make_link(path):
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize("make", [os.mkfifo, make_link])
def test_what_is_no_plain_file_is_not_replaced(make, run, idx_folder, tmp_path):
    make(tmp_path / "odd")
    before = (tmp_path / "odd").lstat()
    run("train", "--data", idx_folder, "--out", "odd", "--quiet").failed(1, "odd", "cannot be written", "a file name")
    assert (tmp_path / "odd").lstat().st_mode == before.st_mode


def test_outputs_do_not_replace_inputs_or_one_another(model, run, idx_folder, tmp_path, small_images):
    file = save_digits(tmp_path, small_images, 1)[0]
    before = {path: path.read_bytes() for path in (model, file)}
    run("predict", model, file, "-o", model).failed(2, "--output", "would replace", model)
    run("predict", model, file, "-o", tmp_path / "." / file.name).failed(2, "--output", file)
    images = idx_folder / "train-images-idx3-ubyte"
    run("train", "--data", images, "--out", images).failed(2, "--out", "would replace")
    run("train", "--data", idx_folder, "--out", "a.svg", "--plot", "a.svg").failed(2, "--plot", "--out writes")
    assert before == {path: path.read_bytes() for path in before}


def test_the_result_is_told_even_if_the_picture_fails(run, idx_folder, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    from fnnet.apps.report import plots

    def fail(*arguments):
        raise FnnetError("disk full", where="a.png")

    monkeypatch.setattr(plots, "plot_curves", fail)
    result = run("train", "--data", idx_folder, "--epochs", 2, "--plot", "a.png", "--quiet")
    result.failed(1, "a.png: disk full")
    assert "test accuracy" in result.out
    assert (tmp_path / "model.safetensors").exists()


def truncate(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])


def label_12(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(50, 12)))


def counts_differ(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(49)))


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (truncate, ("train-images-idx3-ubyte", "truncated", "compressed byte")),
        (label_12, ("train-labels-idx1-ubyte", "image 1", "0 to 9", "found 12")),
        (counts_differ, ("counts differ", "49", "50")),
    ],
)
def test_f01_f12_f13_bad_data(spoil, parts, run, idx_folder, tmp_path):
    spoil(idx_folder)
    before = sorted(tmp_path.rglob("*"))
    run("train", "--data", idx_folder, "--quiet").failed(1, *parts)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([*ROWS[:3], ROWS[3][:-2], *ROWS[4:]], ("line 5", "785", "783")),
        (changed(3, 7, "NaN"), ("line 5, column 8", "NaN")),
    ],
)
def test_f21_f23_bad_csv(rows, parts, run, tmp_path):
    run("train", "--data", csv_file(tmp_path / "epochs.csv", rows), "--quiet").failed(1, "epochs.csv", *parts)
    assert os.listdir(tmp_path) == ["epochs.csv"]


def test_f27_missing_data(run):
    run("train", "--data", "nowhere.csv").failed(1, "--data", "nowhere.csv")


def test_f14_f29_f50_model_for_other_sizes(model, run, tmp_path):
    Image.new("L", (27, 28)).save(tmp_path / "a.png")
    run("predict", model, tmp_path / "a.png").failed(1, "a.png", "28x28", "27x28")
    rows = [[0, *range(16)], [1, *range(16)]]
    run("evaluate", model, "--data", csv_file(tmp_path / "small.csv", rows)).failed(1, "28x28", "4x4")


@pytest.mark.parametrize("out", ["no/such/folder/m.safetensors", "."])
def test_unwritable_output_fails_before_the_work(out, run, idx_folder, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    run("train", "--data", idx_folder, "--out", out, "--quiet").failed(1, "cannot be written")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may write anywhere")
def test_read_only_folder(run, idx_folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    run("train", "--data", idx_folder, "--out", tmp_path / "locked" / "m").failed(1, "Permission denied")


def test_divergence_is_told_and_nothing_saved(run, idx_folder, tmp_path):
    run("train", "--data", idx_folder, "--learning-rate", "1e30", "--quiet").failed(1, "diverged", "step", "layer")
    assert not (tmp_path / "model.safetensors").exists()


def test_f38_a_file_name_cannot_steer_the_terminal(run):
    result = run("train", "--data", "a\x1b[31m\nb")
    result.failed(1, r"\x1b")
    assert "\x1b" not in result.err


def test_an_internal_error_is_one_line_unless_debug(run, monkeypatch, idx_folder):
    from fnnet.training import epochs

    def fail(*arguments, **options):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(epochs, "epochs", fail)
    run("train", "--data", idx_folder, "--quiet").failed(1, "internal: ZeroDivisionError: planted", "--debug")
    assert "Traceback" in run("--debug", "train", "--data", idx_folder, "--quiet").err
    assert "Traceback" in run("train", "--data", idx_folder, "--quiet", "--debug").err


# evaluate, predict, gradcheck, data


def test_evaluate(model, run, idx_folder):
    document = run("evaluate", model, "--data", idx_folder, "--json").json
    assert list(document) == ["model", "dataset", "images", "jit", "loss", "accuracy", "classes", "confusion", "plot"]
    assert document["images"] == np.sum(document["confusion"]) == 10
    assert document["accuracy"] == np.trace(document["confusion"]) / 10 == 1.0
    assert [row["class"] for row in document["classes"]] == list("0123456789")
    assert run("evaluate", model, "--data", idx_folder, "--json", "--jit").json["accuracy"] == 1.0
    lines = run("evaluate", model, "--data", idx_folder).out.splitlines()
    assert lines[0].startswith("data: idx, 10 test images")
    assert lines[-1].startswith("accuracy 100.00%")
    assert len(run("evaluate", model, "--data", idx_folder, "--quiet").out.splitlines()) == 1


def test_test_accuracy_is_that_of_the_test_images(run, idx_folder, small_images):
    """Test images whose labels are all wrong."""
    (idx_folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes((small_images[1][50:] + 1) % 10))
    arguments = ("--epochs", 60, "--batch-size", 10, "--json")
    document = run("train", "--data", idx_folder, *arguments).json
    assert document["epochs"][-1]["train_accuracy"] > 0.9
    assert document["test_accuracy"] < 0.1
    assert run("evaluate", "model.safetensors", "--data", idx_folder, "--json").json["accuracy"] < 0.1


def class_folders(folder, names):
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (4, 4), 60 * number + i).save(folder / name / f"{i}.png")
    return folder


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
    assert {label for _, label in rows[1:]} <= {"cat, small", "dog"}


def test_class_names_that_could_steer_the_terminal_are_refused(run, tmp_path):
    folder = class_folders(tmp_path / "pets", ["cat", "dog\x1b[31m"])
    result = run("train", "--data", folder)
    result.failed(2, "class name", r"\x1b")


def test_evaluate_where_there_is_no_test_set(model, run, idx_folder):
    result = run("evaluate", model, "--data", idx_folder / "train-images-idx3-ubyte", "--json")
    assert result.json["images"] == 50
    assert "50 labelled images" in result.err


def save_digits(tmp_path, small_images, count):
    for number in range(count):
        Image.fromarray(small_images[0][number]).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(count)]


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
    document = run("train", "--data", train_csv, "--json", "--epochs", 60, "--batch-size", 10).json
    assert (document["images"]["test"], document["test_loss"], document["test_accuracy"]) == (0, None, None)
    assert run("predict", "model.safetensors", "test.csv", "-o", "submission.csv").code == 0
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
    run("predict", model, idx_folder / "t10k-labels-idx1-ubyte").failed(1, "these are labels")
    run("predict", model, "none.png").failed(1, "none.png", "No such file")
    run("predict", "none.safetensors", "none.png").failed(1, "none.safetensors")
    run("predict", model).failed(2, "IMAGE")


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_gradcheck(jit, run):
    document = run("gradcheck", "--sizes", "9,6,5,4", "--json", jit, "--seed", 3).json
    assert document["passed"]
    assert [array["name"] for array in document["arrays"]] == [f"layer {n} {name}" for n in (1, 2, 3) for name in "Wb"]
    assert "gradient right" in run("gradcheck", "--sizes", "9,6,4").out


def test_gradcheck_of_every_kind(run):
    options = ("--activation", "gelu", "--dropout", "0.2,0.4", "--label-smoothing", 0.1, "--weighted")
    document = run("gradcheck", "--sizes", "6,9,8,4", *options, "--json").json
    assert document["passed"]
    assert (document["activation"], document["dropout"], document["label_smoothing"]) == ("gelu", [0.2, 0.4], 0.1)
    assert document["weighted"]
    run("gradcheck", "--dropout", 1).failed(2, "--dropout", "less than 1")
    run("gradcheck", "--dropout", "0.1,0.2").failed(2, "one for each of 1 hidden layers", "found 2")
    run("gradcheck", "--label-smoothing", 1).failed(2, "--label-smoothing", "less than 1")


def test_gradcheck_fails_on_a_wrong_gradient(run, monkeypatch):
    from fnnet.core import operations, table
    from fnnet.core.table import NUMPY

    def wrong(da, z):
        return 1.001 * operations.relu_backward(da, z)

    activations = {**operations.ACTIVATIONS, "relu": operations.Activation(operations.relu, wrong, kinked=True)}
    changed = NUMPY._replace(operations=NUMPY.operations._replace(activations=activations))
    monkeypatch.setattr(table, "NUMPY", changed)
    result = run("gradcheck", "--sizes", "9,6,4")
    assert result.code == 1
    assert result.out.count("WRONG") == 3  # W and b of the first layer, and the verdict


def test_data_info(run, idx_folder):
    document = run("data", "info", "--data", idx_folder, "--json").json
    assert document["images"] == {"train": 50, "test": 10}
    assert document["labels"] == {"train": [5] * 10, "test": [1] * 10}
    assert document["image_shape"] == [28, 28]
    lines = run("data", "info", "--data", idx_folder).out.splitlines()
    assert lines[0].startswith("data: idx, 50 train, 10 test images")
    assert len(lines) == 13


def test_data_download_is_told_when_offline(run, tmp_path):
    run("data", "download", "--data-dir", tmp_path / "new").failed(1, "FNNET_OFFLINE")
    assert not (tmp_path / "new").exists()


def test_data_show(run, idx_folder, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    result = run("data", "show", "--data", idx_folder, "--count", 7, "-o", "sheet.png")
    assert result.code == 0, result.err
    assert sum("█" in line for line in result.out.splitlines()) >= 3
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 300


# Processes


def test_json_through_a_pipe_parses(run_process, idx_folder):
    train = f"{sys.executable} {ROOT / 'cli.py'} train --data {idx_folder} --epochs 2 --json"
    command = f"{train} | {sys.executable} -m json.tool"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=idx_folder.parent, check=True)
    assert json.loads(done.stdout)["sizes"] == [784, 10, 10]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
@pytest.mark.parametrize("how", ["--no-jit", "--jit", "compiling"])
def test_f56_signals_end_it_cleanly(number, code, how, idx_folder, tmp_path, numba_kernels):
    """In training, and while the kernels are being compiled, which leaves no compiler behind."""
    if not hasattr(signal, number):
        pytest.skip(f"no {number} on this system")
    jit = "--no-jit" if how == "--no-jit" else "--jit"
    command = [sys.executable, str(ROOT / "cli.py"), "train", jit, "--data", str(idx_folder), "--epochs", "10000000"]
    env = {**os.environ, "FNNET_CACHE": str(tmp_path / "cold")} if how == "compiling" else None
    with start(command, tmp_path, env) as process:
        assert process.stdout.readline().startswith("data: ")
        time.sleep(1.0)
        process.send_signal(getattr(signal, number))
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    word = "interrupted" if code == 130 else "terminated"
    lines = [rf"error: step \d+: {word}; nothing is kept without --run-dir"]
    if how == "compiling":
        lines = ["note: compiling, once on this machine", f"error: {word}"]
    assert re.fullmatch("\n".join(lines), err.strip())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idx"]


def test_threads_are_an_option_and_change_no_bit(run, idx_folder, tmp_path):
    command = ("train", "--jit", "--data", idx_folder, "--hidden", 40, "--epochs", 3, "--json")
    documents = [run(*command, "--threads", threads).json for threads in (1, 2, 3)]
    assert [document["threads"] for document in documents] == [1, 2, 3]
    assert len({document["weights_sha256"] for document in documents}) == 1
    model = tmp_path / "model.safetensors"
    losses = {
        run("evaluate", model, "--data", idx_folder, "--jit", "--threads", n, "--json").json["loss"] for n in (1, 4)
    }
    assert len(losses) == 1
    assert run(*command).json["threads"] >= 1
    run(*command, "--threads", 0).failed(2, "--threads", "1 to 1024")


def test_f58_warmup(run, tmp_path, numba_kernels, monkeypatch):
    document = run("warmup", "--json").json
    assert list(document) == ["cache", "compile_seconds"]
    assert document["cache"] == os.environ["FNNET_CACHE"]
    assert document["compile_seconds"] < 5
    assert run("warmup").out.startswith(f"compiled kernels ready in {document['cache']}")
    codes = {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}
    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setattr(library, "_compile", lambda parts, dtype: {part: codes[part] for part in parts})
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / "file"))
    run("warmup").failed(1, tmp_path / "file", "cannot be kept", "set FNNET_CACHE")


def test_f57_a_reader_that_leaves_is_no_error(idx_folder, tmp_path):
    command = f"{sys.executable} {ROOT / 'cli.py'} data info --data {idx_folder} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("where", [">&-", "> /dev/full"])
@pytest.mark.parametrize("arguments", ["--version", "--help", "data info --data idx", "data info --data idx --json"])
def test_standard_output_that_is_closed_or_full(where, arguments, idx_folder, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    command = f"{sys.executable} {ROOT / 'cli.py'} {arguments} {where}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    wanted = "" if where == ">&-" else "error: standard output cannot be written: No space left on device\n"
    assert done.stderr == wanted
    assert done.returncode == (0 if where == ">&-" else 1)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this system")
def test_f56_nohup_is_respected(idx_folder, tmp_path):
    """A process that is to ignore SIGHUP goes on after it."""
    command = [sys.executable, str(ROOT / "cli.py"), "train", "--data", str(idx_folder), "--epochs", "10000000"]
    with start(command, tmp_path, ignored=[signal.SIGHUP]) as process:
        assert process.stdout.readline().startswith("data: ")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143


def test_data_show_augment(run, idx_folder, tmp_path):
    """Each image beside its deformations, the same for the same seed; as many to a row as the terminal has room for."""
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    result = run("data", "show", "--augment", "--data", idx_folder, "--count", 2, "-o", tmp_path / "sheet.png")
    assert result.out.count("epoch 1") == 2
    assert "epoch 9" not in result.out
    assert f"saved {tmp_path / 'sheet.png'}" in result.out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * sheet.height
    assert run("data", "show", "--augment", "--data", idx_folder, "--count", 2).out == result.out.replace(
        f"saved {tmp_path / 'sheet.png'}\n", ""
    )


def test_data_show_draws_the_deformation_that_is_said(run, idx_folder):
    """Figures alone are enough to have the deformations drawn; those left out are those of `--augment`."""
    arguments = ("data", "show", "--data", idx_folder, "--count", 2)
    usual, stronger = run(*arguments, "--augment").out, run(*arguments, "--deformation", "rotation=60").out
    assert run(*arguments, "--deformation", "rotation=12").out == usual != stronger
    assert stronger.count("epoch 1") == 2
    run(*arguments, "--deformation", "rotation=-1").failed(2, "--deformation", ">= 0")


@pytest.mark.parametrize(("given", "option", "target"), [
    ("idx", "--out", "idx/train-images-idx3-ubyte"),
    ("idx/train-images-idx3-ubyte", "--out", "idx/train-labels-idx1-ubyte"),
    ("idx", "--plot", "idx/t10k-labels-idx1-ubyte.png"),
    ("classes", "--out", "classes/0/0.png"),
    ("classes", "--plot", "classes/1/0.png"),
])  # fmt: skip
def test_f47_no_output_replaces_a_file_of_the_data(given, option, target, run, idx_folder, small_images, tmp_path):
    (idx_folder / "t10k-labels-idx1-ubyte.png").write_bytes((idx_folder / "t10k-labels-idx1-ubyte").read_bytes())
    for name in "01":
        (tmp_path / "classes" / name).mkdir(parents=True)
        Image.fromarray(small_images[0][int(name)]).save(tmp_path / "classes" / name / "0.png")
    before = (tmp_path / target).read_bytes()
    run("train", "--data", given, option, target).failed(2, option, "would replace another file", given.split("/")[0])
    assert (tmp_path / target).read_bytes() == before


@pytest.mark.parametrize(
    "name", ["lock", "log.jsonl", "step-000000000009.safetensors", "step-000000000009.safetensors.damaged"]
)
def test_f47_no_output_takes_the_name_of_a_file_of_the_run(name, run, idx_folder, tmp_path):
    result = run("train", "--data", idx_folder, "--run-dir", "kept", "--out", f"kept/{name}")
    result.failed(2, "--out", "would replace a file of the run", name)
    (tmp_path / "kept").mkdir()
    assert run("train", "--data", idx_folder, "--run-dir", "kept", "--out", "kept/model.safetensors", "-q").code == 0
