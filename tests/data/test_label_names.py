"""Labels that are names, in CSV, Parquet, Arrow and frames: read alike, in the order of class folders."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

import fnnet
from fnnet import data
from fnnet.cli.options import ClassNames
from fnnet.core.state import Preprocessing
from fnnet.data import formats
from fnnet.data.label_names import labels_of, with_test
from fnnet.data.preprocess import Reading
from fnnet.data.reader import Content, Wanted
from fnnet.errors import DataError, FnnetError, one_line
from fnnet.training.class_weights import parse
from tests.tools.samples import write

pytestmark = pytest.mark.usefixtures("inside")
X = np.random.default_rng(1).integers(0, 256, (24, 784), dtype=np.uint8)
NAMES = ["dog", "cat", "eel", "cat"] * 6
PLACES = [1, 0, 2, 0] * 6


def frame_of(labels, dtype=None, x=X):
    frame = pd.DataFrame(x, columns=[f"pixel{i}" for i in range(784)])
    frame.insert(0, "label", pd.Series(list(labels), dtype=dtype))
    return frame


def parquet(frame, folder, name="a.parquet"):
    frame.to_parquet(folder / name)
    return folder / name


def headless(frame, folder, last=False):
    frame = frame[[*frame.columns[1:], "label"]] if last else frame
    frame.to_csv(folder / "a.csv", index=False, header=False)
    return folder / "a.csv"


def csv(frame, folder, **options):
    frame.to_csv(folder / "a.csv", index=False, **options)
    return folder / "a.csv"


def arrow(frame, folder):
    pyarrow.feather.write_feather(pa.Table.from_pandas(frame), folder / "a.arrow")
    return folder / "a.arrow"


def dictionaries(frame, folder):
    table = pa.Table.from_pandas(frame)
    table = table.set_column(0, "label", table["label"].dictionary_encode())
    pyarrow.feather.write_feather(table, folder / "a.arrow")
    return folder / "a.arrow"


def lists(frame, folder):
    table = pa.table({"image": frame.iloc[:, 1:].to_numpy().tolist(), "label": frame["label"]})
    pyarrow.feather.write_feather(table, folder / "a.arrow", chunksize=5)
    return folder / "a.arrow"


def as_bytes(frame, folder):
    table = pa.Table.from_pandas(frame)
    pyarrow.parquet.write_table(table.set_column(0, "label", table["label"].cast(pa.binary())), folder / "a.parquet")
    return folder / "a.parquet"


def lists_and_bytes(frame, folder):
    table = pa.table({"image": frame.iloc[:, 1:].to_numpy().tolist(), "label": frame["label"]})
    table = table.set_column(1, "label", table["label"].cast(pa.large_binary()))
    pyarrow.feather.write_feather(table, folder / "a.arrow", chunksize=5)
    return folder / "a.arrow"


FORMS = {
    "CSV": csv,
    "CSV with quotes": lambda frame, folder: csv(frame, folder, quoting=2),
    "CSV with semicolons": lambda frame, folder: csv(frame, folder, sep=";"),
    "CSV without header": headless,
    "CSV without header, label last": lambda frame, folder: headless(frame, folder, last=True),
    "CSV, packed": lambda frame, folder: frame.to_csv(folder / "a.csv.gz", index=False) or folder / "a.csv.gz",
    "Parquet": parquet,
    "Parquet of categories": lambda frame, folder: parquet(frame.astype({"label": "category"}), folder),
    "Parquet of bytes": as_bytes,
    "Arrow of lists and bytes": lists_and_bytes,
    "Parquet by Polars": lambda frame, folder: pl.from_pandas(frame).write_parquet(folder / "a") or folder / "a",
    "Arrow": arrow,
    "Arrow of dictionaries": dictionaries,
    "Arrow of lists": lists,
    "pandas": lambda frame, folder: frame,
    "pandas, string": lambda frame, folder: frame.astype({"label": "string"}),
    "pandas, category": lambda frame, folder: frame.astype({"label": "category"}),
    "Polars": lambda frame, folder: pl.from_pandas(frame),
    "Polars, Categorical": lambda frame, folder: pl.from_pandas(frame).cast({"label": pl.Categorical}),
}


def loaded(given, **options):
    return data.load(str(given), **options) if hasattr(given, "parent") else data.from_frame(given, **options)


@pytest.mark.parametrize("form", FORMS)
def test_names_are_classes_in_alphabetical_order(form, tmp_path):
    found = loaded(FORMS[form](frame_of(NAMES), tmp_path))
    assert found.classes == ("cat", "dog", "eel")
    assert found.train.labels.tolist() == PLACES
    assert np.array_equal(found.train.x, X)


@pytest.mark.parametrize("form", FORMS)
def test_names_that_are_known_keep_their_order(form, tmp_path):
    """Those of a model, of which a file may have only some."""
    known = ("eel", "cat", "fox", "dog")
    given = FORMS[form](frame_of(NAMES), tmp_path)
    found = loaded(given, classes=known, preprocessing=Preprocessing())
    assert found.classes == known
    assert found.train.labels.tolist() == [known.index(name) for name in NAMES]


@pytest.mark.parametrize("form", FORMS)
def test_numbers_as_text_are_numbers(form, tmp_path):
    """As in CSV, where they cannot be told apart; "10" comes behind "9"."""
    numbers = [7, 0, 10, 2] * 6
    found = loaded(FORMS[form](frame_of(map(str, numbers)), tmp_path), classes=tuple(map(str, range(11))))
    assert found.classes == tuple(map(str, range(11)))
    assert found.train.labels.tolist() == numbers


@pytest.mark.parametrize("form", FORMS)
def test_images_to_predict_need_no_known_names(form, tmp_path):
    given = FORMS[form](frame_of(NAMES), tmp_path)
    assert np.array_equal(data.read_images(given, (28, 28)), X)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (["cat", "dog", "nan", *NAMES[3:]], "missing"),
        (["cat", "dog", "?", *NAMES[3:]], "missing"),
        (["cat", "dog", "3", *NAMES[3:]], "not a label|numbers"),
        ([f"row {number}" for number in range(24)], "hardly ever occur twice"),
    ],
)
def test_what_is_no_name_is_refused(form, labels, problem, tmp_path):
    with pytest.raises(DataError, match=problem):
        loaded(FORMS[form](frame_of(labels), tmp_path))


@pytest.mark.parametrize("form", [form for form in FORMS if "CSV" not in form])
def test_empty_cells_are_refused(form, tmp_path):
    frame = frame_of(NAMES)
    frame.loc[5, "label"] = None
    with pytest.raises(FnnetError, match=r"empty cell|missing values|not numbers|missing"):
        loaded(FORMS[form](frame, tmp_path))


@pytest.mark.parametrize("form", FORMS)
def test_one_name_is_no_data_set_unless_others_are_known(form, tmp_path):
    given = FORMS[form](frame_of(["dog"] * 24), tmp_path)
    with pytest.raises(DataError, match="the labels: one class; expected the names of at least two classes, found dog"):
        loaded(given)
    assert loaded(given, classes=("cat", "dog"), preprocessing=Preprocessing()).train.labels.tolist() == [1] * 24


def test_pieces_and_tests_are_joined_by_name(tmp_path):
    """Each has only some of the names, so that their own numbers differ."""
    first, second = frame_of(["eel"] * 12, x=X[:12]), frame_of(["dog", "cat"] * 6, x=X[12:])
    parquet(first, tmp_path, "train-00000-of-00002.parquet")
    parquet(second, tmp_path, "train-00001-of-00002.parquet")
    parquet(frame_of(["eel", "dog"] * 12), tmp_path, "test-00000-of-00001.parquet")
    found = data.load(str(tmp_path / "train-00000-of-00002.parquet"))
    assert found.classes == ("cat", "dog", "eel")
    assert found.train.labels.tolist() == [2] * 12 + [1, 0] * 6
    assert found.test.labels.tolist() == [2, 1] * 12


def test_the_test_set_beside_csv_is_read_by_name(tmp_path):
    frame_of(NAMES).to_csv(tmp_path / "a.csv", index=False)
    frame_of(["eel", "dog"] * 12).to_csv(tmp_path / "a-test.csv", index=False)
    assert data.load(str(tmp_path / "a.csv")).test.labels.tolist() == [2, 1] * 12
    for other in (["owl", "dog"] * 12, [0, 1] * 12):
        frame_of(other).to_csv(tmp_path / "a-test.csv", index=False)
        with pytest.raises(DataError, match="classes of test and train differ; expected cat, dog, eel"):
            data.load(str(tmp_path / "a.csv"))


def test_the_test_set_beside_csv_may_begin_with_a_name_that_is_a_number(tmp_path):
    frame_of(["a", "b", "1"] * 8).to_csv(tmp_path / "a.csv", index=False)
    frame_of(["1", "b"] * 12).to_csv(tmp_path / "a-test.csv", index=False)
    assert data.load(str(tmp_path / "a.csv")).test.labels.tolist() == [0, 2] * 12
    frame_of(["", "dog", "1", "dog"] * 6).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="line 2, column 1: not a label"):
        data.load(str(tmp_path / "a.csv"))
    frame_of(["1", "dog", "1", "na\tme"] * 6).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="the name of a class cannot be printed"):
        data.load(str(tmp_path / "a.csv"))


@pytest.mark.parametrize("word", ["nan", "NA", "null", "None"])
@pytest.mark.parametrize("at", [0, 300, 784])
def test_a_word_in_place_of_a_pixel_is_no_label(word, at, tmp_path):
    rows = [[number % 10, *row] for number, row in enumerate(X.tolist())]
    rows[0][at] = word
    path = write(tmp_path / "a.csv", "".join(",".join(map(str, row)) + "\n" for row in rows).encode())
    for read in (lambda: data.load(path), lambda: data.read_images(path, (28, 28))):
        with pytest.raises(DataError):
            read()


@pytest.mark.parametrize("pieces", [7, 2**17])
def test_names_are_read_in_any_pieces(pieces, monkeypatch, tmp_path):
    from fnnet.data import kaggle_csv

    monkeypatch.setattr(kaggle_csv, "PIECE", pieces)
    found = data.load(csv(frame_of(NAMES), tmp_path))
    assert found.train.labels.tolist() == PLACES


def test_numbers_as_text_are_whole_numbers(tmp_path):
    with pytest.raises(DataError, match="not a label"):
        labels_of(["1", "2.5", "1", "1"], "a", "3", Wanted(labelled=True))


@pytest.mark.parametrize("quoted", [False, True])
def test_a_line_of_another_length_beside_names_is_refused(quoted, tmp_path):
    path = csv(frame_of(NAMES), tmp_path, quoting=1 if quoted else 0)
    lines = path.read_text().splitlines()
    lines[5] = lines[5].rpartition(",")[0]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="line 6"):
        formats.read(path, Wanted(labelled=True))


def test_a_test_set_of_numbers_is_left_as_it_is():
    x = np.zeros((2, 4), np.uint8)
    train, test = (Content(x, np.array(labels), (2, 2)) for labels in ([0, 1], [1, 1]))
    assert with_test(train, test, "a").test.labels.tolist() == [1, 1]


def test_numbers_in_a_dictionary_are_labels_and_pixels(tmp_path):
    names = [f"pixel{number}" for number in range(784)]
    columns = {"label": pa.array(PLACES, pa.int64()).dictionary_encode()}
    columns |= {name: pa.array(X[:, number]).dictionary_encode() for number, name in enumerate(names)}
    pa.feather.write_feather(pa.table(columns), tmp_path / "a.feather")
    found = formats.read(tmp_path / "a.feather", Wanted(labelled=True))
    assert found.labels.tolist() == PLACES
    assert np.array_equal(found.x, X)


@pytest.mark.parametrize("kind", ["mat", "npy"])
def test_planes_to_predict_that_are_alike_are_one_picture(kind, tmp_path):
    from scipy.io import savemat

    plane = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    x = np.stack([plane, plane // 2, plane // 3])
    path = tmp_path / f"a.{kind}"
    savemat(path, {"X": np.moveaxis(x, 0, -1)}) if kind == "mat" else np.save(path, x)
    assert formats.read(path, Wanted(labelled=False, shape=(28, 28))).x.size == 784


@pytest.mark.parametrize("label", [b"\xff\xfe", b"a\0b", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_text_are_no_labels(label, tmp_path):
    labels = [b"cat", label, *[b"dog"] * 22]
    table = pa.table({"image": X.tolist(), "label": pa.array(labels, pa.binary())})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 2, column label: not a label; expected the name of a class, found b'"):
        formats.read(tmp_path / "a.parquet", Wanted(labelled=True))


@pytest.mark.parametrize(
    ("train", "test", "right"),
    [
        (("a", "b", "c"), ("c", "b", "a"), [2, 1]),
        (("a", "b", "c"), ("b", "c"), [1, 2]),
        (("a", "b", "c"), (), [0, 1]),
        ((), (), [0, 1]),
    ],
)
def test_the_names_of_a_test_set_that_numbers_its_classes_decide(train, test, right):
    """As hubs describe them: each file names its numbers in an order of its own."""
    x = np.zeros((2, 4), np.uint8)
    parts = [Content(x, np.array([0, 1]), (2, 2), classes=names) for names in (train, test)]
    found = with_test(*parts, "a")
    assert found.test.labels.tolist() == right
    assert found.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("train", "test", "expected", "found"),
    [((), ("b", "a"), "numbers", "b, a"), (("a", "b"), ("a", "b", "c"), "a, b", "c")],
)
def test_a_test_set_with_other_names_is_refused(train, test, expected, found):
    x = np.zeros((2, 4), np.uint8)
    parts = [Content(x, np.array([0, 1]), (2, 2), labels_at="t", classes=names) for names in (train, test)]
    message = f"a: the labels: classes of test and train differ; expected {expected}, as in t, found {found}; give both"
    with pytest.raises(DataError, match=message):
        with_test(*parts, "a")


def test_names_are_compared_whatever_their_form_in_unicode(tmp_path):
    """In labels, in names that are given, in the weights of classes."""
    one, two = "caf\u00e9", "cafe\u0301"
    path = csv(frame_of([one, two, "b", "b"] * 6), tmp_path)
    assert data.load(path).classes == ("b", one)
    found = data.load(path, classes=[two, "b"])
    assert found.classes == (one, "b")
    assert found.train.labels.tolist() == [0, 0, 1, 1] * 6
    assert parse(f"{two}=2,b=1", [one, "b"]) == {0: 2.0, 1: 1.0}
    assert ClassNames().convert(f"{two},b", None, None) == (one, "b")


HEADER = ",".join(["label", *(f"pixel{i}" for i in range(64))])
ACCENTS = {"ends in one": ["né", "nè"], "one letter": ["é", "è"], "in quotes": ['"né"', '"nè"']}


def rows_of(labels):
    return "".join(f"{label},{','.join(map(str, x[:64]))}\n" for label, x in zip(labels, X, strict=False))


@pytest.mark.parametrize("header", [HEADER + "\n", ""])
@pytest.mark.parametrize("names", ACCENTS.values(), ids=ACCENTS)
@pytest.mark.parametrize("before", [0, 9])
def test_names_that_are_not_utf8_are_never_one_class(header, names, before, tmp_path):
    text = header + rows_of(["a", "b"] * before + names * 3)
    path = write(tmp_path / "a.csv", text.encode("latin-1"))
    line = bool(header) + 2 * before + 1
    found = names[0].strip('"').replace("é", r"\\xe9")
    message = f"a.csv: line {line}, column 1: text is not UTF-8; expected UTF-8, found the bytes b'{found}'; save it as"
    with pytest.raises(DataError, match=rf"{message} CSV \(UTF-8\)"):
        data.load(path)


def test_names_in_utf8_are_kept_apart(tmp_path):
    path = write(tmp_path / "a.csv", (HEADER + "\n" + rows_of(["né", "nè"] * 3)).encode())
    assert data.load(path).classes == ("nè", "né")


def test_a_header_that_matters_is_utf8(tmp_path):
    text = HEADER.replace("label", "größe") + "\n" + rows_of([0, 1] * 3)
    path = write(tmp_path / "a.csv", text.encode("latin-1"))
    for reading in (Reading(), Reading(label_column="größe"), Reading(label_column="größe", image=True)):
        with pytest.raises(
            DataError, match=r"a.csv: line 1, column 1: text is not UTF-8.*b'gr\\xf6\\xdfe'; save it as"
        ):
            data.load(path, reading=reading)
    assert data.load(path, reading=Reading(label_column="first")).train.labels.tolist() == [0, 1] * 3
    assert data.load(write(path, text.encode()), reading=Reading(label_column="größe")).train.labels[1] == 1


def as_it_is(frame, _):
    return frame


def as_polars(frame, _):
    return pl.from_pandas(frame)


@pytest.mark.parametrize("names", [("1", "0"), ("2", "1"), ("b", "1", "0")])
@pytest.mark.parametrize("read", [parquet, arrow, lists, as_it_is, as_polars])
def test_numbers_as_text_find_the_classes_that_are_called_so(names, read, tmp_path):
    labels = [names[-1], names[-2]] * 12
    given = read(frame_of(labels, "str"), tmp_path)
    load = data.load if hasattr(given, "exists") else data.from_frame
    found = load(given, classes=names)
    assert [found.classes[label] for label in found.train.labels] == labels
    assert found.classes == names
    places = load(given, classes=("a", "b", "c"))
    assert [str(label) for label in places.train.labels] == labels


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
@pytest.mark.parametrize("dtype", [None, "string", "category"])
def test_a_missing_name_in_a_frame_is_named_with_its_row(missing, dtype, tmp_path):
    frame = frame_of(["dog", "cat", missing, *NAMES[3:]], dtype)
    for given in (frame, pl.from_pandas(frame)):
        with pytest.raises(DataError, match="frame: row 2, column 'label': a label is missing; expected the name of a"):
            data.from_frame(given)
        assert np.array_equal(data.read_images(given, (28, 28)), X)


@pytest.mark.parametrize("names", [("10-19", "20-29"), ("2020-01-08", "2020-01-09"), ("+", "-"), ("<5", ">5")])
@pytest.mark.parametrize("quote", ["", '"'])
def test_names_without_letters_are_names(names, quote, tmp_path):
    path = write(tmp_path / "a.csv", (HEADER + "\n" + rows_of([quote + name + quote for name in names] * 6)).encode())
    found = data.load(path)
    assert [found.classes[label] for label in found.train.labels] == [*names] * 6
    assert np.array_equal(data.read_images(path, (8, 8)), X[:12, :64])


@pytest.mark.parametrize("label", ["", "?", "-1", "1.5", "1.2.3", "nan", '"1,5"'])
def test_labels_of_images_to_predict_may_be_anything_and_are_refused_for_training(label, tmp_path):
    path = write(tmp_path / "a.csv", (HEADER + "\n" + rows_of([label] * 6)).encode())
    with pytest.raises(DataError, match=r"(line 2|row 1), column 1: (not a label|a label is missing)"):
        data.load(path)
    assert np.array_equal(data.read_images(path, (8, 8)), X[:6, :64])
    write(path, (HEADER + "\n" + f"{label},1,2\n").encode())
    with pytest.raises(DataError, match="line 2: wrong number of fields"):
        data.read_images(path, (8, 8))


@pytest.mark.parametrize("label", [None, -1.0])
def test_labels_of_a_parquet_file_to_predict_may_be_anything(label, tmp_path):
    path = parquet(frame_of([label] * 23 + [2.0]), tmp_path)
    assert np.array_equal(data.read_images(path, (28, 28)), X)
    with pytest.raises(DataError, match="row 1, column label"):
        data.load(path)


def test_labels_beyond_the_names_in_a_table(tmp_path):
    frame = pd.DataFrame({"label": [1, 2], **{f"pixel{number}": [0, 9] for number in range(4)}})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    names = b'{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}'
    pa.parquet.write_table(table.replace_schema_metadata({b"huggingface": names}), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match="expected 0 to 1, found 2; correct it, or the names of the classes in the file"
    ):
        data.load(tmp_path / "a.parquet")


JOINED = ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0645", "\U0001f468\u200d\U0001f469\u200d\U0001f467"]
"""A Persian word of two parts, and an emoji of three."""


def pictures(frame, folder):
    for number, name in enumerate(frame["label"]):
        (folder / "in" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(X[number].reshape(28, 28)).save(folder / "in" / name / f"{number:02}.png")
    return folder / "in"


def arff(frame, folder):
    names = ",".join(f"'{name}'" for name in dict.fromkeys(frame["label"]))
    head = ["@relation a", f"@attribute label {{{names}}}", *(f"@attribute p{i} numeric" for i in range(784))]
    rows = [f"'{name}',{','.join(map(str, row))}" for name, row in zip(frame["label"], X.tolist(), strict=True)]
    (folder / "a.arff").write_text("\n".join([*head, "@data", *rows]), encoding="utf-8")
    return folder / "a.arff"


NAMED = [csv, parquet, arrow, dictionaries, as_bytes, pictures, arff]


@pytest.mark.parametrize("form", NAMED)
@pytest.mark.parametrize("name", JOINED)
def test_names_whose_letters_are_joined_or_parted_are_names(form, name, tmp_path):
    found = data.load(form(frame_of([name, "b"] * 12), tmp_path))
    assert set(found.classes) == {name, "b"}
    model = fnnet.Model(fnnet.init([784, 2], 0), classes=found.classes)
    fnnet.save_model(tmp_path / "m", model)
    assert fnnet.load_model(tmp_path / "m").classes == found.classes
    assert ClassNames().convert(f"{name},b", None, None) == (name, "b")


@pytest.mark.parametrize("form", [csv, parquet, arrow, pictures])
@pytest.mark.parametrize("name", ["a\u00a0b", "a\u00adb", "a\u202eb", "a\u200c", "a\u200c\u200db"])
def test_names_that_cannot_be_printed_are_refused_with_file_and_remedy(form, name, tmp_path):
    path = form(frame_of([name, "b"] * 12), tmp_path)
    with pytest.raises(
        DataError, match="the name of a class cannot be printed; expected printable characters"
    ) as caught:
        data.load(path)
    assert str(caught.value.where) == str(path / name if form is pictures else path)
    assert caught.value.fix.endswith("with plain spaces, without tabs and the like")


def test_a_name_that_joins_letters_is_printed_as_it_is():
    assert one_line(f"{JOINED[0]}\t") == f"{JOINED[0]}\\t"


TYPED = [form for form in FORMS if not form.startswith("CSV")]


@pytest.mark.parametrize("form", FORMS)
def test_letters_and_digits_of_one_column_are_names_if_most_are_no_digits(form, tmp_path):
    names = np.array(list("B0A1C0"))[np.arange(24) % 6]
    found = loaded(FORMS[form](frame_of(names), tmp_path))
    assert found.classes == tuple("01ABC")
    assert [found.classes[label] for label in found.train.labels] == names.tolist()
    if "without header" not in form:  # the first or the last column may then be the labels
        again = loaded(FORMS[form](frame_of(np.roll(names, -1)), tmp_path))  # a number is then the first
        assert (again.classes, np.roll(again.train.labels, 1).tolist()) == (found.classes, found.train.labels.tolist())


@pytest.mark.parametrize("form", [form for form in FORMS if "without header" not in form])
def test_few_texts_among_numbers_are_faults_unless_they_are_given_as_names(form, tmp_path):
    names = np.where(np.arange(24) == 5, "x", (np.arange(24) % 4).astype(str))
    given = FORMS[form](frame_of(names), tmp_path)
    with pytest.raises(
        DataError, match=r"column .*: not a label; expected a .*number.*, found 'x'; .*number the class"
    ):
        loaded(given)
    found = loaded(given, classes=tuple("x0123"))
    assert [found.classes[label] for label in found.train.labels] == names.tolist()


@pytest.mark.parametrize("form", TYPED)
def test_text_of_numbers_that_are_no_places_is_of_names(form, tmp_path):
    names = np.array(["1", "10", "2", "34"])[np.arange(24) % 4]
    found = loaded(FORMS[form](frame_of(names), tmp_path))
    assert found.classes == ("1", "2", "10", "34")
    assert [found.classes[label] for label in found.train.labels] == names.tolist()
    (note,) = [note for note in found.notes if note.code == "numbers-as-names"]
    assert note.endswith("names of the classes, not as their places: 1, 2, 10, 34")
    with pytest.raises(DataError, match="label out of range"):  # of a model of other classes
        loaded(FORMS[form](frame_of(names), tmp_path), classes=tuple("0123456789"), preprocessing=Preprocessing())


def test_a_piece_of_small_numbers_is_of_names_as_the_others_are(tmp_path):
    pieces = [["1", "2", "3", "2"] * 6, ["1", "12", "3", "12"] * 6, [2, 1, 3, 3] * 6]
    for number, labels in enumerate(pieces):
        parquet(frame_of(labels), tmp_path, f"train-{number:05}-of-00003.parquet")
    found = loaded(tmp_path / "train-00000-of-00003.parquet")
    assert found.classes == ("1", "2", "3", "12")
    assert [found.classes[label] for label in found.train.labels] == [str(each) for piece in pieces for each in piece]


@pytest.mark.parametrize("form", FORMS)
def test_texts_that_become_one_label_are_noted(form, tmp_path):
    labels = [*NAMES[:-1], "cat "]
    found = loaded(FORMS[form](frame_of(labels), tmp_path))
    assert found.train.labels.tolist() == PLACES
    (note,) = [note for note in found.notes if note.code == "same-label"]
    assert note.endswith(": 'cat' and 'cat ' are read as one label")
