"""What is printed on a terminal of 80 columns fits it; in a pipe, errors and notes are lines of any length."""

import os
import subprocess
import sys

import pytest

from fnnet.cli import streams
from fnnet.cli.program import COMMANDS
from tests.conftest import ROOT

WIDTH = 80
pty = pytest.importorskip("pty", reason="needs terminals")


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def assert_fits(text):
    long = [line for line in text.splitlines() if len(line) > WIDTH]
    assert not long, long


@pytest.mark.parametrize("command", ["", *COMMANDS, *(f"data {name}" for name in ("info", "download", "show"))])
def test_help_fits(command, run):
    result = run(*command.split(), "--help")
    assert result.code == 0
    assert len(result.out.splitlines()) > 5
    assert_fits(result.out)


def test_tables_and_results_fit(run, idx_folder):
    assert idx_folder.name == "idx"
    small = ("--data", "idx", "--quiet")
    result = run("train", "--data", "idx", "--epochs", 3, "--dev", 10, "--run-dir", "run", "--hidden", "128,64")
    assert "test accuracy" in result.out
    lines = result.err.splitlines()
    assert all(line.startswith("note: ") for line in lines if len(line) > WIDTH), result.err  # in a pipe of any length
    assert_fits(result.out)
    for arguments in (
        ("evaluate", "run", "--data", "idx"),
        ("evaluate", "run", *small),
        ("predict", "run", "idx/t10k-images-idx3-ubyte"),
        ("info", "run"),
        ("plot", "run"),
        ("lr-find", "--data", "idx", "--steps", 40, "--hidden", "128,64", "--recipe", "accurate", "--no-augment"),
        ("gradcheck", "--sizes", "12,4,3"),
        ("trace", "--data", "idx", "--hidden", "4", "--optimizer", "adam"),
        ("data", "info", "--data", "idx"),
        ("data", "show", "--data", "idx", "--count", 3),
        ("data", "show", "--data", "idx", "--count", 2, "--augment"),
    ):
        result = run(*arguments)
        assert result.code == 0, result.err
        assert_fits(result.out + result.err)


@pytest.mark.parametrize(
    "arguments", [("train", "--epochs", 1), ("train", "--epochs", 1, "-q"), ("data", "info"), ("data", "show")]
)
def test_the_line_of_the_bundled_digits_fits(arguments, run):
    result = run(*arguments, "--data", "digits")
    assert result.code == 0
    assert_fits(result.out)
    lines = result.out.splitlines()
    assert lines[0].startswith("data: digits, 1,")
    assert lines[1] == "  (E. Alpaydin and C. Kaynak, UCI, CC BY 4.0)"


def test_a_long_path_of_data_stays_whole_and_in_a_pipe_on_the_line(run, idx_folder, monkeypatch):
    place = idx_folder.parent / ("long " * 12) / "idx"
    place.parent.mkdir()
    idx_folder.rename(place)
    first = run("data", "info", "--data", place).out.splitlines()[0]
    assert first == f"data: idx, 50 train, 10 test images ({place})"
    monkeypatch.setattr(streams.Stream, "isatty", lambda stream: True)
    lines = run("data", "info", "--data", place).out.splitlines()
    assert lines[:2] == ["data: idx, 50 train, 10 test images", f"  ({place})"]


WRONG = [
    ("train", "--activation", "cubic", "--hidden", "128,64"),
    ("train", "--data", "nowhere/at/all", "--optimizer", "adam", "--momentum", "0.5"),
    ("predict", "nowhere.safetensors", "x.png"),
    ("train", "--deformation", "colour=3"),
    ("train", "--lr", "0.1"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_errors_are_folded_on_a_terminal_and_one_line_in_a_pipe(arguments, tmp_path):
    command = [sys.executable, str(ROOT / "cli.py"), *arguments]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stderr
    assert piped.startswith("error: ")
    assert piped.count("\n") == 1
    ours, theirs = pty.openpty()
    code = subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs, check=False).returncode
    os.close(theirs)
    shown = os.read(ours, 10**5).decode().replace("\r\n", "\n")
    os.close(ours)
    assert code in (1, 2)
    assert_fits(shown)
    assert " ".join(shown.split()) == " ".join(piped.split())


def test_names_stay_whole_where_a_line_is_folded(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    name = "a-folder/" * 12 + "a-file"
    lines = streams.fitted(f"note: read {name} and --class-weights " + "word " * 20).splitlines()
    assert f"  {name}" in lines
    assert all(len(line) <= WIDTH or name in line for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])
