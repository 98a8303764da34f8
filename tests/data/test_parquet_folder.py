"""Folders of Parquet: one rule for training, `evaluate` and `predict`."""

import numpy as np
import pytest

from fnnet import data
from fnnet.data import parquet_folder
from fnnet.data.arrow import read_with
from fnnet.data.folders import is_data_of
from fnnet.data.parquet_folder import beside_parquet, files_of, is_large, is_parquet, look_below, parquet_in
from fnnet.errors import DataError
from tests.data.test_parquet_stream import LAYOUTS, X, Y, alike, lists, opened, written
from tests.tools.samples import png

pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture
def hub(tmp_path):
    """Two pieces of training and a test set."""
    folder = tmp_path / "hub"
    folder.mkdir()
    for number in range(2):
        written(folder / f"train-{number:05}-of-00002.parquet", lists(X[:60], Y[:60]).slice(30 * number, 30))
    written(folder / "test-00000-of-00001.parquet", lists(X[60:], Y[60:]))
    return folder


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    png(path, X[0].reshape(21, 28))


def idx(path):
    path.write_bytes(bytes((0, 0, 8, 1, 0, 0, 0, 2, 1, 0)))


def text(path):
    path.write_text("label,pixel0\n1,2\n")


OTHERS = {
    "a picture": ("1.png", picture),
    "a picture that cannot be read": ("1.heic", text),
    "a class folder": ("cat/1.png", picture),
    "pictures of training": ("train/cat/1.png", picture),
    "IDX": ("train-labels", idx),
    "CSV": ("metadata.csv", text),
    "NPZ": ("a.npz", text),
    "Arrow": ("a.arrow", text),
    "ARFF": ("a.arff", text),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_with_data_of_another_format_is_none_of_parquet(name, hub):
    assert is_parquet(hub)
    assert beside_parquet(hub) is None
    file, write = OTHERS[name]
    write(hub / file)
    assert not is_parquet(hub)
    assert files_of(hub) == []
    assert beside_parquet(hub) == look_below(hub).other == hub / file
    assert not is_data_of(hub, hub / "train-00000-of-00002.parquet")
    with pytest.raises(DataError, match=rf"several kinds of data.*found {file} beside it; name the file"):
        parquet_in(hub)


def test_files_that_no_reader_takes_are_passed_over(hub):
    for name in ("README.md", "dataset_infos.json", "_SUCCESS", "LICENSE", ".gitattributes", ".x.png"):
        (hub / name).write_text("text")
    (hub / ".cache").mkdir()
    picture(hub / ".cache" / "1.png")
    (hub / "docs").mkdir()
    (hub / "docs" / "a.md").write_text("text")
    assert is_parquet(hub)
    assert [path.name for path in files_of(hub)] == [
        "test-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]  # fmt: skip


def test_all_files_below_are_its_own_those_of_a_folder_first(tmp_path):
    for name in ("train/10.parquet", "train/2.pq", "test/0.PARQUET"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / name, lists(X))
    (tmp_path / "train" / "up").symlink_to(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in files_of(tmp_path)] == [
        "test/0.PARQUET", "train/2.pq", "train/10.parquet"]  # fmt: skip
    assert is_parquet(tmp_path)
    assert is_data_of(tmp_path, tmp_path / "train" / "2.pq")


def test_a_folder_without_files_of_training_is_none(tmp_path):
    assert not is_parquet(tmp_path)
    assert not is_parquet(tmp_path / "none")
    with pytest.raises(DataError, match=r"no Parquet files of training.*found none"):
        parquet_in(tmp_path)
    (tmp_path / "label=7").mkdir()
    written(tmp_path / "label=7" / "part-0.parquet", lists(X))
    assert not is_parquet(tmp_path)
    with pytest.raises(DataError, match="a table in folders by the values of label"):
        data.load(tmp_path)


def test_a_folder_of_several_sets_or_of_the_test_alone_is_refused(tmp_path):
    written(tmp_path / "test.parquet", LAYOUTS["lists"][0])
    with pytest.raises(DataError, match=r"no Parquet files of training.*found test\.parquet; name the file"):
        opened(tmp_path)
    for name in ("a", "b"):
        written(tmp_path / f"{name}.parquet", LAYOUTS["lists"][0])
    with pytest.raises(DataError, match=r"several sets; .*found a\.parquet and b\.parquet"):
        opened(tmp_path)


def test_a_folder_that_cannot_be_listed_is_none(hub, monkeypatch):
    def refuse(folder):
        raise DataError("no")

    monkeypatch.setattr(parquet_folder, "_there", refuse)
    assert not is_parquet(hub)
    assert beside_parquet(hub) is None


def test_it_is_large_by_the_files_that_are_read(hub, tmp_path, monkeypatch):
    sizes = {path.name: path.stat().st_size for path in hub.iterdir()}
    monkeypatch.setattr(parquet_folder, "LARGE", sum(sizes.values()))
    first = hub / "train-00000-of-00002.parquet"
    assert is_large(hub)
    assert not is_large(first)
    monkeypatch.setattr(parquet_folder, "LARGE", sum(sizes.values()) - sizes["test-00000-of-00001.parquet"])
    assert is_large(first)
    (hub / "train-00001-of-00002.parquet").unlink()
    assert not is_large(first)  # whoever reads it says what is missing
    assert not is_large(tmp_path / "none")


def test_it_is_read_into_memory_or_as_a_stream(hub):
    found = data.load(hub)
    assert (found.name, found.source) == ("hub", str(hub))
    assert (len(found.train.labels), len(found.test.labels)) == (60, 30)
    np.testing.assert_array_equal(found.train.x, X[:60])
    alike(opened(hub), found)


def test_what_is_beside_it_is_read_as_before(hub):
    for number in range(4):
        picture(hub / "ab"[number % 2] / f"{number}.png")
    found = data.load(hub)
    assert (found.classes, len(found.train.x)) == (("a", "b"), 4)


def test_files_that_are_read_with_one_are_known(hub, tmp_path):
    names = [path.name for path in read_with(hub / "train-00000-of-00002.parquet")]
    assert names == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"]
    alone = written(tmp_path / "a.parquet", lists(X))
    assert read_with(alone) == [alone]
    text(tmp_path / "train.csv")
    assert read_with(tmp_path / "train.csv") == []
