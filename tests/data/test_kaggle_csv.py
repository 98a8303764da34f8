"""CSV: read rightly or refused with line and column."""

import numpy as np
import pytest

from fnnet import data
from fnnet.data import csv_numbers, kaggle_csv
from fnnet.data.ids import read_ids
from fnnet.data.kaggle_csv import read_csv
from fnnet.errors import DataError
from tests.tools.samples import ROWS, changed, csv_file, png, write


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_f22_f25_kaggle_csv(header, end, tmp_path):
    dataset = data.load(str(csv_file(tmp_path / "train.csv", ROWS, header, end)))
    np.testing.assert_array_equal(np.column_stack([dataset.train.labels, dataset.train.x]), ROWS)
    assert dataset.train.x.dtype == np.uint8
    assert dataset.test is None


def test_a_long_csv_with_cr_line_ends(tmp_path):
    assert read_csv(csv_file(tmp_path / "a.csv", ROWS * 20, end="\r"))[0].shape == (400, 784)


def test_f22_f25_csv_columns_are_placed_by_name(tmp_path):
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


def test_f22_csv_without_labels_is_for_predict(tmp_path):
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
            for value in (
                "NaN",
                "inf",
                "1e3",
                "1e400",
                "300",
                "-1.5",
                "12.5",
                "0x1f",
                "",
                "1_0",
                "1 000",
                "\u0663",
                "a",
            )
        ),
        (changed(4, 10, "-1"), "line 6, column 11: not a pixel: a number below 0; .* from 0 to 255.* found -1;"),
        (changed(0, 3, "NaN"), "line 2, column 4"),
    ],
)
def test_f21_f23_f24_csv_that_is_refused(rows, message, tmp_path):
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
        (b"\n\n\r\n", "line 1: first line is empty"),
        (b"\n\nlabel,colour\n1,red\n", "line 3, column 2: unknown column"),
        (b"\nlabel,pixel0\n3,x\n", "line 3, column 2"),
        (b"\n\nlabel,pixel0\n", "line 4: empty dataset"),
        (b"\xef\xbb\xbf", "first line is empty"),
        (b"5,0,NaN,1,1\n", "line 1, column 3: a value is missing"),
        (b"5,0,NaN" + b",1" * 62 + b"\n", "line 1, column 3"),
        (b"label,colour\n1,red\n", "line 1, column 2: unknown column"),
        (b"label\n1\n", "no pixel columns"),
        (b"label,pixel0\n", "empty dataset"),
        (b"label;pixel0\n1;0,5\n", "line 2, column 2: a decimal comma"),
        (b"0,5;1,5;2\n", "line 1: a decimal comma"),
        (b"0,5 1,5\n", "line 1: a decimal comma"),
        (b"<html>", "HTML"),
        ("label,pixel0\n1,2\n".encode("utf-16"), "unknown kind"),
        (b"label,pixel0\n1,\xff\n", "line 2, column 2"),
        (b"x" * 70000, "line too long"),
        (b"label,pixel0\n" + b"1" * 70000, "line 2: line too long"),
        (b"", "empty"),
    ],
)
def test_f22_f25_f26_f27_files_that_are_no_such_csv(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path / "a.csv", content))


def test_f25_f26_lines_in_any_form_that_csv_allows(tmp_path):
    """Empty lines, quotes, spaces, signs, leading zeros; cut into pieces anywhere, with every end of a line."""
    lines = ["label,pixel0,pixel1", "", '"7","1",255', " 3 , +2,0003", "", "", "000123,4,5"]
    x, labels = read_csv(write(tmp_path / "a", "\n".join(lines).encode()))
    assert (x.tolist(), labels.tolist()) == ([[1, 255], [2, 3], [4, 5]], [7, 3, 123])
    right = None
    for end in (b"\n", b"\r", b"\r\n"):
        content = b"\xef\xbb\xbf" + end.join(b"%d,%d" % (i % 9, i % 256) for i in range(60_000)) + end * 2
        x, labels = read_csv(write(tmp_path / "a", b"label,pixel0\n" + content[3:]))
        right = right if right is not None else (x, labels)
        np.testing.assert_array_equal(x[:, 0], np.arange(60_000) % 256)
        np.testing.assert_array_equal(labels, right[1])
    assert read_csv(write(tmp_path / "a", b"label,pixel0\n1,2\n" + b"\n" * 600_000 + b"3,4"))[1].tolist() == [1, 3]


@pytest.mark.parametrize("good", [1, 200_000])
def test_f21_f23_the_line_is_told_wherever_it_is(good, tmp_path):
    """Lines are read many at a time; empty ones count, whatever ends them."""
    for end in ("\n", "\r\n", "\r"):
        content = end.join(["label,pixel0", *["7,8"] * good, "", "7,256", "7"])
        with pytest.raises(DataError, match=f"line {good + 3}, column 2: not a pixel"):
            read_csv(write(tmp_path / "a", content.encode()))


@pytest.mark.parametrize("piece", range(1, 12))
def test_lines_may_be_cut_anywhere(piece, monkeypatch, tmp_path):
    monkeypatch.setattr(kaggle_csv, "PIECE", piece)
    rows = [[i % 10, i % 256, 255 - i] for i in range(40)]
    for end in ("\n", "\r", "\r\n"):
        x, labels = read_csv(csv_file(tmp_path / "a.csv", rows, end=end))
        np.testing.assert_array_equal(np.column_stack([labels, x]), rows)
        with pytest.raises(DataError, match="line 40, column 3: not a pixel"):
            read_csv(csv_file(tmp_path / "a.csv", [*rows[:38], [1, 2, 256], *rows], end=end))


def test_f26_a_long_line_is_refused_even_if_its_fields_are_right(tmp_path):
    for line in (["255"] * 181**2, ["1"] * 181**2):
        content = (",".join(line) + "\n").encode()
        path = write(tmp_path / "a", b"".join([b"1," * (181**2 - 1), b"1\n", content, b"1\n" * (line[0] == "1")]))
        with pytest.raises(DataError, match="line 2: line too long" if line[0] == "255" else "line 3: wrong number"):
            read_csv(path)


LABELS = [0, 9, 10, 999, 1000, 1001, 9999, 10_000, 12_345, 98_765, 99_999, 100_000, 123_456, 654_321, 999_999]


@pytest.mark.parametrize("where", ["first", "last"])
def test_labels_of_four_to_six_digits(where, monkeypatch, tmp_path):
    """By the quick way of whole columns, and cell by cell."""
    names = ["label", "pixel0", "pixel1"] if where == "first" else ["pixel0", "pixel1", "label"]
    rows = [[label, 7, 250] if where == "first" else [7, 250, label] for label in LABELS]
    text = "\n".join(",".join(map(str, row)) for row in [names, *rows]) + "\n"
    slow = read_csv(write(tmp_path / "slow", text.replace("250", "+250").encode()))
    monkeypatch.setattr(csv_numbers, "_parse_cells", None)
    for x, labels in (slow, read_csv(write(tmp_path / "quick", text.encode()))):
        assert labels.tolist() == LABELS
        assert x.tolist() == [[7, 250]] * len(LABELS)


@pytest.mark.parametrize(("start", "labelled"), [(0, False), (1, False), (0, True), (1, True)])
def test_f22_a_first_line_that_numbers_the_columns_is_a_header(start, labelled, tmp_path):
    """As pandas writes columns without names."""
    rows = np.arange(2 * (9 + labelled)).reshape(2, -1) + 1
    lines = [range(start, start + 9 + labelled), *rows.tolist()]
    write(tmp_path / "a", "".join(",".join(map(str, line)) + "\n" for line in lines).encode())
    told = "first" if labelled else None
    pixels, labels = read_csv(tmp_path / "a", told, image=True)
    assert np.array_equal(pixels, rows[:, int(labelled) :])
    assert (labels is None) != labelled
    write(tmp_path / "b", b"0,1,2,3\n4,5,6,7\n")
    assert len(read_csv(tmp_path / "b", image=True)[0]) == 2


@pytest.mark.parametrize("piece", [1, 3, 2**18])
def test_blank_lines_before_the_first_are_passed_over(piece, monkeypatch, tmp_path):
    monkeypatch.setattr(kaggle_csv, "PIECE", piece)
    for end in ("\n", "\r", "\r\n"):
        for text in (["", "", "label,pixel0", "3,4"], ["", "3,4", ""]):
            x, labels = read_csv(write(tmp_path / "a", end.join(text).encode()), "first", image=True)
            assert (x.tolist(), labels.tolist()) == ([[4]], [3])


@pytest.mark.parametrize("name", ["id", "ImageId", "image_id", "Image Id"])
def test_ids_of_a_table(name, tmp_path):
    def save(head, ids):
        lines = [[head, "pixel0"], *([number, 7] for number in ids)]
        return write(tmp_path / "a.csv", "".join(f"{one},{other}\n" for one, other in lines).encode())

    ids, notes = read_ids(save(name, [5, 900_000, 0]), (1, 1))
    assert (ids.tolist(), notes) == ([5, 900_000, 0], [])
    for large in ([10**6, 10**7], [5, 2**53 - 1, 1], ['"12345678"', '"7"']):
        ids, notes = read_ids(save(name, large), (1, 1))
        assert (ids.tolist(), notes) == ([int(str(each).strip('"')) for each in large], [])
    for wrong in ("a", 1.5, -1, 10**6 + 0.5, 2**53, 2**53 + 1, 2**64):
        ids, (note,) = read_ids(save(name, [5, wrong]), (1, 1))
        assert (ids, note.code) == (None, "ids-not-read")
        assert note.endswith("line 3, column 1: not a whole number from 0 to 9,007,199,254,740,991")
    assert read_ids(save("row", [5]), (1, 1)) == (None, [])


def test_files_without_ids(tmp_path):
    png(tmp_path / "a.png", [[7]])
    assert read_ids(tmp_path / "a.png", (1, 1)) == (None, [])
    assert read_ids(write(tmp_path / "a.csv", b"pixel0\n7\n"), (1, 1)) == (None, [])


@pytest.mark.parametrize("name", ["pixel_{}_{}", "{}x{}"])
def test_names_in_the_order_of_their_second_numbers_are_not_guessed(tmp_path, name):
    """pixel_x_y in the order of the file is an image, and by its names the transposed one."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (5, 8, 9))
    names = [name.format(column, row) for row in range(8) for column in range(9)]
    lines = [",".join(["label", *names]), *(",".join(map(str, [1, *image.ravel()])) for image in x)]
    path = write(tmp_path / "a.csv", "\n".join(lines).encode())
    message = r"line 1: the first number of a name may be the row or the column; expected to know which, found .*_0"
    with pytest.raises(DataError, match=message.replace(".*_0", ".*0.*, .*1.*; say --no-transpose if")):
        data.load(path)
    by_names = data.load(path, reading=data.Reading(transpose=False))
    assert by_names.image_shape == (9, 8)
    assert by_names.train.x.reshape(-1, 9, 8).tolist() == x.transpose(0, 2, 1).tolist()
    as_stored = data.load(path, reading=data.Reading(transpose=True))
    assert as_stored.image_shape == (8, 9)
    assert as_stored.train.x.reshape(-1, 8, 9).tolist() == x.tolist()


TRUTH = "write 0 and 255 for False and True"


@pytest.mark.parametrize("false", ["False", "false", "FALSE"])
@pytest.mark.parametrize(
    ("head", "label", "place", "problem"),
    [
        ("label,{names}", "3,", "line 2, column 2", "not a pixel: a truth value"),
        ("{names}", "", "line 2, column 1", "not a pixel: a truth value"),
        ("", "3,", "line 1, column 2", "not a pixel: a truth value"),
        ("", "", "line 1, column 2", "truth values in the first line"),
    ],
)
def test_pixels_that_are_truth_values_are_refused(head, label, place, problem, false, tmp_path):
    """As pandas, Polars and R write them."""
    names = ",".join(f"pixel{number}" for number in range(64))
    row = label + ",".join([false] * 63 + ["True"])
    lines = [*([head.format(names=names)] if head else []), *[row] * 12]
    path = write(tmp_path / "a.csv", "\n".join(lines).encode() + b"\n")
    for read in (data.load, lambda path: data.read_images(path, (8, 8))):
        with pytest.raises(DataError) as told:
            read(path)
        if label or read is not data.load or not head:
            assert str(told.value).startswith(f"{path}: {place}: {problem}; expected ")
            assert str(told.value).endswith(f"found {false!r}; {TRUTH}")


def test_labels_that_are_truth_values_are_names(tmp_path):
    text = b"label,pixel0,pixel1,pixel2,pixel3\nTrue,1,2,3,4\nFalse,5,6,7,8\n"
    found = data.load(write(tmp_path / "a.csv", text))
    assert (found.classes, found.train.labels.tolist()) == (("False", "True"), [1, 0])


@pytest.mark.parametrize("missing", ["", "nan", "?", "-1", "cat", "2.5"])
@pytest.mark.parametrize("known", [0, 1, 3, 30])
@pytest.mark.parametrize("where", ["first", "last"])
def test_labels_that_are_missing_from_some_line_on_do_not_matter_to_predict(
    where, known, missing, monkeypatch, tmp_path
):
    monkeypatch.setattr(kaggle_csv, "PIECE", 200)  # several pieces
    x = np.random.default_rng(known).integers(0, 256, (30, 16))
    labels = [str(row % 10) if row < known else missing for row in range(30)]
    names = [f"pixel{number}" for number in range(16)]

    def line(label, cells):
        return ",".join([label, *map(str, cells)] if where == "first" else [*map(str, cells), label])

    text = "\n".join([line("label", names), *(line(*each) for each in zip(labels, x, strict=True))])
    path = write(tmp_path / "a.csv", text.encode())
    assert np.array_equal(data.read_images(path, (4, 4)), x)
    if known < 30 and missing in ("", "-1", "2.5", "?"):
        with pytest.raises(DataError, match="label"):
            data.load(path)


def test_a_missing_label_in_what_may_be_pixels_asks_for_the_column(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (12, 64))
    rows = [[row % 10 if row < 9 else "", *each] for row, each in enumerate(x.tolist())]
    path = csv_file(tmp_path / "a.csv", rows, header=False)
    with pytest.raises(DataError) as told:
        data.read_images(path, (8, 8))
    assert str(told.value).startswith(f"{path}: line 10, column 1: not a label")
    assert str(told.value).endswith(
        "found ''; correct the cell, or say --label-column first, last, NAME, NUMBER or none"
    )
    assert np.array_equal(data.read_images(path, (8, 8), label_column="first"), x)
