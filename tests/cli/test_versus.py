"""`fnnet versus`: its lines, table, JSON and errors; the examples of docs/versus.md."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from fnnet.apps.versus import comparing
from tests.conftest import ROOT

pytest.importorskip("sklearn", reason="needs scikit-learn: pip install scikit-learn")

versus = import_module("fnnet.cli.versus")  # the command has its name
DOCUMENT = (ROOT / "docs" / "versus.md").read_text()


def test_equal_to_rounding(run, idx_folder):
    found = run("versus", "sklearn", "--data", idx_folder, "--optimizer", "adam", "--steps", 12, "--batch-size", 16)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith("data: idx, 45 train images")
    assert re.fullmatch(r"784-10-10, relu, adam, batches of 16, float64: fnnet beside scikit-learn [\d.]+", lines[1])
    assert lines[2] == "translated: --optimizer: epsilon * sqrt(1 - beta_2^t) at step t"
    assert [line.split()[0] for line in lines[4:-1]] == ["step", "1", "2", "5", "10", "12"]
    equal = r"equal to rounding: weights differ by [\d.]+e-1\d of the largest at most, over 12 steps"
    assert re.fullmatch(equal, lines[-1])
    assert run("versus", "sklearn", "--data", idx_folder, "--steps", 1, "-q").out.endswith("over 1 step\n")


def test_where_they_part(run, idx_folder):
    decays = ("--hidden", "", "--weight-decay", 1)
    found = run("versus", "sklearn", "--data", idx_folder, *decays, "--by-name", "--steps", 3)
    assert (found.code, found.err) == (1, "")
    lines = found.out.splitlines()
    theirs = "1 (coupled, of weights alone, divided by the rows of the batch)"
    assert lines[2] == f"differs: weight decay: 1 (coupled) in fnnet, {theirs} in MLPClassifier"
    assert lines[3] == "differs: momentum: 0 in fnnet, 0.9 (Nesterov) in MLPClassifier"
    assert lines[-1].startswith("parted at step 1, gradient dW1 at the weights of layer 1: by ")
    assert lines[-1].endswith(f", because of {lines[2].removeprefix('differs: ')}")


def test_what_nothing_explains(run, idx_folder, monkeypatch):
    there = pytest.importorskip("sklearn.neural_network._multilayer_perceptron").ACTIVATIONS
    monkeypatch.setitem(there, "relu", lambda z: np.multiply(z, 1.001 * (z > 0), out=z))
    found = run("versus", "sklearn", "--data", idx_folder, "--steps", 2, "-q")
    assert found.code == 1
    words = r"parted at step 1, activation a1 = relu\(z1\): by 1.0e-03 of the largest; no option in force explains it\n"
    assert re.fullmatch(words, found.out)


def test_rounding_that_grows_is_not_equal(run, idx_folder, monkeypatch):
    monkeypatch.setattr(versus, "GROWN", 1e-17)
    found = run("versus", "sklearn", "--data", idx_folder, "--steps", 5, "-q")
    assert found.code == 0
    words = r"no operation differs by more than rounding, which grows: weights differ by \S+ of the largest, of fnnet "
    assert re.match(words + r"started an ulp away \S+, over 5 steps\n", found.out)


def test_json(run, idx_folder):
    options = ("--class-weights", "1=3", "--steps", 4, "--batch-size", "full")
    command = ("versus", "sklearn", "--data", idx_folder, *options)
    document = run(*command, "--json", "--seed", 5).json
    assert list(document) == [
        "peer", "about", "dataset", "sizes", "recipe", "seed", "images", "images_in_a_step", "options", "by_name",
        "translated", "differing", "steps", "equal", "parting", "notes",
    ]  # fmt: skip
    assert (document["equal"], document["parting"], document["differing"]) == (True, None, [])
    assert (document["images_in_a_step"], document["seed"], len(document["steps"])) == (45, 5, 4)
    assert document["options"]["batch_size"] == "full"
    assert document["translated"]["--weight-decay"] == "alpha=0, which is 0.0001 by default"
    found = run(*command, "--by-name", "--json")
    assert found.code == 1
    parting = found.json["parting"]
    assert (parting["step"], parting["name"], parting["kind"]) == (1, "dW2", "gradient")
    decay = "0.0001 (coupled, of weights alone, divided by the rows of the batch)"
    assert parting["reasons"] == [{"what": "weight decay", "fnnet": "0", "sklearn": decay}]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("jax", ("sklearn", "'torch'", "'keras'")),
        ("torch --optimizer lbfgs", ("--optimizer", "no steps")),
        ("torch --recipe accurate", ("--augment", "expected --no-augment")),
        ("torch --schedule plateau", ("--schedule", "losses of epochs")),
        ("torch --ema 0.9", ("--ema", "average")),
        ("torch --members 3", ("--members", "one at a time")),
        ("sklearn --dropout 0.1", ("--dropout", "MLPClassifier does not have it")),
        ("sklearn --weight-decay 0.1", ("--weight-decay", "not biases", "set --by-name to see")),
        ("keras --optimizer rmsprop", ("--optimizer", "inside the root", "--by-name")),
        ("sklearn --optimizer adam --momentum 0.5", ("--momentum", "no effect")),
        ("sklearn --hidden 3 --steps 0", ("--steps", "1 to 1000000")),
        ("sklearn --data stream", ("--data", "read piece by piece")),
        ("sklearn --data two.npz", ("--data", "one logistic unit for two classes")),
    ],
)
def test_what_is_refused_in_one_line(words, parts, run, tmp_path):
    if "stream" in words:
        assert run("data", "expand", "-o", "stream", "--data", "digits", "--times", 1, "-q").code == 0
    rows = np.random.default_rng(0).integers(0, 255, (40, 6, 5)).astype(np.uint8)
    np.savez(tmp_path / "two.npz", x_train=rows, y_train=[0, 1] * 20)
    more = ["--classes", 2] if "two.npz" in words else [] if "--data" in words else ["--data", "nowhere"]
    run("versus", *shlex.split(words), *more).failed(2, *parts)


@pytest.mark.parametrize(("peer", "name"), [("sklearn", "MLPClassifier"), ("torch", "PyTorch"), ("keras", "Keras")])
def test_a_library_that_is_not_installed(peer, name, run, monkeypatch):
    """Before any data are read."""
    monkeypatch.setattr(comparing, "find_spec", lambda name: None)
    run("versus", peer, "--data", "nowhere").failed(1, f"{name}: is not installed", comparing.FIXES[peer])


def test_divergence(run, idx_folder):
    command = ("versus", "sklearn", "--data", idx_folder, "--activation", "linear", "--learning-rate", 1e200)
    run(*command).failed(1, "step ", "training diverged", "smaller learning rate")


# The page.


def without_numbers(text):
    return re.sub(r"\d[\d.e+-]*", "#", text)


def examples():
    """The commands of docs/versus.md, and what they print."""
    for block in re.findall(r"^```console\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL):
        for part in filter(None, re.split(r"^\$ ", block, flags=re.MULTILINE)):
            command, _, shown = part.partition("\n")
            if command.startswith("python"):
                yield command, shown


@pytest.mark.parametrize(("command", "shown"), [*examples()])
def test_the_examples_of_the_page_run(command, shown, run):
    words = shlex.split(command)
    assert words[:3] == ["python", "cli.py", "versus"]
    if not all(find_spec(name) for name in (words[3], *(["jax"] if words[3] == "keras" else []))):
        pytest.skip(f"needs {words[3]}: {comparing.FIXES[words[3]]}")
    found = run(*words[2:])
    assert found.code == ("--by-name" in words), found.err
    rest = without_numbers(found.out)
    for part in filter(None, shown.split("...\n")):
        _, is_there, rest = rest.partition(without_numbers(part))
        assert is_there, (part, found.out)


def test_the_python_examples_of_the_page_run(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
