"""What a block of steps is given: states of other optimizers, odd weights and rates, in both paths alike."""

import numpy as np
import pytest

import fnnet
from fnnet.core import public_optimizers as optimizers
from fnnet.core.state import Examples, Moments
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.training import steps
from tests.kernels.test_block import block, data
from tests.tools.tolerance import assert_loss, assert_trained

SIZES = (20, 8, 3)
STATES = {
    "sgd": optimizers.SGD,
    "momentum": optimizers.momentum(),
    "adam": optimizers.adam(),
    "averaged sgd": optimizers.averaged(optimizers.SGD, 0.9),
    "averaged adam": optimizers.averaged(optimizers.adam(), 0.9),
}
REMEMBERED = {"sgd": 0, "momentum": 1, "adam": 2, "averaged sgd": 1, "averaged adam": 3}
TREES = ("0 trees", "1 tree", "2 trees", "3 trees")


def assert_refused(kernels, message, *, state, optimizer=optimizers.SGD, error=UsageError, **options):
    """By a block and by a step, in one line."""
    examples = data(60, 20, 3, zeros=0.5, as_bytes=True)
    for train in (
        lambda: fnnet.train_block(
            state, examples, np.arange(60), 20, 0.1, optimizer=optimizer, kernels=kernels, **options
        ),
        lambda: steps.train_step(state, *examples, 0.1, optimizer=optimizer, kernels=kernels, **options),
    ):
        with pytest.raises(error, match=message) as told:
            train()
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("given", sorted(STATES))
@pytest.mark.parametrize("used", sorted(STATES))
def test_the_state_of_another_optimizer_is_refused(given, used, kernels):
    """Compiled code once wrote where its trees would have been."""
    if REMEMBERED[given] == REMEMBERED[used]:
        return
    state = steps.start(fnnet.init(SIZES), 0, optimizer=STATES[given])
    wanted = f"expected {TREES[REMEMBERED[used]]} for .*, found {TREES[REMEMBERED[given]]}; begin with"
    assert_refused(kernels, wanted, state=state, optimizer=STATES[used])


def test_moments_of_another_form_are_refused(kernels):
    params = fnnet.init(SIZES)
    momentum = optimizers.momentum()
    start = steps.start(params, 0, optimizer=momentum)
    for wrong in (fnnet.init((20, 9, 3)), fnnet.init(SIZES, dtype=np.float64)):
        state = start._replace(optimizer_state=Moments(0, (wrong,)))
        assert_refused(kernels, "moments do not fit params", state=state, optimizer=momentum)
    (W, b), rest = params.layers[0], params.layers[1:]
    for layer in (fnnet.Layer(W, b.astype(np.float64)), fnnet.Layer(W, b + 1j), fnnet.Layer(W.tolist(), b), (W, b)):
        state = start._replace(optimizer_state=Moments(0, (fnnet.Params((layer, *rest)),)))
        assert_refused(kernels, "moments do not fit params", state=state, optimizer=momentum)
    negative = start._replace(optimizer_state=start.optimizer_state._replace(steps=-1))
    assert_refused(kernels, "optimizer state's steps", state=negative, optimizer=momentum)
    assert_refused(kernels, "found list", state=start._replace(optimizer_state=[]), optimizer=momentum)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed out of range"),
        ({"seed": 2**64}, "seed out of range"),
        ({"seed": 1.5}, "seed is not an integer"),
        ({"seed": True}, "seed is not an integer"),
        ({"step": -5}, "step out of range"),
        ({"step": "a"}, "step is not an integer"),
        ({"params": None}, "params is not a network"),
    ],
)
def test_states_that_cannot_be(change, message, kernels):
    objective = steps.Objective(dropout=0.5)
    state = steps.start(fnnet.init(SIZES), 0)._replace(**change)
    assert_refused(kernels, message, state=state, objective=objective)


def test_other_kinds_of_things_are_refused(kernels):
    state = steps.start(fnnet.init(SIZES), 0)
    for options in ({"state": None}, {"optimizer": "sgd"}, {"objective": "relu"}, {"optimizer": None}):
        assert_refused(kernels, "expected", error=ArgumentTypeError, **{"state": state} | options)
    for examples in (None, 3, np.zeros((5, 20))):
        with pytest.raises(ArgumentTypeError, match="examples"):
            fnnet.train_block(state, examples, None, 1, 0.1, kernels=kernels)
    for x, labels in ((3, [0]), (np.zeros((2, 20)), [0]), (np.zeros((2, 20)), 0)):
        with pytest.raises(UsageError):
            fnnet.train_block(state, Examples(x, labels), None, 1, 0.1, kernels=kernels)
    with pytest.raises(ArgumentTypeError, match="kernels"):
        fnnet.train_block(state, data(5, 20, 3, zeros=0.5, as_bytes=True), None, 1, 0.1, kernels="numba")


@pytest.mark.parametrize(
    "schedule",
    [lambda s: np.full((3, 1), 0.1), lambda s: np.full(2, 0.1), lambda s: None, lambda s: ["a"] * len(s),
     lambda s: s * np.nan, lambda s: s - 1.0],
)  # fmt: skip
def test_schedules_that_give_no_rates(schedule, kernels):
    examples = data(60, 20, 3, zeros=0.5, as_bytes=True)
    with pytest.raises(UsageError, match="rate"):
        block(kernels, SIZES, examples, 20, rate=schedule)


def test_f78_a_rate_of_0_is_a_step_that_goes_nowhere(kernels):
    """Where a schedule ends, or falls below the smallest number."""
    examples = data(60, 20, 3, zeros=0.5, as_bytes=True)
    for rate in (0.0, lambda s: np.where(s < 1, 0.1, 0.0)):
        state, _, _ = block(kernels, SIZES, examples, 20, rate=rate)
        assert state.step == 3
    still, _, _ = steps.train_step(steps.start(fnnet.init(SIZES), 0), *examples, 0.0, kernels=kernels)
    for ours, start in zip(still.params.layers, fnnet.init(SIZES).layers, strict=True):
        np.testing.assert_array_equal(ours.W, start.W)


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1.0, 1e30, 1e40, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_weights_of_any_size_train_as_none(size, dtype, kernels):
    examples = data(60, 20, 3, zeros=0.5, as_bytes=True)
    plain, plain_loss, _ = block(kernels, SIZES, examples, 16, dtype=dtype)
    found, found_loss, _ = block(kernels, SIZES, examples, 16, dtype=dtype, weights=np.full(60, size))
    assert_loss(found_loss / 60, plain_loss / 60, 3, 60, dtype)
    assert_trained(found.params, plain.params, 4)


STACKED = {
    "clipped twice": optimizers.clipped(optimizers.clipped(optimizers.SGD, 0.05), 1.0),
    "the other way": optimizers.clipped(optimizers.clipped(optimizers.SGD, 1.0), 0.05),
    "clipped to nothing": optimizers.clipped(optimizers.SGD, 1e-50),
    "average within": optimizers.clipped(optimizers.averaged(optimizers.adam(epsilon=1e-3), 0.9), 0.05),
}


@pytest.mark.parametrize("name", sorted(STACKED))
def test_stacked_optimizers(name, numba_kernels):
    examples = data(60, 20, 3, zeros=0.5, as_bytes=True)
    found, wanted = (
        block(kernels, SIZES, examples, 20, STACKED[name])[0] for kernels in (numba_kernels, fnnet.load_kernels())
    )
    assert_trained(found.params, wanted.params, 3)


def test_the_average_of_an_average_is_refused():
    with pytest.raises(UsageError, match="keeps no average"):
        optimizers.averaged(optimizers.clipped(optimizers.averaged(optimizers.SGD, 0.9), 1.0), 0.9)


def of_the_user(init, state):
    """Plain gradient descent with a state of its own."""
    return fnnet.Optimizer(init, lambda params, g, s, rate: (fnnet.update(params, g, rate), state(s)))


def test_the_average_of_a_user_s_optimizer(kernels):
    """Which may remember nothing, or Moments."""
    examples = data(60, 20, 3, zeros=0.5, as_bytes=True)
    nothing = of_the_user(lambda params: (), lambda state: ())
    moments = of_the_user(lambda params: Moments(0, (params,)), lambda state: state)
    wanted, *_ = block(kernels, SIZES, examples, 20, optimizers.averaged(optimizers.SGD, 0.9))
    for optimizer in (nothing, moments):
        found, *_ = block(kernels, SIZES, examples, 20, optimizers.averaged(optimizer, 0.9))
        assert_trained(found.params, wanted.params, 3)
        assert_trained(found.optimizer_state.trees[-1], wanted.optimizer_state.trees[-1], 3)
    with pytest.raises(UsageError, match=r"a state \(\) or Moments, found dict"):
        block(
            kernels, SIZES, examples, 20, optimizers.averaged(of_the_user(lambda params: {}, lambda state: state), 0.9)
        )
