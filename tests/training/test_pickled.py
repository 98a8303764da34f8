"""What is sent to other processes arrives as it was: kernels, data sets, jobs, models and states."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import fnnet
from fnnet.core import operations
from fnnet.core.params import weights_sha256
from fnnet.data import load
from fnnet.kernels import compiled
from fnnet.names import ACTIVATIONS
from fnnet.training import session

SETTINGS = {"hidden": (12,), "activation": "gelu", "optimizer": "adam", "learning_rate": 0.01, "epochs": 2}


def again(value):
    return pickle.loads(pickle.dumps(value))


@pytest.fixture(scope="module")
def job():
    return session.prepare(load("digits"), "classic", SETTINGS, seed=3)


def digest(job, kernels):
    return weights_sha256(session.train(job, kernels=kernels)[0].params)


def test_kernels_are_those_of_their_modules(kernels):
    found = again(kernels)
    assert repr(found) == repr(kernels)
    assert found.threads == kernels.threads
    assert [*found[3:]] == [*kernels[3:]]
    assert found.operations[:-1] == kernels.operations[:-1]
    assert len(pickle.dumps(kernels)) < 2000
    with pytest.raises(TypeError):
        found.operations.activations["relu"] = None


@pytest.mark.parametrize("table", [operations.OPERATIONS, compiled.OPERATIONS], ids=["numpy", "numba"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_compute_what_they_did(name, table):
    z = np.linspace(-3, 3, 24, dtype=np.float32).reshape(4, 6)
    for each in (again(table), copy.copy(table)):
        assert each.activations[name].value(z).tobytes() == table.activations[name].value(z).tobytes()
        assert each.activations[name].backward(z, z).tobytes() == table.activations[name].backward(z, z).tobytes()
        assert each.activations[name].kinked == table.activations[name].kinked


def test_a_job_its_model_and_its_reports(job, kernels):
    assert digest(again(job), kernels) == digest(job, again(kernels))
    model, reports = session.train(job, kernels=kernels)
    found = again((model, reports))
    assert found == (model, reports)
    assert not found[0].params[0].W.flags.writeable
    assert not again(job).train.x.flags.writeable


def test_a_state_and_its_optimizer_by_name(job):
    params = fnnet.init((784, 10), 1)
    state = fnnet.TrainState(params, fnnet.adam().init(params), 0, 1)
    assert again(state) == state


def test_a_fresh_process_trains_with_the_same_bits(job, numba_kernels):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(digest, job, numba_kernels._replace(threads=1)).result(timeout=120)
    assert found == digest(job, numba_kernels)


def test_what_cloudpickle_takes_by_value_is_the_compiled_optimizer_still(job, numba_kernels):
    cloudpickle = pytest.importorskip("cloudpickle", reason="needs cloudpickle: pip install cloudpickle")
    state = fnnet.TrainState(fnnet.init((784, 10), 1), None, 0, 1)
    rows = np.arange(256)
    for made in (fnnet.sgd(), fnnet.averaged(fnnet.clipped(fnnet.adam(), 0.1), 0.9)):
        optimizer = pickle.loads(cloudpickle.dumps(made))
        begun = state._replace(optimizer_state=made.init(state.params))
        first, second = (
            fnnet.train_block(begun, job.train, rows, 32, 0.1, optimizer=each, kernels=numba_kernels)[0]
            for each in (made, optimizer)
        )
        assert weights_sha256(first.params) == weights_sha256(second.params)
