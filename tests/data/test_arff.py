"""ARFF, dense and sparse: whatever is drawn, the file is read rightly or refused, never read wrongly."""

import bz2
import gzip
import lzma
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fnnet import data
from fnnet.data import arff, csv_numbers
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError, UsageError
from tests.tools.samples import missing_parts, write

DIGITS = data.load("digits").train
few = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
CLASSES = {
    "numbers": list("0123456789"),
    "numbers in another order": list("5049213876"),
    "numbers from 1": [str(number) for number in range(1, 11)],
    "words": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "quoted": ["a b", "it's", "c,d", 'say "e"', "{f}", "%g", "ä", "h\\i", " j", "1 2"],
    "numeric": None,
}


def quoted(name):
    plain = name.isalnum() and name.isascii()
    return name if plain else "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def arff_of(x, labels, classes, label_at=None, names="pixel{}", sparse=False, row_names=False, end="\n", gap=""):
    """A file whose labels are numbers, or the names `classes` in that order."""
    at = x.shape[1] if label_at is None else label_at
    columns = [(names.format(i + 1), "real") for i in range(x.shape[1])]
    columns.insert(at, ("class", "{" + ", ".join(map(quoted, classes)) + "}" if classes else "INTEGER"))
    rows = [[str(value) for value in row] for row in x.tolist()]
    for number, row in enumerate(rows):
        row.insert(at, quoted(classes[labels[number]]) if classes else str(labels[number]))
    if row_names:
        columns.insert(0, ("id", "string"))
        rows = [[f"'row, {number}'", *row] for number, row in enumerate(rows)]
    if sparse:
        first = {at + row_names: quoted(classes[0]) if classes else "0"}
        lines = [
            "{" + f",{gap}".join(f"{i} {cell}" for i, cell in enumerate(row) if cell != first.get(i, "0")) + "}"
            for row in rows
        ]
    else:
        lines = [f",{gap}".join(row) for row in rows]
    head = ["% a comment", "@RELATION 'images of x'", "", *(f"@ATTRIBUTE {quoted(a)} {b}" for a, b in columns), "@DATA"]
    return (end.join([*head, *lines]) + end).encode()


@few
@given(st.data(), st.sampled_from([*CLASSES]), st.booleans(), st.integers(0, 2**32 - 1))
def test_whatever_is_drawn_is_read_rightly(tmp_path, draws, kind, sparse, seed):
    generator, classes = np.random.default_rng(seed), CLASSES[kind]
    n = draws.draw(st.integers(1, 30))
    x = generator.integers(0, 256, (n, 64)) * (generator.random((n, 64)) < draws.draw(st.sampled_from([0.1, 1])))
    labels = generator.integers(0, 10, n).tolist()
    content = arff_of(
        x,
        labels,
        classes,
        draws.draw(st.sampled_from([None, 0, 7])),
        draws.draw(st.sampled_from(["pixel{}", "V{}", "{}", "pixel_{}"])),
        sparse,
        draws.draw(st.booleans()),
        draws.draw(st.sampled_from(["\n", "\r\n", "\n\n", "\n% 1,2\n", " \n", "\n\t\n"])),
        draws.draw(st.sampled_from(["", " ", "  "])),
    )
    packer = draws.draw(st.sampled_from([None, gzip, bz2, lzma]))
    path = write(tmp_path / "a", packer.compress(content) if packer else content)
    found = data.load(path)
    assert np.array_equal(found.train.x, x)
    if classes:
        assert [found.classes[label] for label in found.train.labels] == [classes[label] for label in labels]
        assert found.classes == tuple(sorted(classes, key=int) if kind.startswith("numbers") else classes)
    else:
        assert (found.train.labels.tolist(), found.classes) == (labels, data.DIGITS)
    assert np.array_equal(data.read_images(path, (8, 8)), x)
    assert np.array_equal(data.read_images(path, (8, 8), label_column="class"), x)
    if not classes:
        assert np.array_equal(data.read_images(path, (8, 8), label_column="none"), x)


@few
@given(st.sampled_from([*CLASSES]), st.booleans(), st.sampled_from([None, 0, 7]), st.booleans(), st.integers(1, 9))
def test_labels_that_are_missing_do_not_matter_to_predict(tmp_path, kind, sparse, at, row_names, n):
    """Weka's files to predict have `?` in their place."""
    x, classes = np.random.default_rng(n).integers(0, 256, (n, 64)), CLASSES[kind]
    content = arff_of(x, [1] * n, classes, at, sparse=sparse, row_names=row_names)
    head, _, rows = content.rpartition(b"@DATA\n")
    label, where = (quoted(classes[1]) if classes else "1").encode(), (64 if at is None else at) + row_names
    lines = []
    for row in rows.splitlines():
        if sparse:
            lines.append(re.sub(rb"(?<![0-9])%d %b" % (where, re.escape(label)), b"%d ?" % where, row))
        else:
            lines.append(row[: -len(label)] + b"?" if at is None else row)
    path = write(tmp_path / "a", head + b"@DATA\n" + b"\n".join(lines) + b"\n")
    assert np.array_equal(data.read_images(path, (8, 8)), x)
    if b"?" in path.read_bytes():
        with pytest.raises(DataError):
            data.load(path)


def test_a_nominal_pixel_is_no_label(tmp_path):
    text = "@relation a\n@attribute pixel1 {0}\n@attribute pixel2 real\n@data\n0,7\n0,9\n"
    assert data.read_images(write(tmp_path / "a", text.encode()), (1, 2)).tolist() == [[0, 7], [0, 9]]
    with pytest.raises(DataError, match="no labels"):
        data.load(tmp_path / "a")


def header(*types):
    names = [f"@attribute pixel{number} {kind}" for number, kind in enumerate(types[:-1])]
    return "\n".join(["@relation a", *names, f"@attribute class {types[-1]}", "@data", ""])


PLAIN = header("real", "real", "{a,b}")


def test_types_and_names_of_columns(tmp_path):
    text = "@RELATION x\n@attribute\t\"pixel1\"\tNumeric [0,255]\n@Attribute 'pixel2' {0, 255}\n"
    text += "@attribute when DATE 'yyyy'\n@attribute class{b,a}\n@data\n3, 255, ?, a\n4,0,2000,b\n"
    with pytest.raises(DataError, match="unknown column"):
        data.load(write(tmp_path / "a", text.encode()))
    text = text.replace("@attribute when", "@attribute index")
    found = data.load(write(tmp_path / "a", text.encode()))
    assert found.train.x.tolist() == [[3, 255], [4, 0]]
    assert (found.train.labels.tolist(), found.classes) == ([1, 0], ("b", "a"))
    assert "column-passed-over" in [note.code for note in found.notes]


@few
@given(st.integers(1, 4), st.sampled_from([*CLASSES]), st.integers(0, 2**32 - 1))
def test_a_column_twice_in_a_sparse_line_is_refused(tmp_path, n, kind, seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(1, 256, (n, 64))
    at, again = generator.integers(0, 65, 2).tolist()
    content = arff_of(x, (np.arange(n) % 9 + 1).tolist(), CLASSES[kind], at, sparse=True)
    items = content.rstrip(b"}\n").rpartition(b"{")[2].split(b",")
    items = items if kind != "quoted" else [b"0 1", b"1 2"]
    content = content.rpartition(b"{")[0] + b"{" + b",".join([*items, items[again % len(items)]]) + b"}\n"
    with pytest.raises(DataError):
        data.load(write(tmp_path / "a", content))


@few
@given(st.booleans(), st.booleans(), st.integers(0, 63))
def test_a_single_nominal_column_is_the_labels_whatever_its_name(tmp_path, sparse, words, at):
    x = np.random.default_rng(at).integers(0, 256, (6, 64))
    classes = CLASSES["words" if words else "numbers from 1"]
    content = arff_of(x, [0, 1, 2, 3, 4, 9], classes, at, sparse=sparse).replace(
        b"ATTRIBUTE class", b"ATTRIBUTE digit_type"
    )
    found = data.load(write(tmp_path / "a", content))
    assert np.array_equal(found.train.x, x)
    assert [found.classes[label] for label in found.train.labels] == [classes[i] for i in (0, 1, 2, 3, 4, 9)]
    assert any("it alone is nominal" in note for note in found.notes)
    assert np.array_equal(data.read_images(tmp_path / "a", (8, 8)), x)


def test_a_numeric_label_without_a_name_is_found_by_the_values(tmp_path):
    content = arff_of(DIGITS.x, DIGITS.labels, None).replace(b"ATTRIBUTE class", b"ATTRIBUTE pixel785")
    content = content.replace(b"pixel", b"V")
    found = data.load(write(tmp_path / "a", content))
    assert np.array_equal(found.train.x, DIGITS.x)
    assert np.array_equal(found.train.labels, DIGITS.labels)
    told = data.load(tmp_path / "a", reading=Reading(label_column="last"))
    assert np.array_equal(told.train.x, DIGITS.x)
    content = arff_of(DIGITS.x, DIGITS.labels, None, sparse=True).replace(b"ATTRIBUTE class", b"ATTRIBUTE pixel785")
    path = write(tmp_path / "a", content.replace(b"pixel", b"V"))
    with pytest.raises(DataError, match=r"the first or the last column is the labels; .*--label-column"):
        data.load(path)
    assert np.array_equal(data.load(path, reading=Reading(label_column="last")).train.x, DIGITS.x)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + "1,?,a\n", r"line 6, column 2: not a pixel.*found '\?'"),
        (PLAIN + "1,2,?\n", r"line 6: not a class of the header; expected one of a, b, found '\?'"),
        (PLAIN + "1,2,c\n", "line 6: not a class of the header; expected one of a, b, found 'c'"),
        (PLAIN + "1,2,a\n\n1,2,a,{5}\n", "line 8: a weight, or a sparse line"),
        (PLAIN + "1,2,a\n{0 1}\n", "line 7: a weight, or a sparse line"),
        (PLAIN + "{0 1}\n{0 1},{5}\n", "line 7: not a sparse line; expected .*without a weight"),
        (PLAIN + "{0 1}\n1,2,a\n", "line 7: not a sparse line"),
        (PLAIN + "{0 1}\n{0 1\n", "line 7: not a sparse line"),
        (PLAIN + "{0:1}\n", "line 6: not a sparse line"),
        (PLAIN + "{0 1,0 2}\n", "line 6, field 3: numbers of pixels do not ascend"),
        (PLAIN + "{0 1, 1 2, 2 a, 2 b}\n", "not index:value|not a class|beyond|do not ascend|a pixel"),
        (PLAIN + "{0 1}\n%\n{3 1}\n", "line 8: a column beyond the last, or twice; expected .*0 to 2, found 3"),
        (PLAIN + "{0 1}\n{1 1, 2 a, 2 b}\n", "line 7|not index:value|a pixel"),
        (PLAIN.replace("{a,b}", "real") + "{0 1}\n{2 1, 2 3}\n", "line 7: a column beyond the last, or twice"),
        (PLAIN.replace("pixel0", "id") + "{1 1}\n\n{0 1, 0 1}\n", "line 8: a column beyond the last, or twice"),
        (PLAIN + "{0 ?}\n", "line 6, field 2: not a pixel"),
        (PLAIN + "{0}\n", "line 6, field 2: not index:value"),
        (PLAIN + "{2 c}\n", "line 6: not a class of the header"),
        (PLAIN + "1,2\n", "line 6.*(wrong number of fields|not a class)"),
        (PLAIN + "'1',2\n", "line 6: wrong number of fields; expected 3 fields, found 2"),
        (PLAIN + "1,2,3,a\n", "line 6: wrong number of fields; expected 3 fields, found 4"),
        (PLAIN + "1,300,a\n", "line 6, column 2: not a pixel"),
        (PLAIN + "1,2.5,a\n", "line 6, column 2: not a pixel"),
        (PLAIN + "x,2,a\n", "line 6, column 1: not a pixel"),
        (PLAIN + "% nothing\n\n", "line 6: empty dataset"),
        (PLAIN.replace("@data", "@date"), "line 5: no line of an ARFF header"),
        (PLAIN.replace("@data\n", ""), "line 4: ARFF header without end"),
        (PLAIN.replace("pixel0 real", "pixel0"), "line 2: type of a column"),
        (PLAIN.replace("pixel0 real", "pixel0 complex"), "line 2: type of a column"),
        (PLAIN.replace("pixel0 real", "'pixel0 real"), "line 2: damaged attribute"),
        (PLAIN.replace("{a,b}", "{a,a}"), "line 4: damaged attribute; expected printable names, each once"),
        (PLAIN.replace("{a,b}", "{a,,b}"), "line 4: damaged attribute"),
        (PLAIN.replace("{a,b}", "{a,b,}"), "line 4: damaged attribute"),
        (PLAIN + "'1',2,a,\n", "line 6: wrong number of fields; expected 3 fields, found 4"),
        (PLAIN.replace("{a,b}", "string") + "1,2,a\n", "column 3, 'class': a column that is not read"),
        (PLAIN.replace("pixel0 real", "pixel0 {x,y}") + "1,2,a\n", "column 1, 'pixel0': a column that is not read"),
        (PLAIN.replace("pixel0 real", "pixel0 string") + "1,2,a\n", "found text or dates"),
        (PLAIN.replace("pixel0 real", "pixel0 {1,2}") + "{0 2}\n", "column 1: nominal pixels; expected 0 as the first"),
        (PLAIN.replace("pixel1", "pixel0"), "column 2: column named twice"),
        (PLAIN.replace("{a,b}", "real") + "{2 -1}\n", "row 1: not a label"),
        ("@relation a\n@data\n1\n", "no columns"),
        (PLAIN + "1,2," + "a" * 70000 + "\n", "line 6: line too long"),
    ],
)
def test_files_that_are_refused(text, message, tmp_path):
    with pytest.raises(DataError, match=message) as raised:
        data.load(write(tmp_path / "a", text.encode()))
    assert missing_parts(raised.value) == []


def test_many_columns_that_are_no_pixels_and_many_in_all(monkeypatch, tmp_path):
    names = "".join(f"@attribute 'unnamed: {number}' real\n" for number in range(17))
    text = PLAIN.replace("@data\n", names + "@data\n")
    with pytest.raises(DataError, match="columns beside pixels and labels; expected at most 16"):
        data.load(write(tmp_path / "a", (text + "{0 1}\n").encode()))
    row = "1,2,a" + ",x" * 17 + "\n"
    assert data.load(write(tmp_path / "a", (text + row).encode())).train.x.tolist() == [[1, 2]]
    monkeypatch.setattr("fnnet.data.arff_header.MOST_COLUMNS", 10)
    with pytest.raises(DataError, match="line 12: too many columns"):
        data.load(tmp_path / "a")


def test_what_begins_as_arff_does(tmp_path):
    """Comments may fill the first bytes of a file; other text that begins with % is no ARFF."""
    content = arff_of(DIGITS.x[:9], DIGITS.labels[:9], CLASSES["words"])
    for start in (b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"% the images\n" * 500):
        assert np.array_equal(data.load(write(tmp_path / "a", start + content)).train.x, DIGITS.x[:9])
    for other in (b"%PDF-1.4\n" * 99, b"%!PS\n" * 200, b"% 1,2\n", b"% a\n1,2\n" * 99):
        with pytest.raises(DataError, match="unknown kind of file"):
            data.load(write(tmp_path / "a", other))


@few
@given(st.integers(1, 60), st.booleans(), st.sampled_from([*CLASSES]))
def test_lines_may_be_cut_anywhere(tmp_path, piece, sparse, kind):
    x = np.random.default_rng(piece).integers(0, 256, (5, 64))
    content = arff_of(x, [4, 0, 2, 1, 3], CLASSES[kind], sparse=sparse, end="\n%\n\r\n")
    before = arff.PIECE
    arff.PIECE = piece
    try:
        assert np.array_equal(data.load(write(tmp_path / "a", content)).train.x, x)
    finally:
        arff.PIECE = before


def test_usual_lines_are_read_many_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(csv_numbers, "_parse_cells", None)
    monkeypatch.setattr("fnnet.data.sparse._parse_lines", None)
    for kind in ("numbers", "words", "numeric"):
        for sparse in (True, False):
            content = arff_of(DIGITS.x, DIGITS.labels, CLASSES[kind], sparse=sparse)
            assert np.array_equal(data.load(write(tmp_path / "a", content)).train.x, DIGITS.x)


def test_every_command_takes_the_names_of_the_classes(tmp_path, run):
    path = write(tmp_path / "digits.arff", arff_of(DIGITS.x, DIGITS.labels, CLASSES["words"]))
    assert run("train", "--data", path, "--epochs", 3, "--dev", 0, "--quiet", "--dev-data", path).code == 0
    assert run("evaluate", "model.safetensors", "--data", path, "--json").json["accuracy"] > 0.5
    found = run("predict", "model.safetensors", path, "--json").json["predictions"]
    assert {each["label"] for each in found} <= set(CLASSES["words"])
    run("data", "info", "--data", path, "--first-label", 1).failed(
        2, "--first-label: has no effect", "names its classes"
    )
    run("data", "info", "--data", path, "--classes", 11).failed(2, "--classes: number of classes differs")
    names = run("data", "info", "--data", path, "--class-names", "a,b,c,d,e,f,g,h,i,j")
    names.failed(2, "--class-names", "as the data names them")
    with pytest.raises(UsageError, match="has no effect"):
        data.load(path, reading=Reading(first_label=1))


@pytest.mark.parametrize("sparse", [False, True])
def test_names_that_are_not_utf8_are_refused(sparse, tmp_path):
    x, labels = DIGITS.x[:10], DIGITS.labels[:10] % 2
    text = arff_of(x, labels, ["b", "n\u00e9"], sparse=sparse)
    assert data.load(write(tmp_path / "a", text)).classes == ("b", "n\u00e9")
    header, rows = text.split(b"@DATA", 1)
    for content, place in (
        (text.decode().encode("latin-1"), "line [0-9]+"),
        (header + b"@DATA" + rows.decode().encode("latin-1"), "line [0-9]+"),
    ):
        with pytest.raises(DataError, match=rf"{place}: text is not UTF-8.*\\xe9.*; save it as UTF-8"):
            data.load(write(tmp_path / "a", content))


def test_a_comment_may_be_in_any_code(tmp_path):
    text = b"% caf\xe9\n" + arff_of(DIGITS.x[:10], DIGITS.labels[:10], CLASSES["words"])
    assert len(data.load(write(tmp_path / "a", text)).train.x) == 10


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("values", [["3.0", "0.0", "10.0"], ["3", "0.0", "1e1"]])
def test_whole_numbers_as_names_are_called_as_in_csv(values, sparse, tmp_path):
    """As pandas writes a column that had empty cells."""
    labels = np.arange(30) % 3
    path = write(tmp_path / "a", arff_of(DIGITS.x[:30], labels, values, sparse=sparse))
    found = data.load(path)
    assert found.classes == ("0", "3", "10")
    assert [found.classes[label] for label in found.train.labels] == [["3", "0", "10"][label] for label in labels]
    assert np.array_equal(found.train.x, DIGITS.x[:30])


def test_a_whole_number_may_be_written_otherwise_than_in_the_header(tmp_path):
    text = arff_of(DIGITS.x[:30], np.arange(30) % 3, ["0", "1", "2"]).replace(b",2\n", b",2.0\n")
    assert data.load(write(tmp_path / "a", text)).train.labels.tolist() == [0, 1, 2] * 10
