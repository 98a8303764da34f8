"""Images to predict, read piece by piece: those of reading them at once."""

import sys

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples, Preprocessing
from fnnet.data import child, from_path, parquet_folder, parquet_kind
from fnnet.data.arrow_columns import Images
from fnnet.data.expand import expand
from fnnet.data.ids import read_ids
from fnnet.data.stream_images import open_images, streamed
from fnnet.errors import DataError, UsageError
from tests.data.test_parquet_stream import LAYOUTS, PICTURES, X, lists, odd, opacity, pictures, pixels, written

pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("inside")
DARK = Preprocessing(paper=255, ink=0)
LIGHT = Preprocessing()
COLUMNS = {"label_column": None, "first_index": None, "transpose": None, "image": False}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("fnnet.data.parquet_files.CHUNK", 5 * 588)


@pytest.mark.parametrize(
    "name", ["columns", "columns, from 0 to 1", "lists from -1 to 1", "PNG", "JPEG", "lists, texts"]
)
@pytest.mark.parametrize("known", [LIGHT, DARK, Preprocessing(resize=True)])
def test_images_are_those_of_reading_them_at_once(name, known, tmp_path):
    known = known._replace(signed="-1" in name)
    path = str(written(tmp_path / "a.parquet", LAYOUTS[name][0]))
    found = open_images([path], (21, 28), known, COLUMNS)[0]
    expected = from_path.images_to_predict(path, (21, 28), known, **COLUMNS)
    batches = [*found]
    np.testing.assert_array_equal(np.concatenate([batch.x for batch in batches]), expected.x)
    assert [batch.first for batch in batches] == np.cumsum([0, *(len(batch.x) for batch in batches[:-1])]).tolist()
    assert {batch.file for batch in batches} == {path}
    assert (found.notes, found.images) == (expected.notes, 90)


def test_some_images_may_have_their_ink_as_opacity(tmp_path):
    path = str(written(tmp_path / "a.parquet", odd(pictures(255 - PICTURES), pictures(opacity(PICTURES)))))
    found = np.concatenate([batch.x for batch in open_images([path], (21, 28), DARK, COLUMNS)[0]])
    np.testing.assert_array_equal(found, X)


def test_images_of_another_range_than_those_looked_at_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_kind.preprocess, "spread", lambda x, count=5: x[:5])
    x = (X / 255).astype(np.float32)
    x[61] = X[61] / 127.5 - 1
    path = str(written(tmp_path / "a.parquet", lists(x)))
    with pytest.raises(DataError, match="row group 4, rows 11 to 15: images of another kind than those looked at"):
        [*open_images([path], (21, 28), LIGHT, COLUMNS)[0]]


def test_tables_that_say_nothing_for_sure_or_nothing_at_all_are_refused(tmp_path):
    path = str(written(tmp_path / "a.parquet", pixels((X > 99).astype(np.uint8))))
    with pytest.raises(DataError, match="pixels are 0 and 1 alone"):
        open_images([path], (21, 28), LIGHT, COLUMNS)
    path = str(written(tmp_path / "b.parquet", lists(X).slice(0, 0)))
    with pytest.raises(DataError, match=r"b\.parquet: the row groups: empty dataset"):
        open_images([path], (21, 28), LIGHT, COLUMNS)


@pytest.fixture
def stream(tmp_path):
    few = data.load("digits")
    few = few._replace(train=Examples(few.train.x[:70], few.train.labels[:70]))
    expand(few, tmp_path / "stream", 2, shard_images=30)
    return str(tmp_path / "stream")


def test_the_folder_of_a_stream_is_read_in_the_order_of_its_files(stream):
    batches = [*open_images([stream], (28, 28), LIGHT, COLUMNS)[0]]
    expected = [x for x, _ in data.open_stream(stream).train.batches(1000)]
    np.testing.assert_array_equal(np.concatenate([batch.x for batch in batches]), np.concatenate(expected))
    files = dict.fromkeys(batch.file for batch in batches)
    assert [*files] == [f"{stream}/train-0000{number}.npy" for number in range(1, 6)]
    assert [batch.first for batch in batches if batch.file.endswith("2.npy")] == [*range(0, 30, 3)]


def test_a_stream_of_another_size_and_options_of_files_are_refused(stream):
    with pytest.raises(DataError, match=r"the index: image size does not fit the model; expected 21x28"):
        open_images([stream], (21, 28), LIGHT, COLUMNS)


@pytest.mark.parametrize(
    ("name", "value"),
    [("label_column", "x"), ("first_index", 0), ("first_index", 1), ("transpose", False), ("image", True)],
)
def test_options_of_files_are_refused_for_a_stream(name, value, stream):
    option = f"--{name.replace('_', '-')}"
    with pytest.raises(UsageError, match=rf"{option}: has no effect; expected files, found .* a stream"):
        open_images([stream], (28, 28), LIGHT, {**COLUMNS, name: value})


def test_options_of_other_formats_are_refused_for_parquet(tmp_path):
    path = str(written(tmp_path / "a.parquet", lists(X)))
    with pytest.raises(UsageError, match="--first-index: has no effect"):
        open_images([path], (21, 28), LIGHT, {**COLUMNS, "first_index": 1})


def test_without_the_library_it_is_named(tmp_path, monkeypatch):
    path = str(written(tmp_path / "a.parquet", lists(X)))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"Parquet needs an optional library.*pip install 'fnnet\[formats\]'"):
        open_images([path], (21, 28), LIGHT, COLUMNS)


def test_one_child_reads_all_files(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "inside", False)
    begun, begin = [], child.Child.__init__

    def noted(self):
        begun.append(self)
        begin(self)

    monkeypatch.setattr(child.Child, "__init__", noted)
    files = [str(written(tmp_path / f"{number}.parquet", lists(X))) for number in range(3)]
    for each in open_images(files, (21, 28), LIGHT, COLUMNS):
        np.testing.assert_array_equal(np.concatenate([batch.x for batch in each]), X)
    assert len(begun) == 1


def test_what_is_read_piece_by_piece(tmp_path, stream, monkeypatch):
    folder = tmp_path / "hub"
    folder.mkdir()
    files = [str(written(folder / f"{number}.parquet", lists(X))) for number in (10, 2)]
    assert streamed([stream]) == [stream]
    assert streamed([str(folder)]) == files[::-1]
    assert streamed([*files, str(folder), stream]) == [*files, *files[::-1], stream]
    assert streamed(files) == []
    monkeypatch.setattr(parquet_folder, "LARGE", 1000)
    assert streamed(files) == files
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(b"\\x89PNG")
    for other in ("empty", "a.png", "nowhere"):
        assert streamed([files[0], str(tmp_path / other)]) == []
    (folder / "1.png").write_bytes(b"\\x89PNG")
    assert streamed([str(folder)]) == []


@pytest.mark.parametrize(
    "layout", [pixels, lists, lambda x, **more: pictures(PICTURES).append_column("id", pa.array(more["id"]))]
)
@pytest.mark.parametrize("first", [7, 10**6, 2**53 - 90])
def test_ids_are_read_without_the_images(layout, first, tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", layout(X, id=np.arange(first, first + 90)))
    monkeypatch.setattr(Images, "_content", None)
    ids, notes = read_ids(path, (21, 28))
    assert (ids.tolist(), notes) == ([*range(first, first + 90)], [])


def test_ids_that_are_none_are_noted(tmp_path):
    assert read_ids(written(tmp_path / "a.parquet", lists(X)), (21, 28)) == (None, [])
    ids, (note,) = read_ids(written(tmp_path / "a.parquet", lists(X, id=np.arange(90) - 1)), (21, 28))
    assert ids is None
    assert "its column id is not taken as ids" in note
