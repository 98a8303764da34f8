"""libsvm's text: whatever is drawn, the file is read rightly or refused; what it does not say is said in a note."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file

from fnnet import data
from fnnet.data import libsvm, sparse
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError, UsageError
from tests.tools.samples import missing_parts, write

DIGITS = data.load("digits").train
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCALES = {
    "bytes": "{}".format,
    "bytes as floats": "{}.0".format,
    "unit": lambda value: f"{value / 255:g}",
    "signed": lambda value: f"{value / 127.5 - 1:g}",
}


def text(x, labels, first=1, scale="bytes", every=False, label="{}", end=" \n"):
    """libsvm's lines; pixels whose text is 0 are left out unless `every` is written."""
    lines = []
    for row, each in zip(x.tolist(), labels, strict=True):
        cells = [SCALES[scale](value) for value in row]
        pairs = [f"{i}:{cell}" for i, cell in enumerate(cells, first) if every or float(cell)]
        lines.append(" ".join([label.format(each), *pairs]) + end)
    return "".join(lines).encode()


def read(path, content, flat=None, **said):
    return data.load(write(path, content), flat=flat, reading=Reading(**said))


def codes(dataset):
    return [note.code for note in dataset.notes]


@few
@given(
    st.sampled_from([*SCALES]),
    st.integers(0, 1),
    st.booleans(),
    st.sampled_from(["{}", "+{}", "{}.000000", "{}e0"]),
    st.sampled_from([" \n", "\n", "\r\n", "\r", "\t \n", " # the end\n", "\n\n", "\n# 9 1:1\n"]),
    st.sampled_from([None, gzip, bz2, lzma]),
    st.integers(0, 2**32 - 1),
)
def test_images_are_read_rightly_however_they_are_written(tmp_path, scale, first, every, label, end, packer, seed):
    chosen = np.random.default_rng(seed).permutation(len(DIGITS.x))[:20]
    x, labels = DIGITS.x[chosen], DIGITS.labels[chosen]
    content = text(x, labels, first, scale, every, label, end)
    content = packer.compress(content) if packer else content
    told = {} if first or every else {"first_index": 0}  # no image has ink in its first corner
    found = read(tmp_path / "a", content, (28, 28), **told)
    assert np.array_equal(found.train.x, x)
    assert np.array_equal(found.train.labels, labels)
    assert ("first-index" in codes(found)) != bool(told)
    assert ("unit-pixels" in codes(found)) == (scale in ("unit", "signed"))
    assert np.array_equal(data.read_images(tmp_path / "a", (28, 28), **told), x)


@few
@given(st.integers(4, 200), st.integers(0, 9), st.booleans(), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_the_size_is_found_or_refused_whatever_is_blank(tmp_path, n, most, every, shift, seed):
    """Of few images the last rows are often blank: the largest number then shows a smaller square."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(np.flatnonzero(DIGITS.labels <= most))[:n]
    x = np.roll(DIGITS.x[chosen].reshape(-1, 28, 28), (shift, -shift), (1, 2)).reshape(-1, 784)
    content = text(x, DIGITS.labels[chosen], every=every)
    try:
        found = read(tmp_path / "a", content)
    except DataError as error:
        assert not every
        assert "--image-size" in str(error)
        assert missing_parts(error) == []
    else:
        assert found.image_shape == (28, 28)
        assert np.array_equal(found.train.x, x)


def test_the_size_of_usual_images_is_found(tmp_path):
    for x, side in ((DIGITS.x, 28), (DIGITS.x.reshape(-1, 28, 28)[:, ::2, ::2].reshape(-1, 196), 14)):
        found = read(tmp_path / "a", text(x, DIGITS.labels))
        assert found.image_shape == (side, side)
        assert np.array_equal(found.train.x, x)


@pytest.mark.parametrize("comment", [None, "from scikit-learn"])
@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_files_of_scikit_learn(comment, zero_based, dtype, tmp_path):
    """Its numbers begin at 0 unless it is told otherwise; its comment, if there is one, says so."""
    with open(tmp_path / "a", "wb") as file:
        x = DIGITS.x.astype(dtype) / (255 if dtype == np.float64 else 1)
        dump_svmlight_file(x, DIGITS.labels, file, zero_based=zero_based, comment=comment)
    told = {} if comment or not zero_based else {"first_index": 0}
    found = data.load(tmp_path / "a", reading=Reading(**told))
    assert np.array_equal(found.train.x, DIGITS.x)
    assert ("first-index" in codes(found)) != bool(told)
    if zero_based and not comment:  # by the format's own rule they are a pixel further left, which a note says
        moved = data.load(tmp_path / "a")
        assert np.array_equal(moved.train.x[:, :-1], DIGITS.x[:, 1:])
        says = "from 1, as the format has it; if they begin at 0, say --first-index 0"
        assert any(says in each for each in moved.notes)


def test_the_first_number_by_evidence(tmp_path):
    x, labels = np.full((3, 64), 200, np.uint8), [0, 1, 2]
    for first, says in ((0, "numbered from 0, as there is one"), (1, "numbered from 1, as the largest number shows")):
        found = read(tmp_path / "a", text(x, labels, first), (8, 8))
        assert np.array_equal(found.train.x, x)
        assert any(says in note for note in found.notes)
        squares = read(tmp_path / "a", text(x, labels, first))
        assert np.array_equal(squares.train.x, x)
        assert any(says in note for note in squares.notes)
    with pytest.raises(DataError, match=r"index 0: a pixel before the first; .* say --first-index 0"):
        read(tmp_path / "a", text(x, labels, 0), first_index=1)
    with pytest.raises(DataError, match=r"index 64: image size does not fit: numbers of pixels; expected 0 to 63"):
        read(tmp_path / "a", text(x, labels, 1), (8, 8), first_index=0)
    with pytest.raises(UsageError, match=r"--first-index: has no effect; expected a table of index:value pairs"):
        read(tmp_path / "a", b"label,pixel0\n1,2\n", first_index=1)


def test_images_of_another_size_than_the_models_are_refused(tmp_path):
    x = DIGITS.x.reshape(-1, 28, 28)
    for small in (x[:, 2:26:2, 2:26:2], x[:, 1:27, 1:27], x[:, :-1]):
        for every in (True, False):
            path = write(tmp_path / "a", text(small.reshape(len(x), -1), DIGITS.labels, every=every))
            if every or small.shape[2] < 28:
                with pytest.raises(DataError, match="image size does not fit"):
                    data.read_images(path, (28, 28))
            else:  # a blank row more is no other image
                assert np.array_equal(data.read_images(path, (28, 28))[:, : 27 * 28], small.reshape(len(x), -1))
    top = DIGITS.x[:30].copy()
    top[:, 390:] = 0
    write(tmp_path / "a", text(top, DIGITS.labels[:30]))
    assert np.array_equal(data.read_images(tmp_path / "a", (28, 28)), top)
    blank = data.read_images(write(tmp_path / "a", b"1 \n" * 30 + b"2 1:0\n"), (8, 8))
    assert blank.shape == (31, 64)
    assert not blank.any()


def test_labels_of_two_classes_by_their_sign(tmp_path):
    x = np.full((4, 64), 9, np.uint8)
    found = read(tmp_path / "a", text(x, ["+1", "-1", "-1", "+1"]))
    assert found.train.labels.tolist() == [1, 0, 0, 1]
    assert "signed-labels" in codes(found)
    assert read(tmp_path / "a", text(x, [-1] * 4)).train.labels.tolist() == [0] * 4
    with pytest.raises(DataError, match=r"a label of -1: label below 0; expected .*found -1 and 2"):
        read(tmp_path / "a", text(x, [1, -1, 2, 1]))


START = b"1 " + b" ".join(b"%d:%d" % (i, i) for i in range(1, 65)) + b"\n"


@pytest.mark.parametrize("good", [0, 1, 3000])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1,2 3:4", "field 1: not a label; expected a whole number from 0 .*found '1,2'"),
        (b"0.5 3:4", "field 1: not a label"),
        (b"-2 3:4", "field 1: not a label"),
        (b"1e7 3:4", "field 1: not a label"),
        (b"3:4 5:6", "field 1: not a label.*found '3:4'"),
        (b"1 qid:3 3:4", "field 2: a query of a ranking, not of images"),
        (b"1 3:4 5", "field 3: not index:value"),
        (b"1 3:4 5:", "field 3: not a pixel.*found ''"),
        (b"1 3:4 5: 6", "field 3: not a pixel"),
        (b"1 3:4:5", "field 2: not a pixel.*found '4:5'"),
        (b"1 -3:4", "field 2: not index:value"),
        (b"1 3.0:4", "field 2: not index:value"),
        (b"1 1e3:4", "field 2: not index:value"),
        (b"1 1048577:4", "field 2: not index:value; expected a pixel's number up to 1,048,576"),
        (b"1 99999999:4", "field 2: not index:value"),
        (b"1 3:4 3:4", "field 3: numbers of pixels do not ascend; expected more than 3, found 3"),
        (b"1 3:4 2:4", "field 3: numbers of pixels do not ascend"),
        (b"1 3:256", "field 2: not a pixel; .*found '256'"),
        (b"1 3:-2", "field 2: not a pixel"),
        (b"1 3:7.5", "field 2: not a pixel"),
        (b"1 3:nan", "field 2: not a pixel"),
        (b"1 3:1e400", "field 2: not a pixel"),
        (b"1 3:1e99", "field 2: not a pixel"),
        (b"1e400 3:1", "field 1: not a label"),
        (b"1 1e400:1", "field 2: not index:value"),
        (b"1 3:1-2", "field 2: not a pixel"),
        (b"1 3:1_0", "field 2: not a pixel"),
        (b"1 3:\xd9\xa3", "field 2: not a pixel"),
        (b"1 3:0." + b"0" * 70, "field 2: not a pixel"),
        (b"1 " + b"3" * 70000, "line too long"),
        (b"+1 " + b"4:5 " * 17000, "line too long"),
    ],
)
def test_lines_that_are_refused(good, line, message, tmp_path):
    """With line and field, wherever they are; empty lines count."""
    content = START + START * good + b"\n" + line + b"\n" + START
    with pytest.raises(DataError, match=rf"line {good + 3}[:,].*{message}") as raised:
        read(tmp_path / "a", content)
    assert missing_parts(raised.value) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("0.5 7", r"line 4, index 1: pixels of no known range.*found 0.5, and others from 0 to 7"),
        ("-1 7", r"line 4, index 1: pixels of no known range.*found -1, and others from -1 to 7"),
        ("-0.5 1", r"line 4, index 1: .*from -0.5 to 1"),
        ("-1 0", r"line 4, index 1: "),
    ],
)
def test_pixels_of_no_known_range_are_refused(values, message, tmp_path):
    one, other = values.split()
    content = b"# 64 pixels\n\n" + b"1 1:0 2:0\n" + f"1 1:{one} 2:{other}\n".encode() + b"2 1:0\n"
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a", content, (8, 8))


def test_files_without_images_or_that_expand_too_much(tmp_path):
    for content, line in ((b"# nothing\n", 1), (b"#\n# 1:2 3:4\n\n", 2)):
        with pytest.raises(DataError, match=f"line {line}: no rows; expected rows behind the comments, found comments"):
            read(tmp_path / "a", content)
    with pytest.raises(DataError, match="expands to far more than its size"):
        read(tmp_path / "a", b"1 1048576:1\n" * 1000)
    for content in (b"1 1:2 49:3\n" * 30, START.replace(b"\n", b" 65:1\n") * 3):
        with pytest.raises(DataError, match=r"a table, or images too small to tell; .* say --image-size"):
            read(tmp_path / "a", content)


@few
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_lines_may_be_cut_anywhere(tmp_path, piece, seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 256, (6, 64)) * (generator.random((6, 64)) < 0.3)
    x[0] = 7
    content = text(x, range(6), end=str(generator.choice([" \n", "\r\n", "\n#\n"])))
    before = libsvm.PIECE
    libsvm.PIECE = piece
    try:
        assert np.array_equal(read(tmp_path / "a", content).train.x, x)
    finally:
        libsvm.PIECE = before


def test_usual_lines_are_read_many_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(sparse, "_parse_lines", None)
    for scale in SCALES:
        for label in ("{}", "+{}", "{}.0"):
            content = text(DIGITS.x[:99], DIGITS.labels[:99], scale=scale, label=label)
            assert np.array_equal(read(tmp_path / "a", content, (28, 28)).train.x, DIGITS.x[:99])


def test_every_command_takes_it(tmp_path, run):
    path = write(tmp_path / "digits.txt", text(DIGITS.x, DIGITS.labels))
    csv = write(tmp_path / "a.csv", b"label,pixel0,pixel1\n1,2,3\n")
    info = run("data", "info", "--data", path, "--json").json
    assert [note["code"] for note in info["notes"]] == ["first-index"]
    run("data", "info", "--data", path, "--image-size", "28x29").failed(1, "image size does not fit", "28 wide")
    run("data", "info", "--data", path, "--image-size", "28x").failed(2, "N or HEIGHTxWIDTH, such as 28 or 28x32")
    run("data", "info", "--data", csv, "--image-size", "8x8").failed(2, "--image-size: images have another size")
    train = ("train", "--data", path, "--epochs", 2, "--dev", 0, "--quiet", "--image-size", "28x28")
    assert run(*train, "--dev-data", path, "--first-index", 1).code == 0
    assert run("evaluate", "model.safetensors", "--data", path, "--json").json["accuracy"] > 0.5
    for said, codes in (((), ["first-index"]), (("--first-index", 1), [])):
        found = run("predict", "model.safetensors", path, *said, "--json").json
        assert [note["code"] for note in found["notes"]] == codes
        assert len(found["predictions"]) == len(DIGITS.x)
    run("data", "info", "--data", "digits", "--first-index", 0).failed(2, "--first-index: has no effect")


@pytest.mark.parametrize("names", [("1", "-1"), ("-1", "1"), ("+1", "-1"), ("-1", "0", "1")])
def test_labels_of_minus_one_and_one_find_the_classes_that_are_called_so(names, tmp_path):
    x = np.full((4, 64), 9, np.uint8)
    labels = ["+1", "-1", "-1", "1"]
    path = write(tmp_path / "a", text(x, labels))
    for by_name in (True, False):
        found = data.load(path, classes=names, by_name=by_name)
        assert [int(found.classes[label]) for label in found.train.labels] == [1, -1, -1, 1]
        assert "signed-labels" not in codes(found)
    ones = data.load(write(path, text(x, [1] * 4)), classes=names, by_name=True)
    assert [int(ones.classes[label]) for label in ones.train.labels] == [1] * 4
    with pytest.raises(DataError, match=r"image 2: label of no class; expected .*, as the classes are called, found 2"):
        data.load(write(path, text(x, [-1, 2, 2, 1])), classes=names)
    with pytest.raises(UsageError, match="has no effect"):
        data.load(write(path, text(x, labels)), classes=names, reading=Reading(first_label=1))


@pytest.mark.parametrize("names", [("b", "a"), ("1", "2"), ("1", "+1")])
def test_labels_of_minus_one_and_one_are_places_of_classes_that_are_called_otherwise(names, tmp_path):
    found = data.load(write(tmp_path / "a", text(np.full((4, 64), 9, np.uint8), [1, -1, -1, 1])), classes=names)
    assert found.train.labels.tolist() == [1, 0, 0, 1]
