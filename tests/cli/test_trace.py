"""`fnnet trace`."""

import re
import shlex

import numpy as np
import pytest
from PIL import Image

import fnnet
from tests.apps.test_trace_shown import Page
from tests.conftest import ROOT, idx_bytes

DOCUMENT = (ROOT / "docs" / "trace.md").read_text()
SMALL = ("--hidden", 2)


@pytest.fixture
def model(tmp_path):
    """A model of 28x28 pixels that knows nothing."""
    fnnet.save_model(tmp_path / "model.safetensors", fnnet.Model(fnnet.init((784, 3, 10), 5), "tanh"))
    return tmp_path / "model.safetensors"


@pytest.fixture
def picture(tmp_path, small_images):
    """A picture of class 4."""
    Image.fromarray(small_images[0][4]).save(tmp_path / "four.png")
    return tmp_path / "four.png"


def result(document, name):
    return next(each for each in document["steps"] if each["name"] == name)["result"]


def test_a_new_network_and_the_first_image_of_the_data(run, idx_folder, small_images):
    found = run("trace", "--data", idx_folder, *SMALL, "--seed", 3, "--learning-rate", 0.01, "--json")
    assert found.err.startswith("data: idx, 50 train images")
    document = found.json
    x, labels = small_images[0][:1].reshape(1, 784), small_images[1][:1].astype(int)
    params = fnnet.init((784, 2, 10), 3)
    grads = fnnet.backward(params, fnnet.forward(params, x), labels)
    updated = fnnet.update(params, grads, 0.01)
    assert (document["sizes"], document["seed"], document["labels"]) == ([784, 2, 10], 3, [str(labels[0])])
    assert (document["model"], document["image"], document["dataset"], document["index"]) == (None, None, "idx", 0)
    for layer in (1, 2):
        assert result(document, f"dW{layer}") == grads[layer - 1].W.tolist()
        assert result(document, f"W{layer}") == updated[layer - 1].W.tolist()
    assert document["new_loss"] == fnnet.loss(updated, x, labels)
    assert all(each["difference"]["verdict"] == "right" for each in document["steps"] if each["difference"])


def test_784_10_10_is_the_default_and_every_weight_is_compared(run):
    document = run("trace", "--data", "digits", "--json", "-q").json
    assert (document["sizes"], document["activation"], document["learning_rate"]) == ([784, 10, 10], "relu", 0.05)
    compared = {each["name"]: each["difference"] for each in document["steps"] if each["difference"]}
    assert compared["dW1"]["taken"] == 7840
    assert {each["verdict"] for each in compared.values()} == {"right"}


def test_a_model_and_a_picture(run, model, picture, small_images):
    found = run("trace", model, picture, "--label", 4, "--optimizer", "momentum", "--momentum", 0.5, "--json")
    assert found.err == ""
    document = found.json
    loaded = fnnet.load_model(model)
    assert document["loss"] == fnnet.loss(loaded, small_images[0][4].reshape(1, 784), [4])
    assert (document["activation"], document["optimizer"], document["figures"]["beta"]) == ("tanh", "momentum", 0.5)
    assert (document["model"], document["image"], document["seed"]) == (str(model), str(picture), None)
    lines = run("trace", model, picture, "--label", 4).out.splitlines()
    assert lines[:3] == [f"784-3-10, tanh, {model}", "four.png, label 4", "sgd, learning rate 0.05"]


def test_one_name_is_a_model_or_an_image_by_what_it_is(run, model, picture, idx_folder, tmp_path):
    other = tmp_path / "renamed"
    other.write_bytes(model.read_bytes())
    for name in (model, other):
        document = run("trace", name, "--data", idx_folder, "--json").json
        assert (document["model"], document["image"]) == (str(name), None)
    document = run("trace", picture, "--label", 4, *SMALL, "--json").json
    assert (document["model"], document["image"]) == (None, str(picture))


def test_an_image_of_several(run, model, idx_folder, small_images):
    file = idx_folder / "t10k-images-idx3-ubyte"
    document = run("trace", model, file, "--index", 7, "--label", 3, "--json").json
    x = small_images[0][57].reshape(1, 784)
    assert document["loss"] == fnnet.loss(fnnet.load_model(model), x, [3])
    run("trace", model, file, "--index", 10, "--label", 3).failed(2, "--index", "0 to 9", "found 10")


def test_the_label_of_the_data_can_be_another(run, idx_folder):
    command = ("trace", "--data", idx_folder, *SMALL, "--index", 5, "--json")
    assert run(*command).json["labels"] == ["5"]
    assert run(*command, "--label", 8).json["labels"] == ["8"]


def test_a_page(run, picture, tmp_path):
    found = run("trace", picture, "--label", 4, *SMALL, "-o", "page.html")
    assert re.fullmatch(
        r"saved page\.html: 19 equations, gradients right, loss [\d.]+ before, [\d.]+ after\n", found.out
    )
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert len(page.all("section")) == 19
    assert "four.png, label 4" in page.text
    assert run("trace", picture, "--label", 4, *SMALL, "-o", "page.html", "--json").json["out"] == "page.html"


def test_a_committee_is_noted(run, picture, tmp_path):
    members = tuple(fnnet.init((784, 2, 10), seed) for seed in (1, 2))
    fnnet.save_model(tmp_path / "c.safetensors", fnnet.Model(fnnet.Committee(members)))
    found = run("trace", "c.safetensors", picture, "--label", 4, "--json")
    note = "c.safetensors is a committee of 2 networks; the first is traced, each is trained apart"
    assert found.err == f"note: {note}\n"
    assert found.json["notes"] == [{"code": "committee", "note": note}]
    assert found.json["parameters"]["W1"] == members[0][0].W.tolist()


def test_images_of_the_other_ink_are_noted(run, model, picture):
    with Image.open(picture) as image:
        Image.fromarray(255 - np.asarray(image)).save(picture)
    found = run("trace", model, picture, "--label", 4)
    assert found.code == 0
    assert found.err == f"note: {picture}: looks like dark ink; the model was trained on light ink: invert\n"


def test_blank_images_are_refused(run, model, idx_folder, small_images, tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "blank.png")
    run("trace", model, "blank.png", "--label", 4).failed(1, "blank.png", "blank or nearly blank")
    x = small_images[0][:50].copy()
    x[3] = 0
    (idx_folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(x))
    command = ("trace", "--data", idx_folder, *SMALL, "-q", "--index")
    run(*command, 3).failed(1, "idx, training image 3", "blank or nearly blank", "--index")
    assert run(*command, 2).code == 0


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        ("four.png", 2, ("--label", "the class of an IMAGE", "--label 7")),
        ("model.safetensors four.png --label ten", 2, ("--label", "0, 1, 2", "found ten")),
        ("model.safetensors small.png --label 1", 1, ("small.png", "28x28", "27x28")),
        ("model.safetensors missing.png --label 1", 1, ("missing.png", "No such file")),
        ("missing.safetensors four.png --label 1", 1, ("missing.safetensors", "No such file")),
        ("four.png model.safetensors --label 1", 1, ("four.png",)),
        ("model.safetensors --hidden 3", 2, ("--hidden", "that of the model")),
        ("model.safetensors --activation relu", 2, ("--activation", "that of the model")),
        ("model.safetensors --seed 0", 2, ("--seed", "that of the model")),
        ("four.png --label 4 --data digits", 2, ("--data", "no effect beside IMAGE")),
        ("four.png --label 4 --classes 10", 2, ("--classes", "no effect beside IMAGE")),
        ("--data digits --momentum 0.5", 2, ("--momentum", "no effect", "--optimizer sgd")),
        ("--data digits --hidden= --activation tanh", 2, ("--activation", "no effect without hidden layers")),
        ("--data digits --optimizer lbfgs", 2, ("--optimizer", "lbfgs")),
        ("--data digits --index 1437", 2, ("--index", "0 to 1,436")),
        ("--data nowhere", 1, ("--data", "nowhere")),
        ("--data digits --learning-rate 1e300 --hidden 2", 1, ("after the step", "smaller learning rate")),
        ("four.png --label 4 -o page.png", 2, ("--out", "HTML", ".png")),
        ("four.png --label 4 -o four.png", 2, ("--out", "would replace")),
        ("four.png --label 4 -o none/page.html", 1, ("none/page.html",)),
        ("model.safetensors --data stream", 1, ("a stream",)),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(words, code, parts, run, model, picture, tmp_path):
    Image.new("L", (27, 28)).save(tmp_path / "small.png")
    if "stream" in words:
        assert run("data", "expand", "-o", "stream", "--data", "digits", "--times", 1, "-q").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run("trace", *shlex.split(words)).failed(code, *parts)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_data_that_does_not_fit_the_model_is_refused(run, model, tmp_path):
    np.savez(tmp_path / "small.npz", x_train=np.ones((4, 6, 5), np.uint8), y_train=[0, 1, 0, 1])
    run("trace", model, "--data", "small.npz", "--classes", 2).failed(1, "28x28", "6x5")


def without_numbers(text):
    return re.sub(r"-?\d[\d.e+-]*", "#", text)


def test_the_examples_of_the_page_run(run, tmp_path):
    """What docs/trace.md shows is what the commands print, up to digits and the lines that are left out."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    blocks = re.findall(r"^```console\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        command, _, shown = block.partition("\n")
        assert command.startswith("$ python cli.py trace ")
        found = run(*shlex.split(command)[3:])
        assert found.code == 0, found.err
        rest = without_numbers(found.out)
        for part in filter(None, shown.split("...\n")):
            _, is_there, rest = rest.partition(without_numbers(part))
            assert is_there, part


def test_the_commands_of_the_page_are_taken(run, model, picture, monkeypatch, tmp_path):
    from fnnet.data import sets

    picture.rename(tmp_path / "7.png")
    load = sets._load
    monkeypatch.setattr(sets, "_load", lambda choice, *rest: load("digits" if choice == "auto" else choice, *rest))
    commands = re.findall(r"^\| `fnnet (trace[^`]*)` \|", DOCUMENT, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        found = run(*shlex.split(command), "-q", "-o", "page.html")
        assert found.code == 0, found.err
