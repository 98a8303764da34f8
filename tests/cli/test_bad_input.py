"""Bad input: one line, the right code, nothing written."""

import gzip
import os

import numpy as np
import pytest

from tests.cli.conftest import class_folders
from tests.conftest import idx_bytes
from tests.tools.samples import ROWS, changed, csv_file


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


def test_options_that_do_not_apply_are_told(run, idx_folder):
    run("train", "--data", "digits", "--classes", 26, "--quiet").failed(2, "--classes", "10, as digits has", "26")
    run("data", "info", "--data", "digits", "--classes", 26).failed(2, "--classes", "10, as digits has", "26")
    for option in ("--data", "--out", "--plot", "--data-dir"):
        run("train", option, "").failed(2, option, "expected a name")


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


def test_f38_a_file_name_cannot_steer_the_terminal(run):
    result = run("train", "--data", "a\x1b[31m\nb")
    result.failed(1, r"\x1b")
    assert "\x1b" not in result.err


def test_class_names_that_could_steer_the_terminal_are_refused(run, tmp_path):
    folder = class_folders(tmp_path / "pets", ["cat", "dog\x1b[31m"])
    result = run("train", "--data", folder)
    result.failed(1, "the name of a class cannot be printed", r"\x1b")
