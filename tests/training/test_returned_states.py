"""Optimizers of the user's own, and of core: what they return is checked, taken read-only, and run as it is."""

import sys
from typing import NamedTuple

import numpy as np
import pytest

import fnnet
from fnnet import core
from fnnet.core import public_optimizers
from fnnet.core.params import each, weights_sha256
from fnnet.core.state import PLAIN, Examples, Moments, TrainState
from fnnet.errors import UsageError
from fnnet.training import blocks

RNG = np.random.default_rng(3)
X, LABELS = RNG.integers(0, 256, (12, 6), dtype=np.uint8), RNG.integers(0, 3, 12)
PARAMS = fnnet.init((6, 4, 3), seed=2)


def own(change=lambda params: params, state=lambda state: state, trees=None, init=lambda params: ()):
    """Gradient descent that returns something changed."""

    def update(params, grads, before, rate):
        return change(core.update(params, grads, rate)), state(before)

    return fnnet.Optimizer(init, update, "own", trees=trees)


def step(optimizer, state):
    return fnnet.train_step(state, X, LABELS, 0.1, optimizer=optimizer)[0]


def block(optimizer, state):
    return fnnet.train_block(state, Examples(X, LABELS), np.arange(12), 4, 0.1, optimizer=optimizer)[0]


def test_core_s_optimizers_keep_their_compiled_twin(numba_kernels):
    kinds = {
        "core": core.adam(),
        "clipped": fnnet.clipped(core.adam(), 1.0),
        "averaged": fnnet.averaged(core.momentum(nesterov=True), 0.9),
    }
    for name, optimizer in kinds.items():
        state = TrainState(PARAMS, optimizer.init(PARAMS), 0, 0)
        assert type(blocks.make_blocks([state], 4, [PLAIN], [optimizer], numba_kernels)) is blocks.Compiled, name
    mine = own()._replace(name="adam")
    for optimizer in (mine, core.clipped(mine, 1.0), fnnet.clipped(mine, 1.0)):
        state = TrainState(PARAMS, optimizer.init(PARAMS), 0, 0)
        assert type(blocks.make_blocks([state], 4, [PLAIN], [optimizer], numba_kernels)) is blocks.Loop


BAD = {
    "another dtype": lambda params: each(lambda a: a.astype(np.float64), params),
    "whole numbers": lambda params: each(lambda a: a.astype(np.int64), params),
    "half a dtype": lambda params: fnnet.Params((params[0]._replace(b=params[0].b.astype(float)), *params[1:])),
    "another shape": lambda params: each(lambda a: a[..., :-1], params),
    "masked": lambda params: each(np.ma.asarray, params),
    "a list": lambda params: list(params),
    "nothing": lambda params: None,
}


@pytest.mark.parametrize("train", [step, block])
@pytest.mark.parametrize("flaw", sorted(BAD))
def test_what_an_update_returns_is_checked_at_once(train, flaw):
    optimizer = own(BAD[flaw])
    with pytest.raises(UsageError, match="optimizer"):
        train(optimizer, TrainState(PARAMS, (), 0, 0))
    averaged = fnnet.averaged(optimizer, 0.9)
    with pytest.raises(UsageError, match="optimizer"):
        train(averaged, TrainState(PARAMS, averaged.init(PARAMS), 0, 0))


@pytest.mark.parametrize("train", [step, block])
def test_a_state_that_does_not_fit_is_refused_at_once(train):
    zeros = each(np.zeros_like, PARAMS)
    more = own(trees=1, init=lambda params: Moments(0, (zeros,)), state=lambda state: Moments(1, (zeros, zeros)))
    with pytest.raises(UsageError, match="optimizer state is not of this optimizer; expected 1 tree"):
        train(more, TrainState(PARAMS, more.init(PARAMS), 0, 0))
    forgotten = fnnet.Optimizer(lambda params: (), lambda params, grads, state, rate: params)
    with pytest.raises(UsageError, match=r"result of the optimizer's update; expected \(params, state\)"):
        train(forgotten, TrainState(PARAMS, (), 0, 0))


@pytest.mark.parametrize("train", [step, block])
def test_moments_of_a_subclass_become_plain(train):
    class Array(np.ndarray):
        pass

    optimizer = fnnet.momentum()
    plain = TrainState(PARAMS, optimizer.init(PARAMS), 0, 0)
    odd = plain._replace(optimizer_state=Moments(0, (each(lambda a: a.view(Array), plain.optimizer_state.trees[0]),)))
    found, wanted = train(optimizer, odd), train(optimizer, plain)
    assert weights_sha256(found.params) == weights_sha256(wanted.params)
    for tree in (found.params, *found.optimizer_state.trees):
        assert {type(array) for layer in tree for array in layer} == {np.ndarray}


@pytest.mark.parametrize("train", [step, block])
def test_states_of_any_form_share_no_writable_memory(train):
    """The state is what the update returned; its arrays are the weights."""
    optimizer = fnnet.Optimizer(lambda params: params, lambda p, g, s, rate: (moved := core.update(p, g, rate), moved))
    for made in (optimizer, optimizer._replace(update=lambda *given: (q := core.update(*given[:2], 0.1), (q, [1])))):
        state = train(made, TrainState(PARAMS, PARAMS, 0, 0))
        kept = state.optimizer_state if isinstance(state.optimizer_state, fnnet.Params) else state.optimizer_state[0]
        assert not any(array.flags.writeable for tree in (state.params, kept) for layer in tree for array in layer)


def test_the_check_of_a_state_makes_no_frames_of_its_own():
    """It is part of every step."""
    optimizer, frames = fnnet.adam(), []
    state = optimizer.init(PARAMS)
    sys.setprofile(lambda frame, event, _: frames.append(frame.f_code) if event == "call" else None)
    try:
        found = public_optimizers.check_state(optimizer, PARAMS, state)
    finally:
        sys.setprofile(None)
    assert found is state
    assert [code.co_name for code in frames].count("check_like") == 2
    assert [code.co_name for code in frames if code.co_filename == public_optimizers.__file__] == ["check_state"]


class Pair(NamedTuple):
    count: int
    tree: fnnet.Params


@pytest.mark.parametrize("train", [step, block])
@pytest.mark.parametrize(
    "form", [Pair(3, PARAMS), [3, PARAMS], {"count": 3, "tree": PARAMS}], ids=lambda f: type(f).__name__
)
def test_containers_of_a_state_keep_their_kind_and_lose_their_writable_arrays(train, form):
    def filled(tree):
        return {"count": 3, "tree": tree} if type(form) is dict else Pair(3, tree) if type(form) is Pair else [3, tree]

    def update(params, grads, state, rate):
        moved = core.update(params, grads, rate)
        return moved, filled(moved)

    found = train(fnnet.Optimizer(lambda params: form, update), TrainState(PARAMS, form, 0, 0)).optimizer_state
    assert type(found) is type(form)
    tree = found["tree"] if type(found) is dict else found[1]
    assert not any(array.flags.writeable for layer in tree for array in layer)


def test_the_average_of_plain_descent_asks_for_no_state_in_each_step():
    calls, plain = [], core.sgd()
    optimizer = core.averaged(plain._replace(init=lambda params: calls.append(1) or ()), 0.9)
    state = optimizer.init(PARAMS)
    assert len(calls) == 1
    optimizer.update(PARAMS, PARAMS, state, 0.1)
    assert len(calls) == 1


def test_the_average_of_an_optimizer_that_only_counts():
    """Its own state is Moments without trees: it is handed what it returned."""
    seen = []

    def update(params, grads, state, rate):
        seen.append(state)
        return core.update(params, grads, rate), Moments(state.steps + 1, ())

    optimizer = fnnet.averaged(fnnet.Optimizer(lambda params: Moments(0, ()), update), 0.9)
    state = block(optimizer, TrainState(PARAMS, optimizer.init(PARAMS), 0, 0))
    assert [before.steps for before in seen] == [0, 1, 2]
    plain = fnnet.averaged(fnnet.sgd(), 0.9)
    wanted = block(plain, TrainState(PARAMS, plain.init(PARAMS), 0, 0))
    assert weights_sha256(state.params) == weights_sha256(wanted.params)
    assert weights_sha256(state.optimizer_state.trees[-1]) == weights_sha256(wanted.optimizer_state.trees[-1])


def test_what_cannot_be_averaged_says_so():
    late = fnnet.averaged(fnnet.Optimizer(lambda params: Moments(5, ()), own().update), 0.9)
    with pytest.raises(UsageError, match="begins at step 0, found 5"):
        late.init(PARAMS)
    optimizer = fnnet.averaged(own(), 0.9)
    for wrong in ((), Moments(0, ())):
        with pytest.raises(UsageError, match="not of this optimizer"):
            step(optimizer, TrainState(PARAMS, wrong, 0, 0))
