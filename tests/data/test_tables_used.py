"""Tables of a model: columns by name, ids, and what takes images alone."""

import numpy as np
import pandas
import pytest

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.convert import convert
from fnnet.data.expand import expand
from fnnet.data.ids import read_ids
from fnnet.data.preprocess import Reading
from fnnet.data.scaling import scaling_of
from fnnet.errors import DataError, UsageError
from tests.conftest import ROOT
from tests.tools.samples import write

TABLE = b"a,b,c,label\n1.5,2,3,x\n2.5,3,4,y\n3.5,1,2,x\n"


def known_of(names):
    """The preprocessing of a model of these columns."""
    return Preprocessing(scaling=scaling_of(np.array([[1.0, 2, 3], [2, 4, 6]]), names, "kind"))


@pytest.mark.parametrize(
    ("names", "text", "noted"),
    [
        (("a", "b", "c"), "a,b,c\n2,4,6\n", []),
        (("a", "b", "c"), "C,kind,A,B\n6,?,2,4\n", ["columns-ordered"]),
        (("a", "b", "c"), "label,c,a,b\nu,6,2,4\n", ["columns-ordered"]),
        (("a", "b", "c"), "2,4,6\n", ["columns-unnamed"]),
        (("", "", ""), "a,b,c\n2,4,6\n", ["columns-unnamed"]),
        (("", "", ""), "2,4,6\n", []),
        (("", "", ""), "2,4,6,up\n", []),
        (("1", "b", "2020"), "2020,1,b\n6,2,4\n", ["columns-ordered"]),
        (("a", "b", "c"), '"a","b","c"\n"2","4","6"\n', []),
    ],
)
def test_columns_of_a_file_to_predict(names, text, noted, tmp_path):
    notes = []
    path = write(tmp_path / "a.csv", text.encode())
    found = data.read_images(path, (1, 3), known_of(names), notify=notes.append)
    assert np.array_equal(found, [[1, 1, 1]])
    assert [note.code for note in notes] == noted


def test_columns_of_a_file_to_predict_that_differ(tmp_path):
    for names, text, message in (
        (("a", "b", "c"), "a,b\n2,4\n", "expected 3 columns: a, b, c, found without c; give the columns"),
        (("a", "b", "c"), "a,b,d\n2,4,6\n", "found without c; with d; .*--label-column"),
        (("", "", ""), "2,4\n", "expected 3 columns, found 2 columns; .*--label-column"),
        (("a", "b", "c"), "a,b,c\n2,4,red\n", "line 2, column 3, 'c': a column of text"),
    ):
        with pytest.raises(DataError, match=message):
            data.read_images(write(tmp_path / "a.csv", text.encode()), (1, 3), known_of(names))
    path = write(tmp_path / "a.csv", b"2,4,6,7\n")
    found = data.read_images(path, (1, 3), known_of(("a", "b", "c")), label_column="last", notify=lambda note: None)
    assert np.array_equal(found, [[1, 1, 1]])
    for wrong, message in (({"transpose": True}, "transpose"), ({"image": True}, "image")):
        with pytest.raises(UsageError, match=f"--{message}: has no effect"):
            data.read_images(path, (1, 3), known_of(("", "", "")), label_column="last", **wrong)
    with pytest.raises(DataError, match="images, not a table; expected a table of 3 columns"):
        data.read_images(ROOT / "docs/two.png", (1, 3), known_of(("a", "b", "c")))


@pytest.mark.usefixtures("inside")
def test_ids_of_the_rows_of_a_table(tmp_path):
    known = known_of(("a", "b", "c"))
    frame = pandas.DataFrame([[901, 2, 4, 6, "up"], [77, 1, 2, 3, "down"]], columns=["id", "a", "b", "c", "kind"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.parquet"):
        ids, notes = read_ids(tmp_path / name, (1, 3), known)
        assert (ids.tolist(), notes) == ([901, 77], [])
    frame.assign(id=["u1", "u2"]).to_csv(tmp_path / "a.csv", index=False)
    ids, (note,) = read_ids(tmp_path / "a.csv", (1, 3), known)
    assert (ids, note.code) == (None, "ids-not-read")
    frame.drop(columns="id").to_parquet(tmp_path / "a.parquet", index=False)
    assert read_ids(tmp_path / "a.parquet", (1, 3), known) == (None, [])
    assert data.read_images(tmp_path / "a.parquet", (1, 3), known).tolist()[0] == [1, 1, 1]
    frame[["c", "a", "b"]].to_parquet(tmp_path / "a.parquet", index=False)
    assert data.read_images(tmp_path / "a.parquet", (1, 3), known, notify=str).tolist()[0] == [1, 1, 1]


def test_a_table_is_no_stream(tmp_path):
    """The rows would be read as pixels, from 0 to 255."""
    found = data.load(write(tmp_path / "a.csv", TABLE))
    pandas.read_csv(tmp_path / "a.csv").to_parquet(tmp_path / "a.parquet", index=False)
    known = {"preprocessing": found.preprocessing, "flat": (1, 3), "classes": found.classes}
    for given in ({"reading": Reading(table=True)}, known):
        with pytest.raises(DataError, match=r"a table, piece by piece.*leave --window out"):
            data.open_parquet(tmp_path / "a.parquet", **given)
    table = pandas.read_csv(tmp_path / "a.csv").assign(d=1.5, e=2.5)
    table.to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(DataError, match="a table, whose rows are not images, is read at once, not piece by piece"):
        data.open_parquet(tmp_path / "a.parquet")


def test_what_takes_images_alone_refuses_a_table(tmp_path):
    found = data.load(write(tmp_path / "a.csv", TABLE))
    with pytest.raises(UsageError, match="dataset: takes images"):
        convert(found, tmp_path / "b.npz")
    with pytest.raises(UsageError, match="dataset: takes images"):
        expand(found, tmp_path / "out", 2)
    with pytest.raises(DataError, match="label below the first"):
        data.load(
            write(tmp_path / "a.csv", b"a,b,label\n1,2,0\n2,3,3\n"), classes=("u", "v"), reading=Reading(first_label=2)
        )
