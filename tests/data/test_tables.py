"""Tables whose rows are no images: what is read, standardised, put in order, and refused in one line."""

import math

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet import data
from fnnet.data.holdout import held_rows, hold_out
from fnnet.data.kaggle_csv import read_csv
from fnnet.data.preprocess import Reading
from fnnet.data.scaling import raw_notes, scaling_of, standardised
from fnnet.errors import DataError, FnnetError, UsageError
from tests.tools.samples import missing_parts, write

HEAD, ROWS = "a,b,c,label\n", "1.5,2,3,x\n2.5,3,4,y\n3.5,1,2,x\n"


def load(path, text, **given):
    return data.load(write(path / "a.csv", text if isinstance(text, bytes) else text.encode()), **given)


def codes(dataset):
    return [note.code for note in dataset.notes]


def wide(columns, cell, names=None):
    names = names or [f"v{at}" for at in range(columns)]
    rows = [",".join(cell(row, at) for at in range(columns)) + f",{row % 3}" for row in range(12)]
    return "\n".join([",".join(names) + ",label", *rows]) + "\n"


def test_a_table_is_standardised_and_its_classes_have_their_names(tmp_path):
    found = load(tmp_path, HEAD + ROWS)
    x = np.array([[1.5, 2, 3], [2.5, 3, 4], [3.5, 1, 2]])
    assert found.train.x.dtype == np.float32
    assert np.array_equal(found.train.x, ((x - x.mean(0)) / x.std(0)).astype(np.float32))
    assert not found.train.x.flags.writeable
    assert (found.classes, found.train.labels.tolist(), found.image_shape) == (("x", "y"), [0, 1, 0], (1, 3))
    scaling = found.preprocessing.scaling
    assert (scaling.names, scaling.means, scaling.target) == (("a", "b", "c"), (2.5, 2.0, 3.0), "label")
    assert codes(found) == []
    assert repr(found) == "Dataset(a.csv, 3 train, 0 test rows of 3 columns, 2 classes)"


@pytest.mark.parametrize(
    ("text", "classes", "names", "noted"),
    [
        ("id,a,b,label\n7,1,2,x\n9,2,3,y\n", ("x", "y"), ("a", "b"), ["column-passed-over"]),
        (",a,b,label\n0,1,2,x\n1,2,3,y\n", ("x", "y"), ("a", "b"), ["column-passed-over"]),
        ("a,b,species\n1,2,x\n2,3,y\n", ("x", "y"), ("a", "b"), ["label-column"]),
        ("5.1,3.5,x\n4,3,y\n5,3,x\n", ("x", "y"), ("", ""), []),
        ("x,y,class\n1,2,u\n2,3,v\n", ("u", "v"), ("x", "y"), []),
        ("a;b;label\n1;2;x\n2;3;y\n", ("x", "y"), ("a", "b"), ["separator"]),
        ('"a" "b" "Kind"\n"1" 5.1 3.5 "x"\n"2" 4.9 3 "y"\n', ("x", "y"), ("a", "b"), None),
        ('"a","b","label"\n"1.5","2","x"\n"2","3","y"\n', ("x", "y"), ("a", "b"), []),
        ("a,b,label\n1,2,10\n2,3,2\n", ("2", "10"), ("a", "b"), []),
        ("a,b,label\n1,2,1.0\n2,3,2\n3,3,1\n", ("1", "2"), ("a", "b"), ["same-label"]),
        ("a,b,label\n1,2,01\n2,3,2\n3,3,1\n", ("1", "2"), ("a", "b"), ["same-label"]),
        ("0,1,species\n1,2,x\n2,3,y\n", ("x", "y"), ("0", "1"), ["label-column"]),
        (",0,1,species\n0,1,2,x\n1,2,3,y\n", ("x", "y"), ("0", "1"), ["label-column", "column-passed-over"]),
        ("0,1,x\n1,1,y\n1,0,x\n", ("x", "y"), ("", ""), []),
        ("a,b,label\n1,4,x\n1,5,y\n", ("x", "y"), ("a", "b"), ["constant-column"]),
        ("\n\na,b,label\n\n1,4,x\n\n2,5,y\n\n", ("x", "y"), ("a", "b"), []),
    ],
)
def test_labels_and_columns_are_found(text, classes, names, noted, tmp_path):
    found = load(tmp_path, text)
    assert (found.classes, found.preprocessing.scaling.names) == (classes, names)
    assert noted is None or codes(found) == noted


def test_columns_that_say_nothing_are_noted(tmp_path):
    rows = "".join(f"{row + 1},{row % 3},4,{'xy'[row % 2]}\n" for row in range(24))
    found = load(tmp_path, "a,b,c,label\n" + rows)
    assert sorted(codes(found)) == ["constant-column", "names-rows"]
    assert not found.train.x[:, 2].any()
    assert found.preprocessing.scaling.scales[2] == 0
    rows = "".join(f"{row},4,{'xy'[row % 2]}\n" for row in range(24))
    constant, naming = sorted(map(str, load(tmp_path, rows).notes))
    assert constant.endswith("1 column with one value in all training rows, taken as 0: 2")
    assert "column 1 is taken as a measurement; its whole numbers all differ: it may only name the rows" in naming


@pytest.mark.parametrize(
    ("name", "noted"),
    [("customer_id", True), ("PassengerId", True), ("sampleID", True), ("Row ID", True), ("acid", False), ("b", False)],
)
def test_columns_that_may_name_the_rows_are_noted(name, noted, tmp_path):
    found = load(tmp_path, f"{name},a,label\n7,1,x\n9,2,y\n7,3,x\n")
    assert codes(found) == ["names-rows"] * noted
    assert found.preprocessing.scaling.names == (name, "a")
    rows = "".join(f"{row * 7 % 31},{row % 3},{'xy'[row % 2]}\n" for row in range(24))
    assert "names-rows" in codes(load(tmp_path, f"{name},a,label\n" + rows))
    rows = "".join(f"{row * 7 % 31}.5,{row % 3},{'xy'[row % 2]}\n" for row in range(24))
    assert codes(load(tmp_path, f"{name},a,label\n" + rows)) == ["names-rows"] * noted


@pytest.mark.parametrize("name", ["is_test", "fold", "Usage", "train"])
def test_a_column_that_says_the_part_of_each_row_is_no_measurement(name, tmp_path):
    message = f"column 2.*'?{name}?'?.*rows of several parts in one set.*keep only the rows of one part"
    rows = "".join(f"{row},{row % 2},{'xy'[row % 2]}\n" for row in range(9))
    frame = pandas.DataFrame({"a": [1.0, 2, 3], name: [0, 1, 1], "label": ["x", "y", "x"]})
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for source in (write(tmp_path / "a.csv", f"a,{name},label\n{rows}".encode()), tmp_path / "a.parquet"):
        with pytest.raises(DataError, match=message):
            data.load(source)
    with pytest.raises(DataError, match=message):
        data.from_frame(frame)
    text = f"a,{name},label\n1,train,x\n2,test,y\n"
    with pytest.raises(DataError, match=r"line 1, column 2: rows of several parts in one set"):
        load(tmp_path, text)
    assert codes(load(tmp_path, f"a,{name},label\n1,0,x\n2,0,y\n")) == ["constant-column"]
    many = "".join(f"{row},{row % 25}.5,{'xy'[row % 2]}\n" for row in range(50))
    assert load(tmp_path, f"a,{name},label\n{many}").preprocessing.scaling.names == ("a", name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "1,,3,x\n" + ROWS, r"line 2, column 2, 'b': a value is missing.*found ''"),
        (HEAD + ROWS + "1,?,3,x\n", r"line 5, column 2, 'b': a value is missing"),
        (HEAD + ROWS + "1,2,NA,x\n", r"line 5, column 3, 'c': a value is missing"),
        (HEAD + ROWS + "nan,2,3,x\n", r"line 5, column 1, 'a': a value is missing"),
        ("1,2,x\n2, ,y\n", r"line 2, column 2: a value is missing"),
        (HEAD + "1,red,3,x\n" + ROWS, r"line 2, column 2, 'b': a column of text.*'red'"),
        (HEAD + ROWS + "2020-01-02,1,1,x\n", r"line 5, column 1, 'a': a column of text"),
        (HEAD + ROWS + "inf,2,1,x\n", r"line 5, column 1, 'a': an infinite value"),
        (HEAD + ROWS + "1e999,2,1,x\n", r"line 5, column 1, 'a': a value too large"),
        (HEAD + ROWS + "1,-1e305,1,x\n", r"line 5, column 2, 'b': a value too large"),
        (HEAD + ROWS + "true,2,1,x\n", r"line 5, column 1, 'a': a truth value"),
        (HEAD + ROWS + "1.2.3,2,1,x\n", r"line 5, column 1, 'a': not a number"),
        (HEAD + ROWS + "9" * 70 + ",2,1,x\n", r"line 5, column 1, 'a': a value too large"),
        (HEAD + ROWS + "1,2,3\n", r"line 5: wrong number of fields; expected 4"),
        (HEAD + ROWS + '"1,5",2,3,x\n', r"line 5, column 1, 'a': a decimal comma"),
        ("a;b;label\n1,5;2;x\n2,5;3;y\n", r"line 2, column 1, 'a': a decimal comma"),
        ("a,b,a,label\n" + ROWS, r"line 1, column 3: column named twice.*a name of its own"),
        (b"a,gr\xf6\xdfe,label\n1,2,x\n2,3,y\n", r"line 1, column 2: text is not UTF-8"),
        (HEAD, r"line 2: empty dataset"),
        ("a,b,c\n1,2,3\n2,3,4\n", r"no column is sure to be the labels.*--label-column.*regression is not offered"),
        ("5.1,3.5,1\n4,3,0\n5,3,1\n", r"no column is sure to be the labels.*3 columns without names"),
        ("a,kind,species\n1,x,u\n2,y,v\n", r"no column is sure to be the labels"),
        ("a,b,target,label\n1,2,0,1\n2,3,1,1\n", r"several columns may be the labels.*multi-label.* not offered"),
        ("a,b,target\n1,2,0.5\n2,3,1.7\n", r"row 1, column target: the labels are measured.*regression is not offered"),
        (HEAD + ROWS + "1,2,3,\n", r"row 4, column label: a label is missing"),
        ("a,b,label\n1,2,0\n2,3,1\n1,1,\n", r"row 3, column label: a label is missing"),
        ("a,b,label\n1,2,x\n2,3,x\n", r"one class"),
        ("id,label\n1,x\n2,y\n", r"no columns beside the labels"),
        ("a,b,Usage\n1,2,Training\n2,3,Test\n", r"no column is sure to be the labels"),
        (HEAD.encode() + b"1,\xff,3,x\n", r"line 2, column 2, 'b': text is not UTF-8"),
        ("path,kind\na.png,x\nb.png,y\n", r"give each pixel a column; if the rows name pictures"),
        ("emotion,pixels,Usage\n0,1 2 3,Training\n", r"unknown column.*give each pixel a column"),
        (wide(70, lambda row, at: str(row + at)), r"a table, or images.*--table.*--image-size HxW"),
        (
            wide(64, lambda row, at: str(row + at), [f"r{at // 8}c{at % 8}" for at in range(64)]),
            r"--image .*or --table",
        ),
        ("0,1,2,3\n5,1,2,0\n4,3,2,1\n", r"no column is sure to be the labels"),
        (wide(64, lambda row, at: f"{row * at / 7:.2f}"), r"not a pixel.*if each column is a measurement, say --table"),
        (wide(64, lambda row, at: f"{(row * at % 7) / 7:.2f}"), r"a table, or images.*--image .*or --table"),
    ],
)
def test_what_is_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(DataError, match=message) as raised:
        load(tmp_path, text)
    assert "\n" not in str(raised.value)
    assert missing_parts(raised.value) == []


def test_numbers_that_are_measured_are_no_classes_unless_they_are_said_to_be(tmp_path):
    text = "a,b,target\n" + "".join(f"{row},{row % 7},{row * 7 % 280}\n" for row in range(80))
    with pytest.raises(DataError, match=r"40 numbers in 80 rows.*--classes 40"):
        load(tmp_path, text)
    assert len(load(tmp_path, text, classes=[*map(str, range(40))]).classes) == 40


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"pixel_max": "auto"}, "--pixel-max"), ({"pixel_max": 16}, "--pixel-max"), ({"ink": "light"}, "--ink"),
        ({"transpose": True}, "--transpose"), ({"transpose": False}, "--no-transpose"), ({"first_label": 1}, "--first"),
    ],
)  # fmt: skip
def test_what_is_said_of_images_has_no_effect(given, where, tmp_path):
    with pytest.raises(UsageError, match=f"^{where}.*: has no effect.*a.csv"):
        load(tmp_path, HEAD + ROWS, reading=Reading(**given))


def test_a_table_is_no_image(tmp_path):
    for said in ({"reading": Reading(table=True, image=True)}, {"reading": Reading(table=True), "flat": (1, 3)}):
        with pytest.raises(UsageError, match="contradicts --table"):
            load(tmp_path, HEAD + ROWS, **said)
    with pytest.raises(UsageError, match="--table: has no effect"):
        data.load(fnnet.__path__[0], reading=Reading(table=True))
    with pytest.raises(UsageError, match="table is not a truth value"):
        load(tmp_path, HEAD + ROWS, reading=Reading(table=1))


def test_tables_that_look_like_images_are_read_if_they_are_said_to_be(tmp_path):
    for text in (wide(64, lambda row, at: str(row + at)), wide(70, lambda row, at: str(row + at))):
        found = load(tmp_path, text, reading=Reading(table=True))
        assert found.preprocessing.scaling is not None
    for count in (64, 70):  # names of their own
        text = wide(count, lambda row, at: str((row * at) % 2), ["a" * (at + 1) for at in range(count)])
        assert load(tmp_path, text).preprocessing.scaling is not None
    assert load(tmp_path, wide(64, lambda row, at: str(row + at))).preprocessing.scaling is None
    assert load(tmp_path, wide(70, lambda row, at: str(row + at)), flat=(7, 10)).image_shape == (7, 10)


@pytest.mark.parametrize("numbers", [True, False])
def test_names_that_the_user_gives(numbers, tmp_path):
    rows = "1,2,0\n2,3,1\n1,1,0\n" if numbers else "1,2,no\n2,3,yes\n1,1,no\n"
    found = load(tmp_path, "a,b,label\n" + rows, classes=("no", "yes"))
    assert (found.classes, found.train.labels.tolist(), found.numbered) == (("no", "yes"), [0, 1, 0], numbers)
    again = load(
        tmp_path, "a,b,label\n" + rows, classes=found.classes, preprocessing=found.preprocessing, flat=(1, 2),
        by_name=True,
    )  # fmt: skip
    assert np.array_equal(again.train.labels, found.train.labels)
    with pytest.raises(UsageError, match="--classes: number of classes differs"):
        load(tmp_path, "a,b,label\n1,2,0\n2,3,1\n", classes=("0", "1", "2"))
    with pytest.raises(DataError, match=r"row 3: label out of range; expected 0 to 1, found 5"):
        load(tmp_path, "a,b,label\n1,2,0\n2,3,1\n1,1,5\n", classes=("no", "yes"))


def test_a_first_line_that_may_be_names_or_numbers(tmp_path):
    """As pandas names columns without names: a row of it would be trained on."""
    rows = "".join(f"{row},{row % 7},{'xy'[row % 2]}\n" for row in range(20))
    with pytest.raises(DataError, match=r"line 1: names of columns, or a row; .* found 'grade', once; name"):
        load(tmp_path, "2019,2020,grade\n" + rows)
    assert len(load(tmp_path, "2019,2020,x\n" + rows).train.x) == 21
    for text in ("0,1,2\n1,0,1\n5,1,2\n", "1,2,3,4\n1,0,1,2\n5,1,2,1\n"):
        with pytest.raises(DataError, match=r"line 1: names of columns, or measurements; .* name the columns, or take"):
            load(tmp_path, text, reading=Reading(label_column="last"))


def test_a_table_without_measurements(tmp_path):
    for said, fix in (({}, "give each pixel a column"), ({"reading": Reading(table=True)}, "say --label-column")):
        with pytest.raises(DataError, match=f"no columns beside the labels.*{fix}"):
            load(tmp_path, "id,label\n1,x\n2,y\n", **said)


def test_rows_that_are_taken_as_they_are(tmp_path):
    with pytest.raises(DataError, match="a table, not images"):
        read_csv(write(tmp_path / "a.csv", (HEAD + ROWS).encode()))
    known = load(tmp_path, HEAD + ROWS).preprocessing
    for x, noted in (([[9.0, 9, 9]], False), (np.full((2, 3), 9.0), True), (np.ones((2, 3)), False)):
        assert [note.code for note in raw_notes(x, known)] == ["not-standardised"] * noted


def test_a_label_column_that_is_said(tmp_path):
    text = "target,a,label\n3,1,x\n4,2,y\n"
    found = load(tmp_path, text, reading=Reading(label_column="label"))
    assert (found.preprocessing.scaling.names, codes(found)) == (("a",), ["column-passed-over"])
    assert load(tmp_path, "1,5,3\n2,6,3\n", reading=Reading(label_column="first")).classes == ("1", "2")
    with pytest.raises(DataError, match="no column is sure"):
        load(tmp_path, text, reading=Reading(label_column="none"))


def test_the_test_set_beside_it_is_standardised_as_training(tmp_path):
    write(tmp_path / "a-test.csv", b"label,c,b,a\ny,3,2,1.5\n")
    found = load(tmp_path, HEAD + ROWS)
    assert np.array_equal(found.test.x[0], found.train.x[0])
    assert found.test.labels.tolist() == [1]
    write(tmp_path / "a-test.csv", b"label,c,b,a\nz,3,2,1.5\n")
    with pytest.raises(DataError, match="classes of test and train differ"):
        load(tmp_path, HEAD + ROWS)
    write(tmp_path / "a-test.csv", b"label,c,b\nx,3,2\n")
    with pytest.raises(DataError, match=r"columns differ from those of training.*without a"):
        load(tmp_path, HEAD + ROWS)
    write(tmp_path / "a-test.csv", b"a,b,c,label\n" + b"1,2,3,x\n" * 9)
    assert "9 rows, the training set 3" in " ".join(map(str, load(tmp_path, HEAD + ROWS).notes))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=2), min_size=1, max_size=30),
    st.sampled_from([1.0, 1e-280]),
)
def test_columns_have_mean_0_and_deviation_1_whatever_their_size(rows, factor):
    x = np.array(rows) * factor
    scaling = scaling_of(x, ("a", "b"))
    assert all(map(math.isfinite, (*scaling.means, *scaling.scales)))
    found = standardised(x, scaling, "t").astype(np.float64)
    for at in range(2):
        if np.ptp(x[:, at]) <= 1e-9 * np.abs(x[:, at]).max():
            assert len({*found[:, at]}) <= len({*x[:, at]})
        else:
            assert abs(found[:, at].mean()) < 1e-5
            assert found[:, at].std() == pytest.approx(1, abs=1e-4)


def test_rows_that_are_held_out_to_test_on_do_not_show_the_scaling(tmp_path):
    generator = np.random.default_rng(0)
    x, labels = generator.standard_normal((60, 2)), generator.integers(0, 3, 60)
    rows = "".join(f"{a!r},{b!r},{label}\n" for (a, b), label in zip(x.tolist(), labels.tolist(), strict=True))
    found = load(tmp_path, "a,b,label\n" + rows)
    apart = hold_out(found)
    kept = ~held_rows(labels, 3)
    assert len(apart.test.labels) == 60 - kept.sum() == 6
    assert np.allclose(apart.train.x.mean(axis=0), 0, atol=1e-6)
    assert found.preprocessing.scaling == scaling_of(x[kept], ("a", "b"), "label")


def test_constant_columns_and_no_row_order(tmp_path):
    assert scaling_of(np.full((3, 1), 0.1), ("a",)).means == (0.1,)
    x = np.random.default_rng(0).standard_normal((1000, 3)) * [1, 1e-200, 1e200] + [1e6, 0, 0]
    scaling = scaling_of(np.array([[1.0, 2], [1, 4]]), ("a", "b"))
    assert standardised(np.array([[99.0, 4]]), scaling, "t").tolist() == [[0, 1]]  # whatever is constant in training
    one, other = (np.array(scaling_of(each, ("a", "b", "c"))[1:3]) for each in (x, np.asfortranarray(x)))
    assert one.tobytes() == other.tobytes()
    assert np.allclose(one, [x.mean(0), (x / [1, 1e-200, 1e200]).std(0) * [1, 1e-200, 1e200]], rtol=1e-9)


def test_a_value_far_from_training_is_refused():
    scaling = scaling_of(np.array([[0.0, 1.0], [1e-10, 2.0]]), ("a", ""))
    for row, place in (([1e300, 1], "row 1, column 'a'"), ([0, -1e300], "row 1, column 2")):
        with pytest.raises(DataError, match=f"t: {place}: too far from the training data"):
            standardised(np.array([row]), scaling, "t")


def test_all_formats_read_the_same(tmp_path):
    """To the bit; the rows of Parquet come from a child process."""
    generator = np.random.default_rng(0)
    frame = pandas.DataFrame(generator.standard_normal((40, 3)) * 100, columns=["one", "two", "three"])
    frame["kind"] = [("up", "down")[each] for each in generator.integers(0, 2, 40)]
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, sep="\t", quoting=2)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    frame.to_feather(tmp_path / "a.feather")
    rows = "".join(",".join(map(str, row)) + "\n" for row in frame.itertuples(index=False))
    columns = "".join(f"@attribute {name} numeric\n" for name in frame.columns[:3])
    (tmp_path / "a.arff").write_text(f"@relation a\n{columns}@attribute kind {{down,up}}\n@data\n% no row\n{rows}")
    first = data.load(tmp_path / "a.csv")
    others = [data.load(tmp_path / name) for name in ("b.csv", "a.parquet", "a.feather", "a.arff")]
    others += [data.from_frame(each) for each in (frame, polars.from_pandas(frame))]
    others += [data.from_frame(frame.assign(kind=frame.kind.astype("category")))]
    for each in others:
        assert each.train.x.tobytes() == first.train.x.tobytes(), each
        assert np.array_equal(each.train.labels, first.train.labels)
        assert (each.classes, each.preprocessing, each.numbered) == (first.classes, first.preprocessing, False)
    numbers = frame.assign(kind=generator.integers(0, 3, 40)).rename(columns={"kind": "label"})
    numbers.to_parquet(tmp_path / "n.parquet", index=False)
    assert data.load(tmp_path / "n.parquet").classes == data.from_frame(numbers).classes == ("0", "1", "2")


def test_frames_that_are_refused():
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "label": ["x", "y"]})
    for wrong, message in (
        (frame.assign(b=[3, None]), r"row 1, column 'b': a value is missing"),
        (frame.assign(b=[3, math.inf]), r"row 1, column 'b': an infinite value"),
        (frame.assign(b=["u", "v"]), r"column 'b'.*columns are not numbers"),
        (frame.assign(label=["x", None]), r"row 1, column 'label': a label is missing"),
        (frame.assign(label=[0.5, 1.5]), r"the labels are measured numbers"),
        (frame.drop(columns="label"), r"no column is sure to be the labels.*label_column"),
    ):
        for each in (wrong, polars.from_pandas(wrong)):
            with pytest.raises(FnnetError, match=message):
                data.from_frame(each)
    with pytest.raises(DataError, match="row 1, column 'b': a value is missing; expected a number, found nan"):
        data.from_frame(polars.DataFrame({"a": [1.0, 2.0], "b": [3.0, math.nan], "label": ["x", "y"]}))
    with pytest.raises(UsageError, match="pixel_max: has no effect"):
        data.from_frame(frame, reading=Reading(pixel_max=16))


@pytest.mark.usefixtures("inside")
def test_parquet_and_arff_that_are_refused(tmp_path):
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "label": ["x", "y"]})
    for wrong, message in (
        (frame.assign(b=[3, None]), r"row 2, column b: an empty cell"),
        (frame.assign(b=[3, math.inf]), r"row 2, column 'b': an infinite value"),
        (frame.assign(b=["u", "v"]), r"column b: not numbers.*--label-column"),
        (frame[:0], r"empty dataset"),
    ):
        wrong.to_parquet(tmp_path / "a.parquet", index=False)
        with pytest.raises(DataError, match=message):
            data.load(tmp_path / "a.parquet")
    head = "@relation a\n@attribute a numeric\n@attribute b real\n@attribute class {x,y}\n@data\n"
    with pytest.raises(DataError, match=r"column 2, 'b': a column that is not read.* found names; leave the"):
        data.load(write(tmp_path / "a.arff", (head.replace("b real", "b {u,v}") + "1,u,x\n").encode()))
    for rows, message in (("1,?,x\n", "column 2, 'b': a value is missing"), ("{0 1.5,2 x}\n", "a sparse table")):
        with pytest.raises(DataError, match=message):
            data.load(write(tmp_path / "a.arff", (head + rows).encode()))
    assert data.read_images(
        write(tmp_path / "a.arff", (head + "1,2,?\n").encode()), (1, 2), data.from_frame(frame).preprocessing
    ).shape == (1, 2)


@pytest.mark.usefixtures("inside")
def test_pieces_of_other_columns_differ(tmp_path):
    for number, names in enumerate((["a", "b", "label"], ["a", "c", "label"])):
        frame = pandas.DataFrame([[1, 2, "x"], [2, 3, "y"]], columns=names)
        frame.to_parquet(tmp_path / f"train-0000{number}-of-00002.parquet", index=False)
    with pytest.raises(DataError, match="pieces differ"):
        data.load(tmp_path / "train-00000-of-00002.parquet")


def test_a_model_predicts_what_it_was_trained_on(tmp_path):
    frame = pandas.DataFrame(np.random.default_rng(0).standard_normal((60, 3)), columns=["a", "b", "c"])
    frame["kind"] = np.where(frame.a > 0, "up", "down")
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    model, history = fnnet.fit(frame, epochs=40)
    again, _ = fnnet.fit(tmp_path / "a.csv", epochs=40)
    assert np.array_equal(model.params.layers[0].W, again.params.layers[0].W)
    assert history[-1].train_accuracy > 0.8
    first = fnnet.predict(model, frame)
    others = [frame.drop(columns="kind"), frame[["kind", "c", "a", "b"]], tmp_path / "a.csv", tmp_path / "a.parquet"]
    for other in others:
        assert np.array_equal(fnnet.predict(model, other), first)
    x = (frame[["a", "b", "c"]].to_numpy() - model.preprocessing.scaling.means) / model.preprocessing.scaling.scales
    assert np.array_equal(fnnet.predict(model, x.astype(np.float32)), first)
    raw = frame[["a", "b", "c"]].to_numpy() * 50
    for given_raw in (raw, raw.astype(np.uint8)):
        with pytest.warns(UserWarning, match="looks as if its columns were not standardised"):
            fnnet.predict(model, given_raw)
    with pytest.warns(UserWarning, match="not standardised"):
        fnnet.evaluate(model, (raw, frame.kind))
    assert fnnet.evaluate(model, tmp_path / "a.csv").accuracy == fnnet.evaluate(model, frame).accuracy
    for wrong in (frame.drop(columns="b"), frame.assign(d=1.0)):
        with pytest.raises(DataError, match="columns differ from those of training; expected 3 columns: a, b, c"):
            fnnet.predict(model, wrong)
    with pytest.raises(UsageError, match="deformation: deforms images"):
        fnnet.fit(frame, "accurate", epochs=1)
    fnnet.save_model(tmp_path / "m", model)
    with pytest.raises(UsageError, match="a model of images"):
        fnnet.BatchPredictor(tmp_path / "m")
    with pytest.raises(UsageError, match="images of another size"):
        fnnet.fit("digits", start=model, epochs=1)
    images = fnnet.Model(fnnet.init((3, 2)), classes=("down", "up"), image_shape=(1, 3))
    with pytest.raises(DataError, match="a table"):
        data.load(tmp_path / "a.csv", preprocessing=images.preprocessing, flat=(1, 3), reading=Reading(table=True))
    assert fnnet.fit((frame[["a", "b", "c"]].to_numpy(), frame.kind), epochs=1).model.preprocessing.scaling is None
