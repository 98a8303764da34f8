"""Parquet read row group by row group: the images, labels and notes of reading it in memory."""

import pickle

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import Reading, arrow_rows, child, parquet_files, parquet_stream
from fnnet.errors import DataError, UsageError
from tests.data.test_arrow import described, packed, structs
from tests.tools.written import parquet

pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("inside")
DIGITS = data.load("digits")
X, Y = DIGITS.train.x[:90, 98:-98].copy(), DIGITS.train.labels[:90]
PICTURES = X.reshape(-1, 21, 28)
SIZE = Reading(), (21, 28)


def pixels(x, **more):
    return pa.table({"label": Y, **{f"pixel{at}": x[:, at] for at in range(x.shape[1])}, **more})


def lists(x, y=Y, **more):
    return pa.table({"image": pa.array(list(x)), "label": y, **more})


def pictures(x, kind="PNG", y=Y, **more):
    return pa.table({"image": structs([packed(each, kind, **more) for each in x]), "label": y})


def opacity(x):
    return np.concatenate([np.zeros((*x.shape, 3), np.uint8), x[..., None]], axis=3)


LAYOUTS = {
    "columns": (pixels(X), {}),
    "columns, from 0 to 1": (pixels(X / 255), {}),
    "columns, dark ink": (pixels(255 - X), {}),
    "columns of truth values": (pixels(X > 99), {}),
    "columns, labels named": (pixels(X), {"reading": Reading(label_column="label")}),
    "lists": (lists(X), {}),
    "lists from 0 to 1": (lists((X / 255).astype(np.float32)), {}),
    "lists from -1 to 1": (lists((X / 127.5 - 1).astype(np.float32)), {}),
    "lists of whole floats": (lists(X.astype(np.float32)), {}),
    "lists of 16 levels": (lists(X // 16), {"reading": Reading(pixel_max=15)}),
    "lists, columns first": (lists(X), {"reading": Reading(transpose=True), "flat": (28, 21)}),
    "lists, labels from 1": (lists(X, Y + 1), {"reading": Reading(first_label=1)}),
    "lists, names of classes": (described(lists(X), label=[f"digit {n}" for n in range(10)]), {}),
    "lists, texts": (lists(X, [f"k{label}" for label in Y]), {}),
    "lists, column beside": (lists(X, idx=np.arange(90)), {}),
    "PNG": (pictures(PICTURES), {}),
    "PNG, scaled": (pictures(PICTURES), {"reading": Reading(size=(14, 14)), "flat": None}),
    "PNG, dark ink": (pictures(255 - PICTURES), {}),
    "PNG, ink as opacity": (pictures(opacity(PICTURES)), {}),
    "JPEG": (pictures(255 - PICTURES, "JPEG", quality=60), {}),
}


def opened(path, **given):
    notes = []
    found = data.open_parquet(path, notify=notes.append, **given)
    assert tuple(notes) == found.notes
    return found


def whole(stream, most=23):
    return [np.concatenate(each) for each in zip(*stream.batches(most), strict=True)]


def alike(found, loaded):
    x, labels = whole(found.train)
    np.testing.assert_array_equal(x, loaded.train.x)
    np.testing.assert_array_equal(labels, loaded.train.labels)
    assert found.train.counts == tuple(np.bincount(labels, minlength=len(loaded.classes)))
    fields = ("name", "source", "classes", "image_shape", "preprocessing", "notes", "numbered")
    assert [getattr(found, name) for name in fields] == [getattr(loaded, name) for name in fields]
    assert (found.test is None) == (loaded.test is None)
    if found.test is not None:
        np.testing.assert_array_equal(found.test.x, loaded.test.x)
        np.testing.assert_array_equal(found.test.labels, loaded.test.labels)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few rows at a time."""
    monkeypatch.setattr(parquet_files, "CHUNK", 5 * 588)
    monkeypatch.setattr(arrow_rows, "ROWS", 4)


def written(path, table, rows=17):
    path.write_bytes(parquet(table, row_group_size=rows))
    return path


@pytest.mark.parametrize("name", LAYOUTS)
def test_images_and_labels_are_those_of_reading_in_memory(name, tmp_path):
    table, given = LAYOUTS[name]
    given = {"flat": None if "PNG" in name or "JPEG" in name else (21, 28), **given}
    path = written(tmp_path / "a.parquet", table)
    found = opened(path, **given)
    assert found.train.sizes == (17, 17, 17, 17, 17, 5)
    alike(found, data.load(path, **given))


@pytest.mark.parametrize("name", ["lists from 0 to 1", "PNG, dark ink", "lists"])
def test_pieces_and_the_test_set_beside_them_are_found_as_in_memory(name, tmp_path):
    table, given = LAYOUTS[name]
    for number in range(2):
        part = table.slice(45 * number, 45)
        written(tmp_path / f"train-{number:05}-of-00002.parquet", part)
    written(tmp_path / "test-00000-of-00001.parquet", table.slice(5, 20))
    first = tmp_path / "train-00000-of-00002.parquet"
    alike(opened(first, **given), data.load(first, **given))
    folder = opened(tmp_path, **given)
    assert (folder.name, folder.source) == (tmp_path.name, str(tmp_path))
    alike(folder._replace(name=first.name, source=str(first)), data.load(first, **given))


def test_a_folder_of_folders_of_parts_is_found(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        written(tmp_path / part / "0000.parquet", LAYOUTS["PNG"][0])
    found = opened(tmp_path)
    assert (found.train.images, len(found.test.labels)) == (90, 90)


def test_a_model_says_how_pixels_are_read(tmp_path):
    path = written(tmp_path / "a.parquet", LAYOUTS["PNG"][0])
    dark = Preprocessing(paper=255, ink=0)
    found = opened(path, preprocessing=dark, classes=[*"0123456789"], flat=(21, 28), by_name=True)
    assert found.preprocessing == dark
    np.testing.assert_array_equal(whole(found.train)[0], 255 - X)


def test_a_stream_can_be_pickled_and_its_digest_is_of_all_that_is_trained_on(tmp_path):
    path = written(tmp_path / "a.parquet", LAYOUTS["lists"][0])
    first = opened(path).train
    again = pickle.loads(pickle.dumps(first))
    for one, other in zip(whole(first), whole(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.fingerprint == opened(path).train.fingerprint == again.fingerprint
    x = X.copy()
    x[50, 300] ^= 1
    others = [lists(x), lists(X, np.roll(Y, 1))]
    digests = {opened(written(path, table)).train.fingerprint for table in others}
    digests.add(
        opened(
            written(path, LAYOUTS["lists"][0]),
            reading=Reading(
                transpose=True,
            ),
        ).train.fingerprint
    )
    assert len(digests - {first.fingerprint}) == 3


def test_rows_are_read_in_any_order(tmp_path):
    stream = opened(written(tmp_path / "a.parquet", LAYOUTS["lists"][0], 40)).train
    for first, stop in ((3, 9), (9, 20), (1, 2), (39, 40), (0, 40)):
        x, labels = np.empty((stop - first, 588), np.uint8), np.empty(stop - first, np.int64)
        stream.read(1, first, stop, x, labels)
        np.testing.assert_array_equal(x, X[40 + first : 40 + stop])
        np.testing.assert_array_equal(labels, Y[40 + first : 40 + stop])


def test_files_are_closed_when_others_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_rows, "FILES", 1)
    table = LAYOUTS["lists"][0]
    for number in range(3):
        written(tmp_path / f"train-{number:05}-of-00003.parquet", table.slice(30 * number, 30))
    np.testing.assert_array_equal(whole(opened(tmp_path).train)[0], X)
    assert len(arrow_rows._open) == 1


def odd(table, other, at=61, count=1):
    return pa.concat_tables([table.slice(0, at), other.slice(at, count), table.slice(at + count)])


def _ranges():
    x = (X / 255).astype(np.float32)
    signed, large = x.copy(), x.copy()
    signed[61], large[61] = X[61] / 127.5 - 1, X[61]
    return x, signed, large


SMALL = PICTURES[:, :20]
LATER = {
    "of another size": (odd(pictures(PICTURES), pictures(SMALL)), "image"),
    "of JPEG": (odd(pictures(PICTURES), pictures(PICTURES, "JPEG")), "expected no JPEG, as others, found JPEG"),
    "of ink as opacity": (odd(pictures(PICTURES), pictures(opacity(PICTURES))), "found some with ink as opacity"),
    "below 0": (
        odd(lists(_ranges()[0]), lists(_ranges()[1])),
        "expected pixels from 0 to 1, found pixels from -1 to 1",
    ),
    "above 1": (odd(lists(_ranges()[0]), lists(_ranges()[2])), "pixel is not a whole number"),
    "too bright": (odd(pictures(PICTURES // 32), pictures(PICTURES)), "pixel above the largest; expected 0 to 7"),
    "of bits": (
        odd(pictures(PICTURES // 32), pictures(PICTURES > 99), count=5),
        "expected pixels of one range, found bits",
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_images_of_another_kind_than_those_looked_at_are_refused(name, tmp_path, monkeypatch):
    table, message = LATER[name]
    monkeypatch.setattr(parquet_stream.preprocess, "spread", lambda x, count=5: x[:5])
    path = written(tmp_path / "a.parquet", table)
    reading = Reading(pixel_max=7) if name in ("of bits", "too bright") else Reading()
    stream = opened(path, reading=reading)
    with pytest.raises(DataError, match=rf"a\.parquet: row group 4, .*({message})"):
        whole(stream.train)


def test_images_that_are_of_several_kinds_at_once_are_refused(tmp_path):
    path = written(tmp_path / "a.parquet", odd(pictures(PICTURES), pictures(opacity(PICTURES))))
    with pytest.raises(DataError, match=r"images of several kinds.*some of both; leave --window out to read them"):
        opened(path)
    path = written(
        tmp_path / "b.parquet", pa.concat_tables([pictures(PICTURES).slice(0, 34), pictures(SMALL).slice(34)])
    )
    with pytest.raises(DataError, match=r"images differ in size; expected 21x28 .*, found 20x28"):
        opened(path)


def damage(path, group):
    """Change bytes in the middle of the first column of a row group."""
    from pyarrow.parquet import ParquetFile

    metadata = ParquetFile(path).metadata.row_group(group)
    column = metadata.column(0)
    at = column.data_page_offset + 10
    content = bytearray(path.read_bytes())
    content[at : at + 60] = bytes(255 - each for each in content[at : at + 60])
    path.write_bytes(content)


@pytest.fixture
def damaged(tmp_path):
    """The image column of the third row group of six."""
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(LAYOUTS["PNG"][0], row_group_size=17, write_page_checksum=True))
    damage(path, 2)
    return path


def test_a_damaged_row_group_is_named(damaged, monkeypatch):
    with pytest.raises(DataError, match=r"a\.parquet: row group 3: damaged or unsupported Parquet file"):
        opened(damaged)
    monkeypatch.setattr(parquet_stream.preprocess, "spread", lambda x, count=5: x[:5])
    stream = opened(damaged).train
    with pytest.raises(
        DataError, match=r"a\.parquet: row group 3: damaged.*leave damaged row groups out: --skip-damaged"
    ):
        whole(stream)


def test_damaged_row_groups_are_left_out_if_that_is_said(damaged):
    found = opened(damaged, skip_damaged=True)
    assert found.train.left_out == ("a.parquet row group 3",)
    assert found.train.sizes == (17, 17, 17, 17, 5)
    assert "1 damaged row group left out, 17 images: a.parquet row group 3 (" in found.notes[-1]
    np.testing.assert_array_equal(whole(found.train)[0], np.delete(X, range(34, 51), axis=0))
    np.testing.assert_array_equal(whole(found.train)[1], np.delete(Y, range(34, 51)))


def test_damaged_labels_are_named_and_a_damaged_file_is_left_out(tmp_path):
    table = LAYOUTS["lists"][0].select(["label", "image"])
    for number in range(2):
        path = tmp_path / f"train-{number:05}-of-00002.parquet"
        path.write_bytes(parquet(table.slice(45 * number, 45), row_group_size=17, write_page_checksum=True))
    damage(path, 1)
    with pytest.raises(DataError, match=r"00001-of-00002\.parquet: row group 2: damaged"):
        opened(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"00001-of-00002\.parquet: the file: damaged"):
        opened(tmp_path)
    found = opened(tmp_path, skip_damaged=True)
    assert (found.train.left_out, found.train.images) == (("train-00001-of-00002.parquet",), 45)
    assert "1 damaged file left out: train-00001-of-00002.parquet (" in found.notes[-1]
    damage(tmp_path / "train-00000-of-00002.parquet", 1)
    found = opened(tmp_path, skip_damaged=True)
    assert "1 damaged file and 1 damaged row group left out: train-00000-of-00002.parquet row" in found.notes[-1]


def test_where_all_is_damaged_or_empty_there_is_nothing_to_train_on(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(LAYOUTS["PNG"][0], row_group_size=90, write_page_checksum=True))
    damage(path, 0)
    with pytest.raises(DataError, match="row group 1: damaged"):
        opened(path, skip_damaged=True)
    with pytest.raises(DataError, match="empty dataset; expected at least 1 row, found 0 rows"):
        opened(written(path, LAYOUTS["PNG"][0].slice(0, 0)))


def test_signed_images_are_whole_though_some_do_not_show_it(tmp_path):
    """Row groups without a number below 0 are read once more."""
    x = np.abs(X / 127.5 - 1).astype(np.float32)
    x[::9] = X[::9] / 127.5 - 1
    x[:9] = np.maximum(x[:9], -0.5)
    path = written(tmp_path / "a.parquet", lists(x), 9)
    found = opened(path, skip_damaged=True)
    assert found.train.left_out == ()
    alike(found, data.load(path))


def test_a_file_that_is_written_while_it_is_trained_on_is_found(tmp_path):
    path = written(tmp_path / "a.parquet", LAYOUTS["lists"][0])
    stream = opened(path).train
    written(path, LAYOUTS["lists"][0])
    whole(stream)
    written(path, lists(255 - X))
    with pytest.raises(DataError, match=r"a\.parquet: row group 1, its bytes: written since it was opened"):
        whole(stream)


def test_a_row_group_that_ends_too_early_is_found(tmp_path):
    path = written(tmp_path / "a.parquet", LAYOUTS["lists"][0])
    with path.open("rb") as file, pytest.raises(DataError, match="row group cut short"), \
            arrow_rows.opened(file.fileno()) as rows:  # fmt: skip
        [*rows.between(["image"], 0, [(16, 18)])]


NUMBERED = pa.table({f"{at}": column for at, column in enumerate([Y, *X[:, :576].T])})


@pytest.mark.parametrize(
    ("table", "given", "message", "error"),
    [
        (pixels(X), {"reading": Reading(pixel_max="auto")}, "--pixel-max: would read all images", UsageError),
        (pixels(X), {"skip_damaged": 3}, "skip_damaged is not a truth value", UsageError),
        (pixels(X), {"classes": ["a", "b"]}, "label out of range", DataError),
        (lists(X), {"flat": (2, 2)}, "--image-size: images have another size", UsageError),
        (pixels(X).drop(["label"]), {}, "the schema: no labels; expected a column named label", DataError),
        (NUMBERED, {}, "the schema: no column of labels by its name; expected one", DataError),
    ],
)  # fmt: skip
def test_what_a_stream_cannot_be_is_refused(table, given, message, error, tmp_path):
    path = written(tmp_path / "a.parquet", table)
    with pytest.raises(error, match=message):
        opened(path, **given)


def test_another_format_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("label,pixel0,pixel1\n1,2,3\n")
    with pytest.raises(DataError, match="Parquet"):
        opened(tmp_path / "a.csv")


def test_what_only_some_row_groups_at_once_show_is_told_as_it_is(tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", LAYOUTS["lists"][0])
    for name, several in (("labels", lambda groups, wanted: groups), ("images", lambda group, rows, wanted: rows)):
        read = getattr(parquet_files.Files, name)

        def refuse(self, *given, read=read, several=several):
            if len(several(*given)) > 1:
                raise DataError("together")
            return read(self, *given)

        with monkeypatch.context() as patch:
            patch.setattr(parquet_files.Files, name, refuse)
            with pytest.raises(DataError, match=r"^together$"):
                opened(path)


def test_a_child_reads_all_that_a_stream_reads_and_ends_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "inside", False)
    found, begin = [], child.Child.__init__

    def noted(self):
        begin(self)
        found.append(self.process)

    monkeypatch.setattr(child.Child, "__init__", noted)
    path = written(tmp_path / "a.parquet", LAYOUTS["JPEG"][0])
    stream = opened(path).train
    alike(opened(path), data.load(path))
    process, *others = found
    assert process.poll() is None
    process.kill()
    process.wait()
    whole(stream)
    last = found[-1]
    assert last not in (process, *others)
    assert last.poll() is None
    del stream
    assert last.poll() is not None
