"""Errors and notes of readers name options that the command has: a table of faults, raised by each command."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import savemat

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.preprocess import Reading
from fnnet.errors import FnnetError
from tests.cli.conftest import options_of
from tests.conftest import idx_bytes
from tests.tools.samples import write

DIGITS = data.load("digits").train
X, Y = DIGITS.x[:40], DIGITS.labels[:40]
ROWS = np.column_stack([Y, X])
COMMANDS = {
    "train": ("train", "--data", "{}", "--epochs", 0, "--dev", 0),
    "dev": ("train", "--data", "digits", "--epochs", 0, "--dev-data", "{}"),
    "start": ("train", "--data", "{}", "--epochs", 0, "--dev", 0, "--start", "{model}"),
    "evaluate": ("evaluate", "{model}", "--data", "{}"),
    "predict": ("predict", "{model}", "{}"),
    "info": ("data", "info", "--data", "{}"),
    "convert": ("data", "convert", "out.npz", "--data", "{}"),
    "show": ("data", "show", "--data", "{}"),
    "lr-find": ("lr-find", "--data", "{}", "--steps", 20),
}
NAMED = re.compile(r"(?<![\w'-])--[a-z][a-z-]*")
REMEDY = re.compile(
    r"say ((?:--(?:image|transpose|no-transpose)(?![a-z-])|--(?:pixel-max|classes|first-index|label-column) [a-z0-9]+"
    r"|--first-label 1 --class-names [0-9,]+))"
)
"""What can be typed as it stands: no usage error follows."""
OTHER_COMMAND = re.compile(
    r"'(?:fnnet )?[a-z-]+ [^']*'|train a model for theirs, or with --size|train a model with --size"
)
"""What is said of another command."""


def table(path, names=None, rows=ROWS):
    frame = pd.DataFrame(rows, columns=names)
    frame.to_csv(path, index=False, header=names is not None)


def pixels(count, first=0):
    return [f"pixel{first + i}" for i in range(count)]


def folder(path, parts=("0", "1"), suffix="png"):
    for number, name in enumerate(parts):
        (path / name).mkdir(parents=True)
        image = Image.fromarray(X[number].reshape(28, 28))
        image.save(path / name / "1.png") if suffix == "png" else (path / name / f"1.{suffix}").touch()


def flat(path):
    path.mkdir()
    Image.fromarray(X[0].reshape(28, 28)).save(path / "1.png")
    table(path / "a.csv", ["label", *pixels(784)])


def sparse(path, first=1, most=784):
    lines = [
        f"{y} " + " ".join(f"{i + first}:{v}" for i, v in enumerate(x[:most]) if v) for x, y in zip(X, Y, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


def arff(path, classes="0,1,2,3,4,5,6,7,8,9,10,11"):
    head = "".join(f"@attribute pixel{i} integer\n" for i in range(784)) + f"@attribute class {{{classes}}}\n"
    rows = "".join(",".join(map(str, [*x, y])) + "\n" for x, y in zip(X.tolist(), Y.tolist(), strict=True))
    path.write_text(f"@relation m\n{head}@data\n{rows}")


def emnist(path):
    path.mkdir()
    write(path / "emnist-digits-train-images-idx3-ubyte", idx_bytes(X.reshape(-1, 28, 28)))
    write(path / "emnist-digits-train-labels-idx1-ubyte", idx_bytes(Y))


FAULTS = {
    "label first or last.csv": lambda path: table(path, rows=np.tile([[1, 0], [0, 1]], (20, 393))[:, :785]),
    "two labels.csv": lambda path: table(path, ["label", "class", *pixels(783)]),
    "no labels.csv": lambda path: table(path, pixels(784), X),
    "odd count.csv": lambda path: table(path, rows=ROWS[:, :700]),
    "small.csv": lambda path: table(path, rows=ROWS[:, 300:310]),
    "unknown column.csv": lambda path: table(path, ["area", *pixels(784)]),
    "a table.csv": lambda path: table(path, ["label", *(f"c{i}x" for i in range(784))]),
    "fractions.csv": lambda path: table(
        path, rows=np.column_stack([Y, np.random.default_rng(0).random((40, 784)).round(3)]).astype(object)
    ),
    "labels from 1.csv": lambda path: table(path, ["label", *pixels(784)], np.column_stack([Y + 1, X])),
    "labels from 1.npz": lambda path: np.savez(path, x=X, y=Y + 1),
    "large labels.npz": lambda path: np.savez(path, x=X, y=Y + 300),
    "few classes.npz": lambda path: np.savez(path, x=X, y=Y % 3),
    "few classes.arff": arff,
    "dim.npz": lambda path: np.savez(path, x=X // 16, y=Y),
    "bright.npz": lambda path: np.savez(path, x=X, y=Y),
    "masks.npz": lambda path: np.savez(path, x=X // 128, y=Y),
    "other size.npz": lambda path: np.savez(path, x=X[:, :400], y=Y),
    "rows.mat": lambda path: savemat(path, {"X": X, "y": Y}),
    "a.svm": sparse,
    "from 0.svm": lambda path: sparse(path, 0),
    "cropped.svm": lambda path: sparse(path, 1, 500),
    "tiny.svm": lambda path: sparse(path, 1, 30),
    "emnist": emnist,
    "my-emnist.npz": lambda path: np.savez(path, x=X, y=Y),
    "loose": flat,
    "no classes": lambda path: folder(path, ("train", "test")),
    "flat parts": lambda path: folder(path, ("train", "cat", "dog")),
    "val": lambda path: folder(path, ("train/0", "train/1", "val/0", "val/1")),
    "names": lambda path: folder(path, ("0", "1", "2"), "txt"),
    "missing": lambda path: None,
}
MODELS = {
    "digits": Preprocessing(),
    "16": Preprocessing(pixel_max=16, ink=16),
    "turned": Preprocessing(transpose=True),
    "named": Preprocessing(),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    for name, preprocessing in MODELS.items():
        classes = tuple("abcdefghij") if name == "named" else tuple("0123456789")
        model = fnnet.Model(fnnet.init([784, 10], 0), "relu", classes, (28, 28), preprocessing)
        fnnet.save_model(path / name, model)
    return path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_options_that_are_named_exist(command, fault, models, run, tmp_path):
    path = tmp_path / fault
    FAULTS[fault](path)
    arguments = COMMANDS[command]
    options = options_of(arguments)
    for model in MODELS if "{model}" in arguments else ("",):
        filled = [str(each).format(path, model=models / model) for each in arguments]
        result = run(*filled)
        said = OTHER_COMMAND.sub("", result.err.replace(str(tmp_path), ""))
        named = set(NAMED.findall(said))
        assert named <= options, (named - options, result.err)
        if command == "dev":
            assert not named & {"--transpose", "--no-transpose", "--class-names", "--classes", "--first-label"}
        for remedy in {each.strip() for each in REMEDY.findall(said) if command != "dev"}:
            again = run(*filled, *remedy.split())
            assert again.code != 2 or remedy.split()[0] not in again.err, (remedy, again.err)
            assert "Traceback" not in again.err


def test_python_s_errors_and_notes_of_frames_name_no_options():
    """Those of tables, as frames."""
    heard = []
    frames = [
        pd.DataFrame(np.tile([[1, 0], [0, 1]], (20, 393))[:, :785]),
        pd.DataFrame(ROWS, columns=["label", "class", *pixels(783)]),
        pd.DataFrame(X, columns=pixels(784)),
        pd.DataFrame(ROWS[:, :700]),
        pd.DataFrame(ROWS[:, 300:310]),
        pd.DataFrame(ROWS, columns=["area", *pixels(784)]),
        pd.DataFrame(ROWS, columns=["label", *(f"c{i}x" for i in range(784))]),
        pd.DataFrame(np.column_stack([Y, np.random.default_rng(0).random((40, 784))])).astype({0: int}),
        pd.DataFrame(np.column_stack([Y + 1, X]), columns=["label", *pixels(784)]),
        pd.DataFrame(np.column_stack([Y % 3, X]), columns=["label", *pixels(784)]),
        pd.DataFrame(np.column_stack([Y, X // 16]), columns=["label", *pixels(784)]),
    ]
    for frame in frames:
        for reading in (Reading(), Reading(first_index=1), Reading(label_column="nothing"), Reading(pixel_max=9)):
            for known in (None, *MODELS.values()):
                try:
                    heard += map(str, data.from_frame(frame, reading=reading, preprocessing=known).notes)
                except FnnetError as error:
                    heard.append(str(error))
        try:
            data.read_images(frame, (28, 28), MODELS["turned"], notify=heard.append)
        except FnnetError as error:
            heard.append(str(error))
    assert len(set(heard)) > 15
    assert [line for line in heard if NAMED.search(OTHER_COMMAND.sub("", line))] == []
