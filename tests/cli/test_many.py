"""`fnnet train --seeds` and `--init-seeds`: their JSON, tables, files and errors."""

import statistics

import pytest

import fnnet
from fnnet.cli.seeds import Seeds, model_files
from fnnet.core.params import weights_sha256
from fnnet.training import session
from tests.cli.test_train import EPOCH_KEYS, TRAIN_KEYS

OF_EACH = ("epochs", "test_loss", "test_accuracy", "dead_units", "weights_sha256", "model")
KEYS = [
    *(key for key in TRAIN_KEYS if key not in OF_EACH and key != "notes"),
    "test_loss",
    "test_loss_spread",
    "test_accuracy",
    "test_accuracy_spread",
    "networks",
    "notes",
]


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
@pytest.mark.parametrize("option", ["--seeds", "--init-seeds"])
def test_json_has_mean_spread_and_each(jit, option, run, idx_folder, tmp_path):
    result = run(
        "train", "--data", idx_folder, jit, "--json", "--epochs", 2, option, "3-4,9", "--out", "net.safetensors"
    )
    assert result.code == 0, result.err
    document = result.json
    assert list(document) == KEYS
    networks = document["networks"]
    assert [list(each) for each in networks] == [["seed", "init_seed", *OF_EACH]] * 3
    assert [each["init_seed"] for each in networks] == [3, 4, 9]
    alike = option == "--init-seeds"
    assert [each["seed"] for each in networks] == ([0, 0, 0] if alike else [3, 4, 9])
    assert document["seed"] == (0 if alike else None)
    for key in ("test_loss", "test_accuracy"):
        values = [each[key] for each in networks]
        assert document[key] == pytest.approx(statistics.mean(values))
        assert document[f"{key}_spread"] == pytest.approx(statistics.stdev(values))
    for each in networks:
        assert [list(epoch) for epoch in each["epochs"]] == [EPOCH_KEYS] * 2
        assert each["model"] == f"net-{each['init_seed']}.safetensors"
        model = fnnet.load_model(tmp_path / each["model"])
        assert weights_sha256(model.params) == each["weights_sha256"]
        assert (model.training["seed"], model.training.get("init_seed", 0)) == (
            each["seed"], 0 if not alike else each["init_seed"],
        )  # fmt: skip
    assert not (tmp_path / "net.safetensors").exists()
    alone = run("train", "--data", idx_folder, jit, "--json", "--epochs", 2, "--seed", 4).json
    hashes = {each["init_seed"]: each["weights_sha256"] for each in networks}
    assert (hashes[4] == alone["weights_sha256"]) is not alike


@pytest.mark.parametrize(
    ("option", "prepared"),
    [("--init-seeds", [{"seed": 0, "init_seed": 3}]), ("--seeds", [{"seed": 3, "init_seed": None}, {"seed": 5}])],
)
def test_each_job_is_prepared_once(option, prepared, run, idx_folder, monkeypatch):
    prepare, calls = session.prepare, []

    def noted(*arguments, seed, **given):
        calls.append({"seed": seed, **{name: given[name] for name in ("init_seed",) if name in given}})
        return prepare(*arguments, seed=seed, **given)

    monkeypatch.setattr(session, "prepare", noted)
    assert run("train", "--data", idx_folder, "--no-jit", "--epochs", 1, option, "3,5").code == 0
    assert calls == prepared


def test_a_single_seed_has_no_spread(run, idx_folder):
    document = run("train", "--data", idx_folder, "--json", "--epochs", 1, "--init-seeds", 5).json
    assert (document["test_loss_spread"], document["test_accuracy_spread"]) == (None, None)
    assert [each["model"] for each in document["networks"]] == ["model-5.safetensors"]


@pytest.mark.parametrize("quiet", [False, True])
def test_text_has_a_table_and_the_mean(quiet, run, idx_folder):
    result = run("train", "--data", idx_folder, "--epochs", 2, "--init-seeds", "0-2", *(["--quiet"] if quiet else []))
    assert result.code == 0, result.err
    assert ("train loss" in result.out) is not quiet
    assert "test accuracy " in result.out
    assert " points, " in result.out
    assert "3 networks 784-10-10, 7,960 parameters each" in result.out
    assert "saved model-0.safetensors to model-2.safetensors" in result.out


def test_those_that_diverge_are_named_and_the_others_saved(run, idx_folder, tmp_path):
    result = run(
        "train", "--data", idx_folder, "--json", "--epochs", 2, "--init-seeds", "0-1", "--learning-rate", "1e30"
    )
    assert result.code == 1
    assert "2 of 2 networks diverged" in result.err
    assert "seeds 0, 1" in result.err
    assert [list(each) for each in result.json["networks"]] == [["seed", "init_seed", "error"]] * 2
    assert result.json["test_accuracy"] is None
    assert not list(tmp_path.glob("model*"))


def test_without_a_test_set(run, tmp_path):
    rows = "\n".join(f"{number % 2}," + ",".join(["0", "255"] * 32) for number in range(20))
    (tmp_path / "rows.csv").write_text("label," + ",".join(f"pixel{n}" for n in range(64)) + "\n" + rows + "\n")
    words = ("train", "--data", "rows.csv", "--classes", 2, "--epochs", 1, "--seeds", "1-2")
    result = run(*words, "--test-data", "none")
    assert result.code == 0, result.err
    assert "no test set" in result.out
    assert "test accuracy " in run(*words).out  # of a share of these


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seeds", "0-3", "--init-seeds", "1"), "--seeds"),
        (("--seeds", "0-3", "--seed", "1"), "--seed"),
        (("--init-seeds", "0-3", "--run-dir", "runs"), "--run-dir"),
        (("--init-seeds", "0-3", "--plot", "curves.png"), "--plot"),
        (("--init-seeds", "3-0"), "lower first"),
        (("--init-seeds", "0-20000"), "1 to 10,000 seeds"),
        (("--init-seeds", "1,1"), "each seed once"),
        (("--init-seeds", ""), "seeds such as 0-31"),
        (("--init-seeds", "1-2-3"), "seeds such as 0-31"),
        (("--init-seeds", "-1"), "seeds such as 0-31"),
        (("--seeds", "18446744073709551616"), "seeds such as 0-31"),
    ],
)
def test_options_that_do_not_go_together(options, words, run, idx_folder, tmp_path):
    result = run("train", "--data", idx_folder, *options)
    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") <= 4
    assert not list(tmp_path.glob("model*"))


def test_no_model_replaces_an_input(run, idx_folder, tmp_path):
    first = run("train", "--data", idx_folder, "--epochs", 1, "--out", "model-1.safetensors")
    assert first.code == 0
    result = run("train", "--data", idx_folder, "--epochs", 1, "--start", "model-1.safetensors", "--init-seeds", "0-1")
    assert result.code == 2
    assert "would replace another file" in result.err


def test_files_beside_that_of_out():
    assert model_files("a/b.c.safetensors", (1, 20)) == ["a/b.c-1.safetensors", "a/b.c-20.safetensors"]
    assert Seeds().convert((1, 2), None, None) == (1, 2)
