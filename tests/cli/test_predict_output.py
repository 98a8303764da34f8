"""`fnnet predict -o`: names beside the classes, in natural order; Kaggle's form where it is asked for."""

import csv
import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import fnnet
from fnnet import data
from fnnet.cli.answers import Prediction, as_kaggle
from fnnet.errors import UsageError
from tests.tools.samples import csv_file, write

DIGITS = data.load("digits").test
MODEL = fnnet.Model(fnnet.init([784, 10], 0), classes=tuple("abcdefghij"))


@pytest.fixture
def model(tmp_path):
    """A model of 28x28 pixels that knows nothing; its classes are letters."""
    fnnet.save_model(tmp_path / "model.safetensors", MODEL)
    return tmp_path / "model.safetensors"


def put(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(DIGITS.x[number].reshape(28, 28)).save(folder / name)
    return folder


def table(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))


def test_the_table_has_what_the_json_document_has(model, run, tmp_path):
    folder = put(tmp_path / "in", "10.png", "2.png", "b/1.png", "a/3.png", "a/20.png")
    many = csv_file(tmp_path / "many.csv", DIGITS.x[:3].tolist(), header=False)
    document = run("predict", model, folder, many, "--json", "-o", "out.csv").json
    rows = [[each["file"], str(each["index"]), each["label"], str(each["probability"])]
            for each in document["predictions"]]  # fmt: skip
    assert table(tmp_path / "out.csv") == [["file", "index", "label", "probability"], *rows]
    order = ["2.png", "10.png", "a/3.png", "a/20.png", "b/1.png"]
    assert [row[0] for row in rows] == [*(str(folder / name) for name in order), *[str(many)] * 3]
    assert [row[1] for row in rows[5:]] == ["0", "1", "2"]
    assert document["notes"] == []


@pytest.mark.parametrize("name", ["a,b.png", 'quo"te.png', "new\nline.png", "é.png", os.fsdecode(b"\xff.png")])
def test_names_of_every_kind_come_back(name, model, run, tmp_path):
    try:
        folder = put(tmp_path / "in", name)
    except OSError:
        pytest.skip("a name that this file system does not take")
    assert run("predict", model, folder, "-o", "out.csv").code == 0
    assert [row[0] for row in table(tmp_path / "out.csv")] == ["file", str(folder / name)]


def test_what_is_no_picture_in_a_folder_is_noted_and_links_back_end(model, run, tmp_path):
    folder = put(tmp_path / "in", "a/1.png", "b/c/2.png")
    write(folder / "a" / "list.txt", b"text")
    write(folder / "b" / "Thumbs.db", b"left by a system")
    (folder / "b" / "back").symlink_to(folder)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    result = run("predict", model, folder, "--json")
    assert [each["file"] for each in result.json["predictions"]] == [str(folder / "a/1.png"), str(folder / "b/c/2.png")]
    line = f"{folder}: not used: gone.png, a/list.txt and b/back, no files with the name of a picture"
    assert result.json["notes"] == [{"code": "not-used", "note": line}]
    write(folder / "b" / "3.tif", b"II*\0")
    result = run("predict", model, folder, "--json")
    result.failed(1, folder / "b" / "3.tif", "damaged kind of TIFF")
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "images.csv", b"1,2")
    run("predict", model, tmp_path / "other").failed(1, "no images", "found images.csv; name the files")


def kaggle(*names, of=1):
    probs = np.zeros(10)
    each = [Prediction(name, i, of, None, False, False, i % 10, probs) for i, name in enumerate(names)]
    content, notes = as_kaggle(MODEL, each)
    head, *rows = csv.reader(io.StringIO(content.decode()))
    assert head == ["ImageId", "Label"]
    assert [label for _, label in rows] == [MODEL.classes[i % 10] for i in range(len(names))]
    return [int(number) for number, _ in rows], [note.code for note in notes]


@given(st.lists(st.integers(0, 10**20), min_size=1, max_size=9, unique=True), st.integers(0, 5), st.data())
def test_kaggle_s_ids_are_the_numbers_in_the_names(numbers, zeros, draw):
    suffix = draw.draw(st.sampled_from([".png", ".JPG", ""]))
    names = [f"some/folder/{'0' * zeros}{number}{suffix}" for number in numbers]
    assert kaggle(*names) == (numbers, [])
    counted = (list(range(1, len(names) + 1)), ["counted-ids"])
    assert kaggle(*names, of=2) == counted
    at = draw.draw(st.integers(0, len(names) - 1))
    for other in ("img1.png", "1 .png", "-1.png", "1.0.png", "٣.png", "².png", "a/.png"):
        assert kaggle(*names[:at], other, *names[at + 1 :]) == counted
    same = f"elsewhere/0{numbers[at]}.bmp"
    with pytest.raises(UsageError, match=f"two images of one id.*{names[at]} and {same}"):
        kaggle(*names, same)


def test_kaggle_s_form_by_option(model, run, tmp_path):
    folder = put(tmp_path / "in", "10.png", "0002.png")
    result = run("predict", model, folder, "-o", "out.csv", "--kaggle")
    assert (result.out, result.err) == ("saved out.csv: 2 predictions\n", "")
    assert [row[0] for row in table(tmp_path / "out.csv")] == ["ImageId", "2", "10"]
    put(folder, "a.png")
    result = run("predict", model, folder, "-o", "out.csv", "--kaggle", "--json")
    assert [row[0] for row in table(tmp_path / "out.csv")] == ["ImageId", "1", "2", "3"]
    assert [note["code"] for note in result.json["notes"]] == ["counted-ids"]
    run("predict", model, folder, "--kaggle").failed(2, "--kaggle: has no effect", "expected --output FILE")
    put(folder, "b/2.png", "a.png")
    (folder / "a.png").unlink()
    (tmp_path / "out.csv").unlink()
    run("predict", model, folder, "-o", "out.csv", "--kaggle").failed(2, "two images of one id", "b/2.png")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["id", "ImageId", "image_id", "Image ID"])
@pytest.mark.parametrize("last", [False, True])
def test_kaggle_s_ids_are_those_of_a_table(name, last, model, run, tmp_path, small_images):
    x = small_images[0].reshape(-1, 784)[:4].tolist()
    pixels = [f"pixel{i}" for i in range(784)]

    def save(path, names, ids, rows=x):
        lines = [[*row, mark] if last else [mark, *row] for mark, row in zip(ids, rows, strict=True)]
        head = [*pixels, names] if last else [names, *pixels]
        return write(tmp_path / path, "".join(",".join(map(str, line)) + "\n" for line in [head, *lines]).encode())

    def ids_of(*paths):
        found = run("predict", model, *paths, "-o", "out.csv", "--kaggle", "--json")
        codes = [note["code"] for note in found.json["notes"]]
        return [row[0] for row in table(tmp_path / "out.csv")][1:], [code for code in codes if "ids" in code]

    a, b = save("a.csv", name, [50, 10, 0, 999]), save("b.csv", name, [7], x[:1])
    assert ids_of(a) == (["50", "10", "0", "999"], [])
    assert ids_of(b) == (["7"], [])
    large = [1_000_000, 2**53 - 1, 20_240_131, 5]
    assert ids_of(save("large.csv", name, large)) == ([str(each) for each in large], [])
    assert ids_of(a, b) == (["50", "10", "0", "999", "7"], [])
    for path, codes in (
        (save("names.csv", name, ["a", "b", "c", "d"]), ["ids-not-read", "counted-ids"]),
        (save("rows.csv", "Unnamed: 0", [9, 8, 7, 6]), ["counted-ids"]),
    ):
        assert ids_of(path) == (["1", "2", "3", "4"], codes)
    assert ids_of(a, path) == ([str(number) for number in range(1, 9)], ["counted-ids"])
    twice = save("twice.csv", name, [5, 6, 7, 5])
    run("predict", model, twice, "-o", "out.csv", "--kaggle").failed(2, "two images of one id", "twice.csv[0] and")


@pytest.mark.parametrize("ending", [".csv.gz", ".json", ".XLSX", ".npz", ".tsv", ".parquet"])
@pytest.mark.parametrize("kaggle", [False, True])
def test_a_name_that_says_another_format_is_refused_before_the_work(ending, kaggle, model, run, tmp_path):
    put(tmp_path, "1.png")
    out = tmp_path / f"s{ending}"
    suffix = os.path.splitext(out)[1].lower()
    command = ["predict", model, tmp_path / "1.png", "-o", out, *(["--kaggle"] if kaggle else [])]
    run(*command).failed(
        2, "--output: the name says another format", f"found {suffix}, which says ", "name it with .csv"
    )
    assert not out.exists()


@pytest.mark.parametrize("name", ["s.csv", "s.CSV", "s.txt", "s", "s.1"])
def test_other_names_are_taken(name, model, run, tmp_path):
    put(tmp_path, "1.png")
    assert run("predict", model, tmp_path / "1.png", "-o", tmp_path / name).code == 0
    assert len(table(tmp_path / name)) == 2
