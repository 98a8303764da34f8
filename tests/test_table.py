"""CSV: read rightly or refused with line and column."""

import numpy as np
import pytest

from fnnet import data
from fnnet.data.table import read_csv
from fnnet.errors import DataError
from tests.samples import ROWS, changed, csv_file, write


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_kaggle_csv(header, end, tmp_path):
    dataset = data.load(str(csv_file(tmp_path / "train.csv", ROWS, header, end)))
    np.testing.assert_array_equal(np.column_stack([dataset.train.labels, dataset.train.x]), ROWS)
    assert dataset.train.x.dtype == np.uint8
    assert dataset.test is None


def test_a_long_csv_with_cr_line_ends(tmp_path):
    assert read_csv(csv_file(tmp_path / "a.csv", ROWS * 20, end="\r"))[0].shape == (400, 784)


def test_csv_columns_are_placed_by_name(tmp_path):
    order = np.random.default_rng(0).permutation(785)
    names = np.array(["label"] + [f"pixel{i}" for i in range(784)])
    rows = [",".join(map(str, np.array(row)[order])) for row in ROWS]
    text = "\ufeff" + "\n".join([",".join(f'"{name}"' for name in names[order]), *rows])
    x, labels = read_csv(write(tmp_path / "a.csv", text.encode()))
    np.testing.assert_array_equal(np.column_stack([labels, x]), ROWS)


def test_csv_with_row_by_column_names(tmp_path):
    names = ["label", *(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))]
    text = "\n".join([",".join(names), *(",".join(map(str, row)) for row in ROWS)])
    x, _ = read_csv(write(tmp_path / "a.csv", text.encode()))
    np.testing.assert_array_equal(x, np.array(ROWS)[:, 1:])


def test_csv_without_labels_is_for_predict(tmp_path):
    text = ",".join(f"pixel{i}" for i in range(784)) + "\n" + ",".join(["7"] * 784) + "\n"
    path = write(tmp_path / "test.csv", text.encode())
    assert read_csv(path)[1] is None
    assert data.read_images(path, (28, 28)).shape == (1, 784)
    with pytest.raises(DataError, match=r"no labels.*use it with predict"):
        data.load(str(path))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS[:7], ROWS[7][:-1], *ROWS[8:]], "line 9: wrong number of fields; expected 785 fields, found 784"),
        ([*ROWS[:7], [*ROWS[7], 1], *ROWS[8:]], "line 9: wrong number of fields; expected 785 fields, found 786"),
        *(
            (
                changed(4, 10, value),
                f"line 6, column 11: not a pixel.*expected a whole number from 0 to 255, found '{value}'",
            )
            for value in ("NaN", "inf", "1e3", "300", "-1", "12.5", "0x1f", "", "1_0", "a")
        ),
        (changed(0, 3, "NaN"), "line 2, column 4"),
    ],
)
def test_csv_that_is_refused(rows, message, tmp_path):
    with pytest.raises(DataError, match=message.replace("(", r"\(")) as error:
        read_csv(csv_file(tmp_path / "a.csv", rows))
    assert str(error.value).startswith(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label,pixel0,pixel0\n1,2,3\n", "named twice"),
        (b"label,pixel0,pixel2\n1,2,3\n", "pixel columns missing"),
        (b"label,1x1,1x3\n1,2,3\n", "pixel columns missing"),
        (b"label,pixel0,pixel00\n1,2,3\n", "pixel named twice"),
        (b"\n1,2\n", "first line is empty"),
        (b"\xef\xbb\xbf", "first line is empty"),
        (b"5,0,NaN,1,1\n", "line 1, column 3"),
        (b"label,colour\n1,2\n", "line 1, column 2: unknown column"),
        (b"label\n1\n", "no pixel columns"),
        (b"label,pixel0\n", "empty dataset"),
        (b"1;2;3\n", "separated by commas"),
        (b"1,2,3,4,5,6,7\n", "odd number of fields"),
        (b"<html>", "HTML"),
        ("label,pixel0\n1,2\n".encode("utf-16"), "unknown kind"),
        (b"label,pixel0\n1,\xff\n", "line 2, column 2"),
        (b"x" * 70000, "line too long"),
        (b"label,pixel0\n" + b"1" * 70000, "line 2: line too long"),
        (b"", "empty"),
    ],
)
def test_files_that_are_no_such_csv(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path / "a.csv", content))
