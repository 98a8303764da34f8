"""Errors that name fields become errors that name options."""

import traceback

import numpy as np
import pytest

from fnnet.cli.mismatch import naming_options
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, StorageError, UsageError


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
    assert "resume with the run's --data, --ink, --pixel-max, --transpose and --size, or train into another" in done.err
    assert run(*train, 2, "--data", "light.npz", "--resume").code == 0
