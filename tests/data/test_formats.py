"""The table of formats: whole, the only place that knows them, and open to one more."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet import data, names
from fnnet.data import formats
from fnnet.data.reader import Content, Format, Wanted, read_as
from fnnet.errors import DataError
from fnnet.files.model import Model
from tests.campaigns.bombs import BOMBS
from tests.campaigns.fuzz.seeds import image_seeds
from tests.conftest import ROOT
from tests.tools.samples import SAMPLES, SHAPE, missing_parts, write

MAGIC = b"%grid "


def recognise(head, path):
    return head.startswith(MAGIC)


def read_grid(file, path, wanted):
    """A line `%grid HEIGHT WIDTH`, then one line per image: its label, a colon and its pixels."""
    height, width = map(int, file.readline().split()[1:])
    rows = [line.split(b":") for line in file]
    labels = np.array([int(label) for label, _ in rows])
    x = np.array([pixels.split() for _, pixels in rows], np.uint8)
    return Content(x, labels, (height, width), labels_at=str(path), shape_at="line 1")


GRID = Format("grid", recognise, read_grid)
CONTENT = b"%grid 1 4\n0: 0 0 200 200\n1: 200 200 0 0\n0: 0 0 190 210\n"
X, LABELS = [[0, 0, 200, 200], [200, 200, 0, 0], [0, 0, 190, 210]], [0, 1, 0]


def add(monkeypatch, new):
    monkeypatch.setattr(formats, "FORMATS", (new, *formats.FORMATS))


# One format more


def test_a_format_added_to_the_table_is_read_by_load_and_predict(monkeypatch, tmp_path, run):
    path = write(tmp_path / "images.txt", CONTENT)
    with pytest.raises(DataError, match=r"unknown kind of file; expected IDX, .*, found b'%grid"):
        data.load(str(path))
    add(monkeypatch, GRID)
    dataset = data.load(str(path), classes=["right", "left"])
    assert (dataset.train.x.tolist(), dataset.train.labels.tolist()) == (X, LABELS)
    assert (dataset.image_shape, dataset.classes, dataset.test) == ((1, 4), ("right", "left"), None)
    assert data.read_images(path, (1, 4)).tolist() == X
    result = run("train", "--data", path, "--classes", 2, "--dev", 0, "--epochs", 60, "--batch-size", 1, "--quiet")
    assert result.code == 0, result.err
    result = run("predict", "model.safetensors", path, "--json")
    assert [each["label"] for each in result.json["predictions"]] == list(map(str, LABELS))
    with pytest.raises(
        DataError, match=r"line 1: image size does not fit the model; expected 2x2 \(height x width\), as"
    ):
        data.read_images(path, (2, 2))
    write(path, b"unknown\0kind")
    with pytest.raises(DataError, match=r"byte 7: unknown kind of file; expected grid, IDX, Kaggle CSV, .*NPY, HDF5, "):
        data.load(str(path))


def read_picture(file, path, wanted):
    content = read_grid(file, path, wanted)
    return content._replace(x=content.x[:1], labels=None)


PICTURE = Format("grid", recognise, read_picture, picture=True, suffixes=(".grid", ".avif"))


@pytest.fixture
def class_folders(tmp_path):
    """Two classes, each with one image as PNG and one as grid."""
    for name, image in (("dark", b"1 2 3 4"), ("light", b"200 210 220 230")):
        (tmp_path / "set" / name).mkdir(parents=True)
        write(tmp_path / "set" / name / "1.grid", b"%grid 2 2\n0: " + image + b"\n")
        Image.fromarray(np.array(image.split(), np.uint8).reshape(2, 2)).save(tmp_path / "set" / name / "2.png")
    return tmp_path / "set"


def test_a_format_of_pictures_is_taken_from_class_folders_and_from_folders_to_predict(monkeypatch, class_folders, run):
    """Beside pictures of another format; the suffix finds them, the content says which reader."""
    assert len(data.load(str(class_folders)).train.labels) == 2
    write(class_folders / "dark" / "3.AVIF", b"%grid 2 2\n0: 5 6 7 8\n")
    with pytest.raises(DataError, match=r"an image of another kind; expected PNG, .* or TIFF files, found \.AVIF"):
        data.load(str(class_folders))
    add(monkeypatch, PICTURE)
    dataset = data.load(str(class_folders))
    assert dataset.train.x.tolist() == [[1, 2, 3, 4]] * 2 + [[5, 6, 7, 8]] + [[200, 210, 220, 230]] * 2
    assert dataset.classes == ("dark", "light")
    fnnet.save_model("model", Model(fnnet.init((4, 2), 1), "relu", ("a", "b"), (2, 2)))
    result = run("predict", "model", class_folders / "dark", "--json")
    assert [each["file"] for each in result.json["predictions"]] == list(
        map(str, sorted((class_folders / "dark").iterdir()))
    )
    target = class_folders / "dark" / "1.grid"
    run("train", "--data", class_folders, "--out", target).failed(2, "--out", "would replace another file")
    with pytest.raises(DataError, match=r"a single image is not a data set; .* found one grid image"):
        data.load(str(target))
    (class_folders / "none").mkdir()
    with pytest.raises(DataError, match=r"class without images; expected grid, PNG, .* or TIFF files, found none"):
        data.load(str(class_folders))


def test_pictures_of_another_size_are_refused_even_if_their_reader_does_not_compare(monkeypatch, class_folders):
    add(monkeypatch, PICTURE)
    write(class_folders / "light" / "3.grid", b"%grid 1 4\n0: 5 6 7 8\n")
    wanted = (
        r"3.grid: line 1: image size does not fit; expected 2x2 \(height x width\), found 1x4 \(height x width\); scale"
    )
    with pytest.raises(DataError, match=wanted) as raised:
        data.load(str(class_folders))
    assert missing_parts(raised.value) == []


def test_a_file_without_labels_is_not_a_data_set(monkeypatch, tmp_path):
    add(monkeypatch, GRID._replace(read=lambda *given: read_grid(*given)._replace(labels=None)))
    path = write(tmp_path / "a", CONTENT)
    with pytest.raises(DataError, match="no labels; expected a label for each image, found images alone; use it with"):
        data.load(str(path))
    assert data.read_images(path, (1, 4)).tolist() == X


def test_a_reader_without_its_library_says_in_one_line_what_to_install(monkeypatch, tmp_path, run):
    def read(file, path, wanted):
        import gridlib

        return gridlib.read(file)

    monkeypatch.setitem(sys.modules, "gridlib", None)
    path = write(tmp_path / "a", CONTENT)
    add(monkeypatch, GRID._replace(read=read, extra="fnnet[grid]"))
    result = run("data", "info", "--data", path)
    result.failed(1, f"{path}: ", "grid needs an optional library; expected fnnet[grid]", "pip install 'fnnet[grid]'")
    with pytest.raises(DataError) as raised:
        data.read_images(path, (1, 4))
    assert missing_parts(raised.value) == []
    add(monkeypatch, GRID._replace(read=read))
    with pytest.raises(ImportError):  # of a library that fnnet requires: a broken installation
        data.read_images(path, (1, 4))


# The table as it is


@pytest.mark.parametrize("entry", formats.FORMATS, ids=lambda each: each.name)
def test_a_format_of_the_table_is_everywhere(entry):
    """In the names that help prints, the samples (from which damage and bombs are made), the seeds, the limits."""
    named = names.PICTURE_FORMATS if entry.picture else names.DATA_FORMATS
    assert entry.name in named, "name it in fnnet/names.py"
    samples = [name for name, sample in SAMPLES.items() if sample.format == entry.name]
    assert samples, "give it a sample in tests/tools/samples.py"
    assert all(any(bomb.startswith(f"{name}:") for bomb in BOMBS) for name in samples)
    assert SAMPLES[samples[0]].content in {seed[1:] for seed in image_seeds().values()}
    assert entry.suffixes or not entry.picture
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in entry.suffixes)
    limits = (ROOT / "docs" / "reliability.md").read_text().partition("## Limits")[2].partition("##")[0]
    assert f"| {entry.name} |" in limits, "say its limits in docs/reliability.md"


def test_no_name_is_left_of_a_format_that_is_gone():
    assert {*names.DATA_FORMATS, *names.PICTURE_FORMATS} == {each.name for each in formats.FORMATS}
    assert {sample.format for sample in SAMPLES.values()} == {each.name for each in formats.FORMATS}
    assert len({each.name for each in formats.FORMATS}) == len(formats.FORMATS)


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_help_names_every_format(command, run):
    text = " ".join(run(command, "--help").out.split())
    for each in formats.FORMATS:
        assert re.search(rf"\b{each.name}\b", text), each.name


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_recognised_by_exactly_one_format(name):
    head = SAMPLES[name].content[:512]
    for at in (Path("a"), Path("a.csv"), Path("a.png")):
        assert [each.name for each in formats.FORMATS if each.recognise(head, at)] == [SAMPLES[name].format]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("file", ["a", "a.csv", "a.png"])
def test_a_sample_is_read_as_what_it_is(name, file, tmp_path):
    """Whatever its name; as a data set too if it has labels, else refused as one."""
    _, content, x, labels, _ = SAMPLES[name]
    path = write(tmp_path / file, content)
    found = data.read_images(path, SHAPE)
    assert found.dtype == np.uint8
    assert np.array_equal(found, x)
    with pytest.raises(DataError, match="image size does not fit"):
        data.read_images(path, (1, 9))
    if labels is None:
        with pytest.raises(DataError) as raised:
            data.load(str(path))
        assert missing_parts(raised.value) == []
        return
    dataset = data.load(str(path), classes=list(map(str, range(max(labels) + 1))), flat=SHAPE)
    assert np.array_equal(dataset.train.x, x)
    assert np.array_equal(dataset.train.labels, labels)
    assert dataset.image_shape == SHAPE


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("entry", formats.FORMATS, ids=lambda each: each.name)
def test_a_sample_is_refused_by_the_readers_of_other_formats(name, entry, tmp_path):
    if SAMPLES[name].format == entry.name:
        return
    with pytest.raises(DataError, match=f"unknown kind of (file|image); expected {entry.name}, found") as raised:
        read_as((entry,), write(tmp_path / "a", SAMPLES[name].content), Wanted(labelled=False))
    assert missing_parts(raised.value) == []


@pytest.mark.parametrize("sample", [b"", b"<html>", "label,pixel0\n1,2\n".encode("utf-16"), b"%PDF-1.7\n"])
def test_what_no_format_recognises_is_named(sample, tmp_path):
    path = write(tmp_path / "a", sample)
    assert not [each.name for each in formats.FORMATS if each.recognise(sample, path)]
    with pytest.raises(DataError, match=r"empty|HTML|UTF-16 text; save|a PDF file") as raised:
        data.load(str(path))
    assert missing_parts(raised.value) == []
