"""`fnnet train --members`: JSON, table, files, a run that is stopped and resumed, and what is refused."""

import re
import signal
import statistics

import pytest

import fnnet
from fnnet.cli import watch
from fnnet.core import committee as definition
from fnnet.core.params import weights_sha256
from fnnet.core.state import Committee, Progress, networks_of
from fnnet.training.committee import seeds
from tests.cli.test_many import OF_EACH
from tests.cli.test_train import EPOCH_KEYS, TRAIN_KEYS

FIGURES = ["dev_loss", "dev_accuracy", "test_loss", "test_accuracy", "dead_units", "weights_sha256"]
KEYS = [*(key for key in TRAIN_KEYS if key not in OF_EACH and key != "notes"), *FIGURES, "model", "members", "notes"]
OF_MEMBERS = ["seed", "epochs", *FIGURES]
FEW = ("--epochs", 2, "--members", 3, "--hidden", "9,8", "--dev", 20)


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_json_has_the_committee_and_each_member(jit, run, idx_folder, tmp_path):
    result = run("train", "--data", idx_folder, jit, "--json", *FEW, "--seed", 2)
    assert result.code == 0, result.err
    document = result.json
    assert list(document) == KEYS
    assert (document["seed"], document["sizes"]) == (2, [784, 9, 8, 10])
    members = document["members"]
    assert [list(each) for each in members] == [OF_MEMBERS] * 3
    assert [each["seed"] for each in members] == seeds(2, 3)
    assert all([list(epoch) for epoch in each["epochs"]] == [EPOCH_KEYS] * 2 for each in members)
    assert [each["dev_accuracy"] for each in members] == [each["epochs"][-1]["dev_accuracy"] for each in members]
    assert document["train_seconds"] == pytest.approx(
        sum(epoch["seconds"] for each in members for epoch in each["epochs"])
    )
    model = fnnet.load_model(tmp_path / "model.safetensors")
    assert weights_sha256(*networks_of(model.params)) == document["weights_sha256"]
    for key in ("test_loss", "test_accuracy", "dev_loss", "dev_accuracy"):
        assert model.training[key] == document[key]
        assert [own[key] for own in model.training["members"]] == [each[key] for each in members]
    alone = run(
        "train", "--data", idx_folder, jit, "--json", "--epochs", 2, "--hidden", "9,8", "--dev", 20, "--seed", 2
    )
    assert alone.json["weights_sha256"] == members[0]["weights_sha256"]


@pytest.mark.parametrize("quiet", [False, True])
def test_text_has_a_table_and_the_means_of_members(quiet, run, idx_folder):
    result = run("train", "--data", idx_folder, *FEW, *(["--quiet"] if quiet else []))
    assert result.code == 0, result.err
    document = run("train", "--data", idx_folder, *FEW, "--json").json
    assert ("train loss" in result.out) is not quiet
    for part in ("dev", "test"):
        alone = statistics.mean(each[f"{part}_accuracy"] for each in document["members"])
        wanted = rf"^{part} accuracy {document[f'{part}_accuracy']:.2%}, loss .*; members {alone:.2%} in the mean$"
        assert re.search(wanted, result.out, re.MULTILINE)
    assert "3 members 784-9-8-10, 7,235 parameters each" in result.out
    assert ("note: member 2 of 3 is trained: 2 epochs" in result.err) is not quiet
    assert "saved model.safetensors" in result.out


@pytest.mark.parametrize("apart", [False, True])
def test_commands_take_its_model(apart, run, idx_folder, tmp_path, monkeypatch):
    if apart:
        monkeypatch.setattr(definition, "MOST_JOINED_BYTES", 1000)
    trained = run("train", "--data", idx_folder, "--json", *FEW).json
    model = fnnet.load_model(tmp_path / "model.safetensors")
    assert isinstance(model.params, Committee) is apart
    evaluated = run("evaluate", "model.safetensors", "--data", idx_folder, "--json").json
    assert evaluated["accuracy"] == trained["test_accuracy"]
    assert evaluated["loss"] == pytest.approx(trained["test_loss"])
    whole = run("evaluate", "model.safetensors", "--data", idx_folder, "--json", "--precision", "int8")
    assert whole.code == 0, whole.err
    (images,) = idx_folder.glob("t10k-images*")
    predicted = run("predict", "model.safetensors", images, "--json")
    assert predicted.code == 0, predicted.err
    found = [each["label"] for each in predicted.json["predictions"]]
    from fnnet.data import read_images

    x = read_images(images, model.image_shape, model.preprocessing)
    wanted = fnnet.predict(model, x).tolist()
    assert [label for label in found if label is not None] == [
        want for want, label in zip(wanted, found, strict=True) if label is not None
    ]
    result = run("train", "--data", idx_folder, "--start", "model.safetensors", "--out", "further.safetensors")
    if not apart:
        assert result.code == 0, result.err
        return
    assert result.code == 2
    assert "--start: cannot be trained further; expected a model of one network, found a committee of 3" in result.err


def test_an_activation_without_int8_is_refused(run, idx_folder, monkeypatch):
    monkeypatch.setattr(definition, "MOST_JOINED_BYTES", 1000)
    assert run("train", "--data", idx_folder, *FEW, "--activation", "tanh").code == 0
    result = run("evaluate", "model.safetensors", "--data", idx_folder, "--precision", "int8")
    assert result.code == 2
    assert "--precision" in result.err


def test_a_run_that_is_stopped_goes_on_by_the_same_command(run, idx_folder, monkeypatch):
    """A signal in the second member; the first is not trained again, and the result is as uninterrupted."""
    wanted = run("train", "--data", idx_folder, *FEW, "--json").json
    on_block, made = watch.Watch.on_block, []

    def stopping(self, progress):
        made.append(progress.member)
        if progress.member == 2 and made.count(2) == 1:
            signal.raise_signal(signal.SIGTERM)
        return on_block(self, progress)

    monkeypatch.setattr(watch.Watch, "on_block", stopping)
    command = ("train", "--data", idx_folder, *FEW, "--json", "--run-dir", "runs/c", "--resume")
    stopped = run(*command)
    assert stopped.code == 143
    assert re.search(r"member 2 of 3, step \d+: terminated; go on with --run-dir runs/c --resume", stopped.err)
    made.append(2)
    before = made.count(1)
    found = run(*command)
    assert found.code == 0, found.err
    assert made.count(1) == before
    assert found.json["weights_sha256"] == wanted["weights_sha256"]
    assert found.json["test_accuracy"] == wanted["test_accuracy"]
    again = run(*command[:-1])
    assert again.code == 2
    assert "member-01: holds a run already; go on with --resume" in again.err
    other = run(*command, "--members", 4)
    assert other.code == 2
    assert "--members differs from the run; expected 3, found 4; resume with --members 3" in other.err
    inside = [*(word for word in command if word not in {"--members", 3}), "--run-dir", "runs/c/member-01"]
    inside = run(*inside)
    assert inside.code == 2
    assert "--members differs from the run; expected 3, found 1; resume with --members 3, or" in inside.err
    alone = run("train", "--data", idx_folder, "--run-dir", "runs/c", "--resume")
    assert alone.code == 2
    assert (
        "holds the run of a committee; expected the run of one network; give the recipe or the --members" in alone.err
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--members", 2, "--seeds", "0-1"), "--seeds: each network is a committee"),
        (("--recipe", "committee", "--init-seeds", "0-1"), "--init-seeds: each network is a committee; expected one"),
        (("--members", 2, "--plot", "curves.png"), "--plot: draws one network; expected 1, found 2 members; leave"),
        (("--members", 0), "--members"),
        (("--members", 501), "1 to 500"),
        (("--members", 2, "--run-dir", "r", "--out", "r/member-01"), "would replace a file of the run"),
    ],
)
def test_options_that_do_not_go_together(options, words, run, idx_folder, tmp_path):
    result = run("train", "--data", idx_folder, *options)
    assert result.code == 2
    assert words in result.err
    assert not list(tmp_path.glob("model*"))


def test_a_run_of_one_member_is_that_of_one_network(run, idx_folder):
    document = run("train", "--data", idx_folder, "--json", "--epochs", 1, "--members", 1).json
    assert list(document) == TRAIN_KEYS


def test_without_dev_and_test_images(run, tmp_path):
    rows = "\n".join(f"{number % 2}," + ",".join(["0", "255"] * 32) for number in range(20))
    (tmp_path / "rows.csv").write_text("label," + ",".join(f"pixel{n}" for n in range(64)) + "\n" + rows + "\n")
    few = ("--epochs", 1, "--members", 2, "--dev", 0, "--test-data", "none")
    result = run("train", "--data", "rows.csv", "--classes", 2, *few)
    assert result.code == 0, result.err
    assert "no test set" in result.out
    assert "dev accuracy" not in result.out


def test_the_range_test_has_one_network(run, idx_folder):
    assert "--members" not in run("lr-find", "--help").out
    result = run(
        "lr-find", "--data", idx_folder, "--recipe", "committee", "--hidden", "9", "--steps", 10, "--no-augment"
    )
    assert result.code == 0, result.err


def test_threads_used_are_the_mean_of_the_members():
    watched = watch.Watch(None)
    assert watched.threads is None
    for member, threads in ((1, 2.0), (1, 1.0), (2, 2.0)):
        watched.on_block(Progress(1, 1, 0.0, 1, lambda: None, threads, member))
    assert watched.threads == 1.5
