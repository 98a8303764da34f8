"""`fnnet train`: its JSON, what it prints, its options, and a run that fails."""

import pytest

import fnnet
from fnnet.core.params import weights_sha256
from fnnet.errors import FnnetError
from tests.conftest import idx_bytes

TRAIN_KEYS = [
    "dataset",
    "images",
    "recipe",
    "sizes",
    "parameters",
    "jit",
    "threads",
    "threads_used",
    "seed",
    "options",
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
    "notes",
]

EPOCH_KEYS = ["epoch", "seconds", "train_loss", "train_accuracy", "dev_loss", "dev_accuracy", "learning_rate"]


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
    assert 1 <= document["threads_used"] <= document["threads"]
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
    assert len(result.out.splitlines()) == 5
    assert "784-10-10, 7,960 parameters" in result.out.splitlines()


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


@pytest.mark.parametrize(
    ("rate", "parts"), [("1e30", ("test loss", "found nan")), ("1e39", ("step 1, layer 1", "finite weights"))]
)
def test_last_step_that_diverges_is_noticed(rate, parts, run, idx_folder, tmp_path):
    arguments = ("--epochs", 1, "--batch-size", "full", "--learning-rate", rate, "--quiet")
    run("train", "--data", idx_folder, *arguments).failed(1, "diverged", *parts)
    assert not (tmp_path / "model.safetensors").exists()


def test_divergence_is_told_and_nothing_saved(run, idx_folder, tmp_path):
    run("train", "--data", idx_folder, "--learning-rate", "1e30", "--quiet").failed(1, "diverged", "step", "layer")
    assert not (tmp_path / "model.safetensors").exists()


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


def test_test_accuracy_is_that_of_the_test_images(run, idx_folder, small_images):
    """Test images whose labels are all wrong."""
    (idx_folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes((small_images[1][50:] + 1) % 10))
    arguments = ("--epochs", 60, "--batch-size", 10, "--json")
    document = run("train", "--data", idx_folder, *arguments).json
    assert document["epochs"][-1]["train_accuracy"] > 0.9
    assert document["test_accuracy"] < 0.1
    assert run("evaluate", "model.safetensors", "--data", idx_folder, "--json").json["accuracy"] < 0.1
