"""The bundled digits, the split into training and dev images, and that no bytes break a reader."""

import contextlib
import gzip
import hashlib

import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fnnet
from fnnet import data
from fnnet.core import rng
from fnnet.core.state import Examples
from fnnet.data import png
from fnnet.data.idx import read_idx
from fnnet.errors import FnnetError, UsageError
from tests.conftest import idx_bytes
from tests.tools.samples import write


def test_digits_are_as_they_always_were():
    dataset = data.load("digits")
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((1437, 784), (360, 784))
    content = dataset.train.x.tobytes() + dataset.test.x.tobytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256
    assert dataset.train.labels[:10].tolist() == list(range(10))
    assert np.bincount(dataset.test.labels).tolist() == [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]


def test_digits_follow_the_convention_of_mnist():
    x = data.load("digits").train.x.reshape(-1, 28, 28).astype(float)
    rows, columns = x.sum(axis=2) @ np.arange(28), x.sum(axis=1) @ np.arange(28)
    centres = np.stack([rows, columns]) / x.sum(axis=(1, 2))
    assert abs(centres - 13.5).max() <= 1.0
    assert abs(centres.mean() - 13.5) < 0.1
    assert x.max() == 255


DIGITS_SHA256 = "9f1879f9410157ca9d58c59c4d43e02a3e965e0ac2a32e8b1c4d25a35142d8eb"


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
