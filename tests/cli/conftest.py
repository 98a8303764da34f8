"""Fixtures and helpers of the command line's tests."""

import click
import pytest
from PIL import Image

from fnnet.cli import program


@pytest.fixture
def model(run, idx_folder, tmp_path):
    """A model trained on the small folder."""
    assert run("train", "--data", idx_folder, "--epochs", 60, "--batch-size", 10, "--quiet").code == 0
    return tmp_path / "model.safetensors"


def class_folders(folder, names):
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (4, 4), 60 * number + i).save(folder / name / f"{i}.png")
    return folder


def save_digits(tmp_path, small_images, count):
    for number in range(count):
        Image.fromarray(small_images[0][number]).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(count)]


def command(words):
    """The command that words begin with, `data convert` for one."""
    found = program.cli
    for word in words:
        if not isinstance(found, click.Group) or word not in found.commands:
            break
        found = found.commands[word]
    return found


def options_of(words):
    """The options of the command that words begin with."""
    return {name for each in command(words).params for name in (*each.opts, *each.secondary_opts)}
