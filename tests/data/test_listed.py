"""Pictures in one folder whose classes a table beside them names, as Kaggle has them."""

import zlib

import pytest

from fnnet import data
from fnnet.data.folders import is_data_of
from fnnet.errors import DataError
from tests.tools.samples import missing_parts, png_bytes, write

N = 24
CLASSES = ("cat", "dog", "k2", "k10")


def drawn(number):
    return png_bytes(2, 1, 0, 8, zlib.compress(bytes((0, 9 * number, 255))))


def put(folder, inside=".", name="img_{}.png", n=N):
    (folder / inside).mkdir(parents=True, exist_ok=True)
    for number in range(n):
        write(folder / inside / name.format(number), drawn(number))


def table(path, rows, header="filename,label"):
    return write(path, ("\n".join([header] * bool(header) + [",".join(row) for row in rows]) + "\n").encode())


def rows(name="img_{}.png", n=N):
    """In another order than the pictures are."""
    return [(name.format(number), CLASSES[number % 4]) for number in reversed(range(n))]


def load(folder, **options):
    told = []
    found = data.load(str(folder), notify=told.append, **options)
    return found, [note.code for note in told]


def right(found):
    """True if every picture has its label."""
    pairs = zip(found.train.x[:, 0].tolist(), found.train.labels.tolist(), strict=True)
    return len(found.train.x) == N and all(found.classes[label] == CLASSES[pixel // 9 % 4] for pixel, label in pairs)


def refused(folder, message):
    with pytest.raises(DataError, match=message) as raised:
        data.load(str(folder))
    assert missing_parts(raised.value) == []


FORMS = {
    "beside": (".", "labels.csv", "filename,label", "img_{}.png"),
    "without endings": (".", "labels.csv", "id,label", "img_{}"),
    "in a folder of training": ("train", "train.csv", "id,breed", "img_{}"),
    "in a folder": ("images", "labels.csv", "image,category", "img_{}.png"),
    "with their folder": ("images", "labels.csv", "path,class", "images/img_{}.png"),
    "without a header": (".", "labels.csv", "", "img_{}.png"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_pictures_that_a_table_names_have_its_labels(form, tmp_path):
    inside, file, header, name = FORMS[form]
    put(tmp_path, inside)
    table(tmp_path / file, rows(name), header)
    found, codes = load(tmp_path)
    assert found.classes == CLASSES
    assert right(found)
    assert codes == ["labels-in-table"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_cells_may_be_in_quotes_and_otherwise_separated(separator, tmp_path):
    put(tmp_path)
    lines = [separator.join(f'"{cell}"' for cell in row) for row in [("label", "file"), *(row[::-1] for row in rows())]]
    write(tmp_path / "labels.csv", ("\ufeff" + "\r\n\r\n".join(lines)).encode())
    assert right(load(tmp_path)[0])


def test_what_is_not_named_and_other_tables_are_noted(tmp_path):
    put(tmp_path, "train", n=N + 3)
    put(tmp_path, "test")
    table(tmp_path / "train.csv", rows("img_{}"), "id,label")
    table(tmp_path / "test.csv", [(f"img_{number}",) for number in range(N)], "id")
    table(tmp_path / "sample_submission.csv", [("img_1", "0.5")], "id,label")
    found, codes = load(tmp_path)
    assert right(found)
    assert codes == ["labels-in-table", "not-used"]
    assert found.notes[1].endswith("not used: sample_submission.csv, test.csv and 3 pictures that it does not name")
    assert is_data_of(tmp_path, tmp_path / "train.csv")
    assert not is_data_of(tmp_path, tmp_path / "test.csv")
    assert not is_data_of(tmp_path, tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["{}.png", "{}"])
def test_names_that_are_numbers_are_told_from_labels_that_are(name, tmp_path):
    """The labels are names of pictures as well, of a few; 10 is behind 9."""
    put(tmp_path, name="{}.png", n=N)
    table(tmp_path / "labels.csv", [(str(number % 12), name.format(number)) for number in range(N)], "label,id")
    found, _ = load(tmp_path)
    assert found.classes == tuple(map(str, range(12)))
    assert found.train.labels.tolist() == [number % 12 for number in range(N)]
    assert found.train.x[:, 0].tolist() == [9 * number for number in range(N)]


def test_a_model_s_classes_are_found_by_their_names(run, tmp_path):
    put(tmp_path / "a")
    table(tmp_path / "a" / "labels.csv", rows())
    put(tmp_path / "b", n=8)
    table(tmp_path / "b" / "labels.csv", [row for row in rows(n=8) if row[1] in ("k10", "dog")])
    assert run("train", "--data", tmp_path / "a", "--epochs", 1, "--dev", 0, "--out", "m", "--quiet").code == 0
    report = run("evaluate", "m", "--data", tmp_path / "b", "--json").json
    assert [each["images"] for each in report["classes"]] == [0, 2, 0, 2]


@pytest.mark.parametrize(
    ("given", "header", "message"),
    [
        ([*rows()[:-1], ("img_99.png", "cat")], "filename,label", "row 25, column filename: a table .*'img_99.png'"),
        ([*rows()[:-1], ("img_0.png",)], "filename,label", "row 25: .*expected 2 cells, found 1; correct"),
        ([*rows()[:-1], ("img_1.png", "cat")], "filename,label", "each picture once, found img_1.png 2 times; correct"),
        ([(*row, "3") for row in rows()], "filename,label,target", "line 1: .* one column of labels beside filename"),
        ([(*row, "3") for row in rows()], "filename,a,b", "one column of labels beside filename, found a, b"),
        ([(name, name) for name, _ in rows()], "a,b", "one column of names of pictures, and .* found a and b"),
        ([(name, f"{k}.5") for k, (name, _) in enumerate(rows())], "a,b", "column b: not a label; .* found '0.5'"),
        ([(name, str(k)) for k, (name, _) in enumerate(rows())], "a,b", "column b: .* classes, found 24 numbers"),
        ([(name, "cat") for name, _ in rows()], "a,b", "column b: .* at least two classes, found cat"),
        ([(name, "") for name, _ in rows()], "a,b", "column b: a label is missing"),
        ([("elsewhere.png", "cat")] * 5, "filename,label", "no data set; .* 24 pictures; labels.csv"),
        ([("img_0.png", *"1" * 70)] * 5, "", "no data set; .* 24 pictures; labels.csv"),
        ([], "filename,label", "no data set; .* 24 pictures; labels.csv"),
        ([('"img', "cat")], "filename,label", "no data set; .* 24 pictures; labels.csv"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_name_one_class_for_each_picture_is_refused(given, header, message, tmp_path):
    put(tmp_path)
    table(tmp_path / "labels.csv", given, header)
    refused(tmp_path, message)
    assert not is_data_of(tmp_path, tmp_path / "labels.csv")


def test_two_tables_are_refused_and_one_name_of_two_pictures(tmp_path):
    put(tmp_path)
    for name in ("a.csv", "b.csv"):
        table(tmp_path / name, rows())
    refused(tmp_path, "several tables of pictures; expected one table of names and labels, found a.csv and b.csv; move")
    (tmp_path / "b.csv").unlink()
    put(tmp_path, name="img_{}.PNG", n=1)
    table(tmp_path / "a.csv", rows("img_{}"))
    refused(tmp_path, "row 25, column filename: .* expected the name of a picture, found 'img_0'")


def test_class_folders_are_read_whatever_table_is_beside_them(tmp_path):
    for name in ("cat", "dog"):
        put(tmp_path, name, n=3)
    table(tmp_path / "labels.csv", [(f"dog/img_{number}.png", "cat") for number in range(3)])
    assert load(tmp_path)[0].classes == ("cat", "dog")
    assert load(tmp_path)[0].train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    (tmp_path / "train").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / name).rename(tmp_path / "train" / name)
    assert load(tmp_path)[0].classes == ("cat", "dog")
    write(tmp_path / "labels.csv", b"filename,label\n\xff,cat\n")
    assert load(tmp_path)[0].classes == ("cat", "dog")


@pytest.mark.parametrize("header", ["filename,label", "id,label", "label"])
def test_a_table_of_names_that_is_read_by_itself_says_how_it_is_read(header, tmp_path):
    given = rows() if "file" in header else [(str(number), str(number % 3)) for number in range(N)]
    path = table(tmp_path / "labels.csv", [row[: header.count(",") + 1] for row in given], header)
    refused(path, "give each pixel a column; if the rows name pictures, say --data with the folder of both")
