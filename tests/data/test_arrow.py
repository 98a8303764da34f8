"""Parquet and Arrow as pandas, pyarrow and hubs write them: tables, packed pictures, lists, pieces."""

import gzip
import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import Reading, arrow, arrow_columns, bounds
from fnnet.errors import DataError, UsageError
from tests.tools.samples import missing_parts, write
from tests.tools.written import arrow as arrow_file
from tests.tools.written import parquet

pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("inside")
rng = np.random.default_rng(4)
X = rng.integers(0, 256, (30, 8, 8), dtype=np.uint8)
Y = np.arange(30) % 10
FLAT = X.reshape(30, -1)
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SAVES = {
    "parquet": parquet,
    "parquet, small groups": lambda table: parquet(table, row_group_size=7, compression="gzip"),
    "parquet, checksums": lambda table: parquet(table, write_page_checksum=True, use_dictionary=False),
    "arrow": arrow_file,
    "arrow, pieces": lambda table: arrow_file(table, rows=11),
    "arrow, zstd": lambda table: arrow_file(table, options=pa.ipc.IpcWriteOptions(compression="zstd")),
    "stream": lambda table: arrow_file(table, stream=True, rows=13),
}
saves = st.sampled_from(list(SAVES.values()))
drawn = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


def described(table, **names):
    """As a hub describes the columns of a data set."""
    features = {name: {"_type": "ClassLabel", "names": each} for name, each in names.items()}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def packed(image, kind="PNG", **options):
    into = io.BytesIO()
    Image.fromarray(image).save(into, kind, **options)
    return into.getvalue()


def structs(cells):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    return pa.array([{"bytes": each, "path": f"{number}.png"} for number, each in enumerate(cells)], kind)


def refused(path, message, reading=data.AUTOMATIC, error=DataError):
    with pytest.raises(error, match=message) as raised:
        data.load(path, reading=reading)
    assert error is UsageError or missing_parts(raised.value) == []


def holds(dataset, x=FLAT, y=Y):
    assert np.array_equal(dataset.train.x, x)
    assert np.array_equal(dataset.train.labels, y)
    assert dataset.image_shape == (8, 8)


# Tables

DTYPES = [np.uint8, np.int64, np.int16, np.float32, np.float64, "unit"]


@drawn
@given(
    saves, st.sampled_from(DTYPES), st.sampled_from(["label", "class", "target", "Digit"]), st.integers(0, 64),
    st.sampled_from(["pixel{}", "pixel_{}", "{}", "p{}", "V{}"]), st.booleans(),
)  # fmt: skip
def test_tables_of_any_columns(tmp_path, save, dtype, label, at, pixel, index):
    cells = FLAT / 255 if dtype == "unit" else FLAT.astype(dtype)
    columns = [(pixel.format(number), cells[:, number]) for number in range(64)]
    columns.insert(at, (label, Y))
    columns += [("__index_level_0__", np.arange(30)), ("id", np.arange(30))] if index else []
    path = write(tmp_path / "a", save(pa.table(dict(columns))))
    holds(data.load(path))
    assert np.array_equal(data.read_images(path, (8, 8)), FLAT)


@drawn
@given(saves, st.booleans(), st.booleans())
def test_numbered_columns_are_told_by_their_values(tmp_path, save, last, unit):
    cells = [*(FLAT / 255 if unit else FLAT).T]
    cells.insert(64 if last else 0, Y.astype(float) if unit else Y)
    path = write(tmp_path / "a", save(pa.table({str(number): each for number, each in enumerate(cells)})))
    dataset = data.load(path)
    holds(dataset)
    assert dataset.notes[0].code == "label-column"


def test_tables_of_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FLAT, columns=[f"pixel{number}" for number in range(64)])
    frame.insert(0, "label", Y)
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "a")
    frame.to_feather(tmp_path / "b")
    holds(data.load(tmp_path / "b"))
    assert len(data.load(tmp_path / "a").train.x) == 30


def test_the_classes_of_a_table_have_names(tmp_path):
    table = pa.table({"label": Y, **{f"pixel{number}": FLAT[:, number] for number in range(64)}})
    path = write(tmp_path / "a", parquet(described(table, label=NAMES)))
    assert data.load(path).classes == tuple(NAMES)
    with pytest.raises(UsageError, match=r"--class-names: names differ; expected zero, .*, found a, b"):
        data.load(path, classes=[*"abcdefghij"])
    for other in ([*NAMES[:9], "zero"], "names", ["one"], [1, 2], ["a\n", "b"]):
        path = write(tmp_path / "a", parquet(described(table, label=other)))
        assert data.load(path).classes == data.DIGITS


def table(**changed):
    columns = {"label": Y, **{f"pixel{number}": FLAT[:, number] for number in range(64)}} | changed
    return pa.table({name: each for name, each in columns.items() if each is not None})


@pytest.mark.parametrize("save", ["parquet", "stream"])
def test_columns_that_are_not_pixels_and_labels(save, tmp_path):
    path = tmp_path / "a"
    for columns, message in (
        ({"pixel3": -1}, "row 1, column pixel3: not a pixel: a number below 0; expected whole .* found -1;"),
        ({"pixel3": 256}, "row 1, column pixel3: not a pixel; .* found 256.0"),
        ({"pixel3": 1.5}, "row 1, column pixel3: not a pixel; .* found 1.5"),
        ({"pixel3": np.nan}, "row 1, column pixel3: not a pixel; .* found nan"),
        ({"label": -1}, "row 1, column label: not a label; expected a whole number from 0 to 999999, found -1.0"),
        ({"label": 0.5}, "row 1, column label: not a label; .* found 0.5"),
        ({"pixel3": 0.5}, "row 1, column pixel3: not a pixel: a fraction; expected whole numbers from 0 to 255"),
        ({"pixel3": "7"}, "column pixel3: not numbers; expected integers, floats or truth values, found string; store"),
        ({"label": None}, "the schema: no labels; expected a column named label, or one column more, found 64 pixels"),
        ({"pixel3": None}, "the schema: pixel columns missing; expected 64 columns, without gaps, found 63"),
        ({"colour": 1}, "the schema, column 66: unknown column; expected label, pixel0"),
    ):  # fmt: skip
        (name, value), *_ = columns.items()
        changed = table(**{name: None if value is None else [value] * 30})
        refused(write(path, SAVES[save](changed)), message)
    cells = pa.array([1, None] * 15)
    empty = "row 2, column pixel3: an empty cell; expected a number, found null"
    refused(write(path, SAVES[save](table(pixel3=cells))), empty)
    refused(
        write(path, SAVES[save](table().slice(0, 0))), "the schema: empty dataset; expected at least 1 row of numbers"
    )
    refused(write(path, SAVES[save](table().slice(0, 0).select([]))), "columns without names; .* found no columns")
    numbers = {f"{7 * number + 3}": each for number, each in enumerate([Y, *FLAT.T])}
    refused(
        write(path, SAVES[save](pa.table(numbers))), "columns without names; expected names of pixels, found 3, 10, 17"
    )
    both = pa.Table.from_arrays([pa.array(Y)] * 2, ["a", "a"])
    refused(
        write(path, SAVES[save](both)), "the schema: column named twice; expected each name once, found a, a; rename"
    )


def test_rows_are_numbered_over_all_pieces(tmp_path):
    """An Arrow file is read batch by batch."""
    for row, value, message in (
        (23, 256, "row 24, column pixel3: not a pixel; .* found 256.0"),
        (23, -1, "row 24, column pixel3: not a pixel: a number below 0"),
        (17, None, "row 18, column pixel3: an empty cell"),
    ):
        cells = [int(each) for each in FLAT[:, 3]]
        cells[row] = value
        whole = table(pixel3=pa.array(cells, pa.int64()))
        refused(write(tmp_path / "a", arrow_file(whole, stream=True, rows=7)), message)


def test_truth_values_are_black_and_white(tmp_path):
    bits = X > 127
    path = write(tmp_path / "a", parquet(table(**{f"pixel{n}": bits.reshape(30, -1)[:, n] for n in range(64)})))
    holds(data.load(path), bits.reshape(30, -1) * np.uint8(255))


# Packed pictures

KINDS = {
    "PNG": lambda image: packed(image),
    "colour": lambda image: packed(np.repeat(image[..., None], 3, -1)),
    "BMP": lambda image: packed(image, "BMP"),
    "WebP": lambda image: packed(image, "WEBP", lossless=True),
    "TIFF": lambda image: packed(image, "TIFF"),
    "TIFF, 32 bits": lambda image: packed(image.astype(np.int32), "TIFF"),
    "TIFF, floats": lambda image: packed(image.astype(np.float32) / 255, "TIFF"),
    "TIFF, 16 bits": lambda image: packed(image.astype(np.uint16) * 257, "TIFF"),
}


@drawn
@given(
    saves, st.lists(st.sampled_from(list(KINDS.values())), min_size=1, max_size=4), st.booleans(),
    st.sampled_from(["image", "img", "photo"]), st.sampled_from(["label", "labels", "Target", "y", "kind"]),
)  # fmt: skip
def test_data_sets_of_packed_pictures(tmp_path, save, kinds, as_structs, image, label):
    """The bytes of each picture say its format; a column of classes is found by its name or its description."""
    cells = [kinds[number % len(kinds)](each) for number, each in enumerate(X)]
    content = pa.table({image: structs(cells) if as_structs else cells, label: Y, "id": [str(n) for n in Y]})
    path = write(tmp_path / "a", save(described(content, **{label: NAMES})))
    dataset = data.load(path)
    holds(dataset)
    assert dataset.classes == tuple(NAMES)
    assert np.array_equal(data.read_images(path, (8, 8)), FLAT)
    with pytest.raises(DataError, match="image size does not fit"):
        data.read_images(path, (9, 8))


def test_a_lossy_picture_makes_the_set_lossy(tmp_path):
    cells = [packed(each, "JPEG" if number == 3 else "PNG") for number, each in enumerate(X)]
    path = write(tmp_path / "a", parquet(pa.table({"image": cells, "label": Y})))
    assert arrow.read(open(path, "rb"), path, arrow_columns.Wanted(True)).lossy  # noqa: SIM115


@pytest.mark.parametrize("save", ["parquet", "arrow, pieces"])
def test_pictures_and_labels_that_are_not_clear(save, tmp_path):
    path, cells = tmp_path / "a", [packed(each) for each in X]
    write(path, SAVES[save](pa.table({"img": cells, "fine_label": Y, "coarse_label": Y // 2})))
    refused(path, "the schema: no labels; expected a column named label, found fine_label, coarse_label; use it with")
    holds(data.load(path, reading=Reading(label_column="Fine_Label")))
    holds(data.load(path, reading=Reading(label_column="3")), y=Y // 2)
    refused(path, "no labels", Reading(label_column="none"))
    refused(path, "no labels", Reading(label_column="img"))
    refused(path, "no such column for --label-column", Reading(label_column="kind"))
    refused(path, "--image: has no effect; .* found .*a column of images", Reading(image=True), UsageError)
    write(path, SAVES[save](described(pa.table({"img": cells, "a": Y, "b": Y}), a=NAMES, b=NAMES)))
    refused(path, "several columns may be the labels; expected one, found a, b; say --label-column")
    write(path, SAVES[save](pa.table({"left": cells, "right": cells, "label": Y})))
    refused(path, "several columns may be the images; expected one, found left, right; leave out the others")
    write(path, SAVES[save](pa.table({"image": cells, "mask": cells, "label": Y})))
    holds(data.load(path))
    write(path, SAVES[save](pa.table({"image": structs([*cells[:3], None, *cells[4:]]), "label": Y})))
    refused(path, "row 4, column image: no picture; expected its bytes, found null; store the pictures in the file")
    write(path, SAVES[save](pa.table({"image": [*cells[:3], b"GIF8", *cells[4:]], "label": Y})))
    refused(path, "a: row 4, column image: .*(damaged|unknown)")
    write(path, SAVES[save](pa.table({"image": [*cells[:3], packed(X[0, :5]), *cells[4:]], "label": Y})))
    refused(path, "a: row 4, column image: .*image size does not fit; expected 8x8")
    write(path, SAVES[save](pa.table({"image": cells, "label": [str(each) for each in Y]})))
    holds(data.load(path))
    write(path, SAVES[save](pa.table({"image": cells, "label": [{"a": 1}] * len(cells)})))
    refused(path, "column label: not numbers; .* number the classes from 0, and name them with --class-n")
    write(path, SAVES[save](pa.table({"image": cells, "label": Y}).slice(0, 0)))
    refused(path, "the schema: empty dataset; expected at least 1 row, found 0 rows")
    write(path, SAVES[save](pa.table({"image": pa.array([{"a": 1}] * 30), "label": Y})))
    refused(path, "unknown column")


OBLONG = X[:, :6]


@pytest.mark.parametrize("save", ["parquet", "stream"])
@pytest.mark.parametrize("trained", [None, True, False])
def test_packed_pictures_are_upright_unless_the_user_says_otherwise(save, trained, tmp_path):
    """Their sizes show which way they are read."""
    table = pa.table({"image": structs(map(packed, OBLONG)), "label": Y})
    path = write(tmp_path / "emnist-letters.a", SAVES[save](table))
    known = None if trained is None else Preprocessing(transpose=trained)
    for told, x in ((None, OBLONG), (False, OBLONG), (True, OBLONG.transpose(0, 2, 1))):
        found = data.load(path, flat=x.shape[1:], preprocessing=known, reading=Reading(transpose=told))
        frame = table.to_pandas()
        framed = data.from_frame(frame, flat=x.shape[1:], preprocessing=known, reading=Reading(transpose=told))
        for each in (found, framed):
            assert each.image_shape == x.shape[1:]
            assert np.array_equal(each.train.x, x.reshape(30, -1))
            assert each.preprocessing.transpose == bool(told)
            codes = [note.code for note in each.notes]
            assert codes.count("turned-pictures") == bool(told and known is None)
            assert not {"transposed", "transpose-name"} & {*codes}
        for source in (path, frame):
            notes = []
            read = data.read_images(source, x.shape[1:], known, transpose=told, notify=notes.append)
            assert np.array_equal(read, x.reshape(30, -1))
            assert not {"transposed", "transpose-name"} & {note.code for note in notes}


@pytest.mark.parametrize("save", ["parquet", "arrow, pieces"])
def test_packed_pictures_of_any_size_are_scaled(save, tmp_path):
    cells = [packed(np.kron(each, np.ones((1 + n % 3, 1 + n % 3), np.uint8))) for n, each in enumerate(OBLONG)]
    table = pa.table({"image": cells, "label": Y})
    path, frame = write(tmp_path / "a", SAVES[save](table)), table.to_pandas()
    refused(path, "row 2, column image: .*size does not fit; expected 8x6 .*; scale the images alike, or set --size")
    with pytest.raises(DataError, match=r"scale the images alike, or set size=\(height, width\)"):
        data.from_frame(frame)
    reading = Reading(size=(6, 8))
    for found in (data.load(path, reading=reading), data.from_frame(frame, reading=reading)):
        assert np.array_equal(found.train.x, OBLONG.reshape(30, -1))
        assert found.image_shape == (6, 8)
        assert found.preprocessing.resize
        for again in (
            data.load(path, flat=(6, 8), preprocessing=found.preprocessing),
            data.from_frame(frame, flat=(6, 8), preprocessing=found.preprocessing),
        ):
            assert np.array_equal(again.train.x, found.train.x)
        for source in (path, frame):
            assert np.array_equal(data.read_images(source, (6, 8), found.preprocessing, notify=str), found.train.x)
    turned = data.load(path, reading=Reading(size=(8, 6), transpose=True))
    assert np.array_equal(turned.train.x, OBLONG.transpose(0, 2, 1).reshape(30, -1))
    with pytest.raises(DataError, match="scale the images alike, or train a model with --size"):
        data.load(path, flat=(6, 8), preprocessing=Preprocessing())
    with pytest.raises(DataError, match="scale the image to that size"):
        data.read_images(path, (6, 8))


def test_numbers_are_not_scaled(tmp_path):
    pixels = {f"pixel{number}": FLAT[:, number] for number in range(64)}
    for each in (pa.table({"image": [*FLAT], "label": Y}), pa.table({"label": Y, **pixels})):
        path = write(tmp_path / "a", parquet(each))
        refused(
            path,
            "--size: has no effect; .* column of pictures .*, found .*a, numbers",
            Reading(size=(8, 8)),
            UsageError,
        )
        with pytest.raises(
            UsageError, match=r"size=\(height, width\): has no effect; .*, found .*, numbers|a frame of num"
        ):
            data.from_frame(each.to_pandas(), reading=Reading(size=(8, 8)))


@pytest.mark.parametrize("way", ["write_ipc", "write_ipc_stream", "write_parquet"])
@pytest.mark.parametrize("as_structs", [True, False])
def test_pictures_and_text_as_polars_writes_them(way, as_structs, tmp_path):
    """In Arrow as views."""
    cells = [packed(each) for each in X]
    images = [{"bytes": each, "path": None} for each in cells] if as_structs else cells
    names = [NAMES[label] for label in Y]
    for labels in (names, [name.encode() for name in names]):
        getattr(pl.DataFrame({"image": images, "label": labels}), way)(tmp_path / "a")
        found = data.load(tmp_path / "a")
        assert np.array_equal(found.train.x, FLAT)
        assert [found.classes[label] for label in found.train.labels] == names


# Lists

LISTS = {
    "flat": lambda x: pa.array([*x.reshape(30, -1)]),
    "rows": lambda x: pa.array([each.tolist() for each in x], pa.list_(pa.list_(pa.from_numpy_dtype(x.dtype)))),
    "large": lambda x: pa.array([*x.reshape(30, -1)], pa.large_list(pa.from_numpy_dtype(x.dtype))),
    "fixed": lambda x: pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 64),
    "tensor": lambda x: pa.FixedShapeTensorArray.from_numpy_ndarray(x),
    "colour": lambda x: pa.FixedShapeTensorArray.from_numpy_ndarray(np.repeat(x[..., None], 3, -1)),
}


@drawn
@given(saves, st.sampled_from(list(LISTS)), st.sampled_from([np.uint8, np.int64, np.float32, np.float64, "unit"]))
def test_images_as_lists(tmp_path, save, shape, dtype):
    x = X / 255 if dtype == "unit" else X.astype(dtype)
    path = write(tmp_path / "a", save(pa.table({"label": Y, "pixels": LISTS[shape](x)})))
    holds(data.load(path))
    assert np.array_equal(data.read_images(path, (8, 8)), FLAT)


def strange(x, told, kind="ray.data.arrow_tensor"):
    """A column of tensors as a library that is not installed writes it: a type that pyarrow does not know."""
    about = {b"ARROW:extension:name": kind.encode(), b"ARROW:extension:metadata": told}
    cells = pa.array([*x.reshape(len(x), -1)])
    schema = pa.schema([pa.field("image", cells.type, metadata=about), pa.field("label", pa.int64())])
    return pa.table([cells, pa.array(Y)], schema=schema)


@pytest.mark.parametrize("save", ["parquet", "arrow, pieces"])
def test_tensors_of_other_libraries_have_the_shape_that_they_say(save, tmp_path):
    path = write(tmp_path / "a", SAVES[save](strange(X, b"[4, 16]")))
    assert data.load(path).image_shape == (4, 16)
    assert np.array_equal(data.load(path).train.x, FLAT)
    write(path, SAVES[save](strange(np.repeat(X[..., None], 3, -1), b"[8, 8, 3]")))
    holds(data.load(path))
    for told in (b"", b"\x80\x04", b"null", b"[]", b'["8", 8]', b"[true, 64]", b"[-8, -8]"):
        write(path, SAVES[save](strange(X, told)))
        refused(path, "image: tensors of an unknown shape; expected their shape in .* found ray.data.arrow_tensor; say")
        holds(data.load(path, flat=(8, 8)))
        assert np.array_equal(data.read_images(path, (8, 8)), FLAT)
    write(path, SAVES[save](strange(X, b"[8, 9]")))
    refused(path, r"image: tensors of another size; expected as many numbers as \(8, 9\) has, found lists of 64; store")
    rows = pa.array([each.tolist() for each in X])
    about = {b"ARROW:extension:name": b"datasets.Array2D", b"ARROW:extension:metadata": b"\x80"}
    nested = pa.schema([pa.field("image", rows.type, metadata=about), pa.field("label", pa.int64())])
    write(path, SAVES[save](pa.table([rows, pa.array(Y)], schema=nested)))
    holds(data.load(path))


def test_a_test_set_whose_classes_are_numbered_in_another_order(tmp_path):
    pieces(tmp_path, "train", 1)
    pieces(tmp_path, "test", 1, X[:9], 9 - Y[:9], NAMES[::-1])
    found = data.load(tmp_path / "train-00000-of-00001.parquet")
    assert found.classes == tuple(NAMES)
    assert found.test.labels.tolist() == Y[:9].tolist()
    pieces(tmp_path, "test", 1, X[:9], Y[:9], [*NAMES, "ten"])
    refused(tmp_path / "train-00000-of-00001.parquet", "classes of test and train differ; .* found ten; give both the")


def test_lists_that_are_not_images(tmp_path):
    path, rows = tmp_path / "a", [each.tolist() for each in X]
    for cells, message in (
        ([*rows[:3], rows[3][:5], *rows[4:]], "rows 1 to 30, column image: images differ in .* found lists of 5, 8"),
        ([None, *rows[1:]], "row 1, column image: images differ in .* one length, found null"),
        ([[]] * 30, "found lists of 0"),
        ([[[1, None]]] * 30, "row 1, column image, number 2 of the list: an empty cell"),
    ):  # fmt: skip
        write(path, parquet(pa.table({"image": pa.array(cells, pa.list_(pa.list_(pa.int64()))), "label": Y})))
        refused(path, message)
    write(path, arrow_file(pa.table({"image": [[1] * 64] * 15 + [[1] * 81] * 15, "label": Y}), rows=15))
    refused(path, r"image: images differ in size; expected one size, found \(64,\) and \(81,\); scale them alike")
    kind = pa.fixed_shape_tensor(pa.uint8(), (8, 8), permutation=[1, 0])
    storage = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 64)
    write(path, arrow_file(pa.table({"image": pa.ExtensionArray.from_storage(kind, storage), "label": Y})))
    refused(path, r"image: axes in another order; expected rows of pixels, found \[1, 0\]; reorder them")
    for names, told in (
        (("W", "H"), None), (("Height", "width"), (8, 8)), (("columns", "rows"), None), (("a", "b"), (8, 8)),
    ):  # fmt: skip
        kind = pa.fixed_shape_tensor(pa.uint8(), (8, 8), dim_names=names)
        write(path, arrow_file(pa.table({"image": pa.ExtensionArray.from_storage(kind, storage), "label": Y})))
        if told:
            assert data.load(path).image_shape == told
        else:
            refused(path, f"axes in another order; .* found axes called {names[0]}, {names[1]}; reorder them")
    write(path, parquet(pa.table({"image": pa.array([["a"]] * 30), "label": Y})))
    refused(path, "unknown column")


# Bounds


def test_what_unpacks_to_far_more_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(bounds, "FREE", 10_000)
    zeros = np.zeros((3000, 64), np.uint8)
    blank = packed(np.zeros((8, 8), np.uint8))
    labels = np.zeros(3000, np.uint8)
    tables = {
        "numbers": pa.table({"label": labels, **{f"pixel{number}": zeros[:, number] for number in range(64)}}),
        "lists": pa.table({"label": labels, "image": pa.FixedSizeListArray.from_arrays(pa.array(zeros.ravel()), 64)}),
        "pictures": pa.table({"label": labels, "image": [blank] * 3000}),
    }
    for name, each in tables.items():
        for save in ("parquet", "arrow, zstd"):
            path = write(tmp_path / "a", SAVES[save](each))
            monkeypatch.setattr(bounds, "RATIO", 2)
            where = "the row groups" if save == "parquet" else "the rows"
            refused(path, f"a: {where}: expands to far more than its size on disk")
            monkeypatch.setattr(bounds, "RATIO", 10**6)
            assert len(data.load(path, classes=("a", "b")).train.x) == 3000, name


def test_pictures_are_counted_before_they_are_unpacked(monkeypatch, tmp_path):
    monkeypatch.setattr(bounds, "FREE", 10_000)
    monkeypatch.setattr(bounds, "RATIO", 1)
    unpacked, real = [], arrow_columns.read_pictures

    def read(each, *more, **named):
        unpacked.append(len(each))
        return real(each, *more, **named)

    monkeypatch.setattr(arrow_columns, "read_pictures", read)
    blank = packed(np.zeros((50, 50), np.uint8))
    path = write(tmp_path / "a", parquet(pa.table({"image": [blank] * 50, "label": Y[:1].repeat(50)})))
    refused(path, "the rows: expands to far more than its size on disk; .* found 125,000 bytes")
    assert unpacked == [1]


# Pieces of a set


def pieces(folder, part, count, x=X, y=Y, names=NAMES, ending=".parquet"):
    content = described(pa.table({"image": [packed(each) for each in x], "label": y}), label=names)
    step = -(-len(x) // count)
    return [
        write(folder / f"{part}-{number:05}-of-{count:05}{ending}", parquet(content.slice(number * step, step)))
        for number in range(count)
    ]


@pytest.mark.parametrize("ending", [".parquet", "-0123456789abcdef.parquet"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("mnist-train", "mnist-test"), ("Training", "Test")])
def test_all_pieces_of_a_set_are_read_with_the_test_set(train, test, ending, tmp_path):
    parts = pieces(tmp_path, train, 3, ending=ending)
    pieces(tmp_path, test, 2, X[:9], Y[:9], ending=ending)
    pieces(tmp_path, "other", 1, ending=ending)
    write(tmp_path / "notes.txt", b"")
    for path in parts:
        dataset = data.load(path)
        holds(dataset)
        assert np.array_equal(dataset.test.x, FLAT[:9])
        assert len(data.read_images(path, (8, 8))) == 10
    assert data.load(tmp_path / f"other-00000-of-00001{ending}").test is None
    assert len(data.load(tmp_path / f"{test}-00001-of-00002{ending}").train.x) == 9


def test_a_test_set_beside_a_whole_file(tmp_path):
    for name, part in (("train.parquet", slice(30)), ("test.parquet", slice(7)), ("validation.parquet", slice(5))):
        write(tmp_path / name, parquet(pa.table({"image": [packed(each) for each in X[part]], "label": Y[part]})))
    dataset = data.load(tmp_path / "train.parquet")
    holds(dataset)
    assert len(dataset.test.x) == 7
    assert [note.code for note in dataset.notes] == ["not-used"]
    assert f"{tmp_path / 'validation.parquet'}: not used: validation takes" in dataset.notes[0]
    assert data.load(tmp_path / "test.parquet").test is None


@pytest.mark.parametrize("names", [("0000", "0001"), ("data-00000-of-00002", "data-00001-of-00002")])
def test_parts_in_folders_of_their_own(names, tmp_path, monkeypatch, run):
    """As hubs convert them, and as `datasets` saves them."""
    for part, rows in (("train", 30), ("test", 8), ("validation", 6)):
        (tmp_path / part).mkdir()
        for number, name in enumerate(names):
            half = slice(rows // 2 * number, rows // 2 * (number + 1))
            table = pa.table({"image": [packed(each) for each in X[half]], "label": Y[half]})
            write(tmp_path / part / f"{name}.parquet", parquet(table))
    monkeypatch.chdir(tmp_path / "train")
    for path in (tmp_path / "train" / f"{names[1]}.parquet", f"{names[0]}.parquet"):
        dataset = data.load(path)
        holds(dataset)
        assert np.array_equal(dataset.test.x, FLAT[:8])
        unused = [str(note) for note in dataset.notes if note.code == "not-used"]
        assert [f"{names[0]}.parquet: not used: validation takes images of training" in each for each in unused] == [
            True
        ]
    assert data.load(tmp_path / "test" / f"{names[0]}.parquet").test is None
    first = tmp_path / "train" / f"{names[0]}.parquet"
    assert run("data", "info", "--data", tmp_path, "--json").json["images"] == {"train": 30, "test": 8}
    (tmp_path / "test" / "a.npz").write_bytes(b"PK")
    run("data", "info", "--data", tmp_path).failed(1, f"name the file: --data {first}")
    first.unlink()
    refused(
        tmp_path / "train" / f"{names[1]}.parquet", "a piece is missing; expected 2 files of one part, as the names"
    )


@pytest.mark.parametrize("name", ["a-0001", "12345-of-1", "x-00000-of-1", "2024"])
def test_numbers_in_names_that_say_nothing(name, tmp_path):
    path = write(tmp_path / f"{name}.parquet", parquet(pa.table({"image": [packed(each) for each in X], "label": Y})))
    write(tmp_path / "a-0002.parquet", path.read_bytes())
    holds(data.load(path))


def test_pieces_that_are_missing_or_differ(tmp_path):
    parts = pieces(tmp_path, "train", 3)
    parts[1].unlink()
    refused(
        parts[0], "the folder: a piece is missing; expected 3 files of one part, as the names say, found 2; fetch num"
    )
    write(parts[1], parquet(described(pa.table({"image": [packed(X[0])], "label": [0]}), label=NAMES[:5])))
    refused(parts[0], r"00001-of-00003.parquet: the columns: pieces differ; expected 8x8 .* found .*, 5 classes; fetch")
    write(parts[1], parquet(pa.table({"image": [packed(X[0, :5])], "label": [0]})))
    refused(parts[2], "pieces differ")


@pytest.mark.parametrize(
    "head", [b"\xff\xff\xff\xff\x10\0\0\0", b"\xff\xff\xff\xff\0\0\0\0", b"\xff\xff\xff\xff\x0f\0\0\0", b"\xff" * 8]
)
def test_the_start_of_a_stream(head):
    assert arrow.FORMATS[1].recognise(head, "a") == (head[4] == 16)


SPARK = ["part-00000-ab-c000.snappy", "part-00000-ab-c001.snappy", "part-00001-ab-c000.snappy"]
JOBS = {
    "Spark": SPARK,
    "two jobs of Spark": ["part-00000-ab-c000", "part-00000-ac-c000", "part-00001-ac-c000"],
    "Spark, without a piece": ["part-00000-ab", "part-00001-ab", "part-00003-ab"],
    "Dask": ["part.0", "part.1", "part.2"],
    "pyarrow": ["part-0", "part-1", "part-2"],
    "Hadoop": ["part-m-00000", "part-m-00001", "part-m-00002"],
}


@pytest.mark.parametrize("names", JOBS.values(), ids=JOBS)
def test_pieces_that_a_job_writes_are_read_together(names, tmp_path):
    for part, each in (("train", 0), ("test", 100)):
        (tmp_path / part).mkdir()
        write(tmp_path / part / "_SUCCESS", b"")
        for number, name in enumerate(names):
            content = pa.table({"image": X[number * 10 : number * 10 + 10].tolist(), "label": Y[:10]})
            write(tmp_path / part / f"{name}.parquet", parquet(content.slice(0, 10 - bool(each))))
    found = data.load(tmp_path / "train" / f"{names[1]}.parquet")
    assert np.array_equal(found.train.x, FLAT)
    assert len(found.test.x) == 27
    codes = [(note.code, str(note).partition(": ")[2]) for note in found.notes if "piece" in note.code]
    assert codes == [("pieces", "read with 2 other files beside it, as pieces of one part by their names")]
    if names == JOBS["Spark, without a piece"]:
        (tmp_path / "train" / "_SUCCESS").unlink()
        refused(tmp_path / "train" / f"{names[0]}.parquet", "a piece is missing; expected 4 .* fetch number 00002 too")


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00001-aaaa", "train-00000-of-00001-bbbb"), ("train-00000-of-00001", "train-00000-of-00001-bb"),
        ("part-0", "part-00000"), ("0000", "00000"),
    ],
)  # fmt: skip
def test_two_files_that_are_one_piece_are_refused(names, tmp_path):
    """Neither is read in place of the other, as the files of an older set may lie beside those of a newer one."""
    (tmp_path / "train").mkdir()
    for name in names:
        write(tmp_path / "train" / f"{name}.parquet", parquet(table()))
    for name in names:
        refused(
            tmp_path / "train" / f"{name}.parquet",
            f"the folder: a piece twice; expected one file for each number, found ({names[0]}|{names[1]}).parquet and ",
        )


@pytest.mark.parametrize(
    "names", [SPARK, ["part-00000", "part-00001"], ["train-00000-of-00002", "train-00001-of-00002"]]
)
@pytest.mark.parametrize("ending", ["", ".csv", ".csv.gz", ".svm"])
def test_a_piece_of_text_that_is_read_by_itself_is_noted(names, ending, tmp_path):
    names = [name + ending for name in names if not (ending == ".csv.gz" and "of" in name)] or SPARK
    for name in names:
        pairs = [" ".join(f"{at}:{value}" for at, value in enumerate(x, 1)) for x in FLAT]
        rows = [f"{label} {each}" for label, each in zip(Y, pairs, strict=True)]
        lines = [",".join(["label", *(f"pixel{i}" for i in range(64))])]
        lines += [",".join(map(str, [label, *x])) for x, label in zip(FLAT, Y, strict=True)]
        text = text_of(rows if ending == ".svm" else lines)
        write(tmp_path / name, gzip.compress(text) if ending == ".csv.gz" else text)
    found = data.load(tmp_path / names[0])
    text = f"{names[0]}: one of {len(names)} pieces by its name; the others beside it are not read; put their rows into"
    assert [text in note for note in found.notes if note.code == "one-piece"] == [True]
    assert "one-piece" not in [note.code for note in data.load(write(tmp_path / "other.csv", text_of(lines))).notes]
    for name in names[1:]:
        (tmp_path / name).unlink()
    assert "one-piece" not in [note.code for note in data.load(tmp_path / names[0]).notes]


def text_of(lines):
    return "\n".join(lines).encode()


@pytest.mark.parametrize("row", [0, 9, 29])
def test_a_null_is_named_with_its_row(row, tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "ROWS", 8)
    for rows, cell, message in (
        (FLAT.tolist(), lambda each: None, ": images differ in size.*null"),
        (FLAT.tolist(), lambda each: [None, *each[1:]], ", number 1 of the list: an empty cell"),
        (X.tolist(), lambda each: [*each[:7], None], ": images differ in size.*null"),
    ):
        cells = [cell(each) if at == row else each for at, each in enumerate(rows)]
        path = write(tmp_path / "a.parquet", parquet(pa.table({"image": cells, "label": Y})))
        refused(path, f"row {row + 1}, column image{message}")


@pytest.mark.parametrize("kind", ["csv", "arff", "frame", "parquet"])
@pytest.mark.parametrize(("pixels", "noted"), [(560, True), (784, False), (60, False)])
def test_rows_of_a_table_that_are_no_squares_are_noted_unless_their_size_is_said(kind, pixels, noted, tmp_path):
    x = rng.integers(0, 256, (10, pixels), dtype=np.uint8)
    names = ["label", *(f"pixel{i}" for i in range(pixels))]
    rows = np.column_stack([Y[:10], x])
    lines = [",".join(map(str, row)) for row in rows]
    frame = pd.DataFrame(rows, columns=names)
    if kind == "csv":
        write(tmp_path / "a", text_of([",".join(names), *lines]))
    elif kind == "arff":
        header = ["@relation a", *(f"@attribute {name} numeric" for name in names), "@data"]
        write(tmp_path / "a", text_of([*header, *lines]))
    else:
        frame.to_parquet(tmp_path / "a")
    load = data.from_frame if kind == "frame" else data.load
    given = frame if kind == "frame" else tmp_path / "a"
    found = load(given)
    assert [note.code for note in found.notes if note.code == "one-row"] == ["one-row"] * noted
    assert found.image_shape == (1, pixels) or not noted
    assert "one-row" not in [note.code for note in load(given, flat=(4, pixels // 4)).notes]


# Types that are not Arrow's own


def test_labels_of_a_type_that_is_not_arrows_own(tmp_path):
    """Periods are stored as numbers, which are not what they stand for."""
    path = tmp_path / "a"
    periods = pd.PeriodIndex.from_ordinals(Y, freq="Y")
    lists = pd.DataFrame({"image": FLAT.tolist(), "label": periods})
    pixels = pd.DataFrame(FLAT, columns=[f"pixel{number}" for number in range(64)]).assign(label=periods)
    for frame in (lists, pixels):
        frame.to_parquet(path)
        refused(
            path, "column label: not numbers; expected integers, floats, truth values or text, found pandas.period; n"
        )
        assert len(data.read_images(path, (8, 8))) == 30
    unknown = pa.field("label", pa.int64(), metadata={"ARROW:extension:name": "an.other"})
    for columns in (
        pa.table({"image": FLAT.tolist(), "label": Y}),
        table().select([*table().column_names[1:], "label"]),
    ):
        path.write_bytes(parquet(columns.cast(columns.schema.set(columns.schema.get_field_index("label"), unknown))))
        refused(path, "column label: not numbers; .* found an.other; number the classes from 0")
    with pytest.raises(DataError, match=r"column label: not numbers; .* found pandas.period"):
        data.from_frame(lists)


def test_numbers_that_pyarrow_does_not_read(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"image": FLAT.tolist(), "label": polars.Series(Y).cast(polars.Int128)})
    frame.write_parquet(tmp_path / "a")
    refused(
        tmp_path / "a", "the columns: not implemented in pyarrow; .* found Integers with more than 64 bits .*; store"
    )
