"""Images to predict that look unlike those of a model's training are noted in Python as `fnnet predict` notes them."""

import warnings

import numpy as np
import pandas as pd
import pytest

from fnnet import data
from fnnet.core.state import Preprocessing

SHAPE = (28, 28)
X = data.load("digits").test.x[:6]
LIGHT, DARK = Preprocessing(), Preprocessing(paper=255, ink=0)
UNLIKE = {
    "other-ink": (255 - X, "6 of 6 images look like dark ink; the model was trained on light ink: invert"),
    "blank": (np.concatenate([X[:2], X[:1] * 0]), "1 of 3 images is blank or nearly blank: a model gives a class all"),
    "dim-pixels": (np.concatenate([X[:2], X[2:4] // 4]), "2 of 4 images are dim: light and dark differ by at most 127"),
}


@pytest.mark.parametrize("code", UNLIKE)
@pytest.mark.parametrize("where", ["npy", "csv", "frame"])
def test_they_are_warned_of_or_told(code, where, tmp_path):
    x, text = UNLIKE[code]
    given = tmp_path / f"a.{where}"
    if where == "npy":
        np.save(given, x)
    else:
        frame = pd.DataFrame(x).add_prefix("pixel")
        frame.to_csv(given, index=False)
        given = frame if where == "frame" else given
    with pytest.warns(UserWarning, match=" images? (looks?|is|are) ") as warned:
        read = data.read_images(given, SHAPE, LIGHT)
    assert np.array_equal(read, x)
    assert [text in str(each.message) for each in warned] == [True]
    assert [each.filename for each in warned] == [__file__]
    told = []
    data.read_images(given, SHAPE, LIGHT, notify=told.append)
    assert [note.code for note in told] == [code]
    assert told == [str(each.message) for each in warned]
    data.read_images(given, SHAPE)  # for no model


@pytest.mark.parametrize("dark", [False, True])
def test_images_like_those_of_training_are_not(dark, tmp_path):
    np.save(tmp_path / "a.npy", 255 - X if dark else X)
    told = []
    data.read_images(tmp_path / "a.npy", SHAPE, DARK if dark else LIGHT, notify=told.append)
    assert told == []


def test_the_one_image_of_a_file_has_no_number(tmp_path):
    np.save(tmp_path / "a.npy", X[:1] // 4)
    with pytest.warns(UserWarning, match=r"a\.npy: dim: light and dark differ .*: scale them alike$"):
        data.read_images(tmp_path / "a.npy", SHAPE, LIGHT)


def test_by_default_notes_on_how_a_file_was_read_are_left_out(tmp_path):
    np.save(tmp_path / "a.npy", X / 255)
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.read_images(tmp_path / "a.npy", SHAPE, LIGHT)
    data.read_images(tmp_path / "a.npy", SHAPE, LIGHT, notify=told.append)
    assert [note.code for note in told] == ["unit-pixels"]


def test_zeros_and_ones_alone_are_told_once(tmp_path):
    np.savetxt(tmp_path / "a.csv", X > 100, fmt="%d", delimiter=",")
    with pytest.warns(UserWarning, match="pixels are 0 and 1 alone") as warned:
        data.read_images(tmp_path / "a.csv", SHAPE, LIGHT)
    assert len(warned) == 1
