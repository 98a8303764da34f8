"""`fnnet predict`: what cannot be read is reported file by file, and the rest is predicted."""

import os

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import ranges
from fnnet.errors import DataError
from tests.tools.samples import chunk, csv_file, write


@pytest.fixture
def model(tmp_path):
    """A model of 28x28 pixels that knows nothing."""
    fnnet.save_model(tmp_path / "model.safetensors", fnnet.Model(fnnet.init([784, 10], 0)))
    return tmp_path / "model.safetensors"


@pytest.fixture
def folder(tmp_path):
    """Ten digits as PNG."""
    (tmp_path / "digits").mkdir()
    for number, image in enumerate(data.load("digits").test.x[:10]):
        Image.fromarray(image.reshape(28, 28)).save(tmp_path / "digits" / f"{number}.png")
    return tmp_path / "digits"


def test_f37_a_folder_stands_for_the_png_files_in_it(model, folder, run):
    write(folder / "notes.txt", b"no image")
    (folder / "more.png").mkdir()
    files = sorted(str(path) for path in folder.glob("?.png"))
    document = run("predict", model, folder, "--json").json
    assert [each["file"] for each in document["predictions"]] == files
    assert document.pop("notes") == [
        {"code": "not-used", "note": f"{folder}: not used: notes.txt, no files with the name of a picture"}
    ]
    assert run("predict", model, *files, "--json").json == document | {"notes": []}
    assert run("predict", model, folder, files[0], "-o", "out.csv").code == 0
    assert len((folder.parent / "out.csv").read_text().splitlines()) == 12


def test_f37_one_bad_file_in_a_folder_is_reported_and_the_others_answered(model, folder, run, tmp_path):
    write(folder / "4.png", b"\x89PNG\r\n\x1a\nnothing")
    result = run("predict", model, folder, "--json")
    result.failed(1, folder / "4.png", "byte 15: PNG cut short")
    assert len(result.json["predictions"]) == 9
    assert [each["file"] for each in result.json["failures"]] == [str(folder / "4.png")]
    result = run("predict", model, folder, "-o", tmp_path / "out.csv")
    assert result.code == 1
    assert len(result.out.splitlines()) == 9  # what could not be written is not lost
    reason = "predictions not written: 1 of 10 files could not be read; fix or leave out the files reported above"
    assert result.err.splitlines()[-1] == f"error: {tmp_path / 'out.csv'}: {reason}"
    assert not (tmp_path / "out.csv").exists()


def test_f27_f37_folders_without_images_and_files_that_are_none(model, folder, run, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("predict", model, tmp_path / "empty", folder / "1.png", tmp_path / "none", "--json")
    assert result.code == 1
    assert [each["file"] for each in result.json["failures"]] == [str(tmp_path / "empty"), str(tmp_path / "none")]
    assert (
        "no images; expected PNG, JPEG, WebP, BMP, GIF, netpbm or TIFF files, found none; name the files"
        in result.json["failures"][0]["error"]
    )
    assert len(result.json["predictions"]) == 1
    result = run("predict", model, tmp_path / "empty")
    result.failed(1, "no images")


def test_f31_dark_ink_on_light_paper_is_noted_and_told_in_json(model, folder, run):
    with Image.open(folder / "3.png") as image:
        Image.fromarray(255 - np.asarray(image)).save(folder / "3.png")
    result = run("predict", model, folder, "--json")
    assert result.code == 0
    assert [each["other_ink"] for each in result.json["predictions"]] == [number == 3 for number in range(10)]
    note = f"note: {folder / '3.png'}: looks like dark ink; the model was trained on light ink: invert"
    assert result.err.splitlines() == [note]
    assert result.json["notes"] == [{"code": "other-ink", "note": note.removeprefix("note: ")}]
    assert run("predict", model, folder / "3.png").err.splitlines() == [note]
    assert run("predict", model, folder / "3.png", "--quiet").err == ""
    assert run("predict", model, folder / "2.png").err == ""


def test_f31_many_images_of_one_file_are_noted_once(model, run, tmp_path):
    rows = [[0] * 384 + [255] * 400, [255] * 384 + [0] * 400, [255] * 484 + [0] * 300]
    path = csv_file(tmp_path / "a.csv", [[0, *row] for row in rows])
    assert run("predict", model, path, "--quiet").err == ""
    assert run("predict", model, path).err.startswith(f"note: {path}: 2 of 3 images look like dark ink")


@pytest.mark.parametrize("size", [(27, 28), (28, 29), (280, 280), (1, 1)])
def test_f14_f29_an_image_of_another_size_names_both_and_the_remedy(size, model, run, tmp_path):
    Image.new("L", size).save(tmp_path / "a.png")
    found = f"{size[0]}x{size[1]}"
    parts = ("byte 16", "expected 28x28 pixels", f"found {found}", "scale the image to that size")
    run("predict", model, tmp_path / "a.png").failed(1, tmp_path / "a.png", *parts)


@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_the_remedy_for_another_size_does_not_ask_for_the_ink_of_another_model(kind, tmp_path):
    """A model of dark ink takes dark ink."""
    Image.new("L", (40, 30)).save(tmp_path / f"a.{kind}")
    with pytest.raises(DataError) as caught:
        data.read_images(tmp_path / f"a.{kind}", (28, 28), Preprocessing(paper=255, ink=0))
    assert "ink" not in caught.value.fix


def test_f32_an_animation_is_refused(model, folder, run):
    content = (folder / "1.png").read_bytes()
    write(folder / "1.png", content[:33] + chunk(b"acTL", bytes(8)) + content[33:])
    run("predict", model, folder / "1.png").failed(1, "an animation", "expected one image", "save a single frame")


NAMES = ["a\nb.png", "\x1b[31mred.png", "\u202egnp.exe.png", "\u2028.png", "tab\t'\".png", os.fsdecode(b"\xff.png")]


@pytest.mark.parametrize("name", NAMES)
def test_f38_file_names_that_could_steer_a_terminal(name, model, folder, run):
    """Escaped where they are printed, in results, notes and errors; whole in JSON."""
    good, bad = (os.path.join(folder, start + name) for start in ("good ", "bad "))
    try:
        with open(good, "wb") as file, Image.open(folder / "1.png") as image:
            Image.fromarray(255 - np.asarray(image)).save(file, "PNG")
    except OSError:
        pytest.skip("a name that this file system does not take")
    result = run("predict", model, good, bad)
    assert result.code == 1
    assert all(line.isprintable() for line in (result.out + result.err).split("\n"))
    assert [line.partition(":")[0] for line in result.err.splitlines()] == ["error", "note"]
    document = run("predict", model, good, bad, "--json").json
    assert [each["file"] for each in document["predictions"] + document["failures"]] == [good, bad]


def test_f37_files_of_floats_from_several_ranges_are_not_answered_in_one_command(model, run, tmp_path):
    """A picture from -1 to 1 with no number below 0 looks like one from 0 to 1."""
    x = data.load("digits").test.x[:5].reshape(5, 28, 28)
    light = 128 + x[:1] // 2
    for name, array in (("dark", x / 127.5 - 1), ("light", light / 127.5 - 1), ("bytes", light), ("blank", x * 0.0)):
        np.save(tmp_path / f"{name}.npy", array)
    files = [tmp_path / f"{name}.npy" for name in ("light", "dark", "bytes", "blank")]
    result = run("predict", model, *files, "--json")
    reason = (
        f"{files[0]}: pixels of several ranges; expected the range of the other files, -1 to 1, with numbers below 0, "
        "found numbers from 0 to 1, which may be of either; store bytes from 0 to 255"
    )
    assert (result.code, result.json["failures"]) == (1, [{"file": str(files[0]), "error": reason}])
    counts = [sum(each["file"] == str(file) for each in result.json["predictions"]) for file in files]
    assert counts == [0, 5, 1, 5]
    assert run("predict", model, files[0], "--json").code == 0
    assert run("predict", model, *files[1:], "--json").code == 0


def test_the_ranges_of_files_are_known_whatever_their_notes_say(model, run, monkeypatch, tmp_path):
    x = data.load("digits").test.x[:5].reshape(5, 784)
    monkeypatch.setattr(ranges, "scaling", lambda found: "other words")
    for kind, write_as in (("npy", np.save), ("csv", lambda path, x: np.savetxt(path, x, delimiter=","))):
        files = [tmp_path / f"{name}.{kind}" for name in ("dark", "light")]
        write_as(files[0], x / 127.5 - 1)
        write_as(files[1], (128 + x[:2] // 2) / 127.5 - 1)
        result = run("predict", model, *files, "--json")
        assert [each["file"] for each in result.json["failures"]] == [str(files[1])]
        assert "pixels of several ranges" in result.json["failures"][0]["error"]
