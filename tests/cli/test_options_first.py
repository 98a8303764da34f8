"""What is wrong with the options whatever the data are is told before the data is looked for."""

import os

import pytest


@pytest.mark.parametrize("command", ["train", "lr-find"])
@pytest.mark.parametrize(
    "option", [("--threads", 2), ("--activation", "tanh", "--hidden", ""), ("--schedule", "step:every=0")]
)
def test_options_are_checked_before_the_data_is_looked_for(command, option, run, monkeypatch):
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    run(command, "--data", "mnist", *option).failed(2, option[0])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--early-stopping 3 --dev 0", ("--early-stopping", "no dev images")),
        ("--early-stopping 3 --recipe quick", ("--early-stopping", "no dev images")),
        ("--dev-data X --dev 100", ("--dev", "cannot be combined with --dev-data")),
        ("--class-weights even", ("--class-weights", "CLASS=WEIGHT", "'even'")),
        ("--class-weights 3=-1", ("--class-weights", "weight of class 3", "-1")),
        ("--class-weights 3=x", ("--class-weights", "weight of class 3", "'x'")),
        ("--class-weights 3=1,4=2,3=2", ("--class-weights", "given twice", "'3=2'")),
        ("--hidden 999999999", ("--hidden", "network too large")),
    ],
)
def test_what_is_wrong_without_data_is_told_before_the_data_is_looked_for(option, words, run, monkeypatch):
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    run("train", "--data", "mnist", *option.split()).failed(2, *words)


def test_a_network_that_memory_cannot_hold_is_told_before_the_data_is_looked_for(run, monkeypatch):
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    monkeypatch.setattr("fnnet.limits.available_bytes", lambda: (10**8, "the system"))
    run("train", "--data", "mnist", "--hidden", "5000,5000").failed(1, "not enough memory", "--hidden")


@pytest.mark.parametrize("place", ["/proc/x", "file/x", "file"])
def test_a_run_folder_that_cannot_be_made_is_told_before_the_data_is_looked_for(place, run, monkeypatch, tmp_path):
    if place.startswith("/proc") and not os.path.isdir("/proc"):
        pytest.skip("no /proc on this system")
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    run("train", "--data", "mnist", "--run-dir", place).failed(1, f"{place}: cannot be made", "choose another folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["new/one", "there"])
def test_a_run_folder_that_can_be_made_is_not_made_by_the_check(place, run, tmp_path):
    (tmp_path / "there").mkdir()
    run("train", "--data", "missing", "--run-dir", place).failed(1, "no such data set")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("words", [[], ["--class-weights", "balanced"], ["--class-weights", "3=0,4=2"]])
@pytest.mark.parametrize("more", [[], ["--early-stopping", "2"], ["--early-stopping", "2", "--dev", "0", "--dev-data"]])
def test_what_may_be_right_waits_for_the_data(words, more, run):
    more = [*more, "dev.npz"] if "--dev-data" in more else more
    run("train", "--data", "missing", *words, *more).failed(1, "no such data set")


NOTHING = "shift=0,rotation=0,scale=0,shear=0,elastic=0"


@pytest.mark.parametrize(
    ("deformation", "words"),
    [
        (NOTHING, ("has no effect", "0 for all")),
        ("elastic=0,correlation=3", ("correlation", "elastic")),
        ("shift=2000", ("shift out of range",)),
    ],
)
@pytest.mark.parametrize("augment", [[], ["--augment"]])
def test_data_show_refuses_the_deformations_that_train_does(deformation, words, augment, run, monkeypatch):
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    for command in (["data", "show"], ["train"]):
        run(*command, "--data", "mnist", *augment, "--deformation", deformation).failed(2, "--deformation", *words)


def test_evaluate_checks_its_options_before_the_data(run, monkeypatch):
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    run("evaluate", "model.safetensors", "--threads", 2).failed(2, "--threads")
