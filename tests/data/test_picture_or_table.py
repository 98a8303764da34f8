"""Is a table of numbers one of pictures? By the names, the count and the kind of columns; doubtful ones are refused."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fnnet import data
from fnnet.data import formats
from fnnet.data.preprocess import Reading
from fnnet.data.reader import Wanted
from fnnet.errors import DataError
from tests.tools.samples import missing_parts, write

DIGITS = data.load("digits").train
few = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = ["age", "height", "weight", "income", "colour", "size", "speed", "depth", "rooms", "floor"]
NAMES = {
    "pixels": "pixel{}",
    "pixels from 1": "pixel_{}",
    "features": "feature_{}",
    "inputs": "input{}",
    "attributes": "Attribute {}",
    "letters": "V{}",
    "words": None,
}
SURE = ("pixels", "pixels from 1")


def cells(kind, n, columns, generator):
    """Text of numbers of a kind, and the bytes that they are as pixels; None if they are no pixels."""
    side = math.isqrt(columns)
    whole = generator.integers(0, 256, (n, columns))
    if kind in ("images as fractions", "images"):
        whole = np.zeros((n, side, side), int) if side * side == columns else whole.reshape(n, 1, columns)
        step = max(1, 28 // side)
        scaled = DIGITS.x[generator.permutation(len(DIGITS.x))[:n]].reshape(n, 28, 28)[:, ::step, ::step]
        used = min(side, scaled.shape[1])
        if whole.shape[1] > 1:
            whole[:, :used, :used] = scaled[:, :used, :used]
        whole = whole.reshape(n, columns)
    if kind.endswith("fractions"):
        return [[f"{value / 255:.6g}" for value in row] for row in whole.tolist()], whole
    if kind == "whole as floats":
        return [[f"{value}.0" for value in row] for row in whole.tolist()], whole
    if kind == "large":
        whole[n // 2, columns // 2] = 256
    if kind == "negative":
        whole[n // 2, columns // 2] = -1
    if kind == "measurements":
        return [[f"{value / 7:.3f}" for value in row] for row in (whole + 1).tolist()], None
    return [[str(value) for value in row] for row in whole.tolist()], None if kind in ("large", "negative") else whole


@few
@given(
    st.sampled_from([*NAMES, None]),
    st.sampled_from([4, 9, 16, 30, 49, 63, 64, 65, 80, 81, 99, 100, 144, 196, 400]),
    st.sampled_from(
        ["images", "noise", "whole as floats", "images as fractions", "noise as fractions", "large", "negative"]
        + ["measurements"]
    ),
    st.sampled_from(["class", None]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_pictures_and_tables_are_read_and_what_may_be_either_refused_naming_the_option(
    tmp_path, names, columns, kind, label, image, seed
):
    generator, n = np.random.default_rng(seed), 40
    text, x = cells(kind, n, columns, generator)
    header = None if names is None else [f"{WORDS[i % 10]} {'ab' * (i // 10)}" for i in range(columns)]
    if names and NAMES[names]:
        header = [NAMES[names].format(number + ("from 1" in names)) for number in range(columns)]
    labels = generator.integers(0, 10, n)
    if header and label:
        header.append(label)
        text = [[*row, str(each)] for row, each in zip(text, labels, strict=True)]
    lines = [header, *text] if header else text
    path = write(tmp_path / "a.csv", "".join(",".join(line) + "\n" for line in lines).encode())
    square = math.isqrt(columns) ** 2 == columns
    by_count = square and (columns >= 64 or image)
    labelled = bool(header and label)
    try:
        if labelled:
            found = data.load(path, reading=Reading(image=image))
            pixels, table = found.train.x, found.preprocessing.scaling is not None
            assert [found.classes[each] for each in found.train.labels] == [*map(str, labels)]
        else:
            content = formats.read(path, Wanted(False, None, "none", image))
            pixels, table = content.x, content.columns is not None
    except DataError as error:
        assert missing_parts(error) == []
        if x is None:
            assert "not a pixel" in str(error) or "table" in str(error) or "--image" in str(error)
            return
        assert names not in SURE, error
        sure = by_count and (image or names != "words")
        assert not (sure and (image or kind != "noise as fractions") and kind != "images as fractions"), error
        assert not (sure and kind == "images as fractions" and columns in (196, 400)), error
        assert "--image" in str(error)
    else:
        if table:
            assert not image
            assert names not in SURE
            assert not by_count or names == "words"
            assert pixels.shape == (n, columns)
            assert columns < 64 or x is None or kind.endswith("fractions") or names == "words"
            return
        assert x is not None
        assert np.array_equal(pixels, x)
        assert names in SURE or (by_count and (image or names != "words"))
        assert image or names in SURE or kind != "noise as fractions"


@pytest.mark.parametrize("others", [["kind"], ["kind", "z"]])
def test_columns_beside_pixels_are_named_with_the_option_that_decides(others, tmp_path):
    names = [*(f"pixel{i}" for i in range(64)), *others]
    path = write(
        tmp_path / "a.csv", (",".join(names) + "\n" + "1," * 63 + "1,3" + ",4" * (len(others) - 1) + "\n").encode()
    )
    for image in (True, False):
        with pytest.raises(DataError, match="line 1, column 65: unknown column") as raised:
            data.load(path, reading=Reading(image=image))
        assert ("--label-column 65" in str(raised.value)) == (len(others) == 1)
    if len(others) == 1:
        assert data.load(path, reading=Reading(label_column="kind")).train.labels.tolist() == [3]


def test_a_word_with_another_number_is_no_pixel(tmp_path):
    names = [*(f"f{i}" for i in range(64)), "g1"]
    path = write(tmp_path / "a.csv", (",".join(names) + "\n" + "1," * 64 + "3\n").encode())
    with pytest.raises(DataError, match=r"line 1, column 65: unknown column.*--label-column 65"):
        data.load(path)


def test_rows_of_one_size_are_images_of_the_given_size(run, tmp_path):
    rows = "".join(",".join(str((i + j) % 256) for j in range(70)) + f",{i % 3}\n" for i in range(9))
    names = ",".join(f"v{j}" for j in range(70)) + ",label\n"
    path = write(tmp_path / "a.csv", (names + rows).encode())
    run("data", "info", "--data", path).failed(1, "a table, or images", "--image-size HxW", "--table")
    found = run("data", "info", "--data", path, "--image-size", "7x10", "--json").json
    assert found["image_shape"] == [7, 10]
