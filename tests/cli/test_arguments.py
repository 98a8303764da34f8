"""Arguments of a call of the command line from Python: texts and paths, none with NUL."""

import os
from pathlib import Path

import click
import pytest

from fnnet.cli import main
from fnnet.cli.options import FileName
from fnnet.cli.program import cli


def ended(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def commands(group=cli, path=()):
    """Each command with its words."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def lines_with_nul():
    """A call of each command for each option or argument that is a name of a file or folder."""
    for path, command in commands():
        before = []
        for parameter in command.params:
            option = parameter.opts[0] if isinstance(parameter, click.Option) else None
            if isinstance(parameter.type, FileName):
                yield [*path, *before, *([option] if option else []), "a\0b"], option or parameter.metavar
            if option is None:
                before = [*before, "x"]


@pytest.mark.parametrize(("words", "named"), [*lines_with_nul()], ids=lambda each: " ".join(each).replace("\0", "NUL"))
def test_nul_in_a_name_is_refused_at_its_option(words, named, run):
    result = run(*words)
    result.failed(2, "without the character NUL", r"a\x00b")
    assert result.err.startswith(f"error: {named}: ")


def test_options_that_are_names_are_known_as_such():
    named = {(*words[:1], name) for words, name in lines_with_nul()}
    names = ("--data", "--data-dir", "--dev-data", "--test-data", "--start", "--run-dir", "--out", "--plot")
    wanted = {("train", name) for name in names} | {("info", "MODEL|RUN")}
    assert named >= {*wanted, ("warmup", "--to"), ("predict", "IMAGE..."), ("predict", "MODEL"), ("data", "OUT")}


@pytest.mark.parametrize(
    "arguments", [[1], ["train", "--epochs", 1], [b"--version"], ["predict", None], [["--version"]]]
)
def test_an_argument_that_is_no_text_is_refused(arguments, capsys):
    assert ended(arguments) == 2
    number = next(n for n, each in enumerate(arguments, 1) if not isinstance(each, str))
    err = capsys.readouterr().err
    assert err.startswith(f"error: argument {number}: not a text; ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", ["--version", b"--version", Path("data"), 5, 0.5])
def test_what_is_no_list_of_arguments_is_refused(arguments, capsys):
    assert ended(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: no arguments of a command; expected a list of texts")
    assert err.count("\n") == 1


def test_a_path_is_its_text(tmp_path, capsys):
    class Named:
        def __fspath__(self):
            return str(tmp_path / "none")

    assert ended(iter(["data", "info", "--data", "digits"])) == 0
    for place in (tmp_path / "none", Named()):
        codes, lines = [], []
        for each in (os.fspath(place), place):
            codes.append(ended(("data", "info", "--data", each)))
            lines.append(capsys.readouterr().err)
        assert codes == [1, 1]
        assert lines[0] == lines[1]
