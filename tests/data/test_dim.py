"""Dim images are noted at a model's input, and in a test part beside a brighter training part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.preprocess import Reading

DIGITS = data.load("digits").train.x[:60].reshape(-1, 28, 28)
LABELS = np.arange(60) % 10


def dim_notes(dataset):
    return [note for note in dataset.notes if note.code == "dim-pixels"]


@settings(max_examples=30)
@given(st.integers(30, 255), st.booleans(), st.booleans())
def test_a_dim_part(tmp_path_factory, most, dark, tested):
    path = tmp_path_factory.mktemp("a") / "a.npz"
    dim = (DIGITS.astype(int) * most // 255).astype(np.uint8)
    bright, stored = (255 - DIGITS, 255 - dim) if dark else (DIGITS, dim)
    if tested:
        np.savez(path, x_train=bright, y_train=LABELS, x_test=stored, y_test=LABELS)
        notes = dim_notes(data.load(path))
    else:
        np.savez(path, x=stored, y=LABELS)
        notes = dim_notes(data.load(path, preprocessing=Preprocessing(paper=255 * dark, ink=255 * (not dark))))
    assert len(notes) == (most <= 127)
    for note in notes:
        assert f"the {'test' if tested else 'labelled'} images" in note
        assert f" {most} of 255" in note


def test_a_dim_data_set_is_noted_once(tmp_path):
    dim = DIGITS // 8
    np.savez(tmp_path / "a.npz", x_train=dim, y_train=LABELS, x_test=dim, y_test=LABELS)
    assert len(dim_notes(data.load(tmp_path / "a.npz"))) == 1
    assert not dim_notes(data.load(tmp_path / "a.npz", reading=Reading(pixel_max="auto")))


def test_images_to_predict(run):
    run("train", "--data", "digits", "--epochs", 0, "--no-jit", "--out", "m")
    np.save("x.npy", np.stack([DIGITS[0], DIGITS[1] // 4, DIGITS[2] // 5, DIGITS[3], DIGITS[4]]))
    (note,) = run("predict", "m", "x.npy", "--json").json["notes"]
    assert (note["code"], note["note"][:21]) == ("dim-pixels", "2 of 5 images are dim")
    assert note["note"].endswith("images so dim are read badly: scale them alike; the first is x.npy[1]")
    np.save("one.npy", DIGITS[:1] // 4)
    (note,) = run("predict", "m", "one.npy", "--json").json["notes"]
    assert note["note"].startswith("one.npy: dim: light and dark differ by at most 127")


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_pictures_of_14_bits_kept_in_16_are_noted_with_a_remedy(kind, tmp_path):
    """Their largest sample is 16,383 of 65,535, a quarter: 64 of 255."""
    for number, image in enumerate(DIGITS[:10]):
        folder = tmp_path / str(number % 2)
        folder.mkdir(exist_ok=True)
        Image.fromarray((image.astype(np.uint32) * 16383 // 255).astype(np.uint16)).save(folder / f"{number}.{kind}")
    (note,) = dim_notes(data.load(tmp_path))
    assert note.startswith("the largest pixel is 64 of 255: images so dim train badly")
    assert note.endswith("say --pixel-max 64")
    assert dim_notes(data.load(tmp_path, reading=Reading(pixel_max=64))) == []
    with pytest.warns(UserWarning, match=": dim: .*; images so dim are read badly: scale them alike"):
        data.read_images(tmp_path / "1" / f"3.{kind}", (28, 28), Preprocessing())
