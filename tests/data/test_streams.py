"""Folders of streams: written whole or not at all, each damage found and named."""

import hashlib
import json
import os
import pickle
import shutil
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest

from fnnet import data
from fnnet.core import rng
from fnnet.core.deform import Deformation, deform, faded
from fnnet.core.state import Examples, Preprocessing
from fnnet.data import Dataset
from fnnet.data import expand as expanding
from fnnet.data.convert import convert
from fnnet.data.expand import expand, sums_of_pieces
from fnnet.data.folders import is_data_of
from fnnet.data.stream import count_of
from fnnet.data.stream_folder import Shards
from fnnet.data.stream_index import INDEX, digest_of, is_stream, is_streamed, read_index
from fnnet.errors import ArgumentTypeError, DataError, StorageError, UsageError

DIGITS = data.load("digits")
FEW = DIGITS._replace(
    train=Examples(DIGITS.train.x[:70], DIGITS.train.labels[:70]),
    test=Examples(DIGITS.test.x[:9], DIGITS.test.labels[:9]),
)
BENT = Deformation(shift=1.5, rotation=12.0, elastic=1.0, fade=0.5)


@pytest.fixture
def folder(tmp_path):
    """180 images in shards of 50, and 10 for validation."""
    path = tmp_path / "stream"
    expand(FEW, path, 3, dev=10, shard_images=50)
    return path


def whole(stream):
    return [np.concatenate(each) for each in zip(*stream.batches(32), strict=True)]


def rewrite(folder, change):
    """Change the values of an index, with the digest that belongs to them."""
    path = folder / INDEX
    values = json.loads(path.read_text())
    del values["sha256"]
    change(values)
    path.write_text(json.dumps(values | {"sha256": digest_of(values)}))


def spoil(path, at=-1):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("deformation", [None, BENT])
def test_each_copy_is_what_an_epoch_of_training_sees(deformation, tmp_path, kernels):
    found = expand(FEW, tmp_path / "a", 3, dev=10, seed=5, deformation=deformation, shard_images=50, kernels=kernels)
    assert found == ({"train": 180, "dev": 10, "test": 9}, 4, 785 * 199)
    stream = data.open_stream(tmp_path / "a")
    train, dev = data.split(FEW.train, 10, 5)
    x, labels = whole(stream.train)
    for copy in (1, 2, 3):
        order = rng.order(5, "shuffle", 60, epoch=copy)
        expected = train.x[order]
        if deformation:
            bent = faded(deformation, copy, 3)
            expected = deform(expected, (28, 28), bent, seed=5, epoch=copy, samples=order)
        part = slice(60 * copy - 60, 60 * copy)
        np.testing.assert_array_equal(x[part], expected)
        np.testing.assert_array_equal(labels[part], train.labels[order])
    for part, expected in ((stream.dev, dev), (stream.test, FEW.test)):
        np.testing.assert_array_equal(part.x, expected.x)
        np.testing.assert_array_equal(part.labels, expected.labels)
    assert stream.train.sizes == (50, 50, 50, 30)
    assert stream.train.counts == tuple(np.bincount(labels, minlength=10))
    assert (stream.classes, stream.image_shape, stream.preprocessing) == (FEW.classes, (28, 28), FEW.preprocessing)
    mapped = np.load(tmp_path / "a" / "train-00002.npy", mmap_mode="r")
    np.testing.assert_array_equal(mapped, x[50:100])


def test_what_a_data_set_says_of_itself_is_kept(tmp_path):
    x = np.arange(600 * 6, dtype=np.uint8).reshape(600, 6)
    labels, names = np.arange(600) % 300, tuple(f"class {number} ä" for number in range(300))
    odd = Dataset("odd", "here", Examples(x, labels), None, names, (2, 3), Preprocessing(255, 255, 0, 3), (), True)
    expand(odd, tmp_path / "a", 1)
    found = data.open_stream(tmp_path / "a")
    assert (found.classes, found.image_shape, found.preprocessing) == (names, (2, 3), odd.preprocessing)
    assert (found.numbered, found.dev, found.test, found.train.pixels) == (True, None, None, 6)
    x, found_labels = whole(found.train)
    order = rng.order(0, "shuffle", 600, epoch=1)
    np.testing.assert_array_equal(x, odd.train.x[order])
    np.testing.assert_array_equal(found_labels, labels[order])
    assert np.load(tmp_path / "a" / "train-00001-labels.npy").dtype == np.uint16
    assert expanding._label_kind(2**16 + 1) == np.uint32
    assert repr(found) == "StreamedDataset(a, 600 train images of 2x3, 300 classes)"
    assert count_of(None) == 0


def test_progress_is_told_and_files_are_of_64_mb(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(expanding, "SHARD_BYTES", 100 * 784)
    found = expand(FEW, tmp_path / "a", 2, on_images=lambda done, total: told.append((done, total)))
    assert (found.shards, told[-1]) == (2, (140, 140))
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"dataset": 3}, ArgumentTypeError, "dataset; expected a Dataset"),
        ({"times": 0}, UsageError, "times"),
        ({"dev": 70}, UsageError, "dev"),
        ({"shard_images": 0}, UsageError, "shard_images"),
        ({"deformation": 3}, ArgumentTypeError, "not a deformation"),
        ({"seed": -1}, UsageError, "seed"),
    ],
)
def test_arguments_are_checked_before_anything_is_written(changed, error, text, tmp_path):
    given = {"dataset": FEW, "path": tmp_path / "a", "times": 2, **changed}
    with pytest.raises(error, match=text):
        expand(**given)
    assert not [*tmp_path.iterdir()]


def test_a_disk_that_is_too_full_is_found_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(expanding.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**5))
    with pytest.raises(StorageError, match=r"a/b: disk is too full; expected 0 MB free, found 0 MB; write less"):
        expand(FEW, tmp_path / "a" / "b", 2)
    assert not [*tmp_path.iterdir()]


def test_files_that_do_not_fit_in_memory_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(expanding, "available_bytes", lambda: (10**6, "ulimit -v"))
    with pytest.raises(UsageError) as raised:
        expand(FEW, tmp_path / "many", 200, shard_images=10_000)
    text = "files of 10,000 images; expected fewer: at most 1 MB a file, as ulimit -v leaves, found 8 MB"
    assert text in str(raised.value)
    assert [*tmp_path.iterdir()] == []


def test_an_interrupt_leaves_nothing(tmp_path):
    def stop(done, total):
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        expand(FEW, tmp_path / "a", 3, shard_images=50, on_images=stop)
    assert not [*tmp_path.iterdir()]


def test_a_folder_with_files_is_not_replaced(folder):
    before = sorted(os.listdir(folder))
    with pytest.raises(StorageError, match="would replace what is there"):
        expand(FEW, folder, 2)
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("name", ["train-00002.npy", "train-00003-labels.npy", "test.npy", "dev-labels.npy"])
def test_a_file_that_is_damaged_is_named_when_it_is_read(name, folder):
    spoil(folder / name)
    with pytest.raises(
        DataError, match=rf"{name}: bytes 0 to .*: damaged file; expected CRC-32 .* as the index has it"
    ):
        whole(data.open_stream(folder).train)


@pytest.mark.parametrize("name", ["train-00002.npy", "train-00003-labels.npy", "test.npy"])
@pytest.mark.parametrize("damage", ["missing", "short", "long", "header", "folder"])
def test_a_file_of_another_size_is_named_when_the_folder_is_opened(name, damage, folder):
    path = folder / name
    content = path.read_bytes()
    if damage in ("missing", "folder"):
        path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        changed = {"short": content[:-1], "long": content + b"1", "header": b"\0" + content[1:]}
        path.write_bytes(changed[damage])
    with pytest.raises((DataError, StorageError), match=name):
        data.open_stream(folder)


@pytest.mark.parametrize(
    "array", [np.zeros((51, 784), np.uint8), np.zeros((50, 784), np.int8), np.zeros((784, 50), np.uint8).T]
)
def test_an_array_of_another_kind_is_named_when_the_folder_is_opened(array, folder):
    np.save(folder / "train-00001.npy", array)
    with pytest.raises(DataError, match=r"train-00001\.npy: the header: differs from the index; expected \(50, 784\)"):
        data.open_stream(folder)


def test_files_that_are_damaged_are_left_out_if_that_is_said(folder, tmp_path):
    full = data.open_stream(folder).train
    spoil(folder / "train-00002.npy")
    (folder / "train-00004-labels.npy").unlink()
    notes = []
    found = data.open_stream(folder, skip_damaged=True, notify=notes.append)
    assert found.train.left_out == ("train-00002.npy", "train-00004.npy")
    assert (found.train.sizes, found.train.images) == ((50, 50), 100)
    assert [note.code for note in notes] == ["left-out"]
    assert "2 damaged files left out, 80 images: train-00002.npy, train-00004.npy (" in notes[0]
    assert found.notes == (*notes,)
    assert found.train.fingerprint != full.fingerprint
    x, labels = whole(found.train)
    order = np.concatenate([rng.order(0, "shuffle", 60, epoch=copy) for copy in (1, 2, 3)])
    rows = np.concatenate([order[:50], order[100:150]])
    train, _ = data.split(FEW.train, 10, 0)
    np.testing.assert_array_equal(x, train.x[rows])
    np.testing.assert_array_equal(labels, train.labels[rows])
    assert found.train.counts == tuple(np.bincount(labels, minlength=10))


def test_nothing_is_left_out_of_a_whole_folder(folder):
    notes = []
    found = data.open_stream(folder, skip_damaged=True, notify=notes.append)
    plain = data.open_stream(folder)
    assert (found.train.left_out, notes, found.notes) == ((), [], ())
    assert (found.train.fingerprint, found.train.sizes) == (plain.train.fingerprint, plain.train.sizes)
    assert all(each._sure for pair in found.train.stored for each in pair)


def test_where_all_files_are_damaged_there_is_nothing_to_train_on(folder):
    for path in folder.glob("train-0000?.npy"):
        spoil(path)
    with pytest.raises(DataError, match=r"train-00001\.npy: bytes .*: damaged file"):
        data.open_stream(folder, skip_damaged=True)


def test_many_files_that_are_left_out_are_noted_in_short(tmp_path):
    expand(FEW, tmp_path / "a", 1, shard_images=5)
    for number in range(1, 14):
        spoil(tmp_path / "a" / f"train-{number:05}.npy")
    found = data.open_stream(tmp_path / "a", skip_damaged=True)
    assert "13 damaged files left out, 65 images: train-00001.npy, " in found.notes[0]
    assert "train-00005.npy, ... (" in found.notes[0]


def test_the_test_set_is_not_left_out(folder):
    spoil(folder / "test.npy")
    with pytest.raises(DataError, match=r"test\.npy: .*make the folder again: fnnet data expand$"):
        data.open_stream(folder, skip_damaged=True)


def test_a_file_that_is_written_while_it_is_trained_on_is_checked_again(folder):
    stream = data.open_stream(folder).train
    whole(stream)
    spoil(folder / "train-00003.npy")
    with pytest.raises(DataError, match=r"train-00003\.npy: bytes .*: damaged file"):
        whole(stream)


def test_a_file_that_is_cut_after_it_was_checked_is_found(folder, monkeypatch):
    stream = data.open_stream(folder).train
    path, images = folder / "train-00001.npy", stream.stored[0][0]
    images.read(0, np.empty(784, np.uint8))
    path.write_bytes(path.read_bytes()[:-784])
    with pytest.raises(
        DataError, match=r"train-00001\.npy: byte 38544: file too short; expected 39,328 bytes, found 38,544"
    ):
        images.read(49 * 784, np.empty(784, np.uint8))
    monkeypatch.setattr(images, "_look", lambda file: None)  # of stamps that are the same
    images._sure = {0}
    with pytest.raises(DataError, match=r"train-00001\.npy: byte 38544: file too short; expected 784 bytes, found 0"):
        images.read(49 * 784, np.empty(784, np.uint8))


@pytest.fixture
def pieces(monkeypatch, tmp_path):
    """A folder, of which pieces of 1,000 bytes are compared; some have the end of the header, some images of two."""
    for module in ("expand", "stream_files", "stream_folder"):
        monkeypatch.setattr(f"fnnet.data.{module}.PIECE", 1000)
    expand(FEW, tmp_path / "pieces", 1, shard_images=50)
    return tmp_path / "pieces"


def test_an_index_has_the_sum_of_each_piece(pieces):
    for pair in read_index(pieces).parts["train"]:
        for file in (pair.images, pair.labels):
            content = (pieces / file.name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256
            each = [content[at : at + 1000] for at in range(0, len(content), 1000)]
            assert file.crc32 == "".join(f"{crc32(piece):08x}" for piece in each)
            assert sums_of_pieces(content[:1], content[1:1000], b"", content[1000:]) == file.crc32


@pytest.mark.parametrize("first", [0, 1, 4, 48, 49])
@pytest.mark.parametrize("count", [1, 2, 13, 50])
def test_images_of_a_part_of_a_file_are_those_of_the_file(first, count, pieces):
    x = np.load(pieces / "train-00001.npy")
    stop = min(first + count, 50)
    images = data.open_stream(pieces).train.stored[0][0]
    for _ in range(2):  # compared, and trusted
        into = np.empty((stop - first, 784), np.uint8)
        images.read(first * 784, into.reshape(-1))
        np.testing.assert_array_equal(into, x[first:stop])


def test_a_damaged_piece_is_found_before_an_image_of_it_is_given(pieces):
    path = pieces / "train-00001.npy"
    spoil(path, 3500)  # image 4 of those from 0; piece 3, with a part of image 3
    stream = data.open_stream(pieces).train
    images = stream.stored[0][0]
    images.read(0, np.empty(3 * 784, np.uint8)[: 3 * 784 - 5])
    images.read(5 * 784, np.empty(784, np.uint8))
    for first in (3, 4):
        with pytest.raises(DataError, match=r"train-00001\.npy: bytes 3,000 to 3,999: damaged file"):
            images.read(first * 784, np.empty(784, np.uint8))
    with pytest.raises(DataError, match=r"train-00001\.npy: bytes 3,000 to 3,999: damaged file"):
        stream.check()


def test_sums_of_another_number_of_pieces_are_named_when_the_folder_is_opened(folder):
    rewrite(folder, lambda values: _shard(values)["images"].update(crc32="0" * 16))
    with pytest.raises(
        DataError, match=r"train-00002\.npy: pieces of 524,288 bytes: differs .* in the index: 2, found 1"
    ):
        data.open_stream(folder)


def test_a_label_of_no_class_is_found(folder):
    """In a folder that another program wrote."""
    path = folder / "train-00001-labels.npy"
    labels = np.load(path)
    labels[7] = 10
    np.save(path, labels)

    def change(values):
        content = path.read_bytes()
        digests = {"sha256": hashlib.sha256(content).hexdigest(), "crc32": sums_of_pieces(content)}
        values["parts"]["train"][0]["labels"].update(digests)

    rewrite(folder, change)
    with pytest.raises(DataError, match=r"labels\.npy: image 8: label out of range; expected 0 to 9, found 10"):
        whole(data.open_stream(folder).train)


def test_a_stream_can_be_pickled(folder):
    stream = data.open_stream(folder).train
    assert count_of(stream) == stream.images == 180
    again = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(whole(again)[0], whole(stream)[0])
    assert isinstance(again, Shards)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"{}", b"[" * 10**5])
def test_an_index_that_is_cut_or_no_json_is_named(content, folder):
    head = b'{"format": "fnnet stream"'
    (folder / INDEX).write_bytes(head + content)
    assert is_stream(folder)
    with pytest.raises(DataError, match=r"index\.json: .*damaged index.*make the folder again"):
        read_index(folder)


def test_a_key_that_is_stored_twice_is_named(folder):
    (folder / INDEX).write_bytes(b'{"format": "fnnet stream", "format": "fnnet stream"}')
    with pytest.raises(DataError, match=r"index\.json: .*key stored twice.*make the folder again"):
        read_index(folder)


def test_a_change_that_its_digest_does_not_know_is_found(folder):
    path = folder / INDEX
    path.write_text(path.read_text().replace('"3"', '"8x"', 1))
    with pytest.raises(DataError, match=r"index\.json: sha256: damaged index"):
        data.open_stream(folder)


def _shard(values):
    return values["parts"]["train"][1]


CHANGES = {
    "version: unknown version": lambda values: values.update(version=1),
    "the index: damaged": lambda values: values.update(more=1),
    "image_shape: .*whole number from 1": lambda values: values.update(image_shape=[28, 0]),
    "image_shape: .*height and width": lambda values: values.update(image_shape=[28]),
    "image_shape: .*a list": lambda values: values.update(image_shape="28"),
    "classes: .*printable names": lambda values: values.update(classes=["a", "a"]),
    "classes: .*whole number": lambda values: values.update(classes=[]),
    "preprocessing: .*the keys": lambda values: values.update(preprocessing=[]),
    "preprocessing: .*pixel_max from 1": lambda values: values["preprocessing"].update(pixel_max=0),
    "numbered: .*true or false": lambda values: values.update(numbered=1),
    "origin: .*an object": lambda values: values.update(origin=[]),
    "parts: .*train, and dev or test": lambda values: values["parts"].update(val=[]),
    "parts: damaged index; expected train, and dev or test, found 'x'": lambda values: values.update(parts="x"),
    r"parts\.train: .*expected shards": lambda values: values["parts"].update(train=[]),
    r"parts\.test: .*one shard": lambda values: values["parts"]["test"].append(1),
    r"parts\.train\[1\]: .*the keys images, labels, counts": lambda values: _shard(values).pop("counts"),
    r"parts\.train\[1\]\.counts: .*each of 10 classes": lambda values: _shard(values)["counts"].pop(),
    r"parts\.train\[1\]\.counts: .*whole number from 0": lambda values: _shard(values)["counts"].append(1.5),
    r"parts\.train\[1\]\.counts: .*0 images": lambda values: _shard(values).update(counts=[0] * 10),
    r"parts\.train\[1\]\.images\.name: .*a file in the folder": lambda values: _shard(values)["images"].update(
        name="../a"
    ),
    r"parts\.train\[1\]\.images\.name: .*each once": lambda values: _shard(values)["images"].update(
        name="train-00001.npy"
    ),
    r"parts\.train\[1\]\.labels\.sha256: .*hexadecimal": lambda values: _shard(values)["labels"].update(sha256="AB"),
    r"parts\.train\[1\]\.images\.crc32: .*hexadecimal": lambda values: _shard(values)["images"].update(crc32="AB"),
}


@pytest.mark.parametrize("text", CHANGES)
def test_a_value_that_no_index_has_is_named(text, folder):
    rewrite(folder, CHANGES[text])
    with pytest.raises(DataError, match=rf"index\.json: {text}"):
        read_index(folder)


def test_a_format_of_another_name_is_refused(folder):
    rewrite(folder, lambda values: values.update(format="another"))
    assert not is_stream(folder)
    with pytest.raises(DataError, match=r"index\.json: format: damaged index; expected fnnet stream, found 'another'"):
        read_index(folder)
    with pytest.raises(DataError, match=r"stream: index\.json: not a stream; expected the folder of a stream"):
        data.open_stream(folder)


def test_other_doors_say_what_it_is(folder):
    with pytest.raises(DataError, match=r"found a stream: 180 images in 4 files; 'fnnet train --data' trains on it"):
        data.load(folder)
    with pytest.raises(ArgumentTypeError, match="no folder"):
        data.open_stream(3)
    with pytest.raises(ArgumentTypeError, match="skip_damaged is not a truth value"):
        data.open_stream(folder, skip_damaged=1)
    assert is_data_of(folder, folder / "train-00001.npy")
    assert not is_data_of(folder, folder.parent / "a")


def test_an_index_of_something_else_is_no_stream(tmp_path):
    convert(FEW, tmp_path / "a")
    (tmp_path / "a" / INDEX).write_text('{"classes": 3}')
    assert data.load(tmp_path / "a").train.x.shape == (70, 784)
    shutil.rmtree(tmp_path / "a")
    assert not is_stream(tmp_path / "a")


def test_a_stream_is_read_piece_by_piece_whatever_is_said(folder, tmp_path):
    for window in (True, False):
        assert is_streamed(folder, window=window)
        assert not is_streamed(tmp_path / "nowhere", window=window, large=True)
    assert not is_streamed(tmp_path, window=False)


def test_an_index_that_would_be_too_long_to_read_is_refused_before_files_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(expanding, "ROOM", 2000)
    monkeypatch.setattr(expanding, "MAX_INDEX", 12_000)
    with pytest.raises(UsageError, match=r"shard_images: too many files; expected .* or more, .*, found 5") as caught:
        expand(FEW, tmp_path / "a", 10, dev=10, shard_images=5)
    assert [*tmp_path.iterdir()] == []
    least = int(caught.value.expected.split()[0])
    expand(FEW, tmp_path / "a", 10, dev=10, shard_images=least)
    size = (tmp_path / "a" / INDEX).stat().st_size
    assert 8_000 < size < 12_000
    assert len(read_index(tmp_path / "a").parts["train"]) == -(-600 // least)


def test_the_sums_of_pieces_are_a_part_of_the_length_of_an_index(pieces, tmp_path, monkeypatch):
    monkeypatch.setattr(expanding, "ROOM", 2000)
    monkeypatch.setattr(expanding, "MAX_INDEX", 12_000)
    with pytest.raises(UsageError, match=r"times: too many images; expected fewer, .*, found 3,000 images"):
        expand(FEW, tmp_path / "a", 30, shard_images=3000)


def test_the_classes_of_a_stream_are_those_of_a_model(folder):
    """In its order, with those that the stream has not; the same images."""
    stream = data.open_stream(folder)
    notes = []
    model = ("x", *reversed(stream.classes))
    found = data.with_classes(stream, model, notes.append)
    assert (found.classes, [note.code for note in notes]) == (model, ["classes-missing"])
    order = np.array([model.index(name) for name in stream.classes])
    (x, labels), (same, others) = whole(stream.train), whole(found.train)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(others, order[labels])
    np.testing.assert_array_equal(found.train.counts, np.bincount(others, minlength=len(model)))
    np.testing.assert_array_equal(found.test.labels, order[stream.test.labels])
    np.testing.assert_array_equal(found.dev.labels, order[stream.dev.labels])
    assert (found.train.sizes, found.train.names) == (stream.train.sizes, stream.train.names)
    assert found.train.fingerprint != stream.train.fingerprint
    assert data.with_classes(stream, stream.classes) is stream
