"""Runs worth keeping: the model of a run, commands that take its folder, `info`, and what differs between runs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet.apps.about import KEYS
from fnnet.core.params import weights_sha256
from fnnet.files import log
from fnnet.files.owner import this_process
from tests.cli.conftest import command, save_digits
from tests.cli.test_train import TRAIN_KEYS
from tests.conftest import ROOT

FEW = ("--epochs", 3, "--batch-size", 10, "--dev", 10)


@pytest.fixture
def trained(run, idx_folder):
    """A run of one network in `runs/a`."""
    result = run("train", "--data", "idx", *FEW, "--run-dir", "runs/a", "--json")
    assert result.code == 0, result.err
    return result.json


# The model of a run


def test_a_run_keeps_its_model_and_nothing_is_written_elsewhere(trained, run, tmp_path):
    assert trained["model"] == os.path.join("runs/a", "model.safetensors")
    model = fnnet.load_model(trained["model"])
    assert weights_sha256(model.params) == trained["weights_sha256"]
    assert sorted(os.listdir()) == ["idx", "runs"]
    result = run("train", "--data", "idx", *FEW, "--run-dir", "runs/b")
    assert result.out.splitlines()[-1] == "saved runs/b/model.safetensors"
    both = run("train", "--data", "idx", *FEW, "--run-dir", "runs/c", "--out", "own.safetensors")
    assert both.out.splitlines()[-1] == "saved own.safetensors"
    assert (tmp_path / "own.safetensors").read_bytes() == (tmp_path / "runs/c/model.safetensors").read_bytes()


def test_the_run_s_own_name_may_be_given(run, idx_folder, tmp_path):
    result = run("train", "--data", "idx", *FEW, "--run-dir", "kept", "--out", "./kept/model.safetensors")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1] == "saved ./kept/model.safetensors"
    run("train", "--data", "idx", *FEW, "--run-dir", "b", "--plot", "b/model.safetensors").failed(2, "--plot")


def test_a_run_that_was_stopped_before_its_model_was_kept_writes_it_when_it_goes_on(trained, run, tmp_path):
    kept = tmp_path / "runs/a/model.safetensors"
    before = kept.read_bytes()
    kept.unlink()
    run("evaluate", "runs/a").failed(
        1, "runs/a: holds no model yet", "go on with 'fnnet train --run-dir runs/a --resume'"
    )
    assert run("train", "--data", "idx", *FEW, "--run-dir", "runs/a", "--resume").code == 0
    assert kept.read_bytes() == before
    assert run("train", "--data", "idx", *FEW[2:], "--epochs", 5, "--run-dir", "runs/a", "--resume").code == 0
    assert fnnet.load_model(kept).training["plan"]["epochs"] == 5


def test_commands_take_a_run_for_its_model(trained, run, small_images, tmp_path):
    found = run("evaluate", "runs/a", "--json").json
    assert found["model"] == trained["model"]
    assert (found["accuracy"], found["images"]) == (trained["test_accuracy"], 10)
    assert run("evaluate", "runs/a/", "--data", "idx", "--json").json["accuracy"] == trained["test_accuracy"]
    file = save_digits(tmp_path, small_images, 1)[0]
    found, alone = (run("predict", path, file, "--json").json for path in ("runs/a", trained["model"]))
    assert found == alone
    assert run("trace", "runs/a", file, "--label", 3, "--json").json["model"] == trained["model"]
    assert run("trace", "runs/a", "--data", "idx", "--json").json["model"] == trained["model"]
    started = run("train", "--data", "idx", "--epochs", 1, "--start", "runs/a", "--out", "b.safetensors", "--json")
    assert started.json["options"]["start"] == trained["model"]
    run("train", "--data", "idx", "--start", "runs/a", "--out", trained["model"]).failed(
        2, "would replace another file"
    )
    for words in (("evaluate", "idx"), ("predict", "idx", file), ("info", "idx"), ("train", "--start", "idx")):
        run(*words).failed(1, "idx: holds no model; expected a model, or a folder that 'fnnet train --run-dir' wrote")
    shutil.copytree("runs/a", "runs/b")
    run("evaluate", "runs").failed(1, "runs: holds no model", "a folder of 2 runs: a, b; name one of them")


def test_a_model_of_fewer_epochs_than_its_run_is_noted(trained, run, monkeypatch):
    def stop(*given):
        raise ZeroDivisionError

    monkeypatch.setattr("fnnet.training.session.model_of", stop)
    more = ("train", "--data", "idx", *FEW[2:], "--epochs", 5, "--run-dir", "runs/a", "--resume")
    assert run(*more).code == 1
    steps = 3 * 4, 5 * 4
    for words in (("evaluate", "runs/a"), ("predict", "runs/a", "idx/t10k-images-idx3-ubyte")):
        found = run(*words, "--json").json["notes"]
        assert [note["code"] for note in found] == ["behind"]
        assert f"of step {steps[0]}; its run has gone on to step {steps[1]}" in found[0]["note"]


def test_a_committee_keeps_its_model_and_those_of_its_members(run, idx_folder, tmp_path):
    made = run("train", "--data", "idx", *FEW, "--members", 2, "--run-dir", "c", "--json").json
    assert made["model"] == os.path.join("c", "model.safetensors")
    assert run("evaluate", "c", "--json").json["accuracy"] == made["test_accuracy"]
    own = run("evaluate", "c/member-02", "--json").json
    assert own["accuracy"] == made["members"][1]["test_accuracy"]
    assert (
        weights_sha256(fnnet.load_model("c/member-02/model.safetensors").params) == made["members"][1]["weights_sha256"]
    )
    assert sorted(os.listdir("c")) == ["member-01", "member-02", "model.safetensors"]


@pytest.mark.parametrize("members", [1, 2])
def test_a_file_of_the_user_s_in_the_folder_is_refused_before_the_data(members, run, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "model.safetensors").write_bytes(b"mine")
    words = ("train", "--data", "missing", "--members", members, "--run-dir", "kept")
    run(*words).failed(2, "kept/model.safetensors: would be replaced by the model", "move it away")
    fnnet.save_model(tmp_path / "kept" / "model.safetensors", fnnet.Model(fnnet.init((784, 10))))
    for more in ([], ["--resume"]):
        run(*words, *more).failed(2, "kept: holds a model already", "choose another folder")


# Names that nobody gave


def test_a_model_is_replaced_by_another_with_a_note_before_the_work(run, idx_folder, tmp_path):
    words = ("train", "--data", "idx", *FEW)
    note = "note: model.safetensors, an earlier model, will be replaced; --out names another file\n"
    assert note not in run(*words, "--json").err
    second = run(*words, "--seed", 1, "--json")
    assert second.err.startswith(note)
    assert [f"note: {each['note']}\n" for each in second.json["notes"] if each["code"] == "replaced"] == [note]
    assert weights_sha256(fnnet.load_model("model.safetensors").params) == second.json["weights_sha256"]
    quiet = run(*words, "--quiet")
    assert quiet.err == ""
    assert quiet.out.splitlines()[0] == "replaced model.safetensors"
    assert note not in run(*words, "--out", "model.safetensors").err


@pytest.mark.parametrize("content", [b"", b"mine", b"PK\3\4", b"\xff" * 9])
def test_any_other_file_of_that_name_is_refused_before_the_data(content, run, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    run("train", "--data", "missing").failed(
        2, "--out: would replace a file", "model.safetensors", "move this one away"
    )
    (tmp_path / "model-3.safetensors").write_bytes(content)
    for more in ([], ["--out", "model.safetensors"]):
        run("train", "--data", "missing", "--seeds", "3", *more).failed(2, "--out: would replace a file", "model-3")
    assert (tmp_path / "model.safetensors").read_bytes() == content


def test_models_of_many_seeds_are_noted_together(run, idx_folder):
    words = ("train", "--data", "idx", "--epochs", 1, "--init-seeds", "0-2", "--json")
    note = "note: model-0.safetensors and 2 others, an earlier model, will be replaced"
    assert [note in run(*words).err for _ in range(2)] == [False, True]


def test_the_picture_of_evaluate_replaces_only_its_own(run, model, idx_folder, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install matplotlib")
    words = ("evaluate", model, "--data", "idx", "--plot")
    assert run(*words).err == ""
    assert run(*words).err == "note: evaluation.png, an earlier picture, will be replaced; --plot FILE names another\n"
    assert [each["code"] for each in run(*words, "--json").json["notes"]] == ["replaced"]
    quiet = run(*words, "--quiet")
    assert (quiet.err, quiet.out.splitlines()[0]) == ("", "replaced evaluation.png")
    Image.new("L", (4, 4)).save("evaluation.png")
    before = (tmp_path / "evaluation.png").read_bytes()
    run(*words).failed(2, "--plot: would replace a file", "evaluation.png", "name another file: --plot FILE")
    assert (tmp_path / "evaluation.png").read_bytes() == before
    assert run(*words[:-1], "--plot", "other.png").code == 0


# Options in force


def test_json_has_every_option_that_was_in_force(trained):
    names = {each.opts[0].removeprefix("--").replace("-", "_") for each in command(["train"]).params}
    others = {"json", "quiet", "_h"}
    assert trained["options"].keys() == names - others
    assert list(trained) == TRAIN_KEYS
    wanted = {
        "data": "idx", "epochs": 3, "batch_size": 10, "dev": 10, "hidden": [10], "activation": "relu", "seed": 0,
        "optimizer": "sgd", "learning_rate": 0.05, "momentum": None, "schedule": "constant", "augment": False,
        "deformation": None, "members": 1, "recipe": "classic", "run_dir": "runs/a", "out": trained["model"],
        "classes": 10, "class_names": list("0123456789"), "image_size": [28, 28], "size": None, "pixel_max": 255,
        "ink": "light", "transpose": False, "threads": trained["threads"], "jit": False, "resume": False,
        "seeds": None, "init_seeds": None, "start": None, "dev_data": None, "test_data": None, "class_weights": None,
    }  # fmt: skip
    assert {name: trained["options"][name] for name in wanted} == wanted


def test_options_of_recipes_and_of_many_networks(run, idx_folder):
    found = run("train", "--data", "idx", "--recipe", "accurate", "--hidden", "9", "--epochs", 1, "--json").json[
        "options"
    ]
    assert (found["augment"], found["deformation"]["fade"], found["momentum"]) == (True, 0.5, 0.9)
    found = run("train", "--data", "idx", "--epochs", 1, "--seeds", "3-4", "--json").json["options"]
    assert (found["seed"], found["seeds"]) == (None, [3, 4])
    assert found["out"] == ["model-3.safetensors", "model-4.safetensors"]
    found = run(
        "train", "--data", "idx", "--optimizer", "lbfgs", "--epochs", 1, "--json", "--out", "l.safetensors"
    ).json
    assert (found["options"]["learning_rate"], found["options"]["batch_size"]) == (None, "full")


def test_the_documented_keys_are_those_of_the_json():
    text = (ROOT / "docs" / "runs.md").read_text()
    table = text.partition("`train --json` prints")[2].partition("`info --json`")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(TRAIN_KEYS)
    listed = text.partition("`info --json` prints")[2].partition("null for what")[0]
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(KEYS)


def test_the_examples_of_the_document_run(run, tmp_path):
    text = (ROOT / "docs" / "runs.md").read_text()
    (commands,) = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    shutil.copytree(ROOT / "docs", "docs", ignore=lambda folder, names: {*names} - {"two.png"})
    for line in commands.splitlines():
        python, program, *words = line.split()
        assert (python, program) == ("python", "cli.py")
        result = run(*words)
        assert result.code == 0, (line, result.err)
    assert "** a: --epochs 5, --learning-rate 0.05" in run("plot", "runs/a", "runs/b").out
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir("runs")) == ["a", "b", "c", "d"]


# info


def rows(text):
    """Heading -> text of a printed table of facts."""
    return dict(re.findall(r"^(\w+) +(.*?) *$", text, re.MULTILINE))


def test_info_of_a_model(trained, run, tmp_path):
    found = run("info", trained["model"], "--json").json
    assert list(found) == list(KEYS)
    content = (tmp_path / trained["model"]).read_bytes()
    wanted = {
        "model": trained["model"], "run": None, "sizes": [784, 10, 10], "parameters": 7960, "activation": "relu",
        "dtype": "float32", "classes": list("0123456789"), "image_shape": [28, 28], "recipe": "classic", "seed": 0,
        "images": {"train": 40, "dev": 10, "test": 10}, "dataset": "idx", "data": {"path": "idx", "numbered": True},
        "bytes": len(content), "format_version": "3", "file_sha256": hashlib.sha256(content).hexdigest(),
        "weights_sha256": trained["weights_sha256"], "test_accuracy": trained["test_accuracy"], "steps": 12,
        "jit": False, "members": None,
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert found["versions"]["fnnet"] == fnnet.__version__
    same = {name: value for name, value in trained["options"].items() if name in found["options"]}
    assert found["options"] | {"init_seed": None} == same | {"init_seed": None}
    said = rows(run("info", trained["model"]).out)
    assert said["network"] == "784-10-10, 7,960 parameters, relu, float32"
    assert said["data"] == "idx, 40 train, 10 dev, 10 test images"
    assert said["weights"] == f"sha256:{trained['weights_sha256']}"
    assert "--batch-size 10" in run("info", trained["model"]).out
    assert "run" not in said


def test_info_of_a_run(trained, run):
    found = run("info", "runs/a", "--json").json
    about = found["run"]
    assert (about["folder"], about["state"], about["step"], about["problems"]) == ("runs/a", "finished", 12, [])
    assert [report["epoch"] for report in about["epochs"]] == [1, 2, 3]
    assert found["weights_sha256"] == trained["weights_sha256"]
    result = run("info", "runs/a")
    assert rows(result.out)["run"].startswith("runs/a: finished at step 12; begun 20")
    assert "train loss" in result.out
    assert result.err == ""


def state(run, folder="runs/a", code=0):
    result = run("info", folder, "--json")
    assert result.code == code, result.err
    about = result.json["run"]
    return about["state"], about["reason"], about["step"]


def test_the_state_of_a_run(trained, run, tmp_path, monkeypatch):
    folder = tmp_path / "runs/a"
    events = [dict(event) for event in log.read_log(folder)]
    assert state(run) == ("finished", None, 12)
    log.rewrite(folder, [*events[:-1], events[-1] | {"reason": "interrupted"}])
    assert state(run) == ("stopped", "interrupted", 12)
    assert "runs/a: stopped: interrupted at step 12" in run("info", "runs/a").out
    log.rewrite(folder, events[:-1])
    assert state(run) == ("stopped", "killed", 12)
    about = this_process()._asdict() | {"boot": "x", "machine": "x", "host": "far-away"}
    (folder / "lock").write_text(json.dumps(about))
    assert state(run) == ("unknown", None, 12)
    assert "left by another machine" in run("info", "runs/a").out
    (folder / "lock").unlink()
    from fnnet.files.lock import lock

    with lock(folder):
        assert state(run) == ("training", None, 12)
        assert f"being trained at step 12, by process {os.getpid()}" in run("info", "runs/a").out
    for path in folder.glob("step-*"):
        path.unlink()
    (folder / "model.safetensors").unlink()
    log.rewrite(folder, events[:1])
    assert state(run) == ("begun", None, None)
    found = run("info", "runs/a", "--json").json
    assert (found["sizes"], found["model"], found["recipe"]) == ([784, 10, 10], None, "classic")
    assert found["images"] == {"train": 40, "dev": 10, "test": None}
    assert rows(run("info", "runs/a").out)["model"] == "none yet: it is written once training is finished"


def damage_log(folder):
    with (folder / "log.jsonl").open("ab") as file:
        file.write(b"{}\n")
    return "log.jsonl: line"


def damage_checkpoints(folder):
    for path in folder.glob("step-*"):
        path.write_bytes(path.read_bytes()[:-1])
    return "no checkpoint is intact"


def damage_model(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    return "model.safetensors: "


@pytest.mark.parametrize("damage", [damage_log, damage_checkpoints, damage_model])
def test_of_a_damaged_run_the_rest_is_shown_and_one_line(damage, trained, run, tmp_path):
    said = damage(tmp_path / "runs/a")
    result = run("info", "runs/a")
    result.failed(1, said)
    assert rows(result.out)["run"].startswith("runs/a: damaged")
    assert rows(result.out)["network"].startswith("784-10-10, 7,960 parameters")
    found = run("info", "runs/a", "--json")
    found.failed(1, said)
    assert found.json["run"]["state"] == "damaged"
    assert said in found.json["run"]["problems"][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "file is empty"),
        (b"PK\3\4" * 9, "a pickle or archive, which fnnet never opens"),
        (b"\x80" + bytes(99), "a pickle or archive"),
        (b"text, of several words", "not a safetensors file"),
    ],
)
def test_info_of_another_file_is_one_line(content, said, run, tmp_path):
    (tmp_path / "m").write_bytes(content)
    for more in ([], ["--json"]):
        result = run("info", "m", *more)
        result.failed(1, "m: ", said)
        assert result.out == ""
    run("info", "nowhere").failed(1, "nowhere: cannot be opened")


def test_info_of_a_checkpoint_says_what_it_is(trained, run, tmp_path):
    path = max((tmp_path / "runs/a").glob("step-*"))
    run("info", path).failed(1, "not an fnnet model", "fnnet-checkpoint")


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [1], {"path": 3}, True, 1.5, "a\x1b[31m\nb"])
def test_what_a_stranger_s_model_says_of_its_training_is_shown_as_it_is(value, run, tmp_path):
    about = dict.fromkeys(KEYS, value) | {"plan": value, "dev_images": value, "images": value}
    model = fnnet.Model(fnnet.init((784, 10)), training=about)
    fnnet.save_model(tmp_path / "m.safetensors", model)
    for more in ([], ["--json"]):
        result = run("info", "m.safetensors", *more)
        assert (result.code, result.err) == (0, "")
        assert "\x1b" not in result.out


def test_info_of_a_model_without_a_training(run, tmp_path):
    fnnet.save_model(tmp_path / "m.safetensors", fnnet.Model(fnnet.init((784, 10))))
    found = run("info", "m.safetensors", "--json").json
    assert (found["sizes"], found["options"], found["dataset"]) == ([784, 10], {}, None)
    said = rows(run("info", "m.safetensors").out)
    assert {*said} == {"model", "network", "images", "pixels", "weights", "file"}


def test_a_finished_run_without_a_model_is_named(trained, run, tmp_path):
    """As versions that kept no model left it."""
    (tmp_path / "runs/a/model.safetensors").unlink()
    found = run("info", "runs/a")
    assert (found.code, found.err) == (0, "")
    assert "runs/a: finished at step 12" in found.out
    assert rows(found.out)["model"].startswith("none: an earlier version trained")
    for words in (("evaluate", "runs/a"), ("predict", "runs/a", "idx/t10k-images-idx3-ubyte")):
        run(*words).failed(1, "runs/a: holds no model yet", "--resume' and its options")
    assert len(run("plot", "runs", "--json").json["runs"][0]["epochs"]) == 3


def test_info_of_a_committee_has_a_line_for_each_member(run, idx_folder, tmp_path):
    run("train", "--data", "idx", *FEW, "--members", 3, "--run-dir", "c")
    found = run("info", "c", "--json").json
    assert (found["run"]["state"], found["run"]["of"]) == ("finished", 3)
    assert [own["state"] for own in found["run"]["members"]] == ["finished"] * 3
    assert found["options"]["hidden"] == [10]
    assert found["parameters"] > 3 * 7900
    shutil.rmtree("c/member-03")
    (tmp_path / "c/model.safetensors").unlink()
    events = [dict(event) for event in log.read_log("c/member-02")]
    log.rewrite(tmp_path / "c/member-02", [*events[:-1], events[-1] | {"reason": "terminated"}])
    found = run("info", "c", "--json").json
    assert (found["run"]["state"], found["run"]["reason"], found["run"]["member"]) == ("stopped", "terminated", 2)
    result = run("info", "c")
    assert rows(result.out)["run"].startswith("c: stopped: terminated, 1 of 3 members finished; member 2 at step 12")
    assert len(re.findall(r"^ *[12] +(?:finished|stopped)", result.out, re.MULTILINE)) == 2


@pytest.mark.parametrize("width", [40, 80, 200])
def test_info_fits_the_screen(width, trained, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    for words in (("info", "runs/a"), ("info", trained["model"])):
        assert max(map(len, run(*words).out.splitlines())) <= width


def test_info_names_how_pixels_are_read(run, small_images, tmp_path):
    x, labels = small_images
    np.savez("own.npz", x_train=np.where(x < 100, 255, 0).astype(np.uint8), y_train=labels)
    run("train", "--data", "own.npz", "--epochs", 1, "--ink", "dark")
    said = " ".join(run("info", "model.safetensors").out.split())
    assert "pixels 0 to 255, dark ink on light paper (255 is paper, 0 ink)" in said
    assert "data own.npz, 45 train, 5 dev, 10 test images; the test images are held out of them" in said


# plot


def test_plot_names_what_differs(run, idx_folder, tmp_path):
    for name, more in (("a", ()), ("b", ("--learning-rate", 0.1, "--seed", 3)), ("c", ("--augment",))):
        run("train", "--data", "idx", *FEW, "--run-dir", f"runs/{name}", *more)
    found = run("plot", "runs/a", "runs/b", "--json").json
    assert found["differs"] == ["seed", "learning_rate"]
    assert [each["differs"] for each in found["runs"]] == [
        {"seed": 0, "learning_rate": 0.05}, {"seed": 3, "learning_rate": 0.1},
    ]  # fmt: skip
    lines = run("plot", "runs/a", "runs/b").out.splitlines()
    assert "** a: --seed 0, --learning-rate 0.05" in lines
    assert "oo b: --seed 3, --learning-rate 0.1" in lines
    only = run("plot", "runs/a", "--json").json
    assert (only["differs"], only["runs"][0]["differs"]) == ([], {})
    many = run("plot", "runs", "--json").json
    assert [each["run"] for each in many["runs"]] == ["a", "b", "c"]
    assert {"seed", "learning_rate", "augment", "deformation"} == {*many["differs"]}


def test_plot_of_a_run_that_goes_on_has_the_options_of_its_end(trained, run):
    shutil.copytree("runs/a", "runs/b")
    run("train", "--data", "idx", *FEW[2:], "--epochs", 5, "--run-dir", "runs/b", "--resume")
    found = run("plot", "runs", "--json").json
    assert [each["differs"] for each in found["runs"]] == [{"epochs": 3}, {"epochs": 5}]


def test_plot_takes_folders_of_runs_and_committees(trained, run, tmp_path):
    run("train", "--data", "idx", *FEW, "--members", 2, "--run-dir", "runs/c")
    found = run("plot", "runs", "--json").json["runs"]
    assert [each["run"] for each in found] == ["a", "c/member-01", "c/member-02"]
    assert [each["run"] for each in run("plot", "runs/c", "--json").json["runs"]] == ["member-01", "member-02"]
    shutil.copytree("runs", "others")
    found = run("plot", "runs", "others/a", "--json").json["runs"]
    assert [each["run"] for each in found] == ["runs/a", "c/member-01", "c/member-02", "others/a"]
    with (tmp_path / "runs/c/member-01/log.jsonl").open("ab") as file:
        file.write(b"{}\n")
    result = run("plot", "runs", "--json")
    assert [each["run"] for each in result.json["runs"]] == ["a", "c/member-02"]
    assert re.search(r"note: runs/c/member-01/log.jsonl: line \d+: damaged log; .*; left out", result.err)
    run("plot", "runs/c/member-01").failed(1, "damaged log")
    run("plot", "idx").failed(1, "idx: holds no run", "a folder without a log of training")


def test_a_picture_has_what_differs_in_its_legend(trained, run, monkeypatch):
    plots = pytest.importorskip("fnnet.apps.report.plots")
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install matplotlib")
    run("train", "--data", "idx", *FEW, "--run-dir", "runs/b", "--seed", 1)
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    assert run("plot", "runs", "-o", "a.png").code == 0
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert names[:2] == ["a: --seed 0", "b: --seed 1"]
