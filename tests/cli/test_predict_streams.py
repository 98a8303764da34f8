"""`predict -o` on streams: the answers and notes of reading all at once."""

import os

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.cli import predict_stream
from fnnet.data import parquet_folder, parquet_kind
from fnnet.data.expand import expand
from tests.tools.samples import png
from tests.tools.written import parquet

pa = pytest.importorskip("pyarrow")
DIGITS = data.load("digits").test
X = DIGITS.x[:60].copy()
X[7] = X[9] = 0
X[11] //= 3
X[20] = X[41] = 255 - X[20]
MODEL = fnnet.Model(fnnet.init([784, 10], 0), classes=tuple("abcdefghij"))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("fnnet.data.parquet_files.CHUNK", 9 * 784)


@pytest.fixture
def model(tmp_path):
    fnnet.save_model(tmp_path / "model.safetensors", MODEL)
    return tmp_path / "model.safetensors"


def written(path, x, **more):
    table = pa.table({**more, **{f"pixel{at}": x[:, at] for at in range(784)}})
    path.write_bytes(parquet(table, row_group_size=25))
    return path


def table(path):
    rows = [line.split(",") for line in path.read_text().splitlines()]
    return [[*row[:-1], round(float(row[-1]), 5)] if "." in row[-1] else row for row in rows]


@pytest.mark.parametrize("kaggle", [(), ("--kaggle",)])
@pytest.mark.parametrize("ids", [{}, {"id": np.arange(60) * 3}])
def test_answers_and_notes_are_those_of_reading_at_once(kaggle, ids, run, model, tmp_path, monkeypatch):
    files = [written(tmp_path / "a.parquet", X, **ids), written(tmp_path / "b.parquet", X[:30], **(
        {"id": 1000 + np.arange(30)} if ids else {}))]  # fmt: skip
    expected = run("predict", model, *files, "-o", "a.csv", *kaggle)
    monkeypatch.setattr(parquet_folder, "LARGE", 0)
    found = run("predict", model, *files, "-o", "b.csv", *kaggle)
    assert (found.code, expected.code) == (0, 0)
    assert found.out == expected.out.replace("a.csv", "b.csv")
    assert sorted(found.err.splitlines()) == sorted(expected.err.splitlines())
    assert {"blank", "dim"} <= {word for word in ("blank", "dim") if word in found.err}
    assert table(tmp_path / "b.csv") == table(tmp_path / "a.csv")
    assert len(table(tmp_path / "b.csv")) == 91


def test_a_folder_of_parquet_and_one_of_a_stream_are_predicted(run, model, tmp_path):
    (tmp_path / "hub").mkdir()
    for name in ("10", "2"):
        written(tmp_path / "hub" / f"{name}.parquet", X[:30])
    expand(data.load("digits")._replace(train=DIGITS), tmp_path / "stream", 1, shard_images=100)
    assert run("predict", model, "hub", "stream", "-o", "a.csv").code == 0
    rows = table(tmp_path / "a.csv")
    assert [*dict.fromkeys(row[0] for row in rows[1:])] == ["hub/2.parquet", "hub/10.parquet", *(
        f"stream/train-0000{number}.npy" for number in range(1, 5))]  # fmt: skip
    assert len(rows) == 421
    run("predict", model, "stream").failed(2, "--output: answers of a stream go to a file")
    run("predict", model, "stream", "-o", "b.csv", "--json").failed(2, "--json: answers of a stream go to a file")
    assert not (tmp_path / "b.csv").exists()


def test_an_id_that_two_images_have_is_refused(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_folder, "LARGE", 0)
    files = [written(tmp_path / f"{name}.parquet", X[:30], id=np.arange(30) + at) for name, at in (("a", 0), ("b", 29))]
    found = run("predict", model, *files, "-o", "a.csv", "--kaggle")
    found.failed(2, "two images of one id", f"{files[0]}[29] and {files[1]}[0]")
    other = written(tmp_path / "c.parquet", X[:30])
    found = run("predict", model, files[0], other, "-o", "a.csv", "--kaggle")
    assert "ImageId counts the images from 1, in their order: not all files have ids" in found.err
    small = written(tmp_path / "d.parquet", X[:30], id=np.arange(30) / 7)
    assert "not taken as ids" in run("predict", model, small, "-o", "a.csv", "--kaggle").err


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, "damaged"])
def test_nothing_is_written_where_it_ends_early(stopped, run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_folder, "LARGE", 0)
    path = written(tmp_path / "a.parquet", X)
    there = sorted(os.listdir(tmp_path))
    rows, calls = predict_stream.Answers._rows, []

    def some(self, batch, of):
        calls.append(batch)
        if len(calls) > 3:
            raise KeyboardInterrupt if stopped is KeyboardInterrupt else fnnet.FnnetError("damaged")
        return rows(self, batch, of)

    monkeypatch.setattr(predict_stream.Answers, "_rows", some)
    if stopped is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            run("predict", model, path, "-o", "a.csv")
    else:
        run("predict", model, path, "-o", "a.csv").failed(1, "damaged")
    assert sorted(os.listdir(tmp_path)) == there


def test_files_of_ranges_that_differ_are_refused(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_folder, "LARGE", 0)
    files = [written(tmp_path / "a.parquet", X / 127.5 - 1), written(tmp_path / "b.parquet", X / 255 * 0.9 + 0.1)]
    found = run("predict", model, *files, "-o", "a.csv")
    found.failed(1, "b.parquet: pixels of several ranges")


def test_what_only_all_images_at_once_show_is_read_so(run, model, tmp_path, monkeypatch):
    """A column of labels that the values show, and a range that the first images do not."""
    x, labels = X[:, :784], DIGITS.labels[:60]
    values = pa.table({f"{at}": column for at, column in enumerate([labels, *x.T])})
    (tmp_path / "a.parquet").write_bytes(parquet(values, row_group_size=25))
    mixed = (x > 99).astype(float)
    mixed[30:] = x[30:] / 255
    written(tmp_path / "b.parquet", mixed)
    written(tmp_path / "c.parquet", np.concatenate([x[:30] / 255, x[30:] / 127.5 - 1]))
    expected = [run("predict", model, f"{name}.parquet", "-o", f"{name}.csv") for name in "abc"]
    monkeypatch.setattr(parquet_folder, "LARGE", 0)
    monkeypatch.setattr(parquet_kind.preprocess, "spread", lambda x, count=5: x[20:25] if len(x) > 25 else x[:5])
    for name, each in zip("abc", expected, strict=True):
        found = run("predict", model, f"{name}.parquet", "-o", "d.csv")
        assert (found.code, found.err) == (each.code, each.err)
        assert found.code == 0, found.err
        assert table(tmp_path / "d.csv") == table(tmp_path / f"{name}.csv")
    expand(data.load("digits")._replace(train=DIGITS), tmp_path / "stream", 1)
    for name, place in (("b", "the images: pixels are 0 and 1 alone"), ("c", "row group 2, rows 1")):
        found = run("predict", model, f"{name}.parquet", "stream", "-o", "e.csv")
        found.failed(1, f"{name}.parquet: {place}", "predict the Parquet files by themselves")
        assert not (tmp_path / "e.csv").exists()


def test_pictures_beside_parquet_are_predicted(run, model, tmp_path):
    """As in the folders of model hubs: the table says what the pictures are."""
    (tmp_path / "hub").mkdir()
    for number in (1, 2):
        png(tmp_path / "hub" / f"{number}.png", X[number].reshape(28, 28))
    written(tmp_path / "hub" / "metadata.parquet", X)
    found = run("predict", model, "hub", "-o", "a.csv")
    assert [row[0] for row in table(tmp_path / "a.csv")[1:]] == ["hub/1.png", "hub/2.png"]
    assert "hub: not used: metadata.parquet" in found.err
    (tmp_path / "tables").mkdir()
    written(tmp_path / "tables" / "a.parquet", X)
    assert run("predict", model, "hub", "tables", "-o", "a.csv").code == 0
    assert len(table(tmp_path / "a.csv")) == 63


def test_a_stream_beside_pictures_is_refused_for_what_it_is(run, model, tmp_path):
    expand(data.load("digits"), tmp_path / "stream", times=1)
    png(tmp_path / "a.png", X[0].reshape(28, 28))
    result = run("predict", model, tmp_path / "stream", tmp_path / "a.png")
    line = "stream: a stream among other files; expected streams and Parquet files alone; predict it by a command of "
    assert (result.code, result.err) == (1, f"error: {tmp_path}/{line}its own, with --output FILE\n")
    assert "a.png: " in result.out


def test_images_of_a_stream_are_counted_for_kaggle(run, model, tmp_path):
    expand(data.load("digits")._replace(train=DIGITS), tmp_path / "stream", 1)
    written(tmp_path / "a.parquet", X, id=np.arange(60) * 3)
    for files in (["stream"], ["stream", "a.parquet"]):
        found = run("predict", model, *files, "-o", "a.csv", "--kaggle")
        assert "ImageId counts the images from 1, in their order" in found.err
        rows = table(tmp_path / "a.csv")
        assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, len(rows))]


@pytest.mark.parametrize("large", [0, 2**25])
def test_ids_beside_lists_are_those_of_kaggles_form(large, run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_folder, "LARGE", large)
    lists = pa.table({"image": pa.array([*X]), "id": np.arange(60) * 10**6})
    (tmp_path / "a.parquet").write_bytes(parquet(lists, row_group_size=25))
    found = run("predict", model, "a.parquet", "-o", "a.csv", "--kaggle")
    assert (found.code, "ImageId" in found.err) == (0, False)
    assert [row[0] for row in table(tmp_path / "a.csv")[1:]] == [str(number * 10**6) for number in range(60)]


def test_a_damaged_file_has_no_remedy_of_training(run, model, tmp_path):
    expand(data.load("digits")._replace(train=DIGITS), tmp_path / "stream", 1)
    path = tmp_path / "stream" / "train-00001.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = run("predict", model, "stream", "-o", "a.csv")
    found.failed(1, "train-00001.npy: bytes 0 to ", "damaged file", "make the folder again: fnnet data expand")
    assert "--skip-damaged" not in found.err
