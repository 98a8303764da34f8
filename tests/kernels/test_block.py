"""The compiled block trainer is the loop over train_step, and gives the same bits however its work is shared out."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fnnet
from fnnet.core import public_optimizers as optimizers
from fnnet.core.params import weights_sha256
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY
from fnnet.errors import DivergedError
from fnnet.kernels import layout, pack, pixels, predictor, row_predictor, trainer
from fnnet.names import ACTIVATIONS
from fnnet.training import steps
from tests.tools.tolerance import assert_loss, assert_trained, share_of_limit

OPTIMIZERS = {
    "sgd": optimizers.SGD,
    "momentum": optimizers.momentum(0.9),
    "nesterov": optimizers.momentum(0.8, nesterov=True),
    "rmsprop": optimizers.rmsprop(0.9, 1e-2),
    "adam": optimizers.adam(epsilon=1e-3),
    "adamw": optimizers.adamw(0.8, 0.99, 1e-3, weight_decay=0.1),
    "lion": optimizers.lion(0.8, 0.95, weight_decay=0.1),
    "decayed": optimizers.momentum(0.8, weight_decay=0.1),
    "shrunk": optimizers.sgd(weight_decay=0.1, decoupled=True),
    "clipped": optimizers.clipped(optimizers.momentum(0.8, nesterov=True), 0.05),
    "averaged": optimizers.averaged(optimizers.SGD, 0.9),
    "all at once": optimizers.averaged(optimizers.clipped(optimizers.adam(epsilon=1e-3, weight_decay=0.1), 0.5), 0.8),
}
OBJECTIVES = {
    "plain": steps.PLAIN,
    "smooth": steps.Objective(label_smoothing=0.1),
    "dropout": steps.Objective(dropout=0.4),
    **{name: steps.Objective(activation=name) for name in ACTIVATIONS[1:]},
    "sharded": steps.Objective(shards=3),
    "all at once": steps.Objective("silu", 0.3, 0.2, 5),
}


def data(n, inputs, classes, *, zeros, as_bytes, dtype=np.float32, seed=0):
    """Rows of which a share is zero, bytes or floats, and labels that can be learnt."""
    draw = np.random.default_rng([seed, n, inputs])
    x = draw.integers(1, 256, (n, inputs))
    x[draw.random(x.shape) < zeros] = 0
    labels = (x @ draw.standard_normal((inputs, classes))).argmax(axis=1)
    return Examples(x.astype(np.uint8) if as_bytes else (x / 255).astype(dtype), labels)


def block(
    kernels, sizes, examples, batch_size, optimizer=optimizers.SGD, *, rate=0.1, dtype=np.float32, rows=None,
    objective=steps.PLAIN, weights=None,
):  # fmt: skip
    """One block over the examples in a shuffled order, or one step over all for batch_size None."""
    n = len(examples.x)
    state = steps.start(fnnet.init(sizes, 1, dtype=dtype), 1, optimizer=optimizer)
    if batch_size is not None and rows is None:
        rows = np.random.default_rng(n).permutation(n)
    options = {"objective": objective, "optimizer": optimizer, "weights": weights, "kernels": kernels}
    return fnnet.train_block(state, examples, rows, batch_size or n, rate, **options)


BY_ROOTS = {"rmsprop", "adam", "adamw", "all at once"}
"""Optimizers that divide by roots: what rounding leaves of a gradient that is nearly 0 may decide on a step."""


def is_conditioned(wanted, examples, *work, **options):
    """False where NumPy's own training moves by a tenth of the tolerance for inputs of another last bit: in one of
    300 drawn networks such steps follow on one another, and no bound holds for them."""
    signs = np.random.default_rng(0).choice([-1, 1], examples.x.shape)
    floats = examples.x / (255 if examples.x.dtype == np.uint8 else 1.0)
    nudged = examples._replace(x=floats * (1 + signs * np.finfo(np.float64).eps))
    moved = block(NUMPY, work[0], nudged, *work[1:], **options)[0]
    return share_of_limit(moved.params, wanted.params, wanted.step) < 1 / 10


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(1, 70), min_size=2, max_size=5),
    n=st.integers(1, 90),
    batch=st.one_of(st.none(), st.integers(1, 100)),
    zeros=st.sampled_from([0.0, 0.5, 0.8, 1.0]),
    as_bytes=st.booleans(),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    objective=st.sampled_from(sorted(OBJECTIVES)),
    weighted=st.booleans(),
)
def test_a_block_is_the_loop_over_train_step(
    numba_kernels, sizes, n, batch, zeros, as_bytes, optimizer, objective, weighted
):
    examples = data(n, sizes[0], sizes[-1], zeros=zeros, as_bytes=as_bytes, dtype=np.float64)
    options = {
        "dtype": np.float64,
        "objective": OBJECTIVES[objective],
        "weights": np.random.default_rng(n).integers(0, 3, n) / 2 if weighted else None,
    }
    (found, found_loss, found_right), (wanted, wanted_loss, wanted_right) = (
        block(kernels, sizes, examples, batch, OPTIMIZERS[optimizer], **options) for kernels in (numba_kernels, NUMPY)
    )
    work = (sizes, batch, OPTIMIZERS[optimizer])
    assume(optimizer not in BY_ROOTS or is_conditioned(wanted, examples, *work, **options))
    assert_loss(found_loss / n, wanted_loss / n, sizes[-1], n, np.float64)
    assert_trained(found.params, wanted.params, wanted.step)
    assert (found.step, found_right) == (wanted.step, wanted_right)
    if optimizer not in ("sgd", "shrunk"):
        assert found.optimizer_state.steps == wanted.optimizer_state.steps == wanted.step
        for ours, theirs in zip(found.optimizer_state.trees, wanted.optimizer_state.trees, strict=True):
            assert_trained(ours, theirs, wanted.step)


# Lion moves by signs: in float32 what rounding leaves of some gradient that is nearly 0 may have either.
@pytest.mark.parametrize("optimizer", sorted({*OPTIMIZERS} - {"lion"}))
@pytest.mark.parametrize("sizes", [(784, 10), (784, 10, 10), (784, 128, 10), (784, 150, 40, 10)], ids=str)
def test_a_block_in_float32(optimizer, sizes, numba_kernels):
    examples = data(300, 784, 10, zeros=0.8, as_bytes=True)
    results = [
        block(kernels, sizes, examples, 64, OPTIMIZERS[optimizer], rate=0.01) for kernels in (numba_kernels, NUMPY)
    ]
    (found, found_loss, _), (wanted, wanted_loss, _) = results
    assert_loss(found_loss / 300, wanted_loss / 300, 10, 300)
    assert_trained(found.params, wanted.params, wanted.step)


def test_the_check_of_blocks_can_fail(numba_kernels):
    """A gradient that is off by 0.1%, as a rate that is, fails it."""
    examples = data(64, 20, 3, zeros=0.5, as_bytes=True)
    found, wanted = (block(numba_kernels, (20, 8, 3), examples, 16, rate=rate)[0] for rate in (0.1, 0.1001))
    with pytest.raises(AssertionError):
        assert_trained(found.params, wanted.params, wanted.step)


CASES = {
    "sparse, narrow": ((784, 10, 10), 64, 0.8, True),
    "sparse, wide": ((784, 150, 10), 50, 0.8, True),
    "sparse floats, no hidden layer": ((300, 7), 33, 0.8, False),
    "dense": ((100, 40, 30, 5), 50, 0.0, False),
    "dense bytes": ((784, 33, 10), 64, 0.0, True),
    "full batch": ((784, 10, 10), None, 0.8, True),
}


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_same_bits_for_any_number_of_threads(case, optimizer, numba_kernels, monkeypatch):
    sizes, batch, zeros, as_bytes = CASES[case]
    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    examples = data(333, sizes[0], sizes[-1], zeros=zeros, as_bytes=as_bytes)
    results = set()
    for chunk in (25, 512):
        monkeypatch.setattr(trainer, "CHUNK_ROWS", chunk)
        for threads in (1, 2, 3, 4, 8):
            kernels = numba_kernels._replace(threads=threads)
            results.add(weights_sha256(block(kernels, sizes, examples, batch, OPTIMIZERS[optimizer])[0].params))
    assert len(results) == 1


def test_f71_weights_whose_sum_overflows_are_finite(numba_kernels):
    """No warning, which would fail this test, and no divergence."""
    params = fnnet.init((4, 3), 0)
    large = fnnet.Params((params.layers[0]._replace(W=np.full((4, 3), 3e38, np.float32)),))
    examples = Examples(np.zeros((8, 4), np.float32), np.zeros(8, np.int64))
    state = fnnet.train_block(steps.start(large, 0), examples, np.arange(8), 4, 0.1, kernels=numba_kernels)[0]
    np.testing.assert_array_equal(state.params.layers[0].W, large.layers[0].W)


def test_the_middle_of_what_is_not_zero(numba_kernels):
    x = np.zeros((50, 320), np.uint8)
    x[:, 200:] = 9
    rows = numba_kernels.pixels(x, np.dtype(np.float32), 1)
    assert rows.middle(160) == 8, "half of the ink lies before input 260, and blocks have 32"
    assert numba_kernels.pixels(x + 1, np.dtype(np.float32), 1).middle(160) == 5


@pytest.mark.parametrize("sizes", [(784, 10, 10), (784, 150, 10), (100, 65, 20, 3)], ids=str)
@pytest.mark.parametrize("batch", [64, None])
def test_zeros_left_out_are_the_same_bits(sizes, batch, numba_kernels, monkeypatch):
    """Dense and sparse, bytes and the floats that they stand for, in chunks of any size."""
    as_bytes = data(333, sizes[0], sizes[-1], zeros=0.8, as_bytes=True)
    as_floats = Examples(np.divide(as_bytes.x, 255, dtype=np.float32), as_bytes.labels)
    results = set()
    for examples in (as_bytes, as_floats):
        for share in (-1.0, 2.0):
            for chunk in (40, 512):
                monkeypatch.setattr(pixels, "DENSE", share)
                monkeypatch.setattr(trainer, "CHUNK_ROWS", chunk)
                results.add(weights_sha256(block(numba_kernels, sizes, examples, batch)[0].params))
    assert len(results) == 1


@pytest.mark.parametrize("sizes", [(784, 10, 10), (784, 150, 10), (70, 5), (300, 40, 30, 12)], ids=str)
@pytest.mark.parametrize("zeros", [0.0, 0.8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_f81_a_row_alone_in_a_batch_or_shuffled(sizes, zeros, dtype, numba_kernels, monkeypatch):
    monkeypatch.setattr(predictor, "TEAM_WORK", 1)
    params = fnnet.init(sizes, 3, dtype=dtype)
    x = data(200, sizes[0], sizes[-1], zeros=zeros, as_bytes=True).x
    x[7] = 0
    together = fnnet.scores(params, x, kernels=numba_kernels)
    alone = np.vstack([fnnet.scores(params, row[None], kernels=numba_kernels) for row in x])
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = np.empty_like(together)
    shuffled[order] = fnnet.scores(params, x[order], kernels=numba_kernels._replace(threads=3))
    floats = fnnet.scores(params, np.divide(x, 255, dtype=dtype), kernels=numba_kernels)
    assert together.tobytes() == alone.tobytes() == shuffled.tobytes() == floats.tobytes()
    wanted = fnnet.forward(params, x).logits
    np.testing.assert_allclose(together, wanted, rtol=0, atol=sizes[0] * np.finfo(dtype).eps * np.abs(wanted).max())


@contextmanager
def guarded_buffers():
    """Every buffer between zones of NaN, which show whoever reads them, and must be as they were in the end."""
    zones = []

    def aligned(count, dtype, zero=True):
        dtype = np.dtype(dtype)
        zone = 4096 // dtype.itemsize
        raw = np.empty(count + 2 * zone, dtype)
        raw.view(np.uint8)[...] = 0xFF
        raw[zone : zone + count] = 0
        zones.append((raw, zone, count))
        return raw[zone : zone + count]

    with pytest.MonkeyPatch.context() as monkeypatch:
        for module in (pack, trainer, predictor, row_predictor):
            monkeypatch.setattr(module, "aligned", aligned)
        monkeypatch.setattr(trainer, "TEAM_WORK", 0)
        monkeypatch.setattr(predictor, "TEAM_WORK", 1)
        yield
    assert zones
    for raw, zone, count in zones:
        assert (raw[:zone].view(np.uint8) == 0xFF).all()
        assert (raw[zone + count :].view(np.uint8) == 0xFF).all()


SHAPES = {
    "sizes": st.lists(st.integers(1, 140), min_size=2, max_size=4),
    "n": st.integers(1, 150),
    "batch": st.integers(1, 150),
    "zeros": st.sampled_from([0.0, 0.8]),
    "threads": st.integers(1, 3),
}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(**SHAPES)
def test_nothing_outside_the_buffers_is_read_or_written(numba_kernels, sizes, n, batch, zeros, threads):
    examples = data(n, sizes[0], sizes[-1], zeros=zeros, as_bytes=True)
    kernels = numba_kernels._replace(threads=threads)
    wanted = block(NUMPY, sizes, examples, batch)[0]
    with guarded_buffers():
        found = block(kernels, sizes, examples, batch)[0]
        logits = fnnet.scores(found.params, examples.x, kernels=kernels)
        fnnet.scores(found.params, examples.x[:1], kernels=kernels)
    assert_trained(found.params, wanted.params, wanted.step)
    assert np.isfinite(logits).all()


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    **SHAPES,
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    objective=st.sampled_from(sorted(OBJECTIVES)),
    weighted=st.booleans(),
)
def test_nor_outside_those_of_what_else_is_trained(
    numba_kernels, sizes, n, batch, zeros, threads, optimizer, objective, weighted
):
    """Against the same run without zones, to the bit: many steps of RMSProp magnify what NumPy rounds elsewhere."""
    examples = data(n, sizes[0], sizes[-1], zeros=zeros, as_bytes=True)
    kernels, chosen = numba_kernels._replace(threads=threads), OBJECTIVES[objective]
    weights = np.random.default_rng(n).random(n) if weighted else None
    options = {"objective": chosen, "optimizer": OPTIMIZERS[optimizer], "weights": weights}
    wanted = block(kernels, sizes, examples, batch, **options)[0]
    with guarded_buffers():
        found = block(kernels, sizes, examples, batch, **options)[0]
        logits = fnnet.scores(found.params, examples.x, activation=chosen.activation, kernels=kernels)
        fnnet.scores(found.params, examples.x[:1], activation=chosen.activation, kernels=kernels)
    assert weights_sha256(found.params) == weights_sha256(wanted.params)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("sizes", [(784, 10, 10), (5, 3), (70, 33, 17, 65)], ids=str)
@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("lanes", [16, 32, 64])
def test_packing_and_unpacking(sizes, threads, lanes):
    params = fnnet.init(sizes, 5)
    plan = layout.layout(sizes, np.float32, lanes, 4, threads)
    flat = pack.pack([params], plan)
    (again,) = pack.unpack(flat, plan)
    assert weights_sha256(again) == weights_sha256(params)
    assert flat.ctypes.data % 64 == 0


def test_f71_a_step_with_an_infinite_loss_is_not_made(numba_kernels):
    """The error names that step, and the layer whose scores overflow."""
    examples = data(64, 20, 3, zeros=0.5, as_bytes=False)
    examples.x[40] = 1e38
    for kernels in (numba_kernels, NUMPY):
        with pytest.raises(DivergedError, match=r"step 3, layer [12]"):
            block(kernels, (20, 8, 3), examples, 16, rows=np.arange(64), rate=1e-3)


def test_blocks_follow_one_another(numba_kernels):
    """Two blocks are one: momentum and the count of steps go on."""
    examples = data(100, 30, 4, zeros=0.5, as_bytes=True)
    for name, optimizer in OPTIMIZERS.items():
        state = steps.start(fnnet.init((30, 6, 4), 1), 1, optimizer=optimizer)
        options = {"optimizer": optimizer, "kernels": numba_kernels}
        rows = np.arange(100)
        whole, _, _ = fnnet.train_block(state, examples, rows, 10, 0.05, **options)
        half, _, _ = fnnet.train_block(state, examples, rows[:50], 10, 0.05, **options)
        both, _, _ = fnnet.train_block(half, examples, rows[50:], 10, 0.05, **options)
        assert weights_sha256(whole.params) == weights_sha256(both.params), name
        assert whole.step == both.step == 10


def test_an_optimizer_that_the_compiled_code_does_not_know(numba_kernels):
    """It goes step by step, with the compiled operations."""
    own = optimizers.SGD._replace(update=lambda *arguments: optimizers.SGD.update(*arguments))
    examples = data(50, 20, 3, zeros=0.5, as_bytes=True)
    found, wanted = (
        block(numba_kernels, (20, 8, 3), examples, 16, optimizer)[0] for optimizer in (own, optimizers.SGD)
    )
    assert_trained(found.params, wanted.params, 4)


def test_f82_arguments_stay_as_they_were(numba_kernels):
    examples = data(50, 20, 3, zeros=0.5, as_bytes=True)
    x, labels, params = examples.x.copy(), examples.labels.copy(), fnnet.init((20, 8, 3), 1)
    before = weights_sha256(params)
    state, _, _ = fnnet.train_block(steps.start(params, 1), examples, np.arange(50), 16, 0.1, kernels=numba_kernels)
    np.testing.assert_array_equal(examples.x, x)
    np.testing.assert_array_equal(examples.labels, labels)
    assert weights_sha256(params) == before != weights_sha256(state.params)
    assert not any(array.flags.writeable for layer in state.params.layers for array in layer)
