"""Help: every command and option has one, `train` shows its options in groups, and shells complete them."""

import os
import shlex
import shutil
import subprocess
import sys

import click
import pytest

from fnnet.cli.help import GROUPS, Grouped, long_name
from fnnet.cli.train import train
from tests.conftest import ROOT
from tests.tools import commands

COMMANDS = dict(commands.commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is_for(name):
    assert COMMANDS[name].help
    for each in COMMANDS[name].params:
        assert isinstance(each, click.Argument) or each.help, each.name


def test_the_page_of_commands_has_them_all():
    """A command or an option that is new is not documented until the page is printed again."""
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert text == commands.page(), "python -m tests.tools.commands > docs/commands.md"
    assert "docs/commands.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_each_option_of_a_training_is_in_one_group():
    grouped = [name for group in GROUPS for name in group.options]
    assert len(grouped) == len({*grouped})
    known = {long_name(each) for command in COMMANDS.values() for each in command.params}
    assert {long_name(each) for each in train.params} <= {*grouped} <= known


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
def test_the_example_of_a_group_has_some_of_its_options(group):
    words = shlex.split(group.example)
    with train.make_context("train", words[words.index("train") + 1 :]) as context:
        given = {long_name(each) for each in train.params if context.get_parameter_source(each.name).name != "DEFAULT"}
    assert given & {*group.options}
    assert group.example in " ".join(train.get_help(click.Context(train, info_name="train")).split())


def test_options_of_no_group_are_shown_all_the_same():
    command = Grouped("other", params=[click.Option(["--nothing"], help="Of no group."), click.Option(["--epochs"])])
    text = command.get_help(click.Context(command))
    assert text.index("Training:") < text.index("--epochs") < text.index("Other options:") < text.index("Of no group.")
    assert "Example:" not in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_a_script_that_completes(shell):
    env = {**os.environ, "_FNNET_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, ROOT / "cli.py"], env=env, capture_output=True, text=True, check=False)
    if shell == "bash" and done.returncode:
        pytest.skip("needs bash 4.4")
    assert f"_FNNET_COMPLETE={shell}_complete" in done.stdout, done.stderr
    if path := shutil.which(shell):
        check = subprocess.run([path, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
        assert check.returncode == 0, check.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fnnet tr", {"trace", "train"}),
        ("fnnet train --recipe qu", {"quick"}),
        ("fnnet train --learn", {"--learning-rate"}),
    ],
)
def test_commands_options_and_choices_are_completed(words, expected):
    count = len(words.split()) - 1
    env = {**os.environ, "_FNNET_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    done = subprocess.run([sys.executable, ROOT / "cli.py"], env=env, capture_output=True, text=True, check=False)
    assert {line.partition(",")[2] for line in done.stdout.split()} == expected, done.stderr
