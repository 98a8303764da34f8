"""Training from the command line: kept, stopped, resumed, watched, and refused where it cannot be."""

import json
import os
import re
import shutil
import signal
import sys
import time

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet import data
from fnnet.files import heartbeat
from fnnet.files.checkpoints import load_checkpoint
from fnnet.files.log import read_log
from fnnet.files.owner import this_process
from fnnet.training import epochs, recipes
from fnnet.training.advice import NAMES
from tests.conftest import ROOT, idx_bytes, start

FULL = ("--hidden", "12,9", "--batch-size", 7, "--optimizer", "nesterov", "--schedule", "onecycle", "--augment")
FULL += ("--dropout", 0.2, "--ema", 0.9, "--label-smoothing", 0.1, "--activation", "gelu", "--clip-norm", 1)


def of(document):
    """What must not change, whatever happened on the way: weights and figures, but no seconds."""
    reports = [{key: value for key, value in report.items() if key != "seconds"} for report in document["epochs"]]
    return document["weights_sha256"], reports, document["test_loss"]


def command_of(*arguments):
    return [sys.executable, str(ROOT / "cli.py"), "train", *map(str, arguments)]


@pytest.mark.parametrize(("jit", "epochs"), [("--jit", 700), ("--no-jit", 100)])
def test_f52_killed_at_any_moment_and_resumed_it_is_the_same_run(jit, epochs, run, idx_folder, tmp_path, numba_kernels):
    arguments = (jit, "--data", idx_folder, *FULL, "--epochs", epochs, "--dev", 6, "--seed", 3)
    wanted = of(run("train", *arguments, "--json").json)
    log = tmp_path / "kept" / "log.jsonl"
    for number, seconds in enumerate(np.random.default_rng(0).uniform(0, 0.2, 3)):
        resume, before = ["--resume"] if number else [], log.stat().st_size if number else 0
        with start(command_of(*arguments, "--run-dir", "kept", *resume), tmp_path) as process:
            # From its first line on, at any moment: within a step, a report, a checkpoint.
            while not (log.exists() and log.stat().st_size != before):
                time.sleep(0.005)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    assert of(run("train", *arguments, "--run-dir", "kept", "--resume", "--json").json) == wanted
    events = [event["event"] for event in read_log(tmp_path / "kept")]
    assert events[0] == "start"
    assert events[-1] == "stop"
    assert {"epoch", "checkpoint", "resume"} <= {*events}
    logged = [event["epoch"] for event in read_log(tmp_path / "kept") if event["event"] == "epoch"]
    assert logged == list(range(1, epochs + 1))


SLOW = """
import time
from fnnet.training import epochs
run = epochs.EpochRunner._run_block
epochs.EpochRunner._run_block = lambda *arguments: (time.sleep(0.03), run(*arguments))[1]
from fnnet.cli import main
main()
"""
"""The command line with a pause before each block, so that there is time to stop it; not a bit is another."""


def test_f56_signals_save_say_how_to_go_on_and_lose_no_bit(run, idx_folder, tmp_path):
    """Stopped by one and, resumed, by the other."""
    arguments = ("--data", idx_folder, "--batch-size", 4, "--epochs", 60, "--dev", 5, "--run-dir", "kept")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = tmp_path / "kept" / "log.jsonl"
    for number, code, word in (("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")):
        resume = ["--resume"] if log.exists() else []
        seen = log.read_text().count('"epoch"') if resume else 0
        command = [sys.executable, "-c", SLOW, "train", *map(str, arguments), *resume]
        with start(command, tmp_path, env) as process:
            while not (log.exists() and log.read_text().count('"epoch"') >= seen + 9):
                time.sleep(0.002)
            process.send_signal(getattr(signal, number))
            _, err = process.communicate(timeout=60)
        assert process.returncode == code
        found = re.fullmatch(rf"error: step (\d+): {word}; go on with --run-dir kept --resume", err.strip())
        assert found
        kept = max((tmp_path / "kept").glob("step-*"))
        assert load_checkpoint(kept).state.step == int(found[1])
        stop = read_log(tmp_path / "kept")[-1]
        assert (stop["event"], stop["reason"], stop["step"]) == ("stop", word, int(found[1]))
    resumed = run("train", *arguments, "--resume", "--json").json
    assert of(resumed) == of(run("train", *arguments[:-2], "--json").json)


@pytest.mark.parametrize("how", ["deleted", "moved", "a file"])
def test_f66_a_run_directory_that_is_taken_away_ends_the_run_in_one_line(how, run, idx_folder, tmp_path, monkeypatch):
    kept, run_pass, passes = tmp_path / "kept", epochs.EpochRunner.run_pass, []

    def taken(*arguments):
        passes.append(1)
        if len(passes) == 3:
            kept.rename(tmp_path / "moved")
            if how != "moved":
                shutil.rmtree(tmp_path / "moved")
            if how == "a file":
                kept.write_bytes(b"")
        return run_pass(*arguments)

    monkeypatch.setattr(epochs.EpochRunner, "run_pass", taken)
    result = run("train", "--data", idx_folder, "--epochs", 9, "--run-dir", "kept", "--quiet")
    result.failed(1, "kept", "the folder was moved, deleted or unlocked", "--resume")
    assert len(passes) == 3
    assert not (tmp_path / "model.safetensors").exists()


def test_f70_data_whose_content_changed_is_refused_by_name(run, small_images, tmp_path):
    """Also where sizes and names are what they were, and where only the meaning of the numbers is another."""
    x, labels = small_images
    arguments = ("train", "--data", "own.npz", "--epochs", 1, "--test-data", "none", "--run-dir", "kept")

    def changed(**parts):
        np.savez(tmp_path / "own.npz", **({"x_train": x, "y_train": labels} | parts))
        return run(*arguments, "--resume")

    np.savez(tmp_path / "own.npz", x_train=x, y_train=labels)
    run(*arguments)
    one = x.copy()
    one[20, 5, 5] ^= 1
    said = "kept: the data differs from the run; expected {} images and labels with SHA-256 "
    assert changed().code == 0
    changed(x_train=one).failed(2, said.format("dev"), "found SHA-256 ", "... in own.npz", "--data")
    changed(y_train=9 - labels).failed(2, said.format("training"), "own.npz")
    changed(x_train=x.reshape(60, 14, 56)).failed(2, "the data differs from the run")


def test_f70_another_version_is_told(run, idx_folder, monkeypatch):
    arguments = ("train", "--data", idx_folder, "--epochs", 1, "--run-dir", "kept")
    run(*arguments)
    assert "begun by" not in run(*arguments, "--resume").err
    monkeypatch.setattr(fnnet, "__version__", "9.9.9")
    assert "note: kept: begun by fnnet 0.1.0, going on with 9.9.9" in run(*arguments, "--resume").err


def test_a_finished_run_resumed_is_the_same_model(run, idx_folder):
    arguments = ("train", "--data", idx_folder, "--epochs", 3, "--run-dir", "kept", "--json")
    first = run(*arguments).json
    assert of(run(*arguments, "--resume").json) == of(first)


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_f52_f70_killed_at_any_moment_while_it_goes_on_for_more_epochs(jit, run, idx_folder, tmp_path, numba_kernels):
    """Killed and resumed for more each time, it is the run that had all epochs from its start."""
    arguments = (jit, "--data", idx_folder, *FULL, "--schedule", "exponential:every=40", "--dev", 6)
    log, ends = tmp_path / "kept" / "log.jsonl", (100, 300, 500, 700) if jit == "--jit" else (15, 45, 75, 100)
    run("train", *arguments, "--epochs", ends[0], "--run-dir", "kept")
    for end, seconds in zip(ends[1:], np.random.default_rng(0).uniform(0, 0.2, 3), strict=True):
        before = log.stat().st_size
        resumed = ("--run-dir", "kept", "--resume", "--epochs", end)
        with start(command_of(*arguments, *resumed), tmp_path) as process:
            while log.stat().st_size == before:
                time.sleep(0.005)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    found = run("train", *arguments, *resumed, "--json")
    assert of(found.json) == of(run("train", *arguments, "--epochs", ends[-1], "--json").json)
    logged = [event["epoch"] for event in read_log(tmp_path / "kept") if event["event"] == "epoch"]
    assert logged == list(range(1, ends[-1] + 1))


def test_a_finished_run_goes_on_for_more_epochs(run, idx_folder, tmp_path):
    arguments = ("train", "--data", idx_folder, "--run-dir", "kept")
    run(*arguments, "--epochs", 3)
    more = run(*arguments, "--epochs", 6, "--resume", "--json")
    assert "note: resumed for 6 epochs in place of 3\n" in more.err
    assert of(more.json) == of(run("train", "--data", idx_folder, "--epochs", 6, "--json").json)
    assert [event["epoch"] for event in read_log(tmp_path / "kept") if event["event"] == "epoch"] == [1, 2, 3, 4, 5, 6]
    said = "kept: fewer --epochs than the run has made; expected 6 or more, found 5; resume with --epochs 6, or train"
    run(*arguments, "--epochs", 5, "--resume").failed(2, said)
    # Without --epochs no other number is asked for: the recipe's is not the run's.
    run(*arguments, "--resume").failed(2, "--epochs differs from the run; expected 6, found", "--epochs 6")
    kept = run(*arguments, "--epochs", 6, "--resume", "--json")
    assert of(kept.json) == of(more.json)
    assert [note["code"] for note in kept.json["notes"]] == ["still-falling"], "of six epochs; none is of the run"


def test_a_new_cycle_is_told(run, idx_folder, tmp_path):
    arguments = ("train", "--data", idx_folder, "--recipe", "quick", "--batch-size", 7, "--run-dir", "kept")
    run(*arguments, "--epochs", 3)
    found = run(*arguments, "--epochs", 5, "--resume", "--json", "--plot", "curves.svg")
    told = "resumed for 5 epochs in place of 3; schedule onecycle begins a new cycle of 2 epochs after epoch 3"
    assert found.json["notes"][0] == {"code": "more-epochs", "note": told}
    assert {note["code"] for note in found.json["notes"][1:]} <= {*NAMES}
    rates = [report["learning_rate"] for report in found.json["epochs"]]
    assert rates[3] > rates[2]
    assert rates[4] < rates[3]
    assert fnnet.load_model(tmp_path / "kept" / "model.safetensors").training["plan"]["cycles"] == (3,)
    assert run("plot", "kept", "-o", "curves.svg").code == 0


def test_early_stopping_that_ended_a_run_is_named(run, idx_folder):
    arguments = ("train", "--data", idx_folder, "--dev", 5, "--learning-rate", 5, "--run-dir", "kept")
    ended = len(run(*arguments, "--epochs", 40, "--early-stopping", 2, "--json").json["epochs"])
    assert ended < 40
    more = (*arguments, "--resume", "--epochs", 60, "--early-stopping")
    said = f"kept: ended by early stopping after epoch {ended}: more --epochs would change nothing"
    run(*more, 2).failed(2, said, "expected --early-stopping of more reports, found 2")
    assert len(run(*more, 9, "--json").json["epochs"]) > ended


OTHERS = [
    (("--seed", 1), "--seed differs from the run; expected 0, found 1; resume with --seed 0"),
    # The kernels differ in the last bits.
    (("--jit",), "the choice of kernels differs from the run; expected --no-jit, found --jit; resume with --no-jit"),
    (("--class-weights", "3=2"), "--class-weights differs from the run; expected none, found 3=2; resume without it"),
    (
        ("--dev", 0),
        "the data differs from the run; expected 5 dev images, found 0; resume with the run's --data, --dev, --dev-d",
    ),
    (("--hidden", "9"), "--hidden differs from the run; expected 10, found 9; resume with --hidden 10"),
    (("--hidden", ""), "--hidden differs from the run; expected 10, found ''; resume with --hidden 10"),
    (
        ("--augment",),
        "--augment differs from the run; expected --no-augment, found --augment; resume with --no-augment, without",
    ),
    (
        ("--batch-size", "full"),
        "--batch-size differs from the run; expected 32, found full; resume with --batch-size 32",
    ),
    (
        ("--recipe", "quick"),
        "--recipe differs from the run; expected classic, found quick; resume with --recipe classic",
    ),
    (
        ("--early-stopping", 2),
        "--early-stopping differs from the run; expected none, found 2; resume without",
    ),
]


def test_f70_a_run_directory_is_neither_overwritten_nor_mixed(run, idx_folder, tmp_path):
    arguments = ("train", "--data", idx_folder, "--epochs", 2, "--run-dir", "kept")
    run(*arguments)
    before = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    run(*arguments).failed(2, "kept", "holds a run already", "--resume")
    run(*arguments, "--resume", "--learning-rate", 0.3).failed(2, "kept: --learning-rate differs", "0.05", "found 0.3")
    for options, said in OTHERS:
        run(*arguments, "--resume", *options).failed(2, f"kept: {said}", ", or train into another folder")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    assert {name for name in kept if name.endswith(".safetensors")} <= {*before}
    assert kept["log.jsonl"] == before["log.jsonl"]
    run("train", "--data", idx_folder, "--resume").failed(2, "--resume needs the folder", "expected --run-dir")


def test_f70_the_remedy_for_another_run_is_one(run, idx_folder, small_images, tmp_path):
    """Typed as it stands, the run goes on; a cause is named before its effects."""
    arguments = ("train", "--data", idx_folder, "--run-dir", "kept", "--epochs", 1)
    figures = "shift=2.0,rotation=12.0,scale=0.12,shear=0.12,elastic=0.0,fade=0.0"
    run(*arguments, "--deformation", "shift=2,elastic=0")
    run(*arguments, "--resume", "--augment").failed(2, "resume with --deformation shift=2.0,elastic=0.0, or")
    run(*arguments, "--resume").failed(2, "--augment differs", f"resume with --deformation {figures}, or")
    for said in (figures, "shift=2.0,elastic=0.0"):
        assert run(*arguments, "--resume", "--deformation", said).code == 0
    run(*arguments, "--resume", "--deformation", "shift=2,elastic=0,fade=0.5").failed(
        2, "--deformation differs", "expected fade=0.0, found fade=0.5", "resume with --deformation fade=0.0, or"
    )
    x, labels = small_images
    np.savez(tmp_path / "small.npz", x_train=x[:, :20, :20], y_train=labels)
    np.savez(tmp_path / "same.npz", x_train=x[:50], y_train=labels[:50])
    other = ("train", "--run-dir", "whole", "--epochs", 1, "--data")
    run(*other, "same.npz")
    (tmp_path / "same.npz").rename(tmp_path / "renamed.npz")
    assert run(*other, "renamed.npz", "--resume").code == 0
    run(*other, "small.npz", "--resume").failed(2, "the data differs", "784 pixels or columns", "400")
    run(*other, "renamed.npz", "--classes", 11, "--resume").failed(2, "the data differs", "10 classes", "11")
    run(*other, "renamed.npz", "--batch-size", 7, "--resume").failed(2, "--batch-size differs")
    run(*other, "renamed.npz", "--dev", 7, "--resume").failed(2, "the data differs", "training images")


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_f71_divergence_keeps_the_last_good_state(jit, run, idx_folder, tmp_path):
    arguments = ("train", jit, "--data", idx_folder, "--hidden", "8", "--epochs", 30, "--batch-size", 5)
    result = run(*arguments, "--learning-rate", 1e30, "--run-dir", "kept")
    remedy = "go on with --resume and --learning-rate 0."
    result.failed(1, "training diverged", "step", "layer", "the last good one, is kept; the first update", remedy)
    state = load_checkpoint(max((tmp_path / "kept").glob("step-*"))).state
    assert f"step {state.step}, the last good one" in result.err
    assert all(np.isfinite(array).all() for layer in state.params.layers for array in layer)
    stop = read_log(tmp_path / "kept")[-1]
    assert (stop["event"], stop["reason"]) == ("stop", "diverged")
    assert not (tmp_path / "model.safetensors").exists()
    # Only there, and only what may help, can be another.
    go_on = (*arguments, "--run-dir", "kept", "--resume")
    run(*go_on, "--learning-rate", 0.01, "--ema", 0.9).failed(2, "--ema differs from the run")
    mended = run(*go_on, "--learning-rate", 0.01, "--json").json
    assert len(mended["epochs"]) == 30
    run(*go_on, "--learning-rate", 0.02).failed(2, "--learning-rate differs from the run", "0.01", "0.02")


def test_early_stopping_gives_back_the_best_and_not_the_last(run, idx_folder, tmp_path):
    """On labels that mean nothing the dev loss soon grows."""
    x = np.random.default_rng(1).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    (idx_folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(x))
    arguments = ("train", "--data", idx_folder, "--dev", 10, "--batch-size", 4, "--learning-rate", 0.05, "--json")
    stopped = run(*arguments, "--epochs", 200, "--early-stopping", 3).json
    losses = [report["dev_loss"] for report in stopped["epochs"]]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 3
    assert len(losses) < 200
    assert stopped["weights_sha256"] == run(*arguments, "--epochs", best).json["weights_sha256"]
    assert stopped["weights_sha256"] != run(*arguments, "--epochs", len(losses)).json["weights_sha256"]


def test_a_dev_set_of_the_user_s_own(run, idx_folder, small_images, tmp_path):
    x, labels = small_images
    np.savez(tmp_path / "own.npz", x_train=x[:30], y_train=labels[:30])
    arguments = ("train", "--data", idx_folder, "--epochs", 2)
    document = run(*arguments, "--dev-data", "own.npz", "--json").json
    assert document["images"] == {"train": 50, "dev": 30, "test": 10}
    model = fnnet.load_model(tmp_path / "model.safetensors")
    own = data.load(str(tmp_path / "own.npz")).train
    assert document["epochs"][-1]["dev_loss"] == pytest.approx(fnnet.loss(model.params, own.x, own.labels), rel=1e-5)
    both = ("--dev-data", "own.npz", "--dev", 5)
    run(*arguments, *both).failed(2, "--dev: cannot be combined with --dev-data; expected one of them, found 5")
    np.savez(tmp_path / "small.npz", x_train=x[:30, :20, :20], y_train=labels[:30])
    run(*arguments, "--dev-data", "small.npz").failed(2, "small.npz", "(28, 28)", "(20, 20)")
    run(*arguments, "--dev-data", "absent.npz").failed(1, "--dev-data: no such data set", "absent.npz")


def test_a_dev_set_of_other_classes_is_refused_by_name(run, tmp_path):
    for folder, names in (("pets", ("cat", "dog")), ("others", ("cat", "zebra"))):
        for name in names:
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(3):
                Image.new("L", (4, 4), 50 * number).save(tmp_path / folder / name / f"{number}.png")
    run("train", "--data", "pets", "--dev-data", "others").failed(2, "others", "(cat, dog)", "(cat, zebra)")


def test_a_dev_set_in_rows_has_the_shape_of_the_data(run, tmp_path):
    """Rows of 24 numbers are images of 4x6 because those of --data are."""
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 6), dtype=np.uint8)
    np.savez(tmp_path / "epochs.npz", x_train=x, y_train=np.arange(20) % 10)
    np.savez(tmp_path / "rows.npz", x_train=x.reshape(20, 24), y_train=np.arange(20) % 10)
    arguments = ("train", "--data", "epochs.npz", "--epochs", 1, "--json")
    whole, rows = (run(*arguments, "--dev-data", name).json for name in ("epochs.npz", "rows.npz"))
    assert of(whole) == of(rows)


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_run_directory_is_not_where_a_file_goes(option, run, idx_folder, tmp_path):
    """What would show only when training is over."""
    arguments = ("train", "--data", idx_folder, "--run-dir", tmp_path / "a.png", option, "./a.png")
    run(*arguments).failed(2, "--run-dir", f"./a.png, which {option} writes")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idx"]


def test_class_weights_change_what_is_learned(run, idx_folder):
    arguments = ("train", "--data", idx_folder, "--epochs", 2, "--json")
    plain, heavy = run(*arguments).json, run(*arguments, "--class-weights", "3=5").json
    assert plain["weights_sha256"] != heavy["weights_sha256"]
    same = run(*arguments, "--class-weights", "3=1").json
    assert same["epochs"][-1]["train_loss"] == pytest.approx(plain["epochs"][-1]["train_loss"], rel=1e-5)


def test_figures_of_the_deformation_take_the_place_of_the_recipe_s(run, idx_folder):
    """Those left out stay; to give one is to deform."""
    arguments = ("train", "--data", idx_folder, "--epochs", 2, "--json")
    plain, own = run(*arguments).json, ",".join(f"{name}={n}" for name, n in recipes.DEFORMATION.items())
    deformed = [
        run(*arguments, *options).json["weights_sha256"]
        for options in (("--augment",), ("--deformation", own), ("--deformation", "rotation=12"))
    ]
    assert set(deformed) == {deformed[0]} != {plain["weights_sha256"]}
    stronger = run(*arguments, "--augment", "--deformation", "rotation=30").json
    assert stronger["weights_sha256"] not in (deformed[0], plain["weights_sha256"])
    still = "shift=0,rotation=0,scale=0,shear=0,elastic=0"
    run(*arguments, "--deformation", still).failed(2, "--deformation", "no effect", "0 for all", "leave")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--momentum", 1), ["--momentum", "0 or more and less than 1", "'1'"]),
        (("--dropout", 1), ["--dropout", "0 or more and less than 1", "'1'"]),
        (("--dropout", "0.1,0.2,0.3"), ["--dropout", "1 hidden layers", "3"]),
        (("--label-smoothing", 1), ["--label-smoothing", "less than 1"]),
        (("--ema", 1), ["--ema", "less than 1"]),
        (("--weight-decay", -1), ["--weight-decay", ">= 0"]),
        (("--clip-norm", -1), ["--clip-norm", ">= 0"]),
        (("--learning-rate", "nan"), ["--learning-rate", "> 0", "nan"]),
        (("--learning-rate", 0), ["--learning-rate", "> 0"]),
        (("--early-stopping", 0), ["--early-stopping", "1 or more"]),
        (("--early-stopping", 2, "--dev", 0), ["--early-stopping: no dev images", "hold some out with --dev"]),
        (("--schedule", "cubic"), ["--schedule: unknown schedule", "constant or step", "cubic"]),
        (("--schedule", "cosine", "--epochs", 0), ["--schedule: schedule cosine needs epochs", ">= 1", "set --epochs"]),
        (("--schedule", "step:factor=2"), ["--schedule: factor", "at most 1"]),
        (("--schedule", "step:patience=2"), ["option of schedule step", "every=NUMBER", "patience=2"]),
        (("--schedule", "plateau:patience=x"), ["option of schedule plateau", "patience=x"]),
        (("--schedule", "plateau:patience=inf"), ["patience", "an integer >= 0", "inf"]),
        (("--schedule", "plateau:patience=nan"), ["patience", "an integer >= 0", "nan"]),
        (("--schedule", "plateau:patience=1.5"), ["patience", "an integer >= 0", "1.5"]),
        (("--schedule", "step:every=nan"), ["every", "> 0", "nan"]),
        (("--schedule", "cosine", "--epochs", 10**20), ["epochs", "at most 1000000000", str(10**20)]),
        (("--class-weights", ",".join(f"{n}=0" for n in range(10))), ["--class-weights", "more than 0 for a class"]),
        (("--class-weights", "11=2"), ["--class-weights", "unknown class", "0, 1, 2", "11=2"]),
        (("--class-weights", "1=2,1=3"), ["weight given twice", "1=3"]),
        (("--class-weights", "1=-2"), ["weight of class 1", "-2"]),
        (("--class-weights", "1=x"), ["weight of class 1", "x"]),
        (("--deformation", "twist=2"), ["--deformation", "shift or rotation", "'twist=2'"]),
        (("--deformation", "shift=1,shift=2"), ["--deformation", "each once", "'shift=2'"]),
        (("--deformation", "shift"), ["--deformation", ">= 0", "''"]),
        (("--deformation", "shift=-1"), ["--deformation", ">= 0", "'-1'"]),
        (("--deformation", "rotation=180"), ["--deformation: rotation", "0 to 179", "180"]),
        (("--deformation", "correlation=0.3"), ["correlation", "at least 0.5 pixels", "0.3"]),
        (("--deformation", "shift=1", "--no-augment"), ["--deformation", "--augment", "--no-augment"]),
        (("--momentum", 0.5), ["--momentum: has no effect with --optimizer sgd", "expected momentum or nesterov"]),
        (("--momentum", 0.5, "--optimizer", "adam"), ["--momentum: has no effect with --optimizer adam"]),
        (("--learning-rate", 1, "--optimizer", "lbfgs"), ["--learning-rate: has no effect", "lbfgs; expected sgd or"]),
        (("--dropout", 0.5, "--hidden", ""), ["--dropout: has no effect without hidden layers", "expected hidden"]),
        (("--optimizer", "sdg"), ["--optimizer", "sgd"]),
        (("--activation", "rely"), ["--activation", "relu"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_bad_values_get_one_line_that_says_what_is_allowed(options, parts, run, idx_folder, tmp_path):
    run("train", "--data", idx_folder, *options).failed(2, *parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idx"]


@pytest.mark.parametrize("schedule", ["step:every=1e308", "exponential:every=1e308", "constant:warmup=1e308"])
def test_a_schedule_that_ends_beyond_all_steps(schedule, run, idx_folder):
    """Drops that never come; and a rate that stays so close to 0 that nothing moves."""
    arguments = ("train", "--data", idx_folder, "--epochs", 2, "--json")
    found, plain = run(*arguments, "--schedule", schedule).json, run(*arguments).json
    rates = [report["learning_rate"] for report in found["epochs"]]
    assert all(rate < 1e-15 for rate in rates) if "warmup" in schedule else of(found) == of(plain)


def test_the_log_is_json_lines(run, idx_folder, tmp_path):
    document = run("train", "--data", idx_folder, "--epochs", 3, "--run-dir", "kept", "--json").json
    lines = [json.loads(line) for line in (tmp_path / "kept" / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] != "checkpoint"] == ["start", *["epoch"] * 3, "stop"]
    assert (lines[-1]["reason"], lines[-1]["weights_sha256"]) == ("finished", document["weights_sha256"])
    assert [line["train_loss"] for line in lines if line["event"] == "epoch"] == [
        report["train_loss"] for report in document["epochs"]
    ]


@pytest.mark.parametrize("more", [[], ["--quiet"], ["--json"], ["--quiet", "--json"]], ids=" ".join)
def test_the_wait_for_another_host_is_told_even_where_no_notices_are_wanted(
    more, run, idx_folder, tmp_path, monkeypatch
):
    """It may take 90 seconds, in which nothing else happens."""
    monkeypatch.setattr(heartbeat, "QUIET", 0.3)
    monkeypatch.setattr(heartbeat, "LOOK", 0.02)
    (tmp_path / "run").mkdir()
    elsewhere = this_process()._replace(host="far-away", boot="another", machine="another")._asdict()
    (tmp_path / "run" / "lock").write_text(json.dumps(elsewhere) + "\n")
    result = run("train", "--data", idx_folder, "--epochs", 1, "--run-dir", "run", *more)
    assert result.code == 0
    assert "waiting up to 0 s for a sign of life" in result.err
    if "--quiet" in more:
        assert result.err.count("\n") == 1
    if "--json" in more:
        assert "sign of life" not in result.out
