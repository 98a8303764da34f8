"""Where a data set came from: kept in a model, and found again."""

import json

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples
from fnnet.data.expand import expand
from fnnet.data.origin import ARRAYS, KEPT, Origin, as_json, find_again, reading_in
from fnnet.data.preprocess import Reading
from fnnet.data.stream import Fingerprint, fingerprint_of


def test_a_data_set_knows_its_path_and_how_it_was_read(tmp_path, small_images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, labels = small_images
    np.savez("own.npz", x=x, y=labels)
    found = data.load("own.npz", reading=Reading(pixel_max=255))
    assert found.origin == Origin("own.npz", Reading(pixel_max=255))
    assert data.load("digits").origin == ARRAYS
    expand(found, "stream", 1)
    assert data.open_stream("stream").origin == Origin("stream")


def test_a_stream_of_parquet_knows_its_path_too(tmp_path, small_images, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    monkeypatch.chdir(tmp_path)
    x, labels = small_images
    write_table(pa.table({"image": [*x.reshape(60, -1)], "q": labels}), "a.parquet")
    reading = Reading(label_column="q")
    assert data.open_parquet("a.parquet", reading=reading).origin == Origin("a.parquet", reading)


def test_what_is_kept_is_json_and_read_again():
    for reading in (
        Reading(),
        Reading(first_label=1, label_column="q", image=True, first_index=0, transpose=False),
        Reading(transpose=True, pixel_max=16, ink="dark", size=(9, 8)),
    ):
        kept = json.loads(json.dumps(as_json(Origin("a", reading), numbered=True)))
        assert Reading(**reading_in(kept)) == reading._replace(pixel_max=None, ink="auto", size=None)
        assert kept["numbered"] is True
    assert as_json(ARRAYS, numbered=True) == {}
    assert as_json(Origin("a"), numbered=False) == {"path": "a"}


@pytest.mark.parametrize("value", [None, [], {}, "x", 1.5, 2**70, True])
def test_what_a_stranger_kept_has_the_types_of_a_reading(value):
    found = reading_in(dict.fromkeys(KEPT, value))
    assert all(type(each) is KEPT[name] for name, each in found.items())


def test_a_path_is_found_from_here_or_above_the_model(tmp_path, monkeypatch):
    (tmp_path / "work" / "runs" / "a").mkdir(parents=True)
    (tmp_path / "else").mkdir()
    model = tmp_path / "work" / "runs" / "a" / "model.safetensors"
    own = tmp_path / "work" / "own.npz"
    own.write_bytes(b"")
    monkeypatch.chdir(tmp_path / "work")
    assert find_again("own.npz", model) == "own.npz"
    monkeypatch.chdir(tmp_path / "else")
    assert find_again("own.npz", model) == str(own)
    assert find_again("other.npz", model) is None
    assert find_again(str(own), "elsewhere") == str(own)
    assert find_again(str(own) + "x", model) is None
    assert find_again("own\0.npz", model) is None


@pytest.mark.parametrize("path", ["//host/share/a.npz", r"\\host\share\a.npz"])
def test_a_path_on_another_machine_is_not_looked_for(path, monkeypatch):
    monkeypatch.setattr("os.path.exists", lambda path: pytest.fail("looked for it"))
    assert find_again(path, "model.safetensors") is None


def test_the_fingerprint_of_a_stream_is_its_own(tmp_path):
    expand(data.load("digits")._replace(test=None), tmp_path / "stream", 1)
    stream = data.open_stream(tmp_path / "stream").train
    assert fingerprint_of(stream) == stream.fingerprint


def test_the_fingerprint_is_of_images_and_labels_in_their_order():
    x, labels = np.arange(12, dtype=np.uint8).reshape(3, 4), np.array([0, 1, 2])
    known = fingerprint_of(Examples(x, labels))
    assert fingerprint_of(Examples(np.asfortranarray(x), labels.astype(np.uint8))) == known
    others = [Examples(x[::-1], labels), Examples(x, labels[::-1]), Examples(x + 1, labels)]
    assert len({known, *map(fingerprint_of, others)}) == 4
    batches = Fingerprint()
    for first in (0, 1):
        batches.add(Examples(x[first : 2 * first + 1], labels[first : 2 * first + 1].astype(np.uint8)))
    assert batches.hexdigest() == batches.hexdigest() == known
