"""`fnnet sweep`: its options, table, JSON, picture and errors; kills and signals; the examples of docs/sweep.md."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fnnet import data
from fnnet.cli import tried
from tests.conftest import ROOT, start

pytest.importorskip("optuna", reason="needs optuna: pip install 'fnnet[sweep]'")

DOCUMENT = (ROOT / "docs" / "sweep.md").read_text()
QUICK = ("sweep", "--data", "digits", "--epochs", 1)
RATES = ("--try", "learning-rate=0.01..1:log")


def test_json_has_every_trial_and_the_command_of_the_best(run):
    found = run(*QUICK, *RATES, "--try", "hidden='' 8,4", "--hidden", 9)
    found.failed(2, "--hidden: is given and tried", "found --try hidden")
    found = run(*QUICK, *RATES, "--try", "hidden='' 8,4", "--trials", 3, "--repeats", 2, "--json", "--seed", 5)
    assert found.code == 0, found.err
    document = found.json
    assert list(document) == [
        "dataset", "images", "recipe", "jit", "threads", "seed", "by", "repeats", "folds", "try", "reason", "starts",
        "trials", "best", "seconds", "command", "run_dir", "plot", "notes",
    ]  # fmt: skip
    assert document["images"] == {"train": 1294, "dev": 143}
    assert document["try"] == {"learning_rate": "0.01..1:log", "hidden": ["", "8,4"]}
    assert (document["reason"], [each["trial"] for each in document["trials"]]) == ("enough trials", [1, 2, 3])
    top = document["trials"][document["best"] - 1]
    assert top["dev_accuracy"] == max(each["dev_accuracy"] for each in document["trials"])
    assert all(len(each["dev_losses"]) == 2 for each in document["trials"])
    words = shlex.split(document["command"])
    assert words[:2] == ["fnnet", "train"]
    assert words[words.index("--hidden") + 1] == top["options"]["hidden"]
    trained = run(*words[1:], "--json").json
    assert trained["epochs"][-1]["dev_accuracy"] == top["dev_accuracies"][0], "the same network"
    assert trained["seed"] == 5


def test_the_table_and_the_picture(run, tmp_path):
    pytest.importorskip("matplotlib")
    found = run(*QUICK, "--try", "optimizer=sgd adam", "--try", "augment=yes no", "--trials", 9, "--plot", "a.png",
                "--dev", 90, "--by", "loss")  # fmt: skip
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert re.match(r"trial +optimizer +augment +dev acc +dev loss +networks +seconds", lines[2])
    losses = [float(line.split()[4]) for line in lines[3:7]]
    assert losses == sorted(losses)
    assert lines[7] == "4 trials: 4 trained; all combinations tried"
    assert re.fullmatch(r"best: trial \d, dev accuracy [\d.]+%, loss [\d.]+", lines[8])
    assert re.fullmatch(r"fnnet train --data digits --epochs 1 --optimizer \w+ --(no-)?augment --dev 90", lines[9])
    assert lines[10] == "saved a.png"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_of_data_without_a_test_set_what_train_tests_on_is_held_out(run, tmp_path):
    digits = data.load("digits").train
    np.savez(tmp_path / "few.npz", x_train=digits.x[:200].reshape(-1, 28, 28), y_train=digits.labels[:200])
    words = ("sweep", "--data", "few.npz", "--epochs", 1, "--dev", 20, "--try", "hidden=3 4", "--trials", 1, "--json")
    document = run(*words).json
    assert document["images"] == {"train": 160, "dev": 20}
    assert [note["code"] for note in document["notes"]] == ["held-out"]
    trained = run(*shlex.split(document["command"])[1:], "--json").json
    assert trained["epochs"][-1]["dev_accuracy"] == document["trials"][0]["dev_accuracy"]
    assert trained["images"] == {"train": 160, "dev": 20, "test": 20}
    assert run(*words, "--test-data", "none").json["images"] == {"train": 180, "dev": 20}


def test_the_command_of_the_best_after_cross_validation(run):
    options = (*QUICK, "--try", "augment=yes no", "--folds", 2, "--trials", 1)
    command = run(*options).out.splitlines()[-1]
    assert re.fullmatch("fnnet train --data digits --epochs 1 --(no-)?augment --dev 0", command)
    command = run(*options, "--early-stopping", 3, "-q").out.splitlines()[-1]
    assert command.endswith("--early-stopping 3 --dev 719")
    command = run(*options, "--recipe", "quick", "-q").out.splitlines()[-1]
    assert command.endswith("augment")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("", ("--try: nothing to try", "learning-rate=0.01..1:log")),
        ("--try x=1", ("--try: not an option of training", "found x")),
        ("--try lr=1", ("--try: not an option of training", "perhaps learning-rate")),
        ("--try b=1", ("perhaps batch-size",)),
        ("--try optimiser=1", ("perhaps optimizer",)),
        ("--try seed=1", ("--try: is the same for all networks of a sweep", "found seed")),
        ("--try dev=1", ("--try: is the same for all networks of a sweep", "found dev")),
        ("--try hidden", ("--try", "expected OPTION=VALUES")),
        ("--try hidden=", ("--try", "expected OPTION=VALUES")),
        ("--try \"hidden='1\"", ("--try", "quotes in pairs")),
        ("--try hidden=64,32", ("--try hidden: nothing to choose", "separate values by spaces, in quotes")),
        ("--try 'hidden=8 8'", ("--try hidden: tried twice", "found 8")),
        ("--try 'hidden=8 x'", ("--try hidden: not a value of --hidden", "found 'x'")),
        ("--try learning-rate=0.1,0.2", ("--try learning-rate", "found '0.1,0.2'", "separate values by spaces")),
        ("--try learning-rate=0..1", ("--try learning-rate: not a value of --learning-rate", "finite number > 0")),
        ("--try learning-rate=1..0.1", ("--try learning-rate: not a range", "the lower first", "found 1..0.1")),
        ("--try learning-rate=1..", ("--try learning-rate: not a range", "LOW..HIGH")),
        ("--try learning-rate=1...2", ("--try learning-rate: not a range",)),
        ("--try learning-rate=1..2:lin", ("--try learning-rate: not a range", "LOW..HIGH:log", "found 1..2:lin")),
        ("--try dropout=0..0.5:log", ("--try dropout: has no logarithm",)),
        ("--try batch-size=16..full", ("--try batch-size: not a range", "numbers as its ends")),
        ("--try hidden=8..9,9", ("--try hidden: not a range",)),
        ("--try optimizer=a..b", ("--try optimizer: takes no range",)),
        ("--try 'optimizer=sgd spam'", ("--try optimizer", "'spam'")),
        ("--try 'optimizer=sgd nesterov' --momentum 0.5",
            ("--momentum: with --optimizer sgd: has no effect with --optimizer sgd",)),
        ("--try 'optimizer=sgd nesterov' --try momentum=0.5..0.9",
            ("--momentum: with --optimizer sgd --momentum 0.5: has no effect",)),
        ("--try \"hidden='' 8\" --dropout 0.5", ("--dropout: with --hidden '': has no effect",)),
        ("--recipe quick --try 'epochs=1 2'", ("--dev: with --epochs 1: no images to choose by", "--folds")),
        ("--try 'recipe=classic quick'", ("--dev: with --recipe quick: no images to choose by",)),
        ("--try 'epochs=1 2' --folds 2 --dev 9", ("--dev: cannot be combined with --folds",)),
        ("--try 'epochs=1 2' --folds 2 --dev-data x", ("--dev-data: cannot be combined with --folds",)),
        ("--try 'epochs=1 2' --folds 1", ("--folds", "2 or more")),
        ("--try 'epochs=1 2' --resume", ("--resume: needs the folder of the sweep", "--run-dir")),
        ("--try 'epochs=1 2' --seconds -1", ("--seconds", ">= 0")),
        ("--try 'class-weights=balanced 3=x'", ("--class-weights", "'x'")),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line_before_the_data_is_looked_for(words, parts, run, monkeypatch):
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    run("sweep", "--data", "mnist", *shlex.split(words)).failed(2, *parts)


def test_what_only_the_data_show_is_refused_in_one_line(run):
    run(*QUICK, *RATES, "--folds", 99999).failed(2, "--folds: more folds than images", "2 to 1437")
    run(*QUICK, *RATES, "--dev", 99999).failed(2, "--dev: dev images out of range")


def test_without_optuna_one_line_names_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    run(*QUICK, *RATES).failed(1, "a sweep needs optuna", "pip install 'fnnet[sweep]'")


def test_every_option_of_a_plan_is_tried_or_has_a_reason():
    assert {*tried.TRIED, *tried.NOT_TRIED} >= {name.partition("/")[0] for name in tried.PLAN_OPTIONS}


def test_trials_that_diverge_are_marked_and_not_the_best(run):
    options = (*QUICK, "--activation", "linear", "--try", "learning-rate=0.05 1e30", "--seconds", 100)
    document = run(*options, "--json").json
    assert {each["options"]["learning_rate"]: each["state"] for each in document["trials"]} == {
        "0.05": "trained", "1e30": "diverged",
    }  # fmt: skip
    assert "--learning-rate 0.05" in document["command"]
    found = run(*QUICK, "--activation", "linear", "--try", "learning-rate=1e29 1e30", "-q")
    found.failed(1, "no trial was trained", "2 trials, the last:", "try other values")
    assert found.out.splitlines()[-1] == "2 trials: 2 diverged; all combinations tried"


def test_a_sweep_goes_on_and_another_one_is_refused(run):
    kept = (*QUICK, *RATES, "--run-dir", "a")
    first = run(*kept, "--trials", 2, "--json").json
    run(*kept, "--trials", 3).failed(2, "a: holds a sweep already", "--resume")
    document = run(*kept, "--trials", 3, "--resume", "--json").json
    assert document["trials"][:2] == first["trials"]
    assert len(document["trials"]) == 3
    assert len({each["sampler_seed"] for each in document["starts"]}) == 2
    shown = run(*kept, "--seconds", 0, "--resume").out.splitlines()
    assert shown[-3].startswith("3 trials: 3 trained; out of time")
    for options, words in (
        (("--repeats", 2), ("--repeats differs from the run", "expected 1, found 2")),
        (("--try", "hidden=8 9"), ("--try hidden differs from the run", "expected none, found 8 9")),
        (("--seed", 2), ("--seed differs from the run",)),
        (("--folds", 2), ("--folds differs from the run", "resume without --folds")),
        (("--batch-size", 7), ("--batch-size differs from the run",)),
    ):
        run(*kept, "--trials", 3, "--resume", *options).failed(2, *words)
    run(*QUICK, "--try", "learning-rate=0.01..2:log", "--run-dir", "a", "--resume", "--trials", 3).failed(
        2, "--try learning-rate differs from the run", "--try 'learning-rate=0.01..1:log'"
    )
    run("train", "--data", "digits", "--epochs", 0, "--run-dir", "b", "-q")
    run(*QUICK, *RATES, "--run-dir", "b").failed(2, "b: holds the run of a training")


def events(folder):
    return [json.loads(line) for line in (folder / "journal.log").read_bytes().split(b"\n")[:-1]]


def begun(process, folder, count):
    """Wait until `count` trials are begun."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if (folder / "journal.log").exists():
            known = [each for each in events(folder) if each.get("user_attr", {}).keys() == {"start"}]
            if len(known) >= count:
                return
        time.sleep(0.01)
    pytest.fail(f"not begun: {process.communicate()}")


def test_killed_in_the_midst_of_a_trial_it_is_made_again(run, tmp_path):
    kept = ["sweep", "--data", "digits", *RATES, "--run-dir", "a", "--trials", "2"]
    slow = [*kept, "--epochs", "300"]
    with start([sys.executable, str(ROOT / "cli.py"), *slow], tmp_path) as process:
        begun(process, tmp_path / "a", 2)
        process.kill()
        process.communicate()
    before = (tmp_path / "a" / "journal.log").read_bytes()
    (tmp_path / "a" / "journal.log").write_bytes(before + b'{"op_code": 8, "wor')
    document = run(*slow, "--resume", "--seconds", 0, "--json").json
    assert [each["state"] for each in document["trials"]] == ["killed", "killed", "waiting", "waiting"]
    assert [each["options"] for each in document["trials"][2:]] == [each["options"] for each in document["trials"][:2]]
    assert [each.get("again") for each in document["trials"]] == [None, None, 1, 2]
    assert document["trials"][0]["problem"] == "its process ended"
    assert len({each["sampler_seed"] for each in document["starts"]}) == 2


def test_a_signal_stops_it_and_what_ran_waits(run, tmp_path):
    words = ["sweep", "--data", "digits", *RATES, "--run-dir", "a", "--trials", "2", "--epochs", "300"]
    with start([sys.executable, str(ROOT / "cli.py"), *words], tmp_path) as process:
        begun(process, tmp_path / "a", 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "error: interrupted; go on with --run-dir a --resume"
    assert "2 trials: 2 waiting; interrupted" in out


def test_two_processes_share_a_sweep(tmp_path):
    options = ["--run-dir", "a", "--resume", "--trials", "6", "--seconds", "100", "--json"]
    words = [sys.executable, str(ROOT / "cli.py"), *map(str, QUICK), *RATES, *options]
    processes = [
        subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    document = max((json.loads(out) for out, _ in outputs), key=lambda each: len(each["trials"]))
    assert len(document["starts"]) == 2
    trials = document["trials"]
    assert len({each["options"]["learning_rate"] for each in trials}) == len(trials) == 6


def test_the_examples_of_the_document_run(run, tmp_path):
    blocks = re.findall(r"^```console\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    commands = [line.removeprefix("$ python cli.py ") for line in "".join(blocks).splitlines() if line[:2] == "$ "]
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command, comments=True)
        assert words[0] == "sweep", command
        quick = ["--epochs", "1", "--trials", "2", "--no-jit"]
        found = run(*words, *quick)
        assert found.code == 0, (command, found.err)


def test_the_python_examples_of_the_document_run(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert blocks
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
