"""The promises of randomness: the same bits in every process and for any threads; golden values elsewhere.

Tested elsewhere: killed at any moment and resumed, `tests/cli/test_cli_train.py`; each row alone, in a batch and
shuffled, and blocks for any number of threads, `tests/kernels/test_block.py`; golden streams one by one,
`tests/core/test_rng.py`, `tests/core/test_dropout.py`, `tests/core/test_deform.py`.
"""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core import dropout, metrics, rng
from fnnet.core.deform import deform
from fnnet.core.state import Examples
from fnnet.training import epochs
from fnnet.training.plan import Plan
from tests.conftest import ROOT, forked
from tests.tools.trained import PLAN, STRONG, trained

PROCESS = "import fnnet; from tests.tools.trained import trained; print(trained(fnnet.load_kernels('numba')))"


def test_same_seed_in_twenty_new_processes_is_the_same_bits(numba_kernels):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(number):
        seeded = {**env, "PYTHONHASHSEED": str(number), "OMP_NUM_THREADS": str(1 + number % 3)}
        done = subprocess.run([sys.executable, "-c", PROCESS], env=seeded, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    with ThreadPoolExecutor(2) as two:
        found = set(two.map(start, range(20)))
    assert found == {trained(numba_kernels)}


WHOLE = PLAN._replace(batch_size=None, deformation=None)


@pytest.mark.parametrize(("plan", "hidden"), [(PLAN, (20,)), (WHOLE, (20,)), (WHOLE, (150, 33)), (PLAN, ())])
def test_f88_training_gives_the_same_bits_for_any_number_of_threads(plan, hidden, numba_kernels, monkeypatch):
    from fnnet.kernels import trainer

    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    plan = plan if hidden else plan._replace(dropout=0.0)
    found = {trained(numba_kernels._replace(threads=threads), plan, hidden) for threads in (1, 2, 3, 4, 8)}
    assert len(found) == 1


def test_f88_scores_are_the_same_bits_for_any_number_of_threads(numba_kernels, monkeypatch):
    from fnnet.kernels import predictor

    monkeypatch.setattr(predictor, "TEAM_WORK", 1)
    x = np.random.default_rng(0).integers(0, 256, (999, 784), dtype=np.uint8)
    params = fnnet.init((784, 30, 10), 0)
    found = {fnnet.scores(params, x, kernels=numba_kernels._replace(threads=n)).tobytes() for n in (1, 2, 3, 4, 8)}
    assert len(found) == 1


def test_f88_several_threads_of_python_train_at_once(numba_kernels, monkeypatch):
    """Each with a team of its own, more of them than processors."""
    from fnnet.kernels import trainer

    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    wanted, found = trained(numba_kernels), []
    threads = [
        threading.Thread(target=lambda: found.append(trained(numba_kernels._replace(threads=3)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_f88_a_forked_child_trains_and_answers_after_its_parent_had_threads(numba_kernels, monkeypatch):
    from fnnet.kernels import predictor, trainer

    monkeypatch.setattr(trainer, "TEAM_WORK", 0)
    monkeypatch.setattr(predictor, "TEAM_WORK", 1)
    kernels, params = numba_kernels._replace(threads=4), fnnet.init((784, 30, 10), 0)
    x = np.random.default_rng(0).integers(0, 256, (300, 784), dtype=np.uint8)
    wanted, scores = trained(kernels), fnnet.scores(params, x, kernels=kernels).tobytes()

    def work():
        assert trained(kernels) == wanted
        assert fnnet.scores(params, x, kernels=kernels).tobytes() == scores

    assert forked(work)


def digest(*arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()[:16]


def streams():
    """What every machine and version must draw alike."""
    params = fnnet.init((784, 128, 10), 42)
    x = np.arange(20 * 784, dtype=np.int64).reshape(20, 784) % 251
    whole = Examples(np.arange(500, dtype=np.uint8).reshape(500, 1) % 251, np.arange(500) % 10)
    cut = data.split(whole, 50, 42)
    return {
        "shuffle": digest(rng.order(42, "shuffle", 60000, epoch=3)),
        "init": digest(*(array for layer in params.layers for array in layer)),
        "notebook init": digest(*fnnet.init((784, 10, 10), 42, scheme="notebook").layers[0]),
        "split": digest(*cut[0], *cut[1]),
        "dropout": digest(*dropout.masks(42, 7, (100, 30), 64, (0.25, 0.5))),
        "deformation": digest(deform(x.astype(np.uint8), (28, 28), STRONG, seed=42, epoch=3)),
    }


GOLDEN = {
    "shuffle": "ca94de4c36aeea0b",
    "init": "23c4008d6c3f6453",
    "notebook init": "710b707bb774ea51",
    "split": "d0890ea4ce3af07a",
    "dropout": "e69a62d9a82897d2",
    "deformation": "a9ff24fc77b26906",
}
ACCURACY = 0.875
"""Of a short training on the bundled digits, fraction of correct predictions on its test images."""


def test_golden_streams():
    """Other machines and versions draw the same. Another value wants a new name for rng.SCHEME."""
    assert rng.SCHEME == "philox4x64-10/1"
    assert streams() == GOLDEN


def test_golden_accuracy(kernels):
    """Within 0.1 points of what it was on other machines and versions."""
    digits = data.load("digits")
    plan = Plan(epochs=30, batch_size=32, learning_rate=0.2)
    training = epochs.start(fnnet.init((784, 10, 10), 1), 1, plan)
    for reached in epochs.epochs(training, digits.train, plan, kernels=kernels):
        training = reached
    found = metrics.evaluate(training.state.params, *digits.test, kernels=kernels).accuracy
    assert abs(found - ACCURACY) <= 0.001
