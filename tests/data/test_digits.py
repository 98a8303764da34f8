"""The bundled digits, the split into training and dev images, and that no bytes break a reader."""

import contextlib
import gzip
import hashlib
import zlib

import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fnnet
from fnnet import data
from fnnet.core import rng
from fnnet.core.state import Examples
from fnnet.data import digits, png
from fnnet.data.idx import read_idx
from fnnet.errors import FnnetError, UsageError
from tests.conftest import idx_bytes
from tests.tools import pack_digits
from tests.tools.samples import write


def test_digits_are_as_they_always_were():
    dataset = data.load("digits")
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((1437, 784), (360, 784))
    content = dataset.train.x.tobytes() + dataset.test.x.tobytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256
    assert dataset.train.labels[:10].tolist() == list(range(10))
    assert np.bincount(dataset.test.labels).tolist() == [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]


def centres(images):
    """Of mass, (2, n): rows, then columns, counted in pixels from 0."""
    x = images.reshape(-1, 28, 28).astype(float)
    return np.stack([x.sum(axis=2) @ np.arange(28), x.sum(axis=1) @ np.arange(28)]) / x.sum(axis=(1, 2))


def test_digits_follow_the_convention_of_mnist():
    dataset = data.load("digits")
    for part in (dataset.train, dataset.test):
        found = centres(part.x)
        assert found.min() >= 13.5
        assert found.max() <= 14.5
        assert abs(found.mean() - 14) < 0.05
        assert part.x.max() == 255


def test_the_convention_of_mnist(mnist_folder):
    found = centres(data.load(str(mnist_folder)).train.x)
    assert 13.48 <= found.min() <= found.max() <= 14.5
    assert abs(found.mean(axis=1) - 14).max() < 0.01


def test_the_file_of_the_digits_is_what_made_it():
    table = pack_digits.table()
    np.testing.assert_array_equal(digits._read(), table)
    np.testing.assert_array_equal(np.frombuffer(zlib.decompress(pack_digits.pack(table)), np.uint8), table.T.ravel())


@pytest.mark.parametrize("change", ["flipped", "cut", "empty", "missing"])
def test_a_damaged_file_of_the_digits_is_refused(change, monkeypatch, tmp_path):
    content, path = digits.FILE.read_bytes(), tmp_path / "digits.zlib"
    changed = {"flipped": content[:99] + bytes([content[99] ^ 1]) + content[100:], "cut": content[:-1], "empty": b""}
    if change in changed:
        path.write_bytes(changed[change])
    monkeypatch.setattr(digits, "FILE", path)
    with pytest.raises(FnnetError, match=r"digits\.zlib"):
        data.load("digits")


def test_whose_the_digits_are_is_said_where_they_are():
    licence = digits.FILE.with_suffix(".LICENSE").read_text()
    said = data.load("digits").source
    for words in ("E. Alpaydin", "C. Kaynak", "UCI", "CC BY 4.0"):
        assert words in licence, words
        assert words in said, words


DIGITS_SHA256 = "022d957d2ece5d6cd6e6c06de7e957fb7f56cc695c6edb448615540e431d2f79"


def test_split_by_the_seed():
    everything = Examples(np.arange(100)[:, None].astype(np.uint8), np.arange(100) % 10)
    train, dev = data.split(everything, 20, 7)
    assert (len(train.labels), len(dev.labels)) == (80, 20)
    assert sorted([*train.x[:, 0], *dev.x[:, 0]]) == list(range(100))
    assert (train.labels == train.x[:, 0] % 10).all()
    assert set(dev.x[:, 0]) == set(rng.order(7, "split", 100)[:20])
    again, _ = data.split(everything, 20, 7)
    np.testing.assert_array_equal(again.x, train.x)
    other, _ = data.split(everything, 20, 8)
    assert (other.x != train.x).any()
    limited, dev = data.split(everything, 20, 7, limit=30)
    assert (len(limited.labels), len(dev.labels)) == (30, 20)
    assert data.split(everything, 0, 7) == (everything, None)
    for bad in (-1, 100, 1.5):
        with pytest.raises(UsageError, match="dev"):
            data.split(everything, bad, 7)


@given(hypothesis.extra.numpy.arrays(np.uint8, hypothesis.extra.numpy.array_shapes(min_dims=1, max_dims=4, max_side=9)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_idx_round_trip(tmp_path, array):
    for pack in (bytes, gzip.compress):
        np.testing.assert_array_equal(read_idx(write(tmp_path / "a", pack(idx_bytes(array)))), array)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_a_reader(tmp_path, content):
    """Any bytes give a value or an FnnetError."""
    for start in (b"", b"\0\0\x08\3", b"\x1f\x8b\x08", b"PK\x03\x04", png.MAGIC, b"label,pixel0\n"):
        path = write(tmp_path / "a", start + content)
        for read in (lambda at: data.load(str(at)), lambda at: data.read_images(at, (1, 1)), fnnet.load_model):
            with contextlib.suppress(FnnetError):
                read(path)
