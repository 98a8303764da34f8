"""Checkpoints: every bit comes back, and nothing damaged, foreign or odd is taken for one."""

import json
import math
import os
from types import MappingProxyType

import numpy as np
import pytest

import fnnet
from fnnet.core import public_optimizers as optimizers
from fnnet.core.params import Layer, Params
from fnnet.core.state import EpochReport, Moments, Training, TrainState
from fnnet.errors import ModelError, StorageError
from fnnet.files.checkpoints import Checkpoint, checkpoint_of, load_checkpoint, save_checkpoint, training_of
from fnnet.files.model import Model
from fnnet.training import steps as training
from tests.files.test_model import assert_whole, rewrite
from tests.tools.disks import around

SIZES = (4, 3, 2)
HISTORY = (
    EpochReport(1, 5e-324, 0.1 + 0.2, 0.5, 0.25, 1.0, 0.1)._asdict(),
    EpochReport(2, 1.5, 1e308, 0.0, None, None, 0.1)._asdict(),
)


def odd(dtype, start):
    """Parameters of numbers that a careless writer would change."""
    special = np.array([-0.0, np.finfo(dtype).tiny / 4, np.finfo(dtype).max, 1 / 3], dtype)
    shapes = ([(4, 3), (3,)], [(3, 2), (2,)])
    arrays = [[np.resize(np.roll(special, start + shape[0]), shape).astype(dtype) for shape in pair] for pair in shapes]
    return Params(tuple(Layer(*pair) for pair in arrays))


def make(dtype=np.float32, step=7):
    moments = Moments(step, (odd(dtype, 1), odd(dtype, 2)))
    state = TrainState(odd(dtype, 0), moments, step, 2**64 - 1)
    return Checkpoint(
        state,
        odd(dtype, 3),
        HISTORY,
        {"epoch": 2, "images": 30, "loss_sum": 0.1, "correct": 7, "seconds": 0.5},
        {"plan": {"epochs": [1, 2]}, "name": "é"},
    )


def arrays(checkpoint):
    trees = checkpoint.state.optimizer_state.trees if checkpoint.state.optimizer_state else ()
    networks = (checkpoint.state.params, *trees, *([checkpoint.best] if checkpoint.best else []))
    return [array for network in networks for layer in network.layers for array in layer]


def same(found, wanted):
    assert [a.tobytes() for a in arrays(found)] == [np.ascontiguousarray(a).tobytes() for a in arrays(wanted)]
    assert [(a.shape, a.dtype) for a in arrays(found)] == [(a.shape, a.dtype) for a in arrays(wanted)]
    assert found.state[2:] == wanted.state[2:]
    assert (found.best is None) == (wanted.best is None)
    assert found[2:4] == wanted[2:4]
    old, new = wanted.state.optimizer_state, found.state.optimizer_state
    assert type(old) is type(new)
    assert getattr(old, "steps", None) == getattr(new, "steps", None)


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tmp_path / "c", make())
    return tmp_path / "c"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize("trees", [None, 0, 1, 2, 3])
def test_round_trip(dtype, best, trees, tmp_path):
    saved = make(dtype)
    remembered = () if trees is None else Moments(5, tuple(odd(dtype, number) for number in range(trees)))
    saved = saved._replace(best=saved.best if best else None, state=saved.state._replace(optimizer_state=remembered))
    save_checkpoint(tmp_path / "c", saved)
    found = load_checkpoint(tmp_path / "c")
    same(found, saved)
    assert found.config["plan"]["epochs"] == (1, 2)
    assert not any(array.flags.writeable for array in arrays(found))
    assert all(array.base is None or array.base.base is None for array in arrays(found))


@pytest.mark.parametrize(
    "optimizer", [optimizers.SGD, optimizers.momentum(), optimizers.adam()], ids=["sgd", "momentum", "adam"]
)
def test_training_goes_on_with_the_same_bits(optimizer, tmp_path):
    x = np.random.default_rng(0).random((6, 4), np.float32)
    labels = np.array([0, 1, 0, 1, 1, 0])

    def steps(state, count):
        for _ in range(count):
            state, _, _ = training.train_step(state, x, labels, 0.1, optimizer=optimizer)
        return state

    half = steps(training.start(fnnet.init(SIZES, 1), 1, optimizer=optimizer), 3)
    save_checkpoint(tmp_path / "c", Checkpoint(half))
    same(Checkpoint(steps(load_checkpoint(tmp_path / "c").state, 4)), Checkpoint(steps(half, 4)))


def test_what_is_no_number_is_null_in_reports_and_kept_in_moments(tmp_path):
    state = make().state._replace(optimizer_state=Moments(1, (broken(np.inf), broken(np.nan))))
    report = EpochReport(1, 0.5, float("nan"), 0.5, float("inf"), 0.5, 0.1)
    saved = Checkpoint(state, history=(report._asdict(),), config={"deep": [float("inf"), (1.5,)]})
    save_checkpoint(tmp_path / "c", saved)
    found = load_checkpoint(tmp_path / "c")
    assert found.history == ({**report._asdict(), "train_loss": None, "dev_loss": None},)
    assert found.config == {"deep": (None, (1.5,))}
    assert math.isnan(training_of(found).history[0].train_loss)
    same(found._replace(history=()), saved._replace(history=()))


def test_a_training_comes_back_from_its_checkpoint(tmp_path):
    reports = tuple(EpochReport(**report) for report in HISTORY)
    saved = Training(make().state, reports, make().best, epoch=2, images=3, loss_sum=0.1, correct=1, seconds=0.25)
    save_checkpoint(tmp_path / "c", checkpoint_of(saved))
    found = training_of(load_checkpoint(tmp_path / "c"))
    assert found._replace(state=None, best=None) == saved._replace(state=None, best=None)
    overflown = saved._replace(loss_sum=math.inf)
    save_checkpoint(tmp_path / "c", checkpoint_of(overflown))
    assert math.isnan(training_of(load_checkpoint(tmp_path / "c")).loss_sum)


def test_layouts_are_saved_as_their_values(tmp_path):
    def turn(network):
        return Params(tuple(Layer(np.asfortranarray(W), np.repeat(b, 2)[::2]) for W, b in network.layers))

    saved = make()
    turned = saved._replace(state=saved.state._replace(params=turn(saved.state.params)), best=turn(saved.best))
    save_checkpoint(tmp_path / "c", turned)
    same(load_checkpoint(tmp_path / "c"), saved)


def test_the_arguments_stay_as_they_are(tmp_path):
    saved = make()
    before = [array.tobytes() for array in arrays(saved)]
    save_checkpoint(tmp_path / "c", saved._replace(config=MappingProxyType({"a": MappingProxyType({"b": 1})})))
    assert [array.tobytes() for array in arrays(saved)] == before
    assert load_checkpoint(tmp_path / "c").config == {"a": {"b": 1}}


def test_other_programs_read_it(path):
    from safetensors.numpy import load_file

    tensors = load_file(path)
    assert len(tensors) == 16
    np.testing.assert_array_equal(tensors["moments.1.1.W"], odd(np.float32, 2).layers[1].W)


def test_f39_every_flipped_bit_and_every_truncation_is_refused(tmp_path):
    path, saved = tmp_path / "c", Checkpoint(training.start(fnnet.init((2, 1), 1), 1, optimizer=optimizers.momentum()))
    save_checkpoint(path, saved)
    content = path.read_bytes()
    for byte in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[byte] ^= 1 << bit
            path.write_bytes(flipped)
            with pytest.raises(ModelError):
                load_checkpoint(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError):
            load_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ModelError):
        load_checkpoint(path)
    path.write_bytes(content)
    same(load_checkpoint(path), saved)


def described(**changes):
    def change(header):
        about = json.loads(header["__metadata__"]["checkpoint"])
        header["__metadata__"]["checkpoint"] = json.dumps(about | changes)

    return change


def raw(text):
    return lambda header: header["__metadata__"].update(checkpoint=text)


def entry(name, **changes):
    return lambda header: header[name].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (described(sizes=[4, 2, 2]), "wrong shape"),
        (described(sizes=[4, 10**9, 2]), "too large"),
        (described(optimizer=None), "tensors"),
        (described(optimizer={"steps": 7, "trees": 10**18}), "tensors"),
        (described(optimizer={"steps": -7, "trees": 2}), "steps"),
        (described(optimizer={"steps": 7, "trees": True}), "trees"),
        (described(optimizer=[]), "damaged fnnet checkpoint"),
        (described(step=7.0), "step"),
        (described(step=-1), "step"),
        (described(seed=2**64), "seed"),
        (described(scheme="mersenne"), "unknown scheme of random numbers"),
        (described(best=False), "tensors"),
        (described(best=1), "entries of the wrong type"),
        (described(history={}), "entries of the wrong type"),
        (described(history=[1]), "history"),
        (described(history=[{}]), "epoch; expected a whole number, 0 or more, found a missing key"),
        (described(history=[{**HISTORY[0], "seconds": "1"}]), "seconds; expected a number or null"),
        (described(progress={"colour": 1}), "unknown entry of progress; expected epoch, images.*found 'colour'"),
        (described(progress={"epoch": -1}), "epoch; expected an integer >= 0, found -1"),
        (described(progress={"epoch": "x"}), "epoch; expected an integer >= 0, found 'x'"),
        (described(progress={"seconds": "x"}), "seconds is not a number"),
        (described(config={"a": "\ud800"}), "damaged fnnet checkpoint.*surrogates not allowed"),
        (described(config=[]), "entries of the wrong type"),
        (described(progress=float("nan")), "finite numbers"),
        (described(surprise=1), "surprise"),
        (raw('{"a":1,"a":2}'), "stored twice"),
        (raw('{"a":1e999}'), "finite numbers"),
        (raw("[" * 100_000), "damaged fnnet checkpoint"),
        (raw("[" * 60_000 + "]" * 60_000), "damaged fnnet checkpoint"),
        (raw("9" * 10_000), "damaged fnnet checkpoint"),
        (raw("[]"), "wrong keys"),
        (lambda header: header["__metadata__"].update(version="2"), "newer fnnet"),
        (lambda header: header["__metadata__"].update(format="fnnet-model"), "not an fnnet checkpoint"),
        (entry("params.0.W", dtype="F64"), "offsets without gaps"),
        (entry("params.0.W", dtype="I32"), "offsets without gaps"),
        (entry("params.0.W", shape=[-4, -3]), "offsets without gaps"),
        (entry("params.0.W", shape=[12.0]), "offsets without gaps"),
        (entry("params.0.W", shape=[2**31, 2**31, 4]), "offsets without gaps"),
        (entry("params.0.W", data_offsets=[0, 48]), "offsets without gaps"),
        (entry("params.0.W", data_offsets=[2**70, 2**70 + 48]), "offsets without gaps"),
        (entry("params.0.W", data_offsets="ab"), "damaged fnnet checkpoint|without gaps"),
        (entry("params.0.W", data_offsets=[]), "damaged fnnet checkpoint"),
        (entry("params.0.W", data_offsets=[0]), "damaged fnnet checkpoint"),
        (entry("params.0.W", data_offsets=[0, 48, 5]), "damaged fnnet checkpoint"),
        (entry("params.0.W", more=1), "entries of a tensor; expected dtype, shape, data_offsets, found"),
        (lambda header: header.pop("params.1.b"), "wrong length"),
        (lambda header: header.update(more={"dtype": "F32", "shape": [9], "data_offsets": [368, 404]}), "wrong length"),
    ],
)
def test_f40_f41_f42_well_sealed_nonsense_is_refused(change, message, path):
    rewrite(path, change)
    with pytest.raises(ModelError, match=message) as caught:
        load_checkpoint(path)
    assert_whole(caught.value, path)


def test_the_forger_of_these_tests_can_make_a_good_file(path):
    rewrite(path, lambda header: None)
    same(load_checkpoint(path), make())


def test_models_and_checkpoints_are_not_taken_for_each_other(path, tmp_path):
    with pytest.raises(ModelError, match="not an fnnet model"):
        fnnet.load_model(path)
    fnnet.save_model(tmp_path / "m", Model(fnnet.init((4, 10), 0), image_shape=(2, 2)))
    with pytest.raises(ModelError, match=r"not an fnnet checkpoint.*fnnet-model"):
        load_checkpoint(tmp_path / "m")


def broken(value=np.nan):
    W, b = odd(np.float32, 0).layers[0]
    return Params((Layer(np.full_like(W, value), b), odd(np.float32, 0).layers[1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c._replace(state=c.state._replace(params=broken())), r"layer 1 \(params.0\).*not finite"),
        (lambda c: c._replace(best=broken(np.inf)), r"layer 1 \(best.0\).*not finite"),
        (lambda c: c._replace(best=fnnet.init((4, 5, 2))), "wrong shape"),
        (lambda c: c._replace(best=odd(np.float64, 0)), "one float dtype"),
        (lambda c: c._replace(state=c.state._replace(optimizer_state={"m": 1})), "unknown optimizer state"),
        (lambda c: c._replace(state=c.state._replace(step=-1)), "step"),
        (lambda c: c._replace(state=c.state._replace(step=np.int64(3))), "values that JSON can represent"),
        (lambda c: c._replace(state=c.state._replace(scheme="other")), "scheme"),
        (lambda c: c._replace(history=(1,)), "history"),
        (lambda c: c._replace(history=({"epoch": 1},)), "seconds; expected a number"),
        (lambda c: c._replace(config={"a": {1, 2}}), "values that JSON can represent"),
        (lambda c: c._replace(config={"a": "x" * (65 * 2**20)}), "too large"),
        (lambda c: c.state, "not a checkpoint"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(change, message, path):
    before = path.read_bytes()
    with pytest.raises(ModelError, match=message) as caught:
        save_checkpoint(path, change(make()))
    assert_whole(caught.value, path, place=False)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["c"]


def test_f53_a_disk_that_reads_back_otherwise_is_found_out(path):
    before = path.read_bytes()

    def spoil(name, real, *arguments):
        result = real(*arguments)
        if name == "fsync":
            os.pwrite(arguments[0], b"?", len(before) - 1)
        return result

    with pytest.raises(StorageError, match="read back differs"):
        save_checkpoint(path, make(step=8), around(spoil))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["c"]
