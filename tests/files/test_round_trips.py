"""What is written is what is read: models, checkpoints, logs, and data files as others would write them."""

import csv
import gzip
import io
import itertools
import unicodedata
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core.params import Layer, Params
from fnnet.core.state import Moments, TrainState
from fnnet.data import png
from fnnet.data.kaggle_csv import read_csv
from fnnet.data.npz import read_npz
from fnnet.files import log
from fnnet.files.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fnnet.names import ACTIVATIONS
from tests.conftest import idx_bytes

few = settings(
    max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIZES = st.lists(st.integers(1, 5), min_size=2, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc\u00e9\n", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
LETTERS = st.characters(categories=["L", "N", "P", "S"])
NAMES = st.text(LETTERS, min_size=1, max_size=6).map(partial(unicodedata.normalize, "NFC"))
"""As names are kept: an accent is one with its letter."""


@st.composite
def params(draw, sizes, dtype, finite=True):
    floats = hnp.from_dtype(np.dtype(dtype), allow_nan=not finite, allow_infinity=not finite)
    shapes = [((a, b), (b,)) for a, b in itertools.pairwise(sizes)]
    return Params(tuple(Layer(*(draw(hnp.arrays(dtype, shape, elements=floats)) for shape in pair)) for pair in shapes))


def bits(tree):
    return [(array.dtype, array.shape, array.tobytes()) for layer in tree.layers for array in layer]


def plain(value):
    """Mappings and sequences as JSON has them."""
    if hasattr(value, "items"):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


@few
@given(st.data())
def test_models(tmp_path, data):
    sizes, dtype = data.draw(SIZES), data.draw(st.sampled_from([np.float32, np.float64]))
    classes = tuple(data.draw(st.lists(NAMES, min_size=sizes[-1], max_size=sizes[-1], unique=True)))
    training = data.draw(st.dictionaries(st.text("ab", max_size=2), JSON, max_size=3))
    model = fnnet.Model(
        data.draw(params(sizes, dtype)),
        data.draw(st.sampled_from(ACTIVATIONS)),
        classes,
        (1, sizes[0]),
        training=training,
    )
    fnnet.save_model(tmp_path / "m", model)
    found = fnnet.load_model(tmp_path / "m")
    assert bits(found.params) == bits(model.params)
    assert found[1:5] == model[1:5]
    assert plain(found.training) == training


@few
@given(st.data())
def test_checkpoints(tmp_path, data):
    sizes, dtype = data.draw(SIZES), data.draw(st.sampled_from([np.float32, np.float64]))
    trees = tuple(data.draw(params(sizes, dtype, finite=False)) for _ in range(data.draw(st.integers(0, 2))))
    step, seed = data.draw(st.integers(0, 2**63 - 1)), data.draw(st.integers(0, 2**64 - 1))
    state = TrainState(data.draw(params(sizes, dtype)), Moments(step, trees), step, seed)
    saved = Checkpoint(state, data.draw(st.none() | params(sizes, dtype)), config={"a": data.draw(JSON)})
    save_checkpoint(tmp_path / "c", saved)
    found = load_checkpoint(tmp_path / "c")
    assert bits(found.state.params) == bits(state.params)
    assert [bits(tree) for tree in found.state.optimizer_state.trees] == [bits(tree) for tree in trees]
    assert found.state[2:] == state[2:]
    assert (found.best and bits(found.best)) == (saved.best and bits(saved.best))
    assert plain(found.config) == plain(saved.config)


@few
@given(st.lists(st.dictionaries(st.text("abc\n\u2028", min_size=1, max_size=3), JSON, max_size=4), max_size=4))
def test_logs(tmp_path, events):
    events = [{"event": "epoch", **event} for event in events]
    (tmp_path / log.LOG).unlink(missing_ok=True)
    for event in events:
        log.append(tmp_path, event, sync=False)
    if events:
        assert list(log.read_log(tmp_path)) == events


IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6)))


@few
@given(IMAGES, st.booleans(), st.sampled_from(["C", "F"]), st.sampled_from([np.uint8, np.int16, ">i4", np.uint64]))
def test_images_as_idx_and_npz(tmp_path, x, packed, order, dtype):
    content = idx_bytes(x)
    (tmp_path / "a").write_bytes(gzip.compress(content) if packed else content)
    assert np.array_equal(data.read_images(tmp_path / "a", x.shape[1:]), x.reshape(len(x), -1))
    with open(tmp_path / "b", "wb") as file:
        (np.savez_compressed if packed else np.savez)(file, x_test=np.asarray(x.astype(dtype), order=order))
    assert np.array_equal(data.read_images(tmp_path / "b", x.shape[1:]), x.reshape(len(x), -1))
    assert read_npz(tmp_path / "b", ("x_test",))["x_test"].shape == x.shape


@few
@given(st.data())
def test_tables(tmp_path, data):
    side, n = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 6))
    x = data.draw(hnp.arrays(np.uint8, (n, side * side)))
    labels = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 999_999)))
    header, quoted = data.draw(st.booleans()), data.draw(st.booleans())
    columns = data.draw(st.permutations(range(side * side + 1))) if header else range(side * side + 1)
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, quoting=quoting, lineterminator=data.draw(st.sampled_from(["\n", "\r\n", "\r"])))
    names = ["label", *(f"pixel{number}" for number in range(side * side))]
    if header:
        writer.writerow([names[column] for column in columns])
    for row in np.column_stack([labels, x]).tolist():
        writer.writerow([row[column] for column in columns])
    bom = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    (tmp_path / "a").write_bytes(bom + text.getvalue().encode())
    pixels, found = read_csv(tmp_path / "a", None if header else "first", image=True)
    assert np.array_equal(pixels, x)
    assert np.array_equal(found, labels)


@few
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))), st.booleans())
@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA"])
def test_pictures(tmp_path, mode, pixels, optimised):
    pixels = np.where(pixels > 127, 255, 0).astype(np.uint8) if mode == "1" else pixels
    picture = Image.fromarray(pixels).convert(mode)
    picture.save(tmp_path / "a.png", optimize=optimised)
    assert np.array_equal(png.read_png(tmp_path / "a.png"), pixels)
