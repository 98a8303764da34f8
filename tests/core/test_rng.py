"""Counter-based streams: golden values, independence of history, honest conversion."""

import hashlib

import numpy as np
import pytest

from fnnet.core import rng
from fnnet.errors import UsageError

GOLDEN_WORDS = [2124298683935324259, 4075610011954361521, 3636137171327645214]
GOLDEN_ORDER = [0, 2, 1, 6, 8, 4, 7, 3, 9, 5]
GOLDEN_SHA = "ca94de4c36aeea0b94cf96599c07d0f41a6af5fe15ceaa9a67c585a198e0d7b8"


def philox4x64(counter, key):
    """Philox4x64-10 written from the paper's equations, in Python integers."""
    mask = 2**64 - 1
    k0, k1 = key
    c = list(counter)
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(p1 >> 64) ^ c[1] ^ k0, p1 & mask, (p0 >> 64) ^ c[3] ^ k1, p0 & mask]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return c


def test_known_answers_of_philox():
    """The reference implementation's vectors for counters and keys of zeros and of ones."""
    assert philox4x64([0] * 4, [0] * 2)[0] == 0x16554D9ECA36314C
    assert philox4x64([2**64 - 1] * 4, [2**64 - 1] * 2)[0] == 0x87B092C3013FE90B


@pytest.mark.parametrize(("seed", "epoch", "step", "block"), [(0, 0, 0, 0), (7, 3, 2, 5), (2**64 - 1, 1, 0, 1)])
def test_words_are_philox_of_the_place(seed, epoch, step, block):
    wanted = philox4x64([block, step, epoch, 0], [seed, rng.PURPOSES["shuffle"]])
    found = rng.words(seed, "shuffle", 4, epoch=epoch, step=step, start=4 * block)
    assert found.tolist() == wanted


@pytest.mark.parametrize("start", range(9))
def test_a_stream_can_be_entered_anywhere(start):
    whole = rng.words(1, "init", 40)
    assert rng.words(1, "init", 20, start=start).tolist() == whole[start : start + 20].tolist()


def test_golden_streams():
    """These must never change without a new name for rng.SCHEME."""
    assert rng.SCHEME == "philox4x64-10/1"
    assert rng.words(42, "shuffle", 3, epoch=1).tolist() == GOLDEN_WORDS
    assert rng.order(42, "shuffle", 10, epoch=1).tolist() == GOLDEN_ORDER
    assert hashlib.sha256(rng.order(42, "shuffle", 60000, epoch=3).astype("<i8").tobytes()).hexdigest() == GOLDEN_SHA


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 64, 65, 1000])
def test_orders_are_permutations(n):
    assert sorted(rng.order(5, "shuffle", n, epoch=2).tolist()) == list(range(n))


def test_orders_are_fair():
    counts = np.zeros((4, 4))
    for epoch in range(2000):
        counts[np.arange(4), rng.order(9, "shuffle", 4, epoch=epoch)] += 1
    chi_squared = ((counts - 500) ** 2 / 500).sum()
    assert chi_squared < 27.9  # 9 degrees of freedom, p = 0.001


def test_uniform_is_uniform():
    u = rng.uniform(3, "init", 100_000)
    assert 0 <= u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005
    assert abs(u.var() - 1 / 12) < 0.002


def test_places_differ():
    first = {
        tuple(rng.words(s, p, 2, epoch=e, step=t)) for s in (0, 1) for p in rng.PURPOSES for e in (0, 1) for t in (0, 1)
    }
    assert len(first) == 2 * len(rng.PURPOSES) * 4


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", True, None])
def test_bad_seeds(seed):
    with pytest.raises(UsageError, match="seed"):
        rng.check_seed(seed)
