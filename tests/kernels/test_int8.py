"""Compiled scores of int8 are those of NumPy's definition, in all bits, on every level of processors."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet.core import int8
from fnnet.core.params import Layer, Params
from fnnet.errors import UsageError
from fnnet.kernels import int8_layout, int8_predictor, machine
from tests.campaigns.levels import environment
from tests.conftest import ROOT

FLOAT = np.float32


@pytest.fixture(scope="module")
def kernels():
    return fnnet.load_kernels("numba", threads=2, parts=("quantised",))


def rows(draw, n, inputs, as_bytes, zeros):
    """Rows of which a share is zero, one of them all."""
    x = draw.integers(0, 256, (n, inputs))
    x[draw.random(x.shape) < zeros] = 0
    x[n // 2] = 0
    if as_bytes:
        return x.astype(np.uint8)
    return ((x - 50 * draw.integers(0, 3)) * 10.0 ** draw.integers(-45, 20)).astype(FLOAT)


def assert_twin(params, x, activation="relu", threads=2):
    quantised = int8.quantise(params, activation)
    found, best = int8_predictor.Int8Predictor(quantised, threads).scores(x)
    wanted = int8.scores(quantised, x)
    np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))
    np.testing.assert_array_equal(best, wanted.argmax(axis=1))


@settings(max_examples=60)
@given(st.data())
def test_equals_the_definition(kernels, data):
    """Widths around tiles, panels and groups, any number of rows, bytes and floats of any size."""
    width = st.integers(1, 200) | st.sampled_from([15, 16, 17, 63, 64, 65, 79, 80, 96, 112, 128, 129])
    sizes = data.draw(st.lists(width, min_size=2, max_size=5))
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n = data.draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 95, 96, 97, 200]))
    scheme, dtype = data.draw(st.sampled_from(["he", "notebook"])), data.draw(st.sampled_from(["f", "d"]))
    params = fnnet.init(sizes, int(draw.integers(99)), scheme=scheme, dtype=dtype)
    x = rows(draw, n, sizes[0], data.draw(st.booleans()), data.draw(st.sampled_from([0.0, 0.5, 0.99])))
    assert_twin(params, x, data.draw(st.sampled_from(list(int8.SLOPES))))


@pytest.mark.parametrize("activation", int8.SLOPES)
@pytest.mark.parametrize("inputs", [4, 200, 1031, int8.MOST_INPUTS])
def test_nothing_saturates(kernels, inputs, activation):
    """The largest codes and weights, of one sign, whose pairs and sums are the largest that there are."""
    units = 16
    signs = np.ones((inputs, units), FLOAT)
    signs[:, 1::2] = -1
    signs[::2, 2::4] = -1
    W = np.sign(np.resize([1, 1, -1], (units, 20))).astype(FLOAT)
    params = Params((Layer(signs, np.zeros(units, FLOAT)), Layer(W, np.ones(20, FLOAT))))
    for x in (np.full((7, inputs), 255, np.uint8), np.full((7, inputs), -3, FLOAT), np.full((1, inputs), 7, FLOAT)):
        assert_twin(params, x, activation)


@pytest.mark.parametrize("sizes", [(9, 4), (50, 33, 10), (784, 70, 130, 10)])
def test_threads_and_single_rows_give_the_same_bits(kernels, sizes, monkeypatch):
    monkeypatch.setattr(int8_predictor, "TEAM_WORK", 1)
    monkeypatch.setattr(int8_predictor, "UNIT_ROWS", 12)
    quantised = int8.quantise(fnnet.init(sizes, 3), "leaky_relu")
    draw = np.random.default_rng(0)
    for x in (
        draw.integers(0, 256, (155, sizes[0])).astype(np.uint8),
        draw.standard_normal((155, sizes[0])).astype("f"),
    ):
        wanted = int8.scores(quantised, x)
        for threads in (1, 2, 3, 5):
            ready = int8_predictor.Int8Predictor(quantised, threads)
            np.testing.assert_array_equal(ready.scores(x)[0], wanted)
        for row in range(12):
            np.testing.assert_array_equal(ready.scores(x[row : row + 1])[0], wanted[row : row + 1])
            np.testing.assert_array_equal(ready.best(x[row : row + 1]), wanted[row : row + 1].argmax(axis=1))


def test_several_threads_may_ask_at_once(kernels):
    params, x = fnnet.init((40, 30, 10), 1), np.random.default_rng(0).integers(0, 256, (400, 40)).astype(np.uint8)
    classify, together = fnnet.predictor(params, precision="int8", kernels=kernels), threading.Barrier(4)
    wanted = fnnet.predict(params, x, precision="int8")

    def ask(part):
        together.wait()
        return [classify(x[row : row + 1]).item() for row in range(part, 400, 4)], classify(x)

    with ThreadPoolExecutor(4) as pool:
        for part, (single, every) in enumerate(pool.map(ask, range(4))):
            np.testing.assert_array_equal(single, wanted[part::4])
            np.testing.assert_array_equal(every, wanted)


def test_the_public_functions_use_it(kernels, monkeypatch):
    params, x = fnnet.init((40, 30, 10), 1), np.random.default_rng(0).standard_normal((300, 40))
    wanted = fnnet.scores(params, x, precision="int8")
    monkeypatch.setattr(int8, "scores", None)
    np.testing.assert_array_equal(fnnet.scores(params, x, precision="int8", kernels=kernels), wanted)
    np.testing.assert_array_equal(fnnet.predict(params, x, precision="int8", kernels=kernels), wanted.argmax(axis=1))
    classify = fnnet.predictor(params, precision="int8", kernels=kernels)
    for each in (x, x.astype("f"), np.asfortranarray(x.astype("f")), x[::2].astype("f"), x[:1]):
        np.testing.assert_array_equal(classify(each), fnnet.predict(params, each, precision="int8", kernels=kernels))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39, 2e38, -2e38])
@pytest.mark.parametrize("n", [1, 2, 200])
def test_refuses_inputs_as_numpy_does(kernels, wrong, n):
    params, x = fnnet.init((40, 30, 10), 1, dtype=np.float64), np.zeros((n, 40))
    x[n - 1, 38] = wrong
    messages = []
    for table in (kernels, fnnet.load_kernels()):
        for ask in (fnnet.predictor(params, precision="int8", kernels=table), lambda x, table=table: fnnet.scores(
            params, x, precision="int8", kernels=table)):  # fmt: skip
            with pytest.raises(UsageError, match=f"row {n - 1}, column 38: x is (not finite|too large)") as raised:
                ask(x)
            messages.append(str(raised.value))
    assert len(set(messages)) == 1


def test_writes_and_reads_only_its_own_buffers(kernels):
    """Rows end where the memory of another may begin: bytes before and behind are kept, and change nothing."""
    params = fnnet.init((21, 17, 3), 1)
    ready = int8_predictor.Int8Predictor(int8.quantise(params), 1)
    found = []
    for around in (0, 255):
        whole = np.full(21 * 5 + 128, around, np.uint8)
        x = whole[64:-64].reshape(5, 21)
        x[...] = np.arange(105).reshape(5, 21)
        logits, best = np.full(5 * 3 + 32, 7, FLOAT), np.full(5 + 32, 7)
        written = {"logits": logits[16:-16], "best": best[16:-16]}
        ready._bind(rank=0, n=5, **ready._shared(5, 1), **ready._rows(x), **written)()
        for array in (logits, best):
            assert (array[:16] == 7).all()
            assert (array[-16:] == 7).all()
        found.append(logits.tobytes())
    assert found[0] == found[1]


LEVELS = {
    "x86-64": "dot  16",
    "x86-64-v2": "dot maddubs 16",
    "x86-64-v3": "dot maddubs 32",
    "x86-64-v4": "dot maddubs 64",
}
"""Level -> how it adds four products, and bytes of its vectors."""
SAMPLE = "equals or saturates or (threads and not several)"
AT_LEVEL = """
import sys, pytest
from fnnet.kernels import machine
print("dot", machine.machine().dot, machine.machine().vector_bytes)
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", sys.argv[1],
    "tests/kernels/test_int8.py"]))
"""
NARROW = """
from fnnet.kernels import machine
chosen = machine.machine()._replace(vector_bytes=32, rows=6, compress=False, dot="vnni")
machine.machine = lambda: chosen
from tests.campaigns import levels
levels.compile_here(["quantised"], ["float32"])
"""
"""What comes before AT_LEVEL for a processor whose vectors are half as wide, but which has the instruction."""


def lacks(level):
    """True if this processor cannot run code for a level."""
    from llvmlite import binding

    if machine.target().triple.split("-")[0] != "x86_64":
        return True
    features = binding.get_host_cpu_features()
    return not all(features.get(name) for name in machine._needed(level))


@pytest.mark.skipif("FNNET_CPU" in os.environ, reason="is such a process")
@pytest.mark.parametrize(("level", "way"), LEVELS.items())
def test_older_processors_give_the_same_bits(level, way):
    if lacks(level):
        pytest.skip(f"not {level}")
    assert sampled(AT_LEVEL, FNNET_CPU=level).startswith(way)


def sampled(code, **names):
    """The output of a process that runs a sample of these tests."""
    command = [sys.executable, "-c", code, SAMPLE]
    done = subprocess.run(command, cwd=ROOT, env=environment(**names), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif("FNNET_CPU" in os.environ, reason="is such a process")
def test_narrow_vectors_with_the_instruction_give_the_same_bits():
    if machine.machine().dot != "vnni":
        pytest.skip("no instruction for four products")
    assert sampled(NARROW + AT_LEVEL).startswith("dot vnni 32")


def test_packing_by_hand():
    """Two panels, of 64 and 16 units; three inputs make a group."""
    W = np.arange(3 * 66).reshape(3, 66).astype(np.int8)
    flat = np.full(2 * 4 * 80, 9, np.int8)[: 4 * 80]
    int8_layout.pack_weights(W, flat, 80, 1)
    assert flat[:8].tolist() == [0, 66, -124, 0, 1, 67, -123, 0]
    assert flat[256:264].tolist() == [64, -126, -60, 0, 65, -125, -59, 0]
    assert not flat[264:].any()
