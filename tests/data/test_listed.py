"""Pictures in one folder whose classes a table beside them names, as Kaggle has them."""

import gzip
import zlib

import pytest

from fnnet import data
from fnnet.data.folders import is_data_of
from fnnet.data.label_names import as_whole
from fnnet.errors import DataError, UsageError
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
    (tmp_path / "train.csv").rename(tmp_path / "a.csv")
    table(tmp_path / "b.csv", rows())
    assert not is_data_of(tmp_path, tmp_path / "a.csv")  # either may be


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
        ([(*row, "3") for row in rows()], "filename,a,b", "one column of labels beside filename, found a, b; say --la"),
        ([(name, name) for name, _ in rows()], "a,b", "one column of names of pictures, and .* found a and b"),
        ([(name, f"{k}.5") for k, (name, _) in enumerate(rows())], "a,b", "column b: not a label; .* found '0.5'"),
        ([(name, str(k)) for k, (name, _) in enumerate(rows())], "a,b", "column b: .* classes, found 24 numbers"),
        ([(name, "cat") for name, _ in rows()], "a,b", "column b: .* at least two classes, found cat"),
        ([(name, "") for name, _ in rows()], "a,b", "column b: a label is missing"),
        ([("else.png", "cat")] * 5, "filename,label", "column filename: .* as img_0.png, found 'else.png', which is"),
        ([("else", "cat")] * 5, "id,label", "column id: .* such as img_0.png, found 'else', which is the name of none"),
        ([("img_0.png", "cat")] * 5, "filename,label", "column filename: .* each picture once, found 1 name in 5 rows"),
        ([("elsewhere", "cat"), ("a",)] * 5, "a,label", "no data set; .* 24 pictures; labels.csv"),
        ([("img_0.png", *"1" * 70)] * 5, "", "no data set; .* 24 pictures; labels.csv"),
        ([], "filename,label", "no data set; .* 24 pictures; labels.csv"),
        ([('"img', "cat")], "filename,label", "no data set; .* 24 pictures; labels.csv"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_name_one_class_for_each_picture_is_refused(given, header, message, tmp_path):
    put(tmp_path)
    table(tmp_path / "labels.csv", given, header)
    refused(tmp_path, message)


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


WRITTEN = {
    "here": "./img/{:03}.png",
    "on Windows": ".\\img\\{:03}.png",
    "on another machine": "/content/a set/img/{:03}.png",
    "on another machine, without endings": "C:\\a\\{:03}",
    "with other endings": "img/{:03}.PNG",
    "by numbers": "{}",
    "by numbers with zeros": "{:05}",
}


@pytest.mark.parametrize("form", WRITTEN)
def test_names_are_found_as_others_write_them(form, tmp_path):
    put(tmp_path, "img", "{:03}.png")
    table(tmp_path / "labels.csv", rows(WRITTEN[form]), "id,label")
    found, codes = load(tmp_path)
    assert right(found)
    assert codes == ["labels-in-table"]


def test_absolute_paths_and_paths_without_a_header(tmp_path):
    put(tmp_path, "test", "{:03}.png")
    table(tmp_path / "test" / "labels.csv", rows(f"{tmp_path}/test/{{:03}}.png"), "")
    assert right(load(tmp_path / "test")[0])


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        ("test/img_{}.png", "a,b", "found 'test/img_23.png', which is the name of none"),
        ("test/images/img_{}.png", "a,b", "found 'test/images/img_23.png', which is the name of none"),
        ("/x/mnist_test/img_{}.png", "a,b", "found '/x/mnist_test/img_23.png', which is the name of none"),
        ("train/test1/img_{}.png", "a,b", "found 'train/test1/img_23.png', which is the name of none"),
        ("t10k-images/img_{}.png", "a,b", "found 't10k-images/img_23.png', which is the name of none"),
        ("img_{}.jpg", "a,b", "found 'img_23.jpg', which is the name of none"),
        ("{}", "id,b", "found '23', which is the name of none"),
    ],
)
def test_names_that_are_not_certain_are_refused(name, header, message, tmp_path):
    put(tmp_path, "train")
    table(tmp_path / "labels.csv", rows(name), header)
    refused(
        tmp_path, f"column {header.split(',')[0]}: .* such as train/img_0.png, {message}; correct the table, or put"
    )


def test_a_folder_that_is_not_here_is_not_left_out_beside_one_that_is(tmp_path):
    put(tmp_path, "a")
    table(tmp_path / "labels.csv", [*rows("a/img_{}.png")[:-1], ("b/img_0.png", "cat")])
    refused(tmp_path, "row 25, column filename: .* expected the name of a picture, found 'b/img_0.png'")


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ([(str(number), "a.jpg", "cat") for number in range(N)], ",file,label"),  # numbers of the rows
        ([(str(number + 1), "cat") for number in range(N)], "id,label"),
        ([(str(number % 23), "cat") for number in range(N)], "id,label"),
        ([(str(number), "cat") for number in range(N - 1)], "id,label"),
    ],
)
def test_numbers_that_are_not_those_of_all_pictures_are_refused(given, header, tmp_path):
    put(tmp_path, name="0{}.png")
    table(tmp_path / "labels.csv", given, header)
    refused(tmp_path, "names of pictures in .*, such as 00.png, found|the name of a picture, found|each picture once")


def test_one_ending_in_two_cases_is_none(tmp_path):
    put(tmp_path, name="img_{}.PNG")
    write(tmp_path / "img_3.png", drawn(3))
    table(tmp_path / "labels.csv", rows("img_{}.Png"))
    refused(tmp_path, "row 22, column filename: .* found 'img_3.Png'")


def test_the_user_says_which_column_is_the_labels(run, tmp_path):
    put(tmp_path)
    lines = [(f"L{number // 2}", name, label, "40.0") for number, (name, label) in enumerate(rows())]
    table(tmp_path / "a.csv", lines, "lesion_id,image_id,dx,age")
    refused(tmp_path, "one column of labels beside image_id, found lesion_id, dx, age; say --label-column")
    for said in ("dx", " DX ", "3"):
        found, codes = load(tmp_path, reading=data.Reading(label_column=said))
        assert right(found)
        assert codes == ["labels-in-table", "not-used"]
        assert "column lesion_id and column age" in found.notes[1]
    for said, message in (
        ("kind", "no such column for --label-column"),
        ("2", "beside image_id, found --label-column 2"),
    ):
        with pytest.raises(DataError, match=message):
            load(tmp_path, reading=data.Reading(label_column=said))
    with pytest.raises(DataError, match="beside image_id, found --label-column none; name another"):
        load(tmp_path, reading=data.Reading(label_column="none"))
    assert is_data_of(tmp_path, tmp_path / "a.csv")
    run("train", "--data", tmp_path, "--label-column", "dx", "--out", tmp_path / "a.csv").failed(2, "would replace")
    (tmp_path / "a.csv").unlink()
    with pytest.raises(UsageError, match=r"--label-column: has no effect; .* found the folder"):
        load(tmp_path, reading=data.Reading(label_column="dx"))


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (["7.0", "10.0"], ("7", "10")),
        (["7", "10.0"], ("7", "10")),
        (["07", "10"], ("07", "10")),
        (["07", "7"], None),
        (["a7.0", "b"], ("a7.0", "b")),
    ],
)
def test_whole_numbers_are_called_alike(texts, classes, tmp_path):
    put(tmp_path)
    given = [(f"img_{number}.png", texts[number % 2]) for number in range(N)]
    table(tmp_path / "labels.csv", given)
    if classes is None:
        refused(tmp_path, "at least two classes, found 7")
    else:
        assert load(tmp_path)[0].classes == classes


def labelled(folder, *texts):
    """A table of these labels in turn."""
    put(folder)
    given = [(f"img_{number}.png", texts[number % len(texts)]) for number in range(N)]
    table(folder / "labels.csv", given)
    return [texts[number % len(texts)] for number in range(N)]


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (("0", "9", "A", "z"), ("0", "9", "A", "z")),
        (("747", "a320", "737", "b"), ("737", "747", "a320", "b")),
        (("-1", "1"), ("1", "-1")),
        (("-1.0", "+1"), ("1", "-1")),
        (("20190411", "1500"), ("1500", "20190411")),
        (("9007199254740992.0", "9007199254740993"), ("9007199254740992", "9007199254740993")),
    ],
)
def test_numbers_are_names_beside_letters_and_of_any_size(texts, classes, tmp_path):
    given = labelled(tmp_path, *texts)
    found, codes = load(tmp_path)
    assert found.classes == classes
    assert codes == ["labels-in-table"]
    names = [found.classes[label] for label in found.train.labels.tolist()]
    assert names == [as_whole(given[pixel // 9]) for pixel in found.train.x[:, 0].tolist()]


@pytest.mark.parametrize("texts", ["01234567890123456789012x", "abcdabcdabcdabcdabcdabc3", "01x" * 8])
def test_a_name_in_a_column_of_numbers_may_be_a_mistake(texts, tmp_path):
    labelled(tmp_path, *texts)
    refused(tmp_path, "column label: not a label; expected a number, as in other rows")


def test_labels_that_are_one_number_are_noted(tmp_path):
    labelled(tmp_path, "01", "1", "1.0", "2", "1.00")  # three of them are shown
    found, codes = load(tmp_path)
    assert found.classes == ("1", "2")
    assert codes == ["labels-in-table", "same-label"]
    assert found.notes[1].endswith("column label: '01' and '1' and '1.0' are read as one label")


def test_the_form_of_a_submission_is_not_a_table_of_labels(tmp_path):
    """As Kaggle has cifar10."""
    put(tmp_path, "train", name="{}.png")
    put(tmp_path, "test", name="{}.png")
    table(tmp_path / "trainLabels.csv", rows("{}"), "id,label")
    table(tmp_path / "sampleSubmission.csv", [(str(number), "cat") for number in range(N)], "id,label")
    found, codes = load(tmp_path)
    assert right(found)
    assert codes == ["labels-in-table", "not-used"]


def test_a_table_may_be_packed(tmp_path):
    put(tmp_path / "a", "img")
    packed = gzip.compress(table(tmp_path / "a" / "labels.csv", rows()).read_bytes())
    (tmp_path / "a" / "labels.csv").unlink()
    write(tmp_path / "a" / "labels.csv.gz", packed)
    assert right(load(tmp_path / "a")[0])
    assert is_data_of(tmp_path / "a", tmp_path / "a" / "labels.csv.gz")
    for name in ("cat", "dog"):
        put(tmp_path / "b", name, n=3)
    write(tmp_path / "b" / "labels.csv.gz", packed)
    assert load(tmp_path / "b")[0].classes == ("cat", "dog")
    for content in (packed[:12], b"\x1f\x8b", b"\x1f\x8b" + bytes(50), gzip.compress(b"\x93NUMPY\1\0")):
        write(tmp_path / "b" / "labels.csv.gz", content)
        refused(tmp_path / "b", "labels.csv.gz: ")


def test_a_table_alone_is_named_by_itself(tmp_path):
    table(tmp_path / "labels.csv", rows())
    refused(tmp_path, "no data set; .* labels.csv; name the file: --data .*labels.csv")


@pytest.mark.parametrize("name", ["{}.png", "{}"])
@pytest.mark.parametrize("header", [",file,label", "id,file,label", "number,file,label"])
def test_the_numbers_of_the_rows_are_no_names_where_there_are_others(name, header, tmp_path):
    """Numbers that pandas writes before each row are names of pictures called 0.png, 1.png, too."""
    put(tmp_path, "img", "{}.png")
    lines = [(str(number), *row) for number, row in enumerate(rows(name))]
    table(tmp_path / "labels.csv", lines, header)
    if name == "{}" and header.startswith("id"):
        refused(
            tmp_path, "line 1: .* one column of names of pictures, found id and file; leave the other names out, or"
        )
        return
    found, codes = load(tmp_path)
    assert right(found)
    assert codes[0] == "labels-in-table"


@pytest.mark.parametrize("file", ["test.csv", "test_labels.csv", "val.csv", "sample_submission.csv"])
def test_a_table_of_another_part_is_not_that_of_pictures_of_training(file, tmp_path):
    """Its names are those of pictures in its own folder, too."""
    put(tmp_path, "train")
    put(tmp_path, "test")
    table(tmp_path / file, rows("img_{}"), "id,label")
    message = "column id: a table beside pictures; expected a table for train/img_23.png and the others, such as"
    refused(tmp_path, f"{file}: {message} train.csv, found one of another part by its name; add it; if this is that")
    assert not is_data_of(tmp_path, tmp_path / file)
    table(tmp_path / "train.csv", rows("else_{}.png"), "id,label")
    refused(tmp_path, "train.csv: column id: .* found 'else_23.png', which is the name of none")
    table(tmp_path / "train.csv", rows("img_{}"), "id,label")
    assert right(load(tmp_path)[0])


def test_pictures_beside_those_of_a_part_have_no_table_of_that_part(tmp_path):
    put(tmp_path)
    put(tmp_path, "test")
    table(tmp_path / "test.csv", rows())
    refused(tmp_path, "test.csv: column filename: .* found one of another part by its name")


def test_a_table_of_a_part_beside_pictures_of_no_part_is_theirs_and_noted(tmp_path):
    put(tmp_path)
    table(tmp_path / "test.csv", rows())
    found, codes = load(tmp_path)
    assert right(found)
    assert codes == ["labels-in-table"]
    assert found.notes[0].endswith("column label their classes; by its name it is of test")


def two_names(first, second, header, missing=0):
    """Rows of two pictures and a class: img_0.png and mask_0.png; the second is missing in the first few."""
    there = [f"mask_{number}.png" if number >= missing else "" for number in range(N)]
    cells = {
        first: [f"img_{number}.png" for number in range(N)],
        second: there,
        "label": [CLASSES[k % 4] for k in range(N)],
    }
    return [tuple(cells[name][row] for name in header.split(",")) for row in range(N)]


@pytest.mark.parametrize("header", ["a,mask,label", "mask,a,label", "path,image,label", "label,image,path"])
@pytest.mark.parametrize("missing", [0, 3])
def test_two_columns_of_pictures_of_which_either_may_be_that_of_the_rows_are_refused(header, missing, tmp_path):
    put(tmp_path)
    put(tmp_path, name="mask_{}.png")
    first, second = ("a", "mask") if "mask" in header else ("image", "path")
    table(tmp_path / "labels.csv", two_names(first, second, header, missing), header)
    seen = " and ".join(name for name in header.split(",") if name != "label")
    refused(tmp_path, f"line 1: .* one column of names of pictures, found {seen}; leave the other names out, or put")


@pytest.mark.parametrize("header", ["image,mask,label", "mask,image,label", "label,mask,image"])
def test_of_two_columns_of_pictures_the_one_that_is_called_so_is_read_and_the_other_noted(header, tmp_path):
    put(tmp_path)
    put(tmp_path, name="mask_{}.png")
    table(tmp_path / "labels.csv", two_names("image", "mask", header), header)
    found, codes = load(tmp_path)
    assert right(found)
    assert codes == ["labels-in-table", "not-used"]
    assert "column image names the pictures" in found.notes[0]
    assert "not used: column mask (of pictures, too) and 24 pictures that it does" in found.notes[1]


def test_two_columns_of_the_names_of_the_same_pictures_are_as_good_as_one(tmp_path):
    put(tmp_path, "img")
    lines = [(f"img/{name}", name, label) for name, label in rows()]
    table(tmp_path / "labels.csv", lines, "path,filename,label")
    found, codes = load(tmp_path)
    assert right(found)
    assert codes == ["labels-in-table", "not-used"]
    assert found.notes[1].endswith("not used: column filename")


@pytest.mark.parametrize("file", ["labels.csv", "labels.tsv", "labels.csv.gz", "labels.txt"])
@pytest.mark.parametrize(("code", "found"), [
    ("utf-16", "byte 0: .* expected text in UTF-8, found UTF-16 text; save it as CSV .UTF-8., or put"),
    ("utf-16-be", "byte 0: .* expected text in UTF-8, found the bytes b'.*; save it as CSV .UTF-8., or put"),
    ("latin-1", "byte 25: .* expected text in UTF-8, found the bytes b'.xe9,"),
])  # fmt: skip
def test_a_table_that_is_not_utf_8_is_refused_by_name(code, found, file, tmp_path):
    """Excel's Unicode text is UTF-16, with tabs."""
    put(tmp_path)
    lines = ["filename,label", "img_23.pngé,cat", *(",".join(row) for row in rows())]
    content = "\n".join(lines).encode(code)
    write(tmp_path / file, gzip.compress(content) if file.endswith("gz") else content)
    if file == "labels.txt" and code != "utf-16":
        refused(tmp_path, "no data set; .* 24 pictures; see --data")  # text of any kind is no table
    elif file == "labels.csv.gz" and code == "utf-16-be":
        refused(tmp_path, "labels.csv.gz: byte 0: not an IDX file")
        return
    else:
        refused(tmp_path, f"{file}: {found}")
    table(tmp_path / "other.csv", rows())
    assert right(load(tmp_path)[0])


def test_a_long_table_of_numbers_is_not_looked_at(tmp_path, monkeypatch):
    put(tmp_path)
    write(tmp_path / "labels.csv", b"filename,label\n" + bytes(100))
    monkeypatch.setattr("fnnet.data.listed.MOST_BYTES", 90)
    refused(tmp_path, "no data set; .* 24 pictures; labels.csv")


@pytest.mark.parametrize("header", ["ClassId", "class_id", "label id"])
def test_the_numbers_of_classes_are_labels_where_no_other_column_is(header, tmp_path):
    """As GTSRB has them: semicolons, and columns of what is in the pictures."""
    put(tmp_path, name="{:05}.png")
    lines = [(f"{number:05}.png", "30", "29", "5", "6", str(number % 4)) for number in range(N)]
    content = "\n".join(";".join(row) for row in [("Filename", "Width", "Height", "Roi.X1", "Roi.Y1", header), *lines])
    write(tmp_path / "GT-final_test.csv", content.encode())
    found, codes = load(tmp_path)
    assert found.classes == ("0", "1", "2", "3")
    assert found.train.labels.tolist() == [pixel // 9 % 4 for pixel in found.train.x[:, 0].tolist()]
    assert codes == ["labels-in-table", "not-used"]
    (tmp_path / "GT-final_test.csv").unlink()
    table(tmp_path / "a.csv", [(row[0], row[-1], "cd"[k % 2]) for k, row in enumerate(lines)], f"file,{header},label")
    assert load(tmp_path)[0].classes == ("c", "d")


@pytest.mark.parametrize("name", ["{}/img_{{}}.png", "{}_img_{{}}"])
@pytest.mark.parametrize(("part", "n"), [("test", 8), ("val", 8), ("test", 28)])
def test_a_table_of_pictures_of_several_parts_names_these(name, part, n, tmp_path):
    """Also where most of them are of the other part."""
    of = "{}_" if "_img" in name else ""
    put(tmp_path, "train", f"{of.format('train')}img_{{}}.png")
    put(tmp_path, part, f"{of.format(part)}img_{{}}.png", n=n)
    table(tmp_path / "labels.csv", [*rows(name.format("train")), *rows(name.format(part), n)], "path,label")
    place = "column path" if n == 28 else "row 26, column path"
    expected = f"expected names of pictures of training, such as train/{of.format('train')}img_0.png, found '{part}"
    refused(tmp_path, f"{place}: a table beside pictures; {expected}.*, of another part by its folder; keep only the")
    table(tmp_path / "labels.csv", rows(name.format("train")), "path,label")
    assert right(load(tmp_path)[0])
