"""Files beside the one that is named: what is read with it, and what is not, is said."""

import io

import numpy as np
import pytest

from fnnet import data
from fnnet.data import pieces
from fnnet.data.opened import Packed
from fnnet.errors import StorageError
from tests.tools.samples import npz, write

rng = np.random.default_rng(6)
X = rng.integers(0, 256, (30, 8, 8), dtype=np.uint8)
Y = np.arange(30) % 10


def put(path, rows=slice(None)):
    """Write images and their labels in the format of the file's name."""
    x, labels = X[rows].reshape(-1, 64), Y[rows]
    if path.suffix == ".npz":
        return npz(path, x=X[rows], y=labels)
    if path.suffix in (".parquet", ".feather"):
        pa = pytest.importorskip("pyarrow")
        from pyarrow import feather, parquet

        table, into = pa.table({"image": x.tolist(), "label": labels}), io.BytesIO()
        (parquet.write_table if path.suffix == ".parquet" else feather.write_feather)(table, into)
        return write(path, into.getvalue())
    lines = [",".join(["label", *(f"pixel{i}" for i in range(64))])]
    lines += [",".join(map(str, [label, *row])) for row, label in zip(x.tolist(), labels.tolist(), strict=True)]
    return write(path, "\n".join(lines).encode())


def noted(path, *codes):
    """The notes of these codes about a data set, whose rows are those of the file alone."""
    found = data.load(path)
    return found, [str(note) for note in found.notes if note.code in codes]


SERIES = [
    ("train_0", "train_1"), ("train-0", "train-1"), ("train0", "train1"), ("train.0", "train.1"),
    ("train_part0", "train_part1"), ("shard-00000", "shard-00001"), ("00000000", "00000001"), ("data_9", "data_10"),
    ("x_1_2", "x_1_3"),
]  # fmt: skip


@pytest.mark.parametrize("ending", [".csv", ".npz", ".parquet", ".feather", ""])
@pytest.mark.parametrize("names", SERIES, ids="/".join)
def test_a_file_of_a_numbered_series_is_read_alone_and_the_others_are_said(names, ending, tmp_path):
    """Whether they are shards, folds or versions, their names do not say."""
    ending = ".csv" if not ending and "." in names[0] else ending  # a suffix of its own
    first, _ = (
        put(tmp_path / f"{name}{ending}", rows) for name, rows in zip(names, (slice(20), slice(9)), strict=True)
    )
    put(tmp_path / f"other{ending}")
    found, notes = noted(first, "one-piece", "pieces")
    assert np.array_equal(found.train.x, X[:20].reshape(20, -1))
    said = "one of 2 files named alike except for a number; the others beside it are not read; put their rows into one"
    assert [note.startswith(f"{first}: {said}") for note in notes] == [True]
    assert noted(tmp_path / f"other{ending}", "one-piece", "pieces")[1] == []


def test_a_number_as_the_suffix_is_that_of_a_series(tmp_path):
    first, *_ = (put(tmp_path / f"data.csv{number}").rename(tmp_path / f"data.csv.{number}") for number in range(3))
    assert [": one of 3 files named alike" in note for note in noted(first, "one-piece")[1]] == [True]


@pytest.mark.parametrize(
    "names",
    [
        ("mnist_train.csv", "mnist_test.csv"), ("a_1_2.csv", "a_2_1.csv"), ("a1.csv", "b1.csv"), ("a1.csv", "a2.npz"),
        ("a1.csv", "a1b.csv"), ("a1.csv", "a.csv"), ("a1.csv", "a2.csv/b.csv"),
    ],
    ids="/".join,
)  # fmt: skip
def test_names_that_are_no_series(names, tmp_path):
    (tmp_path / names[1]).parent.mkdir(exist_ok=True)
    first, _ = (put(tmp_path / name) for name in names)
    assert noted(first, "one-piece", "pieces")[1] == []


@pytest.mark.parametrize("ending", [".csv", ".npz"])
@pytest.mark.parametrize("named", ["train", "mnist_train", "Training", "data-train-00000-of-00001"])
def test_other_parts_beside_the_training_set_are_said(named, ending, tmp_path):
    first = put(tmp_path / f"{named}{ending}")
    assert noted(first, "not-used")[1] == []
    word = "Training" if "Training" in named else "train"
    others = {part: put(tmp_path / f"{named.replace(word, part)}{ending}") for part in ("test", "val")}
    found, notes = noted(first, "not-used")
    assert found.test is None
    test, val = others.values()
    taken = f"validation takes images of training, or with 'train --dev-data {val}' these"
    assert notes == [
        f"{test}: not used: if it has labels, 'evaluate MODEL --data {test}' measures a model on it",
        f"{val}: not used: {taken}",
    ]
    for other in others.values():
        assert noted(other, "not-used")[1] == []


def test_a_test_set_in_the_file_counts(tmp_path):
    first = npz(tmp_path / "train.npz", x_train=X, y_train=Y, x_test=X[:9], y_test=Y[:9])
    put(tmp_path / "test.npz")
    put(tmp_path / "valid.npz")
    found, notes = noted(first, "not-used")
    assert len(found.test.x) == 9
    assert [note.partition(": ")[0] for note in notes] == [str(tmp_path / "valid.npz")]


def test_a_file_in_a_folder_that_cannot_be_listed_is_read(tmp_path, monkeypatch):
    def fails(folder):
        raise StorageError("cannot be listed", where=folder)

    first = put(tmp_path / "train_1.csv")
    put(tmp_path / "train_2.csv")
    monkeypatch.setattr(pieces, "list_folder", fails)
    assert noted(first, "one-piece")[1] == []


def test_a_file_within_another_has_none_beside_it(tmp_path, monkeypatch):
    put(tmp_path / "train_1.csv")
    monkeypatch.chdir(tmp_path)
    for name, count in ((Packed("train_0.csv", b""), 0), ("train_0.csv", 1)):
        assert len([*pieces.beside_notes(name, joins=False, tested=True)]) == count
