"""Data sets of frames: read as the CSV file that the frame writes, or refused with row and column."""

import io
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from PIL import Image

from fnnet import data
from fnnet.data import frames
from fnnet.data.preprocess import Reading
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, UsageError
from fnnet.training import session
from tests.tools.samples import missing_parts, png

DIGITS = data.load("digits").train
few = with_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PATTERNS = ["pixel{}", "pixel_{}", "{}", "V{}", "feature {}"]


@few
@given(
    st.booleans(),
    st.sampled_from(PATTERNS),
    st.sampled_from(["label", "Class", None]),
    st.booleans(),
    st.sampled_from(["i8", "u1", "f8", "fractions", "some floats"]),
    st.sampled_from([None, "digits", "dark"]),
    st.integers(0, 2**32 - 1),
)
def test_a_frame_is_read_as_the_csv_that_it_writes(tmp_path, pandas, pattern, label, shuffled, dtype, kind, seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 256, (60, 784)) if kind is None else DIGITS.x[:60].astype(int)
    x = 255 - x if kind == "dark" else x
    columns = {
        pattern.format(i): x[:, i].astype("i8" if dtype in ("fractions", "some floats") else dtype) for i in range(784)
    }
    if dtype == "fractions":
        columns = {name: (values / 255).round(6) for name, values in columns.items()}
    if dtype == "some floats":
        columns[pattern.format(3)] = columns[pattern.format(3)].astype(float)
    if label:
        columns[label] = DIGITS.labels[:60]
    names = [*columns]
    if shuffled and (label or pattern != "{}"):
        names = [names[i] for i in generator.permutation(len(names))]
    frame = (pd if pandas else pl).DataFrame({name: columns[name] for name in names})
    frame.to_csv(tmp_path / "a.csv", index=False) if pandas else frame.write_csv(tmp_path / "a.csv")
    outcomes = []
    for read in (lambda: data.load(tmp_path / "a.csv"), lambda: data.from_frame(frame)):
        try:
            found = read()
            outcomes.append((found.train.x.tobytes(), found.train.labels.tolist(), found.preprocessing))
        except FnnetError as error:
            outcomes.append(error.problem)
    assert outcomes[0] == outcomes[1]
    if label and dtype != "fractions" and kind != "dark":
        assert outcomes[1][:2] == (x.astype(np.uint8).tobytes(), DIGITS.labels[:60].tolist())


def of(**columns):
    return [pd.DataFrame(columns), pl.DataFrame(columns)]


@pytest.mark.parametrize("most", [1, 3, 1024])
def test_cells_that_are_refused_with_row_and_column(most, monkeypatch):
    monkeypatch.setattr(frames, "ROWS", most)
    for value, column, message in (
        (256, "pixel1", "row 3, column 'pixel1': not a pixel"),
        (-1, "pixel0", "row 3, column 'pixel0': not a pixel"),
        (2.5, "pixel1", "row 3, column 'pixel1': not a pixel"),
        (0.5, "pixel1", "row 3, column 'pixel1': not a pixel: a fraction"),
        (1.5, "label", "row 3, column 'label': not a label"),
        (-1, "label", "row 3, column 'label': not a label"),
    ):
        columns = {"label": [1, 2, 3, 4, 5], "pixel0": [1, 2, 3, 4, 5], "pixel1": [7, 8, 9, 9, 9]}
        columns[column] = [float(each) if value % 1 else each for each in columns[column]]
        columns[column][3] = value
        for frame in of(**columns):
            with pytest.raises(DataError, match=message) as raised:
                data.from_frame(frame)
            assert missing_parts(raised.value) == []


def test_columns_that_are_refused_by_name():
    for frame in of(label=[1, 2], pixel0=["a", "b"]):
        with pytest.raises(ArgumentTypeError, match="column 'pixel0': pixels are not numbers; expected numbers"):
            data.from_frame(frame)
    for frame in of(label=[2.5j, 1j], pixel0=[1, 2]):
        remedy = "column 'label': labels are not numbers; .*; number the classes from 0, and name them with classes$"
        with pytest.raises(ArgumentTypeError, match=remedy):
            data.from_frame(frame)
    for frame in of(label=[1, None], pixel0=[1, 2]):
        with pytest.raises(ArgumentTypeError, match=r"column 'label'.*missing values; fill them in"):
            data.from_frame(frame)
    for frame in of(label=[1, 2], pixel0=[1, 2], name=["x", "y"]):
        with pytest.raises(DataError, match="frame: the columns, column 3: unknown column"):
            data.from_frame(frame)
    for frame in of(label=[1, 2], pixel0=[1, 2], id=["x", "y"]):
        assert data.from_frame(frame).train.x.tolist() == [[1], [2]]
    for frame in (pd.DataFrame(), pl.DataFrame(), pd.DataFrame({"label": [], "pixel0": []})):
        with pytest.raises(DataError, match="empty dataset"):
            data.from_frame(frame)
    for other in (DIGITS.x, [1], None, pl.DataFrame({"a": [1]}).lazy()):
        with pytest.raises(ArgumentTypeError, match="not a frame; expected a DataFrame of pandas or Polars"):
            data.from_frame(other)


def test_what_the_user_says_of_a_frame():
    frame = pd.DataFrame(DIGITS.x[:99].astype(int)).assign(y=DIGITS.labels[:99] + 1)
    reading = Reading(label_column="y", first_label=1)
    found = data.from_frame(frame, reading=reading, classes=[*"abcdefghij"])
    assert np.array_equal(found.train.x, DIGITS.x[:99])
    assert np.array_equal(found.train.labels, DIGITS.labels[:99])
    assert found.classes == tuple("abcdefghij")
    assert repr(found).startswith("Dataset(frame, 99 train, 0 test images of 28x28, 10 classes)")
    turned = data.from_frame(frame, reading=reading._replace(transpose=True), flat=(28, 28))
    assert np.array_equal(turned.train.x[0].reshape(28, 28).T.reshape(-1), DIGITS.x[0])
    with pytest.raises(UsageError, match="first_index: has no effect"):
        data.from_frame(frame, reading=reading._replace(first_index=1))
    nullable = pd.DataFrame(DIGITS.x[:99]).assign(y=DIGITS.labels[:99]).convert_dtypes()
    assert np.array_equal(data.from_frame(nullable, reading=Reading(label_column="y")).train.x, DIGITS.x[:99])


def test_the_label_is_found_by_the_values_and_the_index_ignored():
    frame = pd.DataFrame(np.column_stack([DIGITS.x, DIGITS.labels]), index=np.arange(len(DIGITS.x))[::-1])
    told = []
    found = data.from_frame(frame, notify=told.append)
    assert np.array_equal(found.train.x, DIGITS.x)
    assert np.array_equal(found.train.labels, DIGITS.labels)
    assert "label-column" in [note.code for note in told]


def test_a_frame_is_trained_on():
    frame = pl.DataFrame(DIGITS.x, schema=[f"pixel{i}" for i in range(784)]).with_columns(
        label=pl.Series(DIGITS.labels)
    )
    job = session.prepare(data.from_frame(frame), "classic", {"epochs": 1, "hidden": (8,), "dev": 0})
    other = session.prepare(data.load("digits")._replace(test=None), "classic", {"epochs": 1, "hidden": (8,), "dev": 0})
    assert session.train(job)[0].params == session.train(other)[0].params


@pytest.mark.parametrize("library", [pd, pl])
def test_images_of_a_frame_are_read_as_a_model_was_trained(library):
    names = [f"pixel{i}" for i in range(784)]
    columns = {name: 255 - DIGITS.x[:9, i].astype(int) for i, name in enumerate(names)}
    dark = data.from_frame(library.DataFrame({**columns, "label": DIGITS.labels[:9]})).preprocessing
    assert (dark.paper, dark.ink) == (255, 0)
    for frame in (library.DataFrame(columns), library.DataFrame({**columns, "label": DIGITS.labels[:9]})):
        assert np.array_equal(data.read_images(frame, (28, 28), dark), DIGITS.x[:9])
    with pytest.raises(DataError, match=r"frame: the columns: image size does not fit the model; expected 8x8"):
        data.read_images(frame, (8, 8))
    with pytest.raises(DataError, match="frame: image 1: pixel above the largest"):
        data.read_images(frame, (28, 28), dark._replace(pixel_max=16, paper=16))


def kinds_of(frame):
    return [frame, frame.convert_dtypes(), pl.DataFrame(frame.to_dict("list"))]


def test_truth_values_are_black_and_white_pixels():
    columns = {f"pixel{i}": DIGITS.x[:9, i] > 127 for i in range(784)}
    for frame in kinds_of(pd.DataFrame({"label": DIGITS.labels[:9], **columns})):
        found = data.from_frame(frame)
        assert np.array_equal(found.train.x, (DIGITS.x[:9] > 127) * 255)
        assert np.array_equal(found.train.labels, DIGITS.labels[:9])
        assert np.array_equal(data.read_images(frame, (28, 28)), found.train.x)


def test_truth_values_as_labels_are_classes_as_in_csv(tmp_path):
    frame = pd.DataFrame({"label": [True, False, True], "pixel0": [0, 255, 3]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    found = [data.load(tmp_path / name) for name in ("a.csv", "a.parquet")]
    for each in [*found, *map(data.from_frame, kinds_of(frame))]:
        assert (each.classes, each.train.labels.tolist()) == (("False", "True"), [1, 0, 1])
    for missing in (pd.array([True, None]), pl.Series([True, None])):
        frame = (pl if isinstance(missing, pl.Series) else pd).DataFrame({"label": missing, "pixel0": [1, 2]})
        with pytest.raises(ArgumentTypeError, match=r"column 'label'.*missing values; fill them in"):
            data.from_frame(frame)


def refused_alike(frame, path, message):
    """Check that a frame and its Parquet file are refused with the same words."""
    frame.to_parquet(path)
    for read in (lambda: data.load(path), lambda: data.from_frame(frame)):
        with pytest.raises(DataError, match=message) as raised:
            read()
        assert missing_parts(raised.value) == []


def test_truth_values_beside_numbers_are_refused(tmp_path):
    """1 would be nearly black beside 255, and a column that may be the labels would be 1 beside 255."""
    frame = pd.DataFrame({"label": [1, 0], "pixel0": [True, False], "pixel1": [1, 255]})
    message = "column 'pixel1': truth values beside numbers; .* found truth values in 'pixel0', numbers here; write 0"
    refused_alike(frame, tmp_path / "a.parquet", message)
    frame = pd.DataFrame(DIGITS.x[:50] > 127)
    frame.columns = frame.columns.astype(str)
    frame["784"] = DIGITS.labels[:50]
    message = "columns '0' and '784': the first or the last column is the labels; .* truth values, found either may be"
    refused_alike(frame, tmp_path / "a.parquet", message)
    found = data.from_frame(frame, reading=Reading(label_column="last"))
    assert np.array_equal(found.train.x, (DIGITS.x[:50] > 127) * 255)


LISTS = [
    pl.List(pl.UInt8), pl.Array(pl.Int64, 784), pl.List(pl.Float64), pl.Array(pl.UInt8, (28, 28)),
    pl.List(pl.List(pl.Int16)),
]  # fmt: skip


@pytest.mark.parametrize("kind", LISTS, ids=str)
def test_a_column_of_lists_is_read_as_the_parquet_that_the_frame_writes(kind, tmp_path):
    nested = "28, 28" in str(kind) or "List(List" in str(kind)
    images = DIGITS.x[:9].reshape((9, 28, 28) if nested else (9, 784)).tolist()
    frame = pl.DataFrame(
        {"image": images, "label": DIGITS.labels[:9]}, schema={"image": kind, "label": pl.Int64}
    )  # fmt: skip
    frame.write_parquet(tmp_path / "a.parquet")
    for found in (data.load(tmp_path / "a.parquet"), data.from_frame(frame)):
        assert np.array_equal(found.train.x, DIGITS.x[:9])
        assert np.array_equal(found.train.labels, DIGITS.labels[:9])
    assert np.array_equal(data.read_images(frame.select("image"), (28, 28)), DIGITS.x[:9])
    if not nested:
        arrays = pd.DataFrame({"image": [*DIGITS.x[:9]], "label": [*"abcabcabc"]}, index=[*range(9, 18)])
        found = data.from_frame(arrays)
        assert (found.classes, found.train.labels.tolist()) == (("a", "b", "c"), [0, 1, 2] * 3)
        assert np.array_equal(found.train.x, DIGITS.x[:9])


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (lambda x: x, None),
        (lambda x: x[..., None], None),
        (lambda x: np.repeat(x[..., None], 3, axis=3), None),
        (lambda x: x.astype(">u2"), None),
        (lambda x: x.astype(object), None),
        (lambda x: x.transpose(0, 2, 1).copy().transpose(0, 2, 1), None),
        (lambda x: x > 127, lambda x: (x > 127) * np.uint8(255)),
        (lambda x: x / 255, None),
    ],
)
def test_a_column_of_arrays_of_rows(stored, read):
    x, labels = DIGITS.x[:9].reshape(9, 28, 28), DIGITS.labels[:9]
    wanted = read(DIGITS.x[:9]) if read else DIGITS.x[:9]
    frame = pd.DataFrame({"label": labels, "image": [*stored(x)]})
    found = data.from_frame(frame)
    assert np.array_equal(found.train.x, wanted)
    assert np.array_equal(found.train.labels, labels)
    assert found.image_shape == (28, 28)
    assert np.array_equal(data.read_images(frame[["image"]], (28, 28)), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: [x[0], x[1] / 255], r"row 1, column 'image': images differ; .* uint8 \(4, 4\), .* found float64"),
        (lambda x: [x[0], x[1, 1:]], r"row 1, column 'image': images differ; .* uint8 \(4, 4\), .* uint8 \(3, 4\)"),
        (lambda x: [None, x[1]], "row 0, column 'image': images differ; .* found NoneType"),
        (lambda x: [*x.astype(str)], "column 'image': not numbers; .* store bytes from 0 to 255"),
        (lambda x: [*x.astype(complex)], "column 'image': not numbers; .* found complex128"),
        (lambda x: [*map(Image.fromarray, x)], r"column 'image': pictures of Pillow; .*\.convert\('L'\)\) in each"),
    ],
)
def test_other_cells_beside_arrays_are_refused(change, message):
    frame = pd.DataFrame({"image": change(DIGITS.x[:2, :16].reshape(2, 4, 4)), "label": [1, 0]})
    with pytest.raises(DataError, match=message) as raised:
        data.from_frame(frame)
    assert missing_parts(raised.value) == []


def test_a_pixel_that_is_nearly_whole_is_shown_with_all_its_digits(tmp_path):
    frame = pd.DataFrame(DIGITS.x[:9].astype(float)).add_prefix("pixel").assign(label=DIGITS.labels[:9])
    frame["pixel9"] = 79.0000001
    with pytest.raises(DataError, match=r"row 0, column 'pixel9': not a pixel; .* found 79\.0000001"):
        data.from_frame(frame)


def test_a_column_of_packed_pictures(tmp_path):
    for number, each in enumerate(DIGITS.x[:4]):
        png(tmp_path / f"{number}.png", each.reshape(28, 28))
    packed = [(tmp_path / f"{number}.png").read_bytes() for number in range(4)]
    pictures = [{"bytes": each, "path": None} for each in packed]
    for cells in (packed, pictures):
        for frame in of(image=cells, label=DIGITS.labels[:4]):
            assert np.array_equal(data.from_frame(frame).train.x, DIGITS.x[:4])
    frame = pd.DataFrame({"image": [*map(bytearray, packed)], "label": DIGITS.labels[:4]})
    assert np.array_equal(data.from_frame(frame).train.x, DIGITS.x[:4])


def test_a_first_picture_that_is_missing_is_named():
    for missing in ([None], [None, None]):
        for cells in (b"\x89PNG", {"bytes": b"\x89PNG", "path": None}):
            for frame in of(image=[*missing, cells], label=[1] * len(missing) + [0]):
                with pytest.raises(DataError, match=r"frame: row 0, column image: no picture; .* found null") as raised:
                    data.from_frame(frame)
                assert missing_parts(raised.value) == []
    for frame in of(image=[None, [1, 2]], label=[1, 0]):
        with pytest.raises(DataError, match=r"frame: row 0, column image: images differ in size; .* found null"):
            data.from_frame(frame)
    for frame in of(image=[None, None], label=[1, 0]):
        with pytest.raises(DataError, match="row 0, column 'image': a value is missing"):
            data.from_frame(frame)


def test_lists_that_are_refused():
    for frame in of(image=[[1, 2, 3, 4], [5, 6]], label=[1, 0]):
        with pytest.raises(DataError, match="frame: rows 0 to 1, column image: images differ in size") as raised:
            data.from_frame(frame)
        assert missing_parts(raised.value) == []
    for frame in of(image=[[1, 2], [5, 6]], label=[1, None]):
        with pytest.raises(DataError, match="frame: row 1, column label: an empty cell") as raised:
            data.from_frame(frame)
    for frame in of(image=[[1, 2], [5, 6]], label=["a", None]):
        with pytest.raises(DataError, match="frame: row 1, column label: an empty cell") as raised:
            data.from_frame(frame)
    for frame in of(boxes=[[1, 2], [5, 6]], pixel0=[1, 2], label=[1, 0]):
        with pytest.raises(DataError, match=r"lists or pictures beside columns of pixels; .* boxes, pixel0") as raised:
            data.from_frame(frame)
        assert missing_parts(raised.value) == []
    for cells in ([[1, 2], 3], [[1, 2], {"a": 1}]):
        with pytest.raises(DataError, match="frame: the columns: cells that Arrow cannot hold") as raised:
            data.from_frame(pd.DataFrame({"image": cells, "label": [1, 0]}))
        assert missing_parts(raised.value) == []


def test_lists_need_an_optional_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        DataError, match=r"needs an optional library; expected fnnet\[formats\].*, or give each"
    ) as raised:
        data.from_frame(pl.DataFrame({"image": [[1, 2], [3, 4]], "label": [1, 0]}))
    assert missing_parts(raised.value) == []


@pytest.mark.parametrize("dtype", ["Int128", "UInt128"])
@pytest.mark.parametrize("column", ["label", "pixel3"])
def test_integers_that_numpy_does_not_have_are_refused(dtype, column):
    frame = pl.DataFrame({"label": [0, 1], **{f"pixel{i}": [3, 4] for i in range(64)}})
    frame = frame.with_columns(pl.col(column).cast(getattr(pl, dtype)))
    with pytest.raises(ArgumentTypeError, match=f"column '{column}'.*at most 64 bits, found {dtype}; convert the colu"):
        data.from_frame(frame)


def test_labels_of_images_to_predict_are_not_read():
    x = DIGITS.x[:5]
    for labels in (["a", "b", None, "c", "d"], [1.5, -3, 2, 10**9, 0], [None] * 5):
        frame = pd.DataFrame({f"pixel{i}": x[:, i] for i in range(784)}).assign(label=labels)
        for each in (frame, pl.from_pandas(frame)):
            assert np.array_equal(data.read_images(each, (28, 28)), x)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_packed_tiff_in_a_frame_is_read(library, tmp_path):
    """By a child process, which gets a file."""
    drawn = np.zeros((8, 8), np.uint8)
    drawn[2:6, 3:5] = 255
    content = io.BytesIO()
    Image.fromarray(drawn).save(content, "TIFF")
    columns = {"image": [content.getvalue()] * 4, "label": [0, 1, 0, 1]}
    frame = pd.DataFrame(columns) if library == "pandas" else pl.DataFrame(columns)
    assert np.array_equal(data.from_frame(frame).train.x, np.repeat(drawn.reshape(1, -1), 4, axis=0))


@pytest.mark.parametrize("label", ["ClassId", "class_id"])
def test_numbers_of_classes_are_labels_in_all_tables(label, tmp_path):
    x, y = DIGITS.x[:60], DIGITS.labels[:60]
    frame = pd.DataFrame(x, columns=[f"pixel{i}" for i in range(784)]).assign(**{label: y})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    pd.DataFrame(
        {"image": [png(tmp_path / "a.png", each.reshape(28, 28)).read_bytes() for each in x], label: y}
    ).to_parquet(tmp_path / "pictures.parquet")
    names = [*(f"@attribute pixel{i} numeric" for i in range(784)), f"@attribute {label} {{0,1,2,3,4,5,6,7,8,9}}"]
    rows = [",".join(map(str, row)) for row in frame.to_numpy().tolist()]
    (tmp_path / "a.arff").write_text("\n".join(["@relation a", *names, "@data", *rows]) + "\n")
    for name in ("a.csv", "a.parquet", "pictures.parquet", "a.arff", ""):
        found = data.load(tmp_path / name) if name else data.from_frame(frame)
        assert found.train.labels.tolist() == y.tolist()
        assert np.array_equal(found.train.x, x)
