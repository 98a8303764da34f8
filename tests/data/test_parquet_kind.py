"""Of what kind the images of a stream are: judged by all of a file, as in memory, whatever some rows look like."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import arrow_rows, from_path, parquet_files, parquet_kind
from fnnet.data.stream_images import open_images
from fnnet.errors import DataError
from tests.data.test_parquet_stream import (
    PICTURES,
    X,
    Y,
    alike,
    lists,
    odd,
    opacity,
    opened,
    pictures,
    pixels,
    whole,
    written,
)

pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("inside")
UNIT, SIGNED = X / 255, X / 127.5 - 1
BITS = (X > 99).astype(float)
BLANK = np.full_like(SIGNED, -1)
WITHOUT_BELOW = np.abs(SIGNED) * (X > 99)
COLUMNS = {"label_column": None, "first_index": None, "transpose": None, "image": False}
KNOWN = Preprocessing()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few rows at a time."""
    monkeypatch.setattr(parquet_files, "CHUNK", 5 * 588)
    monkeypatch.setattr(arrow_rows, "ROWS", 4)


def first_five(monkeypatch):
    monkeypatch.setattr(parquet_kind.preprocess, "spread", lambda x, count=5: x[:5])


def mixed(x, other, at=34, count=17):
    """Images whose third row group of 17 looks, alone, as if it were of another range."""
    found = np.array(x, float)
    found[at : at + count] = other[at : at + count]
    return found


SOUND = {
    "a table from 0 to 1, some 0 and 1 alone": pixels(mixed(UNIT, BITS)),
    "a table from 0 to 1, some blank": pixels(mixed(UNIT, np.zeros_like(UNIT))),
    "a table from -1 to 1, some blank": pixels(mixed(SIGNED, BLANK)),
    "a table from -1 to 1, some 0 and 1 alone": pixels(mixed(SIGNED, BITS)),
    "a table from -1 to 1, some without -1": pixels(mixed(SIGNED, WITHOUT_BELOW)),
    "a table from -1 to 1, some not below -0.5": pixels(mixed(SIGNED, np.maximum(SIGNED, -0.5))),
    "lists from -1 to 1, some without -1": lists(mixed(SIGNED, WITHOUT_BELOW)),
    "lists from -1 to 1, some not below -0.5": lists(mixed(SIGNED, np.maximum(SIGNED, -0.5))),
    "lists from -1 to 1, some blank": lists(mixed(SIGNED, BLANK)),
    "lists from 0 to 1, some 0 and 1 alone": lists(mixed(UNIT, BITS)),
}


@pytest.mark.parametrize("looked_at", ["all", "some"])
@pytest.mark.parametrize("name", SOUND)
def test_a_row_group_that_looks_otherwise_is_of_the_range_of_its_file(name, looked_at, tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", SOUND[name])
    in_memory = data.load(path, flat=(21, 28))
    if looked_at == "some":
        first_five(monkeypatch)
    found = opened(path, flat=(21, 28))
    np.testing.assert_array_equal(whole(found.train)[0], in_memory.train.x)
    if looked_at == "all":
        alike(found, in_memory)
    assert opened(path, flat=(21, 28), skip_damaged=True).train.left_out == ()
    known = Preprocessing(signed="-1" in name)
    predicted = [batch.x for batch in open_images([str(path)], (21, 28), known, COLUMNS)[0]]
    expected = from_path.images_to_predict(path, (21, 28), known, **COLUMNS)
    np.testing.assert_array_equal(np.concatenate(predicted), expected.x)


def test_files_beside_one_another_have_ranges_of_their_own(tmp_path):
    """Bytes beside numbers from 0 to 1 are what they are, in a file of their own alone."""
    names = [tmp_path / f"train-{number:05}-of-00002.parquet" for number in range(2)]
    for path, table in zip(names, (pixels(UNIT), pixels(X)), strict=True):
        written(path, table)
    alike(opened(tmp_path, flat=(21, 28)), data.load(tmp_path, flat=(21, 28)))


NO_RANGE = {
    "bytes in a table from 0 to 1": (pixels(mixed(UNIT, X)), r"expected pixels from 0 to 1, found \d+"),
    "bytes in a table from -1 to 1": (pixels(mixed(SIGNED, X)), r"expected pixels from -1 to 1, found \d+"),
    "fractions in a table of bytes": (pixels(mixed(X, UNIT)), "expected pixels from 0 to 255, found a fraction"),
}


@pytest.mark.parametrize("name", NO_RANGE)
def test_a_row_group_of_another_range_is_refused_as_in_memory(name, tmp_path, monkeypatch):
    table, message = NO_RANGE[name]
    path = written(tmp_path / "a.parquet", table)
    with pytest.raises(DataError):
        data.load(path, flat=(21, 28))
    first_five(monkeypatch)
    stream = opened(path, flat=(21, 28)).train
    with pytest.raises(DataError, match=rf"a\.parquet: row group 3, .*of another kind .*{message}") as caught:
        whole(stream)
    assert "--skip-damaged" not in str(caught.value)


def test_numbers_below_0_without_minus_1_stay_in_doubt(tmp_path):
    """Whole numbers in other rows do not settle it."""
    path = written(tmp_path / "a.parquet", pixels(mixed(np.maximum(SIGNED, -0.5), BITS)))
    for read in (data.load, opened):
        with pytest.raises(DataError, match="a number below 0"):
            read(path, flat=(21, 28))
    model = {"preprocessing": Preprocessing(signed=True), "classes": [*"0123456789"], "flat": (21, 28)}
    np.testing.assert_array_equal(whole(opened(path, **model).train)[0], data.load(path, **model).train.x)


def test_a_file_of_which_nothing_was_looked_at_is_read_as_all_are(tmp_path, monkeypatch):
    for number in range(2):
        written(tmp_path / f"train-{number:05}-of-00002.parquet", pixels(UNIT))
    first_five(monkeypatch)
    np.testing.assert_array_equal(whole(opened(tmp_path, flat=(21, 28)).train)[0], np.concatenate([X, X]))


@pytest.mark.parametrize("known", [KNOWN, Preprocessing(paper=255, ink=0)])
def test_for_a_model_some_images_may_have_ink_as_opacity(known, tmp_path):
    path = written(tmp_path / "a.parquet", odd(pictures(255 - PICTURES), pictures(opacity(PICTURES))))
    model = {"preprocessing": known, "classes": [*"0123456789"], "flat": (21, 28)}
    np.testing.assert_array_equal(whole(opened(path, **model).train)[0], data.load(path, **model).train.x)


def test_labels_that_values_alone_show_are_not_judged_by_some_rows(tmp_path):
    names = {f"{at}": column for at, column in enumerate([*X[:, :576].T, Y])}
    path = str(written(tmp_path / "a.parquet", pa.table(names)))
    with pytest.raises(DataError, match="no column of labels by its name"):
        open_images([path], (24, 24), KNOWN, COLUMNS)
    given = {**COLUMNS, "label_column": "last"}
    predicted = [batch.x for batch in open_images([path], (24, 24), KNOWN, given)[0]]
    np.testing.assert_array_equal(np.concatenate(predicted), X[:, :576])


def test_pieces_are_as_large_as_images_are(tmp_path, monkeypatch):
    """Without a size that is said, the first row shows it."""
    read, rows = parquet_files.Files.images, []

    def noted(self, group, spans, wanted):
        rows.extend(stop - first for first, stop in spans)
        return read(self, group, spans, wanted)

    monkeypatch.setattr(parquet_files.Files, "images", noted)
    large = PICTURES.repeat(2, axis=1).repeat(2, axis=2)
    opened(written(tmp_path / "a.parquet", pictures(large)), skip_damaged=True)
    assert max(rows) == 1


def test_labels_of_single_row_groups_are_not_judged(tmp_path):
    """Many names in a few rows, or a letter among digits, are names of classes if all rows are looked at."""
    many = [f"class {n % 12}" for n in range(75)] + [f"class {n}" for n in range(12)] + ["class 0"] * 3
    letters = [str(n % 8) if n not in (40, 85) else "A" for n in range(90)]
    for number, labels in enumerate((many, letters)):
        path = written(tmp_path / f"{number}.parquet", lists(X, labels), 15)
        found = opened(path, skip_damaged=True)
        assert found.train.left_out == ()
        alike(found, data.load(path))


def test_what_is_kept_of_rows_is_no_more_than_they(tmp_path, monkeypatch):
    """Single rows of a row group, without the memory of the rows beside them."""
    monkeypatch.setattr(arrow_rows, "ROWS", 1000)
    x = np.arange(10_000 * 100, dtype=np.uint8).reshape(10_000, 100)
    table = pa.table({"image": pa.array(list(x)), "text": pa.array(["t" * 100] * len(x)).cast(pa.string_view())})
    path = written(tmp_path / "a.parquet", table, len(x))
    copy, taken = arrow_rows._copied, []

    def noted(batch):
        taken.append(copy(batch))
        return taken[-1]

    monkeypatch.setattr(arrow_rows, "_copied", noted)
    with path.open("rb") as file, arrow_rows.opened(file.fileno()) as rows:
        for names in (["image"], ["image", "text"]):
            taken.clear()
            spans = [(at, at + 1) for at in range(0, len(x), 1000)]
            found = pa.Table.from_batches(rows.between(names, 0, spans))
            np.testing.assert_array_equal(np.stack(found.column("image").to_numpy()), x[::1000])
            assert len(taken) == 10
            assert sum(batch.get_total_buffer_size() for batch in taken) < 10 * 1000
    assert found.column("text").to_pylist() == ["t" * 100] * 10


def test_sorted_labels_that_take_next_to_nothing_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("fnnet.data.bounds.FREE", 100)
    monkeypatch.setattr("fnnet.data.bounds.RATIO", 2)
    path = written(tmp_path / "a.parquet", lists(X, np.sort(Y)), 90)
    files = parquet_files.Files([path])
    (group,) = files.groups(0)
    wanted = parquet_kind.Wanted(True)
    assert files.labels([group], wanted).labels.tolist() == np.sort(Y).tolist()
    files.decode(group, wanted)
    monkeypatch.setattr("fnnet.data.bounds.RATIO", 0)
    with pytest.raises(DataError, match="expands to far more"):
        files.labels([group], wanted)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_forked_reads_by_a_child_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("fnnet.data.child.inside", False)
    path = written(tmp_path / "a.parquet", lists(X))
    files = parquet_files.Files([path])
    groups = files.groups(0)
    (child,) = files._children
    held, done = threading.Event(), threading.Event()

    def hold():
        with files._lock:  # which the other process inherits, though not the thread
            held.set()
            done.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        held.wait()
        other = os.fork()
        if other == 0:  # pragma: no cover - in the other process
            code = 1
            signal.alarm(60)
            try:
                code = 0 if files.groups(0) == groups and files._children[0] is not child else 2
                files._children[0].close()
                child.close()
            finally:
                os._exit(code)
        done.set()
        assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
    assert child.process.poll() is None
    assert files.groups(0) == groups
    assert files._children == [child]


def test_a_child_of_another_process_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("fnnet.data.child.inside", False)
    files = parquet_files.Files([written(tmp_path / "a.parquet", lists(X))])
    files.groups(0)
    (first,) = files._children
    files._process = first.owner = -1
    files.groups(0)
    (second,) = files._children
    assert second is not first
    second.owner = -1
    files.groups(0)
    (third,) = files._children
    assert second.process.wait(60) == 0  # as nobody asks it any more
    assert (first.process.poll(), third.process.poll()) == (None, None)
    first.owner = os.getpid()
    first.close()
