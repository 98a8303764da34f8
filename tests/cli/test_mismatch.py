"""Errors that name fields become errors that name options."""

import re
import traceback

import numpy as np
import pytest

from fnnet.cli.mismatch import naming_options
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, StorageError, UsageError
from fnnet.files.runs import OtherRunError
from tests.tools.samples import png


def translated(error, **options):
    with pytest.raises(FnnetError) as caught, naming_options(**options):
        raise error
    assert type(caught.value) is type(error)
    return caught.value


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UsageError("out of range", where="learning_rate", found=0), "--learning-rate: out of range; found 0"),
        (ArgumentTypeError("not a number", where="momentum"), "--momentum: not a number"),
        (UsageError("unused by `optimizer` adam", where="momentum"), "--momentum: unused by --optimizer adam"),
        (UsageError("too large", expected="a smaller `batch_size`"), "too large; expected a smaller --batch-size"),
        (FnnetError("no memory", fix="use a smaller `hidden`"), "no memory; use a smaller --hidden"),
        (DataError("no such data set", where="dev_data"), "--dev-data: no such data set"),
        (UsageError("out of range", found="`epochs`"), "out of range; found `epochs`"),
        (UsageError("bad", where="runs/a"), "runs/a: bad"),
        (UsageError("not with lbfgs", where="deformation", expected="none"),
         "--deformation: not with lbfgs; expected none (--no-augment)"),
        # Files, whatever they are called.
        (DataError("truncated", where="momentum"), "momentum: truncated"),
        (StorageError("cannot be opened", where="epochs"), "epochs: cannot be opened"),
    ],
    ids=str,
)  # fmt: skip
def test_fields_become_options(error, text):
    assert str(translated(error)) == text


def test_a_folder_that_has_the_name_of_a_field_keeps_it():
    error = translated(UsageError("holds a run already", where="dev", fix="go on with `resume`"), only_in_text=True)
    assert str(error) == "dev: holds a run already; go on with --resume"


def test_the_traceback_is_that_of_the_error():
    def fail():
        raise UsageError("out of range", where="epochs")

    with pytest.raises(UsageError) as caught, naming_options():
        fail()
    assert "in fail" in "".join(traceback.format_exception(caught.value))


def test_a_run_directory_with_the_name_of_a_field(run, idx_folder):
    arguments = ("train", "--data", idx_folder, "--epochs", 1, "--run-dir", "momentum")
    assert run(*arguments).code == 0
    run(*arguments).failed(2, "error: momentum: holds a run already; go on with --resume")
    run(*arguments, "--resume", "--ema", 0.5).failed(2, "error: momentum: --ema differs from the run; expected 0.0")


def test_a_run_of_images_that_are_read_in_another_way(run, tmp_path):
    """Inverted images become the same bytes; the model would take light ink for paper."""
    rng = np.random.default_rng(3)
    x, y = np.zeros((40, 12, 12), np.uint8), np.arange(40) % 2
    x[:, 4:8, 4:8] = rng.integers(128, 256, (40, 4, 4))
    x[:, 5, 5] = 255
    for name, images in (("light.npz", x), ("dark.npz", 255 - x)):
        np.savez(tmp_path / name, x=images, y=y)
    train = ("train", "--dev", 0, "--run-dir", "kept", "--epochs")
    assert run(*train, 1, "--data", "light.npz").code == 0
    done = run(*train, 2, "--data", "dark.npz", "--resume")
    done.failed(2, "kept: the way images are read differs from the run; expected paper 0, found paper 255 in dark.npz")
    assert "resume with the run's --data and --ink, or train into another" in done.err
    assert run(*train, 2, "--data", "light.npz", "--resume").code == 0


def squares(n=40):
    rng = np.random.default_rng(3)
    x, y = np.zeros((n, 12, 10), np.uint8), np.arange(n) % 2
    x[:, 4:8, 4:7] = rng.integers(128, 256, (n, 4, 3))
    x[:, 5, 5] = 255
    return x, y


@pytest.mark.parametrize(("said", "words"), [
    ("--transpose", "transpose false, found transpose true in a.npz; .* --data and --transpose or --no-transpose, or"),
    ("--ink dark", "differs from the run; expected paper 0, found paper 255 .* run's --data and --ink, or"),
    ("--pixel-max auto", "differs from the run; expected pixel_max 255, found pixel_max 15 .* --data, --pixel-max and"),
])  # fmt: skip
def test_a_run_that_is_resumed_with_other_options_of_reading_names_these(said, words, run, tmp_path):
    x, y = squares()
    np.savez(tmp_path / "a.npz", x=x // 17 if "max" in said else x, y=y)
    train = ("train", "--data", "a.npz", "--dev", 0, "--run-dir", "kept", "--epochs")
    assert run(*train, 1).code == 0
    done = run(*train, 2, "--resume", *said.split())
    done.failed(2, "kept: the way images are read differs from the run")
    assert re.search(words, done.err)


def test_a_run_that_is_resumed_with_pictures_of_another_size_names_this(run, tmp_path):
    for number, image in enumerate(squares(8)[0]):
        png(tmp_path / "in" / "ab"[number % 2] / f"{number}.png", image)
    train = ("train", "--data", "in", "--dev", 0, "--run-dir", "kept", "--epochs")
    assert run(*train, 1).code == 0
    done = run(*train, 2, "--resume", "--size", 14)
    done.failed(2, "kept: the data differs from the run; expected 120 pixels or columns, found 196; resume")
    assert "resume with the run's --data, --size and --image-size, or train into another folder" in done.err
    done = run(*train, 2, "--resume", "--size", "12x10")
    done.failed(2, "kept: the way images are read differs from the run; expected resize false, found resize true in in")
    assert "resume with the run's --data and --size, or train into another folder" in done.err


def test_a_run_that_is_resumed_with_other_images_names_what_chooses_them(run, tmp_path):
    x, y = squares()
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.savez(tmp_path / "b.npz", x=x[::-1], y=y)
    train = ("train", "--dev", 0, "--run-dir", "kept", "--epochs")
    assert run(*train, 1, "--data", "a.npz").code == 0
    done = run(*train, 2, "--data", "b.npz", "--resume")
    done.failed(2, "kept: the data differs from the run; expected training images and labels with SHA-256 ")
    assert (
        "resume with the run's --data, --dev, --dev-data, --first-label, --label-column and --first-index" in done.err
    )
    done = run(*train, 2, "--data", "a.npz", "--resume", "--class-names", "a,b")
    assert "resume with the run's --data, --classes, --class-names, --first-label and --label-column" in done.err


def test_a_way_of_reading_that_no_option_decides_names_the_data():
    error = OtherRunError("differs", where="kept")
    error.differences = {"data.preprocessing.faint": ("24", "-1")}
    words = r"faint 24, found faint -1 in a\.npz; resume with the run's --data, or train into another folder"
    with pytest.raises(UsageError, match=words), naming_options("a.npz"):
        raise error
