"""What an error says to do can be done: the options it names are the command's, and work beside those that were given.

An option in quotes belongs to the command that is quoted with it.
"""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet.cli import before_data
from fnnet.core.state import Preprocessing
from fnnet.files.model import save_model
from tests.cli.conftest import class_folders, options_of


def assert_possible(words, message, given=()):
    """Every option that a message names, after the option that it is about, is one of the command's.

    given   options that contradict others, which are then no remedy.
    """
    for quoted in re.findall(r"'fnnet ([^']*)'", message):
        assert {*re.findall(r"--[a-z][a-z-]+", quoted)} <= options_of(quoted.split()), message
    plain = re.sub(r"'[^']*'", "", message)
    assert {*re.findall(r"--[a-z][a-z-]+", plain)} <= options_of(words), message
    *_, remedy = plain.split("; ")
    if not remedy.startswith(("expected ", "found ", "error: ")):
        assert not {*re.findall(r"--[a-z][a-z-]+", remedy)} & {*given}, message


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data that is right and wrong, models that read it in several ways, runs."""
    from fnnet import cli

    folder = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    x, labels = rng.integers(0, 256, (60, 28, 28), np.uint8), np.arange(60) % 10
    np.savez(folder / "images.npz", x_train=x, y_train=labels)
    np.savez(folder / "dim.npz", x_train=x // 16, y_train=labels)
    np.savez(folder / "small.npz", x_train=x[:, :8, :8], y_train=labels)
    np.savez(folder / "many.npz", x_train=x, y_train=np.arange(60) % 12)
    np.savez(folder / "from1.npz", x_train=x, y_train=labels + 1)
    class_folders(folder / "pictures", "ab")
    for number, name in enumerate(class_folders(folder / "mixed", "ab").iterdir()):
        Image.new("L", (5 + number, 7), 99).save(name / "other.png")
    (folder / "table.csv").write_text("a,b\n" + "1,2\n" * 9)
    (folder / "empty").mkdir()
    params = fnnet.init((784, 4, 10), seed=1)
    for name, known in (
        ("plain", Preprocessing()),
        ("dark", Preprocessing(paper=255, ink=0)),
        ("dimmed", Preprocessing(pixel_max=16, ink=16)),
        ("turned", Preprocessing(transpose=True)),
        ("scaled", Preprocessing(resize=True)),
    ):
        save_model(folder / f"{name}.safetensors", fnnet.Model(params, preprocessing=known))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in ("--run-dir run", "--run-dir started --start plain.safetensors"):
            with pytest.raises(SystemExit):
                cli.main(["train", "-q", "--data", "images.npz", "--epochs", "2", *words.split()])
        shutil.copytree("run", "torn")
        (folder / "foreign").mkdir()
        (folder / "foreign" / "log.jsonl").write_text("my own\n")
        (folder / "torn" / "log.jsonl").write_text('{"event": "start"}\n{"event": "epoch", "sha256": "0"}\n{}\n')
    return folder


DATA = (
    "images.npz",
    "dim.npz",
    "small.npz",
    "many.npz",
    "from1.npz",
    "pictures",
    "mixed",
    "table.csv",
    "empty",
    "none",
)
MODELS = ("plain", "dark", "dimmed", "turned", "scaled")
READING = (
    "--pixel-max 16", "--pixel-max 255", "--pixel-max auto", "--ink dark", "--ink light", "--transpose",
    "--no-transpose", "--size 28", "--size 4x4", "--image-size 28", "--image-size 4x4", "--classes 5",
    "--first-label 1", "--class-names a,b", "--image", "--label-column last", "--first-index 0", "--dev-data small.npz",
    "--dev-data many.npz", "--dev-data none", "--dev 99", "--hidden 5", "--activation tanh", "--hidden 99999,99999", "",
)  # fmt: skip


def fails(run, *words):
    """The error of a command, "" if it is right."""
    result = run(*words)
    return result.err if result.code else ""


@pytest.fixture
def there(place, tmp_path):
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("model", [*MODELS, None])
@pytest.mark.parametrize("data", DATA)
def test_remedies_of_training_are_options_that_it_takes(data, model, there, run, monkeypatch):
    monkeypatch.setattr("fnnet.training.session.train", lambda *given, **options: pytest.skip("right"))
    start = ("--start", f"{model}.safetensors") if model else ()
    taken = before_data.OF_THE_MODEL if model else ()
    seen = 0
    for more in READING:
        words = ("train", "--data", data, "--epochs", "1", *start, *more.split())
        try:
            message = fails(run, *words)
        except pytest.skip.Exception:
            continue
        seen += 1
        assert_possible(words, message, given=taken)
        if model and "--hidden 9" in more:
            assert "smaller --hidden" not in message
    assert seen


ALONE = [
    "train --run-dir run",
    "train --data images.npz --run-dir run --resume --epochs 1",
    "train --data images.npz --run-dir run --resume --epochs 2 --hidden 3",
    "train --data images.npz --run-dir run --resume --epochs 2 --ema 0.5",
    "train --data images.npz --run-dir run --resume --epochs 2 --augment",
    "train --data images.npz --run-dir run --resume --epochs 2 --class-weights 3=2",
    "train --data images.npz --run-dir run --resume --epochs 2 --jit",
    "train --data images.npz --run-dir run --resume --epochs 2 --start plain.safetensors",
    "train --data dim.npz --run-dir run --resume --epochs 2",
    "train --data images.npz --run-dir started --resume --epochs 2 --start dark.safetensors",
    "train --data images.npz --run-dir started --resume --epochs 2 --hidden 3",
    "train --data images.npz --run-dir started --resume --epochs 2 --pixel-max 3",
    "train --data images.npz --learning-rate 1e30",
    "train --data images.npz --learning-rate 1e30 --run-dir new",
    "train --data images.npz --optimizer lbfgs --run-dir new",
    "train --data images.npz --optimizer lbfgs --batch-size 3",
    "train --data images.npz --early-stopping 3 --dev 0",
    "train --data images.npz --hidden 99999,99999",
    "train --data images.npz --momentum 0.5",
    "train --data images.npz --threads 2",
    "train --resume",
    "train --size 28",
    "train --lr 3",
    "train -o x",
    "train --data images.npz --augment --deformation shift=0,rotation=0,scale=0,shear=0,elastic=0",
    "lr-find --data images.npz --low 3 --high 2",
    "lr-find --data images.npz --optimizer lbfgs",
    "lr-find --data images.npz --hidden 99999,99999",
    "lr-find --data many.npz",
    "lr-find --lr 3",
    "plot torn",
    "plot nowhere",
    "plot foreign",
    "warmup --to images.npz",
    "warmup --to .",
    "gradcheck --sizes 3",
    "gradcheck --opt 3",
]


@pytest.mark.parametrize("words", ALONE)
def test_remedies_are_options_of_the_command(words, there, run):
    words = words.split()
    message = fails(run, *words)
    assert message
    assert_possible(words, message.rpartition("error: ")[2])


def dimmed(x):
    return x // 16


def inverted(x):
    return 255 - x


@pytest.mark.parametrize(("store", "option"), [(dimmed, "--pixel-max 15"), (inverted, "--ink dark")])
def test_the_remedy_for_images_stored_otherwise_than_the_models_works(store, option, there, run, small_images):
    """What it makes of them is stored as what the model was trained on."""
    from fnnet import data

    x, labels = small_images
    x = np.where(x < 100, 0, 255).astype(np.uint8)
    np.savez("own.npz", x_train=store(x), y_train=labels)
    message = fails(run, "train", "--start", "plain.safetensors", "--data", "own.npz", *option.split())
    assert f"{option.split()[0]}: contradicts --start" in message
    made = re.search(r"start on what 'fnnet (.*) OUT (.*)' makes of the data", message)
    assert run(*made[1].split(), "out.npz", "--data", "own.npz", *made[2].split()).code == 0
    assert run("train", "--start", "plain.safetensors", "--data", "out.npz", "--epochs", 1).code == 0
    loaded = data.load("out.npz").train.x.reshape(x.shape)
    np.testing.assert_array_equal(loaded, x)


def test_the_remedy_for_pictures_of_other_sizes_than_the_models_works(there, run):
    message = fails(run, "train", "--start", "plain.safetensors", "--data", "mixed", "--size", "9x8")
    made = re.search(r"start on what 'fnnet (.*) OUT (.*)' makes of the data", message)
    assert run(*made[1].split(), "out", "--data", "mixed", *made[2].split()).code == 0
    assert run("train", "--start", "plain.safetensors", "--data", "out", "--epochs", 1, "--dev", 0).code == 0
