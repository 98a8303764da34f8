"""CSV as people have it: whatever is drawn, the file is read rightly or refused, never read wrongly."""

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import kaggle_csv, unpacked
from fnnet.data.csv_columns import is_header
from fnnet.data.csv_label import label_column
from fnnet.data.kaggle_csv import read_csv
from fnnet.data.preprocess import Reading, spread
from fnnet.errors import DataError, FnnetError, UsageError
from tests.tools.samples import missing_parts, write

DIGITS = data.load("digits").train
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = (
    "digits",
    "inverted",
    "small",
    "noise",
    "dim noise",
    "mask",
    "noise mask",
    "cloth",
    "rounded",
    "faces",
    "garments",
)


def images(kind, n, generator):
    """Images of a kind, uint8 (n, pixels)."""
    x = DIGITS.x[generator.permutation(len(DIGITS.x))[:n]]
    noise = generator.integers(0, 256, (n, 784)).astype(np.uint8)
    cloth = np.where((np.indices((28, 28)).sum(0).reshape(-1) % 55 > 3), noise // 2 + 60, noise // 100)
    rows, columns = np.indices((28, 28)).reshape(2, 1, 784)
    light = generator.uniform(20, 200, (4, n, 1))
    faces = light[0] + light[1] * rows / 28 - light[2] * columns / 56 + generator.normal(0, 5, (n, 784))
    wide = np.abs(columns - 13.5) < generator.uniform(3, 15, (n, 1)) + rows * generator.uniform(-0.1, 0.2, (n, 1))
    garments = wide * (light[3] + 20 * np.sin(rows * light[0] / 50) + generator.normal(0, 9, (n, 784)))
    return {
        "faces": faces.clip(0, 255).astype(np.uint8),
        "garments": garments.clip(0, 255).astype(np.uint8),
        "digits": x,
        "inverted": 255 - x,
        "small": (x.reshape(n, 28, 28)[:, 2:26:3, 2:26:3].reshape(n, 64) // 15).clip(0, 16),
        "noise": noise,
        "dim noise": noise[:, :64] // 16,
        "mask": (x > 127).astype(np.uint8),
        "noise mask": noise % 2,
        "cloth": cloth.astype(np.uint8),
        "rounded": np.where(np.arange(784) % 783 == 0, 0, noise // 2 + 50).astype(np.uint8),
    }[kind]


def table(x, labels, where):
    rows = x.astype(object)
    return {
        "none": rows,
        "first": np.column_stack([labels, rows]),
        "last": np.column_stack([rows, labels]),
    }[where]


def text(rows, separator=",", header=()):
    lines = [separator.join(header)] * bool(header)
    return "".join(line + "\n" for line in [*lines, *(separator.join(map(str, row)) for row in rows)]).encode()


@few
@given(
    st.sampled_from(KINDS),
    st.sampled_from(["first", "last", "none"]),
    st.integers(1, 120),
    st.sampled_from([1, 2, 3, 10, 26]),
    st.sampled_from(["random", "mostly 0", "sorted", "cyclic"]),
    st.sampled_from(["none", "numbers", "V"]),
    st.integers(0, 2**32 - 1),
)
def test_labels_without_a_name_are_never_read_wrongly(tmp_path, kind, where, n, classes, order, header, seed):
    generator = np.random.default_rng(seed)
    x = images(kind, n, generator)
    labels = generator.integers(0, classes, n)
    labels = {
        "random": labels,
        "mostly 0": labels * (generator.random(n) < 0.1),
        "sorted": np.sort(labels),
        "cyclic": np.arange(n) % classes,
    }[order]
    rows = table(x, labels, where)
    names = {"none": (), "numbers": map(str, range(rows.shape[1])), "V": (f"V{i + 1}" for i in range(rows.shape[1]))}
    path = write(tmp_path / "a", text(rows, header=tuple(names[header])))
    try:
        found, found_labels = read_csv(path)
    except DataError as error:
        assert where != "none", error
        assert "--label-column first, last, NAME, NUMBER or none" in str(error)
    else:
        assert np.array_equal(found, x)
        assert np.array_equal(found_labels, labels) if where != "none" else found_labels is None
    if where != "none":
        number = "1" if where == "first" else str(rows.shape[1])
        for told in (where, number) if header != "numbers" else (where,):
            found, found_labels = read_csv(path, told)
            assert np.array_equal(found, x)
            assert np.array_equal(found_labels, labels)


@pytest.mark.parametrize("kind", ["digits", "inverted", "small", "noise", "mask", "faces", "garments"])
@pytest.mark.parametrize("where", ["first", "last"])
@pytest.mark.parametrize("n", [60, 400])
def test_labels_of_usual_images_are_found(kind, where, n, tmp_path):
    n = 400 if kind == "small" else n  # values as small as labels need more rows
    generator = np.random.default_rng(n)
    x, labels = images(kind, n, generator), generator.integers(0, 10, n)
    path = write(tmp_path / "a.csv", text(table(x, labels, where)))
    found = data.load(path)
    assert np.array_equal(found.train.labels, labels)
    assert np.array_equal(read_csv(path)[0], x)
    assert "label-column" in [note.code for note in found.notes]
    side = int(x.shape[1] ** 0.5)
    assert np.array_equal(data.read_images(path, (side, side), notify=str), x)


def test_names_of_rows_are_never_labels(tmp_path):
    x = DIGITS.x[:50]
    for names in (range(50), range(1, 51), np.random.default_rng(0).permutation(50)):
        path = write(tmp_path / "a.csv", text(table(x, names, "first")))
        with pytest.raises(DataError, match="the first or the last column is the labels"):
            read_csv(path)


LABEL_NAMES = ["label", "Class", "TARGET", " digit "]
PIXEL_NAMES = ["pixel{}", "pixel_{}", "p{}", "px{}", "x{}", "{}", "V{}", "column_{}"]


@few
@given(st.data())
def test_columns_are_found_by_name_wherever_they_are(tmp_path, data):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n, start = 7, data.draw(st.integers(0, 1))
    x, labels = generator.integers(0, 256, (n, 64)), generator.integers(0, 9, n)
    pattern = data.draw(st.sampled_from(PIXEL_NAMES))
    columns = {pattern.format(number + start): x[:, number].tolist() for number in range(64)}
    name = data.draw(st.sampled_from([*LABEL_NAMES, None]))
    if name:
        columns[name] = labels.tolist()
    row_names = data.draw(st.sampled_from(["id", "ImageId", "index", "Unnamed: 0", None]))
    if row_names:
        columns[row_names] = data.draw(st.sampled_from([[*range(n)], [f"row {i}" for i in range(n)], [70_000] * n]))
    # Numbers in another order may be pixels as well as names, unless there is a name beside them.
    named = name or row_names or pattern != "{}"
    order = data.draw(st.permutations(list(columns))) if named else list(columns)
    separator = data.draw(st.sampled_from([",", ";", "\t"]))
    rows = zip(*(columns[each] for each in order), strict=True)
    first = data.draw(st.booleans())
    content = text(rows, separator, order)
    if first and not row_names:  # as R and pandas write names of rows
        lines = content.decode().splitlines()
        quoted = [f'"{number}"{separator}{line}' for number, line in enumerate(lines)]
        content = "\n".join(['""' + quoted[0][3:], *quoted[1:]]).encode()
    found, found_labels = read_csv(write(tmp_path / "a", content))
    assert np.array_equal(found, x)
    assert np.array_equal(found_labels, labels) if name else found_labels is None


def test_numbers_beside_a_label_name_columns_after_names_of_rows(tmp_path):
    rows = [[row, *X8[row], row % 3] for row in range(7)]
    path = write(tmp_path / "a", text(rows, header=("", *map(str, range(64)), "label")))
    found, labels = read_csv(path)
    assert np.array_equal(found, X8)
    assert labels.tolist() == [row % 3 for row in range(7)]


X8 = np.random.default_rng(1).integers(0, 256, (7, 64))
FORMS = [str, lambda value: f"{value}.0", "{:.2e}".format, "{:+d}".format, "{:>4d}".format, '"{}"'.format]


@few
@given(st.lists(st.sampled_from(FORMS), min_size=1), st.sampled_from([",", ";", "\t", " "]), st.integers(0, 2**32 - 1))
def test_whole_numbers_however_they_are_written(tmp_path, forms, separator, seed):
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, 100, (5, 65))
    cells = [[forms[(i + j) % len(forms)](value) for j, value in enumerate(row)] for i, row in enumerate(rows.tolist())]
    found, labels = read_csv(write(tmp_path / "a", text(cells, separator)), "last")
    assert np.array_equal(found, rows[:, :-1])
    assert np.array_equal(labels, rows[:, -1])


@pytest.mark.parametrize("where", ["first", "last", "named"])
@pytest.mark.parametrize("blank", ["0", "0.0"])
def test_fractions_of_1_are_scaled_by_255(where, blank, tmp_path):
    x, labels = DIGITS.x[:100], DIGITS.labels[:100]
    cells = [[repr(float(value) / 255) if value else blank for value in row] for row in x.tolist()]
    header = ["label", *(f"pixel{i}" for i in range(784))] if where == "named" else ()
    rows = table(np.array(cells, object), labels, "last" if where == "last" else "first")
    found = data.load(write(tmp_path / "a", text(rows, header=header)))
    assert np.array_equal(found.train.x, x)
    assert np.array_equal(found.train.labels, labels)
    assert "unit-pixels" in [note.code for note in found.notes]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[3, 0, 7], [4, 0.5, 0]], "line 3, column 2: not a pixel: a fraction"),
        ([[3, 0.5, 1], [4, 0, 7]], "line 2, column 2: not a pixel: a fraction"),
        ([[3, 0.5, 7]], "line 2, column 2: not a pixel: a fraction"),
        ([[3, 0, 7.5]], "line 2, column 3: not a pixel.*found '7.5'"),
        ([[3.5, 0, 7]], "line 2, column 1: not a label.*found '3.5'"),
        ([["1.5", "0", '"7"']], "line 2, column 1: not a label.*found '1.5'"),
    ],
)
def test_other_fractions_are_refused_with_their_place(rows, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path / "a", text(rows, header=["label", "pixel0", "pixel1"])))


def packed(content, kind):
    if not kind.endswith("zip"):
        return {"gz": gzip, "bz2": bz2, "xz": lzma}[kind].compress(content)
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        folder = "digits/" if kind == "folder.zip" else ""
        if folder:
            archive.writestr(folder, b"")  # as zip -r and file managers do
        archive.writestr(f"{folder}train.csv", content)
        archive.writestr("__MACOSX/._train.csv", b"\0\1")
    return into.getvalue()


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip", "folder.zip"])
def test_packed_tables_are_read_and_damaged_ones_refused(kind, tmp_path):
    rows = table(DIGITS.x[:100], DIGITS.labels[:100], "last")
    content = packed(text(rows), kind)
    found = data.load(write(tmp_path / f"a.csv.{kind}", content))
    assert np.array_equal(found.train.x, DIGITS.x[:100])
    for size in range(0, len(content), len(content) // 50):
        for damaged in (content[:size], content[:size] + bytes([content[size] ^ 255]) + content[size + 1 :]):
            try:
                again, labels = read_csv(write(tmp_path / "b", damaged))
            except FnnetError as error:
                assert error.fix
            else:
                assert np.array_equal(again, DIGITS.x[:100])
                assert np.array_equal(labels, DIGITS.labels[:100])
    if kind.endswith("zip"):
        bomb = packed(b"label,pixel0\n" + b"1,1\n" * 2**25, kind)
    else:  # one after another, as each may follow: bzip2 takes 20 s to pack as much at once
        bomb = packed(b"label,pixel0\n", kind) + packed(b"1,1\n" * 2**18, kind) * 2**7
    with pytest.raises(DataError, match="expands to far more than its size"):
        read_csv(write(tmp_path / "bomb", bomb))


@few
@given(st.sampled_from(["gz", "bz2", "xz"]), st.integers(1, 3), st.binary(max_size=40), st.integers(1, 400))
def test_streams_one_after_another_are_read_and_other_data_after_them_refused(tmp_path, kind, streams, rest, piece):
    content = text(np.arange(2 * 65).reshape(2, 65), header=["label", *(f"pixel{i}" for i in range(64))])
    step = len(content) // streams + 1
    whole = b"".join(packed(content[start : start + step], kind) for start in range(0, len(content), step))
    before = unpacked.PIECE
    unpacked.PIECE = piece
    try:
        assert np.array_equal(read_csv(write(tmp_path / "a", whole))[0][1], np.arange(66, 130))
        if rest:
            with pytest.raises(DataError, match=r"damaged (gzip|bzip2|xz); expected a whole file, found"):
                read_csv(write(tmp_path / "a", whole + rest))
    finally:
        unpacked.PIECE = before


def test_an_archive_of_several_tables_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "label,pixel0\n1,2\n")
        archive.writestr("b.csv", "label,pixel0\n1,2\n")
    with pytest.raises(DataError, match=r"not one file in the archive; expected one file, found a\.csv, b\.csv"):
        read_csv(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "header",
    ["5,0,0.1,0.2,18,0.3", "5,0,0_duplicated_0,0_duplicated_1,18", "X5,X0,X0.1,X0.2,X18", "5.0,0.0,0.0.1,0.0.2"],
)
def test_a_header_made_of_the_first_image_is_refused_by_name(header, tmp_path):
    with pytest.raises(DataError, match=r"line 1: the header is made of the first image.*header=None"):
        read_csv(write(tmp_path / "a", (header + "\n" + "1," * header.count(",") + "1\n").encode()))


@pytest.mark.parametrize(
    ("header", "told", "message"),
    [
        ("label,class,pixel0", None, "several columns may be the labels.*--label-column"),
        ("label,pixel0", "nothing", "no such column for --label-column"),
        ("label,pixel0", "3", "no such column for --label-column"),
        ("pixel0,first", "first", "two columns may be meant by --label-column"),
    ],
)
def test_label_columns_that_are_refused(header, told, message, tmp_path):
    path = write(tmp_path / "a", (header + "\n" + "1," * header.count(",") + "1\n").encode())
    with pytest.raises(DataError, match=message):
        read_csv(path, told)


@pytest.mark.parametrize("told", ["class", "CLASS", "2", "none"])
def test_another_column_than_that_named_label(told, tmp_path):
    path = write(tmp_path / "a", b"label,class,pixel0\n1,2,3\n4,5,6\n")
    x, labels = read_csv(path, told)
    assert x.tolist() == [[3], [6]]
    assert labels is None if told == "none" else labels.tolist() == [2, 5]


def test_tables_of_few_columns_are_images_only_if_told(tmp_path):
    path = write(tmp_path / "a", text(np.random.default_rng(0).integers(0, 100, (20, 17))))
    assert data.load(path, reading=Reading(label_column="last")).preprocessing.scaling is not None
    found = data.load(path, classes=list(map(str, range(100))), reading=Reading(label_column="last", image=True))
    assert found.image_shape == (4, 4)
    assert data.read_images(path, (4, 4), label_column="last").shape == (20, 16)


@pytest.mark.parametrize("option", [("--label-column", "last"), ("--image",)])
def test_the_options_are_for_tables(option, run, idx_folder):
    run("data", "info", "--data", idx_folder, *option).failed(2, f"{option[0]}: has no effect", "table of numbers")
    file = idx_folder / "train-images-idx3-ubyte"
    run("data", "info", "--data", file, *option).failed(2, f"{option[0]}: has no effect", "table of numbers")


@pytest.mark.parametrize("kind", ["png", "npy", "npz", "idx"])
@pytest.mark.parametrize("column", ["first", "none", "label"])
def test_predict_takes_a_label_column_only_for_tables(kind, column, run, tmp_path, idx_folder):
    """Beside a table too: the answers of the others are none that the option was meant for."""
    fnnet.save_model(tmp_path / "m", fnnet.Model(fnnet.init((784, 3, 10))))
    x = np.zeros((2, 28, 28), np.uint8)
    files = {name: tmp_path / f"x.{name}" for name in ("png", "npy", "npz")}
    files["idx"] = idx_folder / "t10k-images-idx3-ubyte"
    Image.fromarray(x[0]).save(files["png"])
    np.save(files["npy"], x)
    np.savez(files["npz"], x_test=x)
    names = [*(["label"] if column != "none" else []), *(f"pixel{i}" for i in range(784))]
    table = write(tmp_path / "a.csv", ",".join(names).encode() + b"\n" + text(np.zeros((3, len(names)), int)))
    for others in ([], [table]):
        result = run("predict", "m", *others, files[kind], "--label-column", column)
        result.failed(2, "--label-column: has no effect", "a table of numbers", files[kind].name)
        assert result.out == ""
    with pytest.raises(UsageError, match="--label-column: has no effect"):
        data.read_images(files[kind], (28, 28), label_column=column)
    assert run("predict", "m", files[kind]).code == 0


def test_every_command_takes_the_label_column(run, tmp_path):
    x, labels = DIGITS.x[:300], DIGITS.labels[:300]
    path = write(tmp_path / "a.csv", text(table(x, labels, "last")))
    told = ("--label-column", "last")
    run("train", "--data", path, *told, "--epochs", 30, "--dev", 0, "--batch-size", 10, "--quiet")
    assert run("evaluate", "model.safetensors", "--data", path, *told, "--json").json["accuracy"] > 0.9
    for more in ((), told):
        answers = run("predict", "model.safetensors", path, *more, "--json").json
        assert np.mean([int(each["label"]) for each in answers["predictions"]] == labels) > 0.9
        assert [note["code"] for note in answers["notes"]] == ["label-column"] * (not more)
    assert run("data", "info", "--data", path, *told, "--json").json["notes"] == []


def test_one_value_among_many_that_no_label_or_no_pixel_has_is_enough_to_refuse():
    """All values count, not only those of the rows that are looked at."""
    n, generator = 1000, np.random.default_rng(0)
    x, labels = np.zeros((n, 64)), generator.integers(0, 10, n).astype(float)
    x[:, 1:-1] = generator.integers(0, 2, (n, 62))
    assert label_column(labels, x[:, -1], x[:, :-1].astype(np.uint8)) == "first"
    unseen = min({*range(n)}.difference(spread(np.arange(n)).tolist()))
    for column, value in ((labels, 0.5), (labels, 20_000.0), (x[:, -1], 256.0), (x[:, -1], 0.5)):
        before = column[unseen]
        column[unseen] = value
        assert label_column(labels, x[:, -1], x[:, :-1].astype(np.uint8)) is None
        assert label_column(labels + 0.5, x[:, -1] + 0.5, x[:, :-1].astype(np.uint8)) is None
        column[unseen] = before


def test_fractions_and_other_numbers_in_different_pieces(monkeypatch, tmp_path):
    monkeypatch.setattr(kaggle_csv, "PIECE", 20)
    start = b"label,pixel0,pixel1\n" + b"1,0,1\n" * 30
    x, _ = read_csv(write(tmp_path / "a", start + b"1,0.2,1\n"))
    assert x.tolist() == [[0, 255]] * 30 + [[51, 255]]
    with pytest.raises(DataError, match="line 32, column 2: not a pixel: a fraction; expected whole numbers"):
        read_csv(write(tmp_path / "a", start + b"1,0.2,1\n" + b"1,0,1\n" * 30 + b"1,7,1\n"))


def test_numbers_too_long_and_too_few_columns(tmp_path):
    with pytest.raises(DataError, match="line 2, column 2: not a pixel"):
        read_csv(write(tmp_path / "a", b"label,pixel0\n1,1." + b"0" * 70 + b"\n"))
    with pytest.raises(DataError, match=r"the first or the last column is the labels.*--label-column"):
        read_csv(write(tmp_path / "a", b"1,2\n3,4\n"), image=True)


def test_archives_that_are_refused(monkeypatch, tmp_path):
    content = bytearray(packed(b"label,pixel0\n1,2\n" * 9, "zip"))
    for start, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.find(start) + at] |= 1
    with pytest.raises(DataError, match="an encrypted archive"):
        read_csv(write(tmp_path / "a", bytes(content)))
    monkeypatch.setattr(unpacked, "MAX_FILE_BYTES", 20)
    with pytest.raises(DataError, match="file too large; expected at most 20 bytes"):
        read_csv(write(tmp_path / "a", gzip.compress(b"label,pixel0\n" + b"1,2\n" * 9)))


@few
@given(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), st.booleans(), st.integers(0, 2**32 - 1))
def test_few_classes_and_ink_in_the_corners(chosen, moved, seed):
    """A pixel at the edge has several values, and the labels may be all alike: refused rather than taken for them."""
    generator = np.random.default_rng(seed)
    rows = np.flatnonzero(np.isin(DIGITS.labels, chosen))
    rows = generator.choice(rows, min(len(rows), int(generator.integers(1, 400))), replace=False)
    x, labels = DIGITS.x[rows].reshape(-1, 28, 28)[:, 2:26:3, 2:26:3] // 15, DIGITS.labels[rows]
    labels = np.searchsorted(sorted(chosen), labels) if generator.random() < 0.5 else labels
    x = np.roll(x, generator.integers(1, 5, 2), (1, 2)) if moved else x
    x = x.reshape(len(x), -1).astype(np.uint8)
    assert label_column(labels, x[:, -1], x[:, :-1]) in ("first", None)
    assert label_column(x[:, 0], labels, x[:, 1:]) in ("last", None)


def test_columns_numbered_behind_an_unnamed_one(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (3, 64))
    header = ",".join(["", *map(str, range(64))])
    lines = [header, *(f"{number},{','.join(map(str, row))}" for number, row in enumerate(rows.tolist()))]
    x, labels = read_csv(write(tmp_path / "a", "\n".join(lines).encode()))
    assert np.array_equal(x, rows)
    assert labels is None


@few
@given(st.data(), st.sampled_from([",", ";", "\t", " "]), st.integers(1, 400))
def test_names_of_rows_under_a_header_that_is_one_short(tmp_path, draws, separator, piece):
    """As R's write.table writes them, wherever the file is cut; without quotes the header may as well be cut."""
    quote = draws.draw(st.sampled_from(['"{}"', "{}"]))
    names = [*(f"pixel{i}" for i in range(64))]
    at = draws.draw(st.sampled_from([0, 5, 64, None]))
    rows = X8.tolist()
    if at is not None:
        names.insert(at, "label")
        rows = [[*row[:at], number % 3, *row[at:]] for number, row in enumerate(rows)]
    start = draws.draw(st.integers(0, 1000))
    lines = [separator.join(map(quote.format, names))]
    lines += [separator.join([quote.format(start + number), *map(str, row)]) for number, row in enumerate(rows)]
    path = write(tmp_path / "a", "\n".join(lines).encode())
    broken = draws.draw(st.sampled_from([None, *range(1, 7)]))
    before = kaggle_csv.PIECE
    kaggle_csv.PIECE = piece
    try:
        if quote == "{}":
            with pytest.raises(DataError, match="line 2: wrong number of fields"):
                read_csv(path)
            return
        x, labels = read_csv(path)
        assert np.array_equal(x, X8)
        assert labels is None if at is None else labels.tolist() == [number % 3 for number in range(7)]
        if broken:
            lines[broken + 1] = lines[broken + 1].replace('"', "")
            with pytest.raises(DataError, match=f"line {broken + 2}: no name of the row"):
                read_csv(write(path, "\n".join(lines).encode()))
    finally:
        kaggle_csv.PIECE = before


def test_cells_that_are_one_too_many_but_name_no_rows_are_refused(tmp_path):
    for rows in (
        "1,2,\n3,4\n",
        "1,2\n3,4,5\n",
        "7,1,2\n",
        "1,2,3,4\n",
        '"7","1","2"\n',
        '"7",1,2\n3,4,5\n',
        '"7,1,2\n',
    ):
        with pytest.raises(DataError, match=r"wrong number of fields|not a|no name of the row|damaged line|ends oth"):
            read_csv(write(tmp_path / "a", b"label,pixel0\n" + rows.encode()))


@few
@given(
    st.lists(st.sampled_from(["", " ", "\t", " \t "]), max_size=3),
    st.sampled_from([",", ";", " "]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 60),
    st.booleans(),
)
def test_lines_with_blanks_alone_are_blank(tmp_path, blanks, separator, end, piece, fractions):
    rows = [[1, 0, 7], [2, 9, 255]] if not fractions else [[1, 0, "0.5"], [2, "1.0", "0.25"]]
    lines = [separator.join(map(str, row)) for row in (["label", "pixel0", "pixel1"], *rows)]
    content = "".join(end.join([*blanks, line, ""]) for line in lines) + end.join(blanks)
    before = kaggle_csv.PIECE
    kaggle_csv.PIECE = piece
    try:
        x, labels = read_csv(write(tmp_path / "a", content.encode()))
        assert x.tolist() == ([[0, 7], [9, 255]] if not fractions else [[0, 128], [255, 64]])
        assert labels.tolist() == [1, 2]
        wrong = content + end + separator.join("1x0") + end
        line = content.count("\n") + 2
        with pytest.raises(DataError, match=f"line {line}, column 2: not a pixel"):
            read_csv(write(tmp_path / "a", wrong.encode()))
    finally:
        kaggle_csv.PIECE = before
    with pytest.raises(DataError, match="line 2: wrong number of fields"):
        read_csv(write(tmp_path / "a", b"label\tpixel0\tpixel1\n\t\t\t\n1\t2\t3\n"))


@pytest.mark.parametrize("joined", [1, 3000])
def test_files_that_were_joined_are_named(joined, tmp_path):
    one = b"\xef\xbb\xbflabel,pixel0\n" + b"1,2\n" * joined
    with pytest.raises(DataError, match=f"line {joined + 2}: a byte order mark within the file; .*second header"):
        read_csv(write(tmp_path / "a", one * 2))


@pytest.mark.parametrize("form", ["csv", "npz", "libsvm"])
def test_a_largest_pixel_of_1_is_that_of_fractions(form, tmp_path):
    x, labels = DIGITS.x[:50], DIGITS.labels[:50]
    path = tmp_path / "a"
    if form == "npz":
        with open(path, "wb") as file:
            np.savez(file, x=x.reshape(-1, 28, 28) / 255, y=labels)
    elif form == "csv":
        cells = [[f"{value / 255:.6g}" for value in row] for row in x.tolist()]
        write(
            path,
            text(table(np.array(cells, object), labels, "first"), header=["label", *(f"pixel{i}" for i in range(784))]),
        )
    else:
        lines = [" ".join(f"{i}:{v / 255:.6g}" for i, v in enumerate(row, 1)) for row in x.tolist()]
        write(path, "".join(f"{label} {line}\n" for label, line in zip(labels, lines, strict=True)).encode())
    for most in (1, "auto", None):
        found = data.load(path, reading=Reading(pixel_max=most))
        assert np.array_equal(found.train.x, x)
        assert found.preprocessing.pixel_max == 255
    with pytest.raises(DataError, match="pixel above the largest"):
        data.load(path, reading=Reading(pixel_max=16))
    whole = write(path, b"label,pixel0,pixel1\n1,0,1\n2,1,0\n")
    assert data.load(whole, reading=Reading(pixel_max=1)).train.x.tolist() == [[0, 255], [255, 0]]


def test_data_after_a_zip_archive_is_refused(tmp_path):
    whole = packed(b"label,pixel0\n1,2\n" * 1 + b"3,4\n", "zip")
    assert read_csv(write(tmp_path / "a", whole))[0].tolist() == [[2], [4]]
    for rest in (b"x", b"label,pixel0\n1,2\n"):
        with pytest.raises(DataError, match="damaged ZIP; expected a whole file, found other data after its end"):
            read_csv(write(tmp_path / "a", whole + rest))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "label|pixel0\n1|2\n",
            "line 1: cells separated by |; expected commas, semicolons, tabs or blanks, found 'label|p",
        ),
        ("7|0|255\n", "line 1: cells separated by |; .*; write the table with commas"),
        (
            "filename,label\n1.png,7\n",
            "line 1, column 1: unknown column; .* found 'filename'; give each pixel a column; if the",
        ),
        (
            "emotion,pixels,Usage\n0,1 2 3,Training\n",
            "unknown column; .* found 'emotion'; give each pixel a column; if",
        ),
        (
            "label,pixel0\n1,7\ncat,7\n",
            "line 3, column 1: not a label; .* found 'cat'; number the classes from 0, and name them",
        ),
        ("label,pixel0\n,7\n", "line 2, column 1: not a label; .* found ''; correct the cell"),
        ("label,pixel0\n1e9,7\n", "line 2, column 1: not a label; .* found '1e9'; correct the cell"),
    ],
)
def test_a_remedy_is_for_what_was_found(content, message, tmp_path):
    with pytest.raises(DataError, match=message.replace("|", r"\|")):
        data.load(write(tmp_path / "a.csv", content.encode()))


def savetxt(path, header, delimiter=",", x=DIGITS.x[:60], labels=DIGITS.labels[:60]):
    np.savetxt(path, np.column_stack([labels, x]), "%d", delimiter, header=header)
    return path


NAMES = ["label", *(f"pixel{number}" for number in range(784))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_names_of_columns_behind_a_number_sign_are_names(delimiter, tmp_path):
    """The names turn the columns round here, so that the order of the file would be read wrongly."""
    names = [NAMES[0], *NAMES[:0:-1]]
    path = savetxt(tmp_path / "a.csv", delimiter.join(names), delimiter, DIGITS.x[:60, ::-1])
    path.write_bytes(b"# 60 digits\n" + path.read_bytes().replace(b"\n", b"\n\n", 1))
    told = []
    found = data.load(path, notify=told.append)
    assert np.array_equal(found.train.x, DIGITS.x[:60])
    assert np.array_equal(found.train.labels, DIGITS.labels[:60])
    assert f"{path}: 1 line at the top, which begin with #, are passed over" in map(str, told)
    path.write_bytes(path.read_bytes().replace(b"\n50", b"\n256", 1) + b"x\n")
    with pytest.raises(DataError, match=r"a.csv: line 64: wrong number of fields"):
        data.load(path)


@pytest.mark.parametrize("header", ["digits", '"of" two\nlines', "label,pixel0"])
def test_comments_at_the_top_are_passed_over_with_a_note(header, tmp_path):
    for delimiter in (",", " "):
        told = []
        found = data.load(savetxt(tmp_path / "a.csv", header, delimiter), notify=told.append)
        assert np.array_equal(found.train.x, DIGITS.x[:60])
        assert np.array_equal(found.train.labels, DIGITS.labels[:60])
        assert "comments" in [note.code for note in told]
    path = savetxt(tmp_path / "a.csv", ",".join(NAMES[::-1]))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n" + ",".join(NAMES).encode() + b"\n", 1))
    assert np.array_equal(data.load(path).train.x, DIGITS.x[:60])


def test_a_row_behind_a_number_sign_is_refused(tmp_path):
    path = savetxt(tmp_path / "a.csv", ",".join(["5"] * 785))
    with pytest.raises(DataError, match=r"a.csv: line 1: a row that begins with #; .* take the # out") as raised:
        data.load(path)
    assert missing_parts(raised.value) == []
    with pytest.raises(DataError, match="no rows; expected rows behind the comments"):
        data.load(write(tmp_path / "b.csv", b"# nothing\n"))


@pytest.mark.parametrize("quote", ['"', ""])
def test_a_tab_in_the_name_of_a_class_is_named(quote, tmp_path):
    rows = [f"{quote}a{number % 2}\tb{quote},{','.join(map(str, row))}" for number, row in enumerate(DIGITS.x[:60])]
    path = write(tmp_path / "a.csv", "\n".join([",".join(NAMES), *rows]).encode())
    with pytest.raises(
        DataError, match=r"row 1, column 1: the name of a class cannot be printed; .* found 'a0\\tb'"
    ) as raised:
        data.load(path)
    assert missing_parts(raised.value) == []


RUNS = {"up from 2": 0, "permuted": 1, "down": 2, "up from 0": 3}
FORMATS = ["{}", "{:02d}", "{}.0", '"{}"']


@pytest.mark.parametrize("number", FORMATS)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("where", ["none", "first", "last"])
def test_a_run_of_numbers_is_a_header_in_any_order_and_form(number, run, where, tmp_path):
    generator = np.random.default_rng(0)
    x, labels = images("small", 400, generator), generator.integers(0, 10, 400)
    rows = table(x, labels, where)
    width = rows.shape[1]
    numbers = [range(2, width + 2), generator.permutation(width), range(width)[::-1], range(width)][run]
    stored = rows[:, np.argsort(np.argsort(numbers))]
    path = write(tmp_path / "a.csv", text(stored, header=[number.format(each) for each in numbers]))
    found, found_labels = read_csv(path)
    assert np.array_equal(found, x)
    assert np.array_equal(found_labels, labels) if where != "none" else found_labels is None


@few
@given(st.sampled_from([64, 65, 256, 784]), st.sampled_from([8, 80, 256]), st.integers(0, 2**32 - 1))
def test_an_image_is_no_header(width, most, seed):
    assert not is_header([*map(str, np.random.default_rng(seed).integers(0, most, width))])


def test_a_header_that_numbers_the_pixels_alone_is_not_an_image(tmp_path):
    for header in (["999", *map(str, range(2, 66))], [*map(str, range(2, 66)), "999"], ["cat", *map(str, range(64))]):
        with pytest.raises(DataError, match=r"line 1.*(pixel columns missing|unknown column)"):
            read_csv(write(tmp_path / "a", text(np.zeros((3, 65), int), header=header)))


def test_numbers_in_quotes_above_numbers_without_are_names(tmp_path):
    x = DIGITS.x[:20]
    header = [f'"{each}"' for each in np.random.default_rng(1).integers(0, 10**6, 784)]
    with pytest.raises(DataError, match="line 1: pixel columns missing"):
        read_csv(write(tmp_path / "a", text(x, header=header)))
    quoted = [[f'"{each}"' for each in row] for row in x]
    for rows in (quoted, quoted[:1]):
        assert np.array_equal(read_csv(write(tmp_path / "a", text(rows)))[0], x[: len(rows)])


ROW_FIRST = ["r{r}c{c}", "Row{r}_Col{c}", "p{r}_{c}", '"({r}, {c})"', "px_{r:02d}_{c:02d}", "{r}.{c}", "y{r}x{c}"]
COLUMN_FIRST = ["x{c}y{r}", "x{c}_y{r}", "c{c}r{r}", "col{c}_row{r}"]
KNOWN = ("r{r}c{c}", "Row{r}_Col{c}", "c{c}r{r}", "col{c}_row{r}")
"""Whose words say what is the row."""


@pytest.mark.parametrize("name", [*ROW_FIRST, *COLUMN_FIRST])
@pytest.mark.parametrize("order", ["rows", "columns", "mixed"])
@pytest.mark.parametrize("from_frame", [False, True])
def test_names_with_two_numbers_place_the_pixels(name, order, from_frame, tmp_path):
    x = DIGITS.x[:30].reshape(-1, 28, 28)[:, :, 4:24]
    cells = [(r, c) for r in range(28) for c in range(20)]
    cells = sorted(cells, key=lambda cell: cell[::-1]) if order == "columns" else cells
    cells = [cells[at] for at in np.random.default_rng(0).permutation(560)] if order == "mixed" else cells
    rows = np.column_stack([DIGITS.labels[:30], *(x[:, r, c] for r, c in cells)])
    header = ["label", *(name.format(r=r, c=c) for r, c in cells)]
    path = write(tmp_path / "a.csv", text(rows, header=header))
    given = pd.DataFrame(rows, columns=[each.strip('"') for each in header]) if from_frame else path
    load = data.from_frame if from_frame else data.load
    either = order == "columns" or (order == "mixed" and "y" in name)
    if name not in KNOWN and either:
        words = "x may be the row" if "y" in name else "the first number of a name may be the row"
        with pytest.raises(DataError, match=words):
            load(given, reading=Reading(image=True))
        if "y" not in name:
            for transpose in (True, False):
                found = load(given, reading=Reading(image=True, transpose=transpose))
                assert np.array_equal(found.train.x, (x.swapaxes(1, 2) if transpose else x).reshape(30, -1))
        return
    found = load(given, reading=Reading(image=True))
    assert found.image_shape == (28, 20)
    assert np.array_equal(found.train.x, x.reshape(30, -1))
    assert np.array_equal(data.read_images(given, (28, 20), image=True), found.train.x)
    turned = Preprocessing(transpose=True)
    assert np.array_equal(load(given, reading=Reading(image=True), preprocessing=turned).train.x, found.train.x)


def test_names_with_two_numbers_that_are_no_image_are_not_taken_in_their_order(tmp_path):
    names = [f"r{r}c{c}" for r in range(8) for c in range(8)]
    for header, words in (
        (["kind", *names], "say --label-column 1"),
        (["v1", "v2", *names], "unknown column.*rename or remove the column"),
        (["label", *names[:-1], "r9c9"], "pixel columns missing"),
        (["label", *names[:-1], "q7c7"], "unknown column"),
    ):
        rows = np.zeros((3, len(header)), int)
        with pytest.raises(DataError, match=words):
            data.load(write(tmp_path / "a.csv", text(rows, header=header)), reading=Reading(image=True))
    header = ["label", *(f"s1_p{number}" for number in range(64))]
    path = write(tmp_path / "a.csv", text(np.arange(130).reshape(2, 65), header=header))
    found = data.load(path, classes=[str(i) for i in range(66)], reading=Reading(image=True))
    assert found.image_shape == (8, 8)
    assert found.train.x[0].tolist() == [*range(1, 65)]


@pytest.mark.parametrize("said", ["sep={}", '"sep={}"', "SEP={}", "sep={}{}{}"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
def test_the_first_line_may_name_the_separator(said, separator, header, tmp_path):
    rows = table(DIGITS.x[:60], DIGITS.labels[:60], "first")
    names = ["label", *(f"pixel{i}" for i in range(784))] if header else ()
    content = said.format(*[separator] * 3).encode() + b"\r\n" + text(rows, separator, names)
    found = data.load(write(tmp_path / "a.csv", content))
    assert np.array_equal(found.train.x, DIGITS.x[:60])
    assert np.array_equal(found.train.labels, DIGITS.labels[:60])
    with pytest.raises(DataError, match="first line is empty"):
        data.load(write(tmp_path / "a.csv", b"sep=;\n"))
    with pytest.raises(DataError, match="line 3, column 2: not a pixel"):
        data.load(write(tmp_path / "a.csv", b"sep=;\n" + text([["1", "x"]], ";", ["label", "pixel0"])))


def test_small_images_under_numbers_or_any_names(tmp_path):
    x = np.arange(27).reshape(3, 9)
    rows = np.column_stack([np.arange(3), x])
    path = write(tmp_path / "a.csv", text(rows, header=["", *map(str, range(9))]))
    assert np.array_equal(read_csv(path, "none", image=True)[0], x)
    header = ["label", "a", "b", "c", *(f"v{i}" for i in range(6))]
    found, labels = read_csv(write(path, text(rows, header=header)), image=True)
    assert np.array_equal(found, x)
    assert labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["labels", "y", "Category", "targets", "classes"])
@pytest.mark.parametrize("at", [0, 300, 784])
def test_labels_are_known_by_the_names_that_other_files_give_them(name, at, tmp_path):
    frame = pd.DataFrame(DIGITS.x[:30], columns=[f"pixel{i}" for i in range(784)])
    frame.insert(at, name, DIGITS.labels[:30])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for found in (data.load(tmp_path / "a.csv"), data.load(tmp_path / "a.parquet"), data.from_frame(frame)):
        assert np.array_equal(found.train.x, DIGITS.x[:30])
        assert np.array_equal(found.train.labels, DIGITS.labels[:30])
    frame.insert(0, "label", DIGITS.labels[:30])
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(
        DataError, match=r"several columns may be the labels; expected one, found .*label.*say --label-"
    ):
        data.load(tmp_path / "a.csv")


def test_a_first_image_whose_label_is_y_is_no_header(tmp_path):
    lines = [f"{'xyz'[i % 3]}," + ",".join(map(str, DIGITS.x[i])) for i in range(1, 31)]
    found = data.load(write(tmp_path / "a", "\n".join(lines).encode()))
    assert len(found.train.x) == 30
    assert [found.classes[label] for label in found.train.labels[:3]] == ["y", "z", "x"]


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\n\x1a\x1a\x1a"])
def test_the_end_of_text_that_dos_writes_is_no_line(end, tmp_path):
    text = "\n".join(",".join(map(str, [number % 3, *[number] * 400])) for number in range(9))
    path = tmp_path / "a.csv"
    path.write_bytes(("label," + ",".join(f"pixel{i}" for i in range(400)) + "\n" + text + end).encode())
    found = data.load(path)
    assert found.train.x.shape == (9, 400)
    assert found.train.labels.tolist() == [0, 1, 2] * 3


# Separators at the end of every line


def ended(separator=",", header=None, ends=True, n=30):
    """Lines as C and MATLAB print them: a separator behind each number, also in the header if that has one."""
    rows = [separator.join(map(str, row)) + separator for row in np.column_stack([DIGITS.labels[:n], DIGITS.x[:n]])]
    names = separator.join(["label", *(f"pixel{number}" for number in range(784))])
    return "\n".join([*([names + separator * ends] if header else []), *rows, ""])


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
@pytest.mark.parametrize(("header", "ends"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("blank", ["", "\n"])
def test_a_separator_at_the_end_of_every_line_is_no_column(separator, header, ends, blank, tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle_csv, "PIECE", 2**12)
    text = ended(separator, header, ends).replace("\n", "\n" + blank)
    path = write(tmp_path / "a.csv", text.encode())
    found = data.load(path)
    assert np.array_equal(found.train.x, DIGITS.x[:30])
    assert np.array_equal(found.train.labels, DIGITS.labels[:30])
    assert "column-passed-over" in [note.code for note in found.notes]
    assert any("a separator at the end of every line is passed over" in note for note in found.notes)
    assert np.array_equal(data.read_images(path, (28, 28)), DIGITS.x[:30])
    if header:  # else either end may be the label
        one = write(tmp_path / "b.csv", ended(separator, header, ends, 1).encode())
        assert np.array_equal(data.read_images(one, (28, 28)), DIGITS.x[:1])


def test_a_line_without_the_separator_at_the_end_of_the_others_is_named(tmp_path):
    lines = ended().split("\n")
    lines[7] = lines[7][:-1]
    path = write(tmp_path / "a.csv", "\n".join(lines).encode())
    with pytest.raises(
        DataError, match=r"line 8: a line ends otherwise; expected ',' at its end, .*; end all"
    ) as raised:
        data.load(path)
    assert missing_parts(raised.value) == []


def test_an_empty_last_cell_is_a_missing_label_where_a_column_is_its(tmp_path):
    """In a header that names it, or where the user says so."""
    names = ",".join([*(f"pixel{number}" for number in range(784)), "label"])
    rows = [",".join(map(str, row)) + "," for row in DIGITS.x[:9].tolist()]
    path = write(tmp_path / "a.csv", "\n".join([names, *rows, ""]).encode())
    assert np.array_equal(data.read_images(path, (28, 28)), DIGITS.x[:9])
    with pytest.raises(DataError, match="line 2, column 785"):
        data.load(path)
    path = write(tmp_path / "b.csv", "\n".join([*rows, ""]).encode())
    assert np.array_equal(data.read_images(path, (28, 28), label_column="last"), DIGITS.x[:9])
    assert np.array_equal(data.read_images(path, (28, 28)), DIGITS.x[:9])
    with pytest.raises(DataError, match="labels"):
        data.load(path)
