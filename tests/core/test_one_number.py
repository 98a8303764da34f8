"""Numbers as people have them: Python's, NumPy's, arrays of one; several numbers and True are refused with a remedy."""

import math

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core.state import Examples
from fnnet.errors import ArgumentTypeError
from fnnet.training import session

PARAMS = fnnet.init((4, 3, 2), seed=2)
X, LABELS = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4), np.array([0, 1] * 4)
GRADS = fnnet.backward(PARAMS, fnnet.forward(PARAMS, X), LABELS)
DROPOUT = fnnet.Objective(dropout=0.5)


def state(seed=0, step=0):
    return fnnet.TrainState(PARAMS, (), step, seed)


def block(rate, kernels, *, batch_size=2, begin=None):
    return fnnet.train_block(
        begin or state(), Examples(X, LABELS), np.arange(8), batch_size, rate, kernels=kernels, objective=DROPOUT
    )


WITH_RATE = {
    "update": lambda rate, kernels: fnnet.update(PARAMS, GRADS, rate, kernels=kernels),
    "optimizer": lambda rate, kernels: fnnet.sgd().update(PARAMS, GRADS, (), rate)[0],
    "train_step": lambda rate, kernels: fnnet.train_step(state(), X, LABELS, rate, kernels=kernels)[0].params,
    "train_block": lambda rate, kernels: block(rate, kernels)[0].params,
    "constant": lambda rate, kernels: fnnet.core.schedules.make_schedule("constant", rate, 1, 1)(0),
}
WITH_COUNT = {
    "seed": lambda given, kernels: fnnet.init((4, 3, 2), given),
    "seed of a state": lambda given, kernels: block(0.1, kernels, begin=state(given))[0].params,
    "step of a state": lambda given, kernels: block(0.1, kernels, begin=state(0, given))[0].params,
    "batch size": lambda given, kernels: block(0.1, kernels, batch_size=given)[0].params,
    "layer size": lambda given, kernels: fnnet.init((4, given, 2)),
    "epoch": lambda given, kernels: fnnet.deform(
        np.zeros((1, 784), np.uint8), (28, 28), fnnet.Deformation(shift=1.0), seed=given, epoch=given
    ).sum(),
}
FORMS = {
    "NumPy's": lambda value: np.asarray(value)[()],
    "without axes": np.asarray,
    "of one element": lambda value: np.asarray([value]),
    "of one element and two axes": lambda value: np.asarray([[value]]),
}
NOT_ONE = [True, np.True_, np.array(True), np.array([1, 2]), np.array([]), np.array(1j), np.ma.masked, "1", None, [1]]


@pytest.fixture(params=["numpy", "numba"])
def kernels(request):
    return fnnet.load_kernels(request.param)


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_one_number_are_numbers(form, kernels):
    for call in WITH_RATE.values():
        assert call(FORMS[form](0.25), kernels) == call(0.25, kernels)
    for call in WITH_COUNT.values():
        assert call(FORMS[form](3), kernels) == call(3, kernels)
    made = fnnet.train_step(state(FORMS[form](3), FORMS[form](5)), X, LABELS, 0.1, kernels=kernels)[0]
    assert (type(made.seed), made.seed, type(made.step), made.step) == (int, 3, int, 6)


def test_arrays_of_jax_are_numbers():
    jnp = pytest.importorskip("jax.numpy")
    for form in (jnp.asarray, lambda value: jnp.asarray([value])):
        assert WITH_RATE["train_step"](form(0.25), fnnet.load_kernels("numpy")) == WITH_RATE["train_step"](
            0.25, fnnet.load_kernels("numpy")
        )
        assert fnnet.init((4, 3, 2), form(3)) == fnnet.init((4, 3, 2), 3)


@pytest.mark.parametrize("given", NOT_ONE, ids=repr)
def test_what_is_not_one_number_is_refused(given, kernels):
    for call in (*WITH_RATE.values(), *WITH_COUNT.values()):
        with pytest.raises(ArgumentTypeError, match=r"is not an? (number|integer)") as caught:
            call(given, kernels)
        if np.asarray(given).dtype == bool:
            assert caught.value.fix == "give 1 or 0 if that is meant"
        if np.size(given) == 2:
            assert caught.value.fix == "give one of them, as array.item(0)"


SCHEDULES = {
    "of arrays": lambda step: 0.1 / (1 + step),
    "of one step": lambda step: 0.1 / (1 + step) if step < 2 else 0.1 / (step + 1),
    "math": lambda step: 0.1 * math.exp(-math.log(1 + step)),
    "array without axes": lambda step: np.float32(0.1) / (1 + np.asarray(int(step))),
    "list": lambda step: (0.1 / (1 + step)).tolist(),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_of_one_step_or_many(name, kernels):
    made, wanted = (block(each, kernels)[0].params for each in (SCHEDULES[name], SCHEDULES["of arrays"]))
    for one, other in zip(made, wanted, strict=True):
        np.testing.assert_allclose(one.W, other.W, rtol=1e-5)


def test_schedules_of_optax(kernels):
    optax = pytest.importorskip("optax")
    for schedule, rate in (
        (optax.constant_schedule(0.1), lambda steps: 0.1 + 0 * steps),
        (optax.exponential_decay(0.1, 2, 0.5), lambda steps: 0.1 * 0.5 ** (steps / 2)),
        (optax.join_schedules([optax.constant_schedule(0.1), optax.constant_schedule(0.2)], [2]),
         lambda steps: np.where(steps < 2, 0.1, 0.2)),
    ):  # fmt: skip
        np.testing.assert_allclose(
            block(schedule, kernels)[0].params[0].W, block(rate, kernels)[0].params[0].W, rtol=1e-5
        )


@pytest.mark.parametrize("name", ["update", "optimizer", "train_step", "constant"])
def test_a_schedule_where_one_rate_is_wanted(name):
    with pytest.raises(ArgumentTypeError, match=r"give its value at the step, as schedule\(step\)"):
        WITH_RATE[name](SCHEDULES["math"], fnnet.load_kernels("numpy"))


def test_a_schedule_that_fails_raises_its_own_error(kernels):
    def schedule(step):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        block(schedule, kernels)
    with pytest.raises(ValueError, match=r"rates of a schedule.* return one rate for each step"):
        block(lambda steps: np.ones(3), kernels)


def test_settings_of_a_training():
    digits = data.load("digits")
    for name, value in {"epochs": 3, "batch_size": 8, "learning_rate": 0.25, "report_every": 2}.items():
        job = session.prepare(digits, "classic", {name: np.asarray(value)}, seed=np.asarray(4))
        made = getattr(job.plan, name)
        assert (made, type(made), job.seed) == (value, type(value), 4)
        with pytest.raises(ArgumentTypeError, match=rf"^{name}: .*; give 1 or 0 if that is meant"):
            session.prepare(digits, "classic", {name: True})
    with pytest.raises(ArgumentTypeError, match=r"seed is not an integer.*; give 1 or 0"):
        session.prepare(digits, "classic", seed=True)
