"""What is wrong with the options whatever the data are is told before the data is looked for."""

import os
import shutil

import numpy as np
import pytest

import fnnet
from fnnet.core.state import Preprocessing
from fnnet.files.model import save_model


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


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of models and runs: finished ones on MNIST's shape and on others, one that diverged, one of others' log.

    images.npz   6x5 images of three classes.
    """
    from fnnet import cli

    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rng = np.random.default_rng(0)
        np.savez("images.npz", x_train=rng.integers(0, 256, (60, 6, 5), np.uint8), y_train=np.arange(60) % 3)

        def train(*words):
            with pytest.raises(SystemExit):
                cli.main(["train", "-q", "--data", "images.npz", "--classes", "3", *map(str, words)])

        options = ("--hidden", 4, "--activation", "tanh", "--epochs", 3, "--dev", 10)
        train(
            *options, "--out", "old.safetensors", "--run-dir", "run", "--seed", 5, "--schedule", "cosine", "--augment"
        )
        train(*options, "--run-dir", "plain", "--early-stopping", 9)
        train(*options, "--run-dir", "weighted", "--class-weights", "1=2")
        train("--run-dir", "started", "--start", "old.safetensors", "--epochs", 2)
        train("--hidden", 4, "--epochs", 1, "--out", "other.safetensors")
        train("--batch-size", 1, "--dev", 10, "--run-dir", "own")  # as many epochs as the recipe finds for the images
        params = fnnet.init((784, 4, 10))
        save_model("mnist.safetensors", fnnet.Model(params))
        save_model("dark.safetensors", fnnet.Model(params, preprocessing=Preprocessing(paper=255, ink=0)))
        save_model("dim.safetensors", fnnet.Model(params, preprocessing=Preprocessing(pixel_max=16, ink=16)))
        save_model("turned.safetensors", fnnet.Model(params, preprocessing=Preprocessing(transpose=True)))
        shutil.copytree("run", "strange")
        (folder / "strange" / "log.jsonl").write_text("my own\n")
        shutil.copytree("run", "damaged")
        for path in (folder / "damaged").glob("step-*"):
            path.write_bytes(path.read_bytes()[:-1])
        shutil.copy("images.npz", "same.npz")
        (folder / "a folder").mkdir()
    return folder


RESUMED = "--hidden 4 --activation tanh --epochs 3 --dev 10 --run-dir"
RUN = f"{RESUMED} run --resume --seed 5 --schedule cosine --augment"
NPZ = "--data images.npz --classes 3"
REFUSED = [
    # A run directory that holds something.
    ("--run-dir run", "run: holds a run already; go on with --resume"),
    ("--run-dir run --epochs 9", "holds a run already"),
    ("--run-dir strange", "strange/log.jsonl: not a log of fnnet"),
    ("--run-dir strange --resume", "strange/log.jsonl: not a log of fnnet"),
    ("--run-dir damaged --resume", "damaged: no checkpoint is intact"),
    # Options that are not those of the run.
    *((f"{NPZ} {RUN} {more}", said) for more, said in (
        ("--hidden 7", "--hidden differs from the run; expected 4, found 7; resume with --hidden 4"),
        ("--hidden 4,4", "--hidden differs"),
        ("--activation relu", "--activation differs from the run; expected tanh, found relu"),
        ("--epochs 2", "fewer --epochs than the run has made; expected 3 or more, found 2"),
        ("--seed 6", "--seed differs from the run; expected 5, found 6"),
        ("--recipe quick", "--recipe differs"),
        ("--jit", "the choice of kernels differs"),
        ("--batch-size 7", "--batch-size differs"),
        ("--batch-size full", "--batch-size differs"),
        ("--learning-rate 0.5", "--learning-rate differs"),
        ("--optimizer adam", "--optimizer differs"),
        ("--optimizer momentum --momentum 0.5", "--optimizer differs"),
        ("--schedule constant", "--schedule differs"),
        ("--weight-decay 0.5", "--weight-decay differs"),
        ("--clip-norm 0.5", "--clip-norm differs"),
        ("--ema 0.5", "--ema differs"),
        ("--dropout 0.5", "--dropout differs"),
        ("--label-smoothing 0.5", "--label-smoothing differs"),
        ("--no-augment", "--augment differs"),
        ("--deformation shift=9", "--deformation differs"),
        ("--early-stopping 3", "--early-stopping differs"),
        ("--dev 0", "the data differs from the run; expected 10 dev images, found 0"),
        ("--class-weights balanced", "--class-weights differs from the run; expected none, found balanced"),
        ("--start mnist.safetensors", "--activation: contradicts --start"),
        ("--start old.safetensors", "--start differs from the run; expected none"),
        ("--classes 4", "the data differs from the run; expected 3 classes, found 4"),
        ("--class-names a,b,c", "the data differs from the run; expected classes 0, 1, 2, found a, b, c"),
        ("--image-size 10x3", "the data differs from the run; expected shape 6x5, found 10x3"),
        ("--data mnist --classes 10", "the data differs from the run; expected 30 pixels or columns, found 784"),
        ("--data auto --classes 10", "the data differs from the run; expected 30 pixels or columns, found 784"),
    )),
    (f"{NPZ} {RESUMED} plain --resume --early-stopping 8", "plain: --early-stopping differs from the run; expected 9"),
    (f"{NPZ} {RESUMED} plain --resume", "plain: --early-stopping differs from the run; expected 9, found none"),
    (f"{NPZ} {RESUMED} weighted --resume", "weighted: --class-weights differs from the run; expected weights with"),
    (f"{NPZ} --run-dir started --resume --hidden 5", "--hidden: contradicts --start; expected 4, found 5"),
    (f"{NPZ} --run-dir started --resume --activation relu", "--activation: contradicts --start; expected tanh"),
    (f"{NPZ} --run-dir started --resume --start other.safetensors", "started: --start differs from the run"),
    # Options that are not those of the model.
    *((f"--start {model}.safetensors {more}", said) for model, more, said in (
        ("mnist", "--hidden 5", "--hidden: contradicts --start; expected 4, found 5; leave --hidden out"),
        ("mnist", "--hidden 4 --activation tanh", "--activation: contradicts --start; expected relu, found tanh"),
        ("mnist", "--pixel-max 16 --data images.npz", "--pixel-max: contradicts --start; expected 255, found 16"),
        ("mnist", "--pixel-max auto --data images.npz", "--pixel-max: contradicts --start"),
        ("dim", "--pixel-max 255 --data images.npz", "--pixel-max: contradicts --start; expected 16, found 255"),
        ("mnist", "--ink dark --data images.npz", "--ink: contradicts --start; expected light, found dark"),
        ("dark", "--ink light --data images.npz", "--ink: contradicts --start; expected dark, found light"),
        ("mnist", "--size 9x8 --data images.npz", "--size: contradicts --start; expected none, found 9x8"),
        ("mnist", "--image-size 9x8 --data images.npz", "--image-size: contradicts --start; expected 28x28, found 9x8"),
        ("old", "--data mnist", "--start: images of another size; expected 6x5, as the model has, found 28x28"),
        ("old", "", "--start: images of another size"),
        ("nowhere", "", "nowhere.safetensors: cannot be opened"),
        ("mnist", "--dropout 0.1,0.2", "--dropout"),
        ("mnist", "--threads 2", "--threads"),
    )),
    ("--start images.npz", "images.npz: byte 0: a pickle or archive"),
    # What belongs to each other, or can be looked up at once.
    ("--data mnist --classes 5", "--classes: number of classes differs; expected 10, as mnist has, found 5"),
    ("--data digits --image-size 8", "--image-size: has no effect"),
    ("--data images.npz --classes 4 --class-names a,b,c", "--classes: number of classes differs"),
    ("--data images.npz --data-dir x", "--data-dir: has no effect"),
    ("--dev-data nowhere", "--dev-data: no such data set; expected auto, mnist, digits or a path that exists, found"),
    # Where something is to be written.
    *((f"{option} {place}", said) for option in ("--out", "--plot") for place, said in (
        ("nowhere/x.png", "nowhere/x.png: cannot be written"),
        ("images.npz/x.png", "images.npz/x.png: cannot be written"),
        ("link.png", "link.png: cannot be written; expected a file name, found a link"),
        ("folder.png", "folder.png: cannot be written; expected a file name, found a folder"),
    )),
    ("--data images.npz --out same.npz --start same.npz", "same.npz"),
    ("--data images.npz --out images.npz", "--out: would replace another file"),
    ("--out x.png --plot x.png", "--plot: would replace another file"),
    ("--plot x.txt", "--plot: not the name of a picture"),
    ("--run-dir images.npz", "images.npz: cannot be made"),
    ("--run-dir new --out new", "--run-dir: is a folder"),
    ("--run-dir new --out new/log.jsonl", "--out: would replace a file of the run"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_a_file_contradicts_is_told_before_the_data_is_looked_for(words, said, runs, run, tmp_path, monkeypatch):
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    (tmp_path / "link.png").symlink_to("elsewhere")
    (tmp_path / "folder.png").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr("fnnet.data.load", lambda *given, **options: pytest.fail("looked for the data"))
    result = run("train", *words.split())
    result.failed(result.code, said)
    assert result.code in (1, 2)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


TAKEN = [
    "--batch-size 1 --dev 10 --run-dir own --resume",
    "--run-dir new",
    "--run-dir new --resume",
    RUN,
    f"{RUN} --epochs 4",
    f"{RUN} --class-names 0,1,2",
    f"{RUN} --image-size 6x5",
    f"{RESUMED} plain --resume --early-stopping 9",
    f"{RESUMED} plain --resume --early-stopping 20 --epochs 5",
    f"{RESUMED} weighted --resume --class-weights 1=2",
    "--run-dir started --resume --epochs 2",
    "--run-dir started --resume --epochs 3 --hidden 4 --activation tanh",
    "--run-dir started --resume --start old.safetensors --epochs 2",
    "--start old.safetensors --image-size 6x5 --ink light --pixel-max 255 --no-transpose",
]


@pytest.mark.parametrize("words", TAKEN)
def test_what_is_right_is_not_refused_before_the_data(words, runs, run, tmp_path):
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    result = run("train", *NPZ.split(), *words.split())
    assert result.code == 0, result.err


def test_a_run_that_diverged_may_have_another_rate_before_the_data_too(run, idx_folder, tmp_path):
    arguments = ("train", "--data", idx_folder, "--epochs", 5, "--run-dir", "run", "--learning-rate")
    run(*arguments, 1e30).failed(1, "diverged")
    assert run(*arguments, 0.1, "--resume").code == 0


@pytest.mark.parametrize("reason", ["forbidden", "not installed"])
def test_a_run_that_numpy_computed_in_place_of_compiled_kernels_goes_on(reason, run, idx_folder, monkeypatch):
    if reason == "forbidden":
        monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    else:
        monkeypatch.setattr("importlib.metadata.version", absent)
        monkeypatch.setattr("fnnet.kernels.library.load_parts", absent)
    arguments = ("train", "--data", idx_folder, "--epochs", 2, "--run-dir", "run", "--jit")
    assert run(*arguments).code == 0
    assert run(*arguments, "--resume").code == 0
    assert run(*arguments, "--resume", "--no-jit").code == 0


def absent(*given):
    raise ImportError("no module named numba")
