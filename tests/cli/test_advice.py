"""The line at the end of a training that went wrong, as `train` prints it: in options, once, with its code."""

import pytest

from fnnet.cli.mismatch import in_text, noting_options
from fnnet.cli.outputs import REPLACED
from fnnet.data.notes import Note

SLOW = ("--data", "digits", "--epochs", 2, "--learning-rate", "1e-6")


def notes_of(result):
    """Those on standard error, without that a model is replaced by the next."""
    notes = [line.removeprefix("note: ") for line in result.err.splitlines() if line.startswith("note: ")]
    return [note for note in notes if "will be replaced" not in note]


def in_json(result):
    return [note for note in result.json["notes"] if note["code"] != REPLACED]


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_it_is_a_note_that_names_an_option(jit, run):
    result = run("train", jit, *SLOW)
    assert result.code == 0, result.err
    (line,) = notes_of(result)
    assert line.startswith("at chance: loss 2.")
    assert "; try --learning-rate 0." in line
    (note,) = in_json(run("train", jit, *SLOW, "--json"))
    assert note == {"code": "at-chance", "note": line}


def test_quiet_leaves_it_to_the_document(run):
    assert run("train", *SLOW, "--quiet").err == ""
    result = run("train", *SLOW, "--quiet", "--json")
    assert (result.err, [note["code"] for note in in_json(result)]) == ("", ["at-chance"])


def test_what_is_tried_helps(run):
    """The option as it is printed, behind the command as it was."""
    arguments = ("train", "--data", "digits", "--epochs", 20, "--learning-rate", "1e-6")
    (line,) = notes_of(run(*arguments))
    option, value = line.partition("; try ")[2].split()
    result = run(*arguments, option, value, "--json")
    assert in_json(result) == []
    assert result.json["test_accuracy"] > 0.7


def test_a_healthy_training_has_none(run):
    result = run("train", "--data", "digits", "--json")
    assert in_json(result) == []
    assert "note" not in result.err


@pytest.mark.parametrize("option", ["--seeds", "--init-seeds"])
def test_many_networks_share_a_line(option, run):
    result = run("train", *SLOW, option, "3-5", "--json")
    (note,) = in_json(result)
    assert note["note"].startswith("seeds 3, 4, 5: at chance: ")
    assert "; try --learning-rate 0." in note["note"]
    assert notes_of(result) == [note["note"]]


def test_members_share_a_line(run):
    result = run("train", *SLOW, "--members", 2, "--json")
    (note,) = in_json(result)
    assert (note["code"], note["note"][:25]) == ("at-chance", "members 1, 2: at chance: ")


def test_a_training_that_is_resumed_has_it_again(run):
    begun = in_json(run("train", *SLOW, "--run-dir", "run", "--json"))
    again = in_json(run("train", *SLOW, "--run-dir", "run", "--resume", "--json"))
    assert begun == again
    assert len(again) == 1


def test_divergence_has_it_as_its_remedy(run):
    arguments = ("train", "--data", "digits", "--learning-rate", "1e30")
    run(*arguments).failed(1, "training diverged", "the first update, at rate 1e+30, is ", "try --learning-rate 0.")
    run(*arguments, "--run-dir", "run").failed(1, "run", "is kept; ", "go on with --resume and --learning-rate 0.")
    error = run(*arguments, "--init-seeds", "0-1", "--json").json["networks"][1]["error"]
    assert "training diverged" in error
    assert "try --learning-rate 0." in error
    decayed = run("train", "--data", "digits", "--weight-decay", "1e4", "--run-dir", "decay")
    decayed.failed(1, "weight decay alone changes the weights by 5e+02 times", "try --weight-decay ", "another folder")


def test_options_are_named_as_they_are_typed():
    assert in_text("try `deformation` {}") == "try --augment"
    assert in_text("try `early_stopping` 5") == "try --early-stopping 5"
    told = []
    noting_options(told.append)(Note("overfitted", "so; try `deformation` {}"))
    noting_options(told.append)("a `folder`")
    assert told == ["so; try --augment", "a `folder`"]
    assert told[0].code == "overfitted"
