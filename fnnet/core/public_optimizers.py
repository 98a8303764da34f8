"""The public optimizers: each checks its figures once; its `init` and `update` check their arguments.

Training checks its arguments itself and then calls the optimizer inside, which `unchecked` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fnnet.core import optimizers
from fnnet.core.check_trees import check_finite_grads, check_like
from fnnet.core.checks import calm, check_amount, check_count, check_share, whole
from fnnet.core.optimizers import Optimizer, trees_of
from fnnet.core.own import call_own, read_only
from fnnet.core.params import Params, each, freeze_params
from fnnet.core.state import Moments
from fnnet.errors import ArgumentTypeError, UsageError, counted
from fnnet.names import STEPPING


def sgd(*, weight_decay: float = 0.0, decoupled: bool = False) -> Optimizer:
    """Return plain gradient descent, W := W - rate g. Robbins and Monro 1951, doi:10.1214/aoms/1177729586.

    weight_decay   g + weight_decay W takes the place of g; `decoupled`: W is multiplied by 1 - rate weight_decay
                   instead (Loshchilov and Hutter, arXiv:1711.05101). It applies to biases too, as in PyTorch;
                   scikit-learn's alpha does not, and is divided by the rows of the batch.
    Raises   UsageError unless weight_decay is finite and not negative.

    >>> import fnnet
    >>> optimizer, params = fnnet.sgd(), fnnet.init((4, 2))
    >>> stepped, state = optimizer.update(params, params, optimizer.init(params), 1.0)
    >>> float(abs(stepped.layers[0].W).max())
    0.0
    """
    return checked(optimizers.sgd(check_amount("weight_decay", weight_decay), bool(decoupled)))


def momentum(
    beta: float = 0.9, *, nesterov: bool = False, weight_decay: float = 0.0, decoupled: bool = False
) -> Optimizer:
    """Return gradient descent with momentum: v := beta v + g, then W := W - rate v.

    As in PyTorch and optax the rate stands outside the velocity; inside it in Keras and scikit-learn, which differ once
    the rate changes.

    nesterov       W := W - rate (g + beta v) instead.
    weight_decay, decoupled   as in `sgd`.
    Sources  Polyak 1964, doi:10.1016/0041-5553(64)90137-5; Sutskever et al., ICML 2013, for Nesterov's in this form.
    Raises   UsageError unless 0 <= beta < 1.

    >>> import fnnet
    >>> fnnet.momentum(0.8, nesterov=True).name
    'nesterov'
    """
    beta, decay = check_share("momentum", beta), check_amount("weight_decay", weight_decay)
    return checked(optimizers.momentum(beta, bool(nesterov), decay, bool(decoupled)))


def rmsprop(
    beta: float = 0.99, epsilon: float = 1e-8, *, weight_decay: float = 0.0, decoupled: bool = False
) -> Optimizer:
    """Return RMSProp: s := beta s + (1 - beta) g g, then W := W - rate g / (sqrt(s) + epsilon).

    As in PyTorch, epsilon is added to the root; Keras and optax add it to s, and their beta is 0.9.

    weight_decay, decoupled   as in `sgd`.
    Source   Tieleman and Hinton 2012.
    Raises   UsageError unless 0 <= beta < 1 and epsilon > 0.

    >>> import fnnet
    >>> fnnet.rmsprop(epsilon=1e-6).figures["epsilon"]
    1e-06
    """
    beta, epsilon = check_share("beta", beta), check_amount("epsilon", epsilon, above=True)
    return checked(optimizers.rmsprop(beta, epsilon, check_amount("weight_decay", weight_decay), bool(decoupled)))


def adam(
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Optimizer:
    """Return Adam, Kingma and Ba 2015, arXiv:1412.6980.

    m := beta_1 m + (1 - beta_1) g and s := beta_2 s + (1 - beta_2) g g, both corrected for their start at 0;
    W := W - rate m / (sqrt(s) + epsilon). As in PyTorch and optax, epsilon is added to the corrected root; Keras and
    scikit-learn add it to the uncorrected one, which differs where gradients are tiny. In Keras weight_decay
    is decoupled.

    weight_decay, decoupled   as in `sgd`.
    Raises   UsageError unless 0 <= beta < 1 and epsilon > 0.

    >>> import fnnet
    >>> optimizer, params = fnnet.adam(), fnnet.init((4, 2))
    >>> params, state = optimizer.update(params, params, optimizer.init(params), 0.001)
    >>> state.steps, len(state.trees)
    (1, 2)
    """
    beta_1, beta_2 = check_share("beta_1", beta_1), check_share("beta_2", beta_2)
    epsilon, decay = check_amount("epsilon", epsilon, above=True), check_amount("weight_decay", weight_decay)
    return checked(optimizers.adam(beta_1, beta_2, epsilon, decay, bool(decoupled)))


def adamw(
    beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, *, weight_decay: float = 0.01
) -> Optimizer:
    """Return Adam with decoupled weight decay, Loshchilov and Hutter, arXiv:1711.05101. Raises as `adam` does.

    The default of `weight_decay` is PyTorch's; it is 0.004 in Keras and 0.0001 in optax.

    >>> import fnnet
    >>> fnnet.adamw().figures["weight_decay"]
    0.01
    """
    return adam(beta_1, beta_2, epsilon, weight_decay=weight_decay, decoupled=True)


def lion(beta_1: float = 0.9, beta_2: float = 0.99, *, weight_decay: float = 0.0, decoupled: bool = True) -> Optimizer:
    """Return Lion: W := W - rate sign(beta_1 m + (1 - beta_1) g), then m := beta_2 m + (1 - beta_2) g.

    Every weight moves by the learning rate, which should therefore be a third to a tenth of Adam's.

    weight_decay   decoupled unless `decoupled` is False, as in `sgd`.
    Source   Chen et al. 2023, arXiv:2302.06675.
    Raises   UsageError unless 0 <= beta < 1.

    >>> import fnnet, numpy as np
    >>> optimizer, params = fnnet.lion(), fnnet.init((4, 2))
    >>> moved, state = optimizer.update(params, params, optimizer.init(params), 0.5)
    >>> np.unique(abs(moved.layers[0].W - params.layers[0].W)).tolist()
    [0.5]
    """
    beta_1, beta_2 = check_share("beta_1", beta_1), check_share("beta_2", beta_2)
    return checked(optimizers.lion(beta_1, beta_2, check_amount("weight_decay", weight_decay), bool(decoupled)))


def clipped(optimizer: Optimizer, norm: float) -> Optimizer:
    """Return `optimizer` with gradients scaled down to `norm` where their norm, over all parameters, is larger.

    As Keras's global_clipnorm and optax's clip_by_global_norm; PyTorch divides by the norm + 1e-6.

    Source   Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063.
    Raises   UsageError unless norm is finite and above 0.

    >>> import fnnet
    >>> fnnet.clipped(fnnet.adam(), 1.0).figures["clip_norm"]
    1.0
    """
    norm, plain = check_amount("clip_norm", norm, above=True), unchecked(check_optimizer(optimizer))
    return checked(optimizers.clipped(plain, norm))


def averaged(optimizer: Optimizer, decay: float) -> Optimizer:
    """Return `optimizer` that also keeps the exponential moving average of the parameters after each step.

    It is corrected for its start: after t steps, step s has the weight (1 - decay) decay^(t - s) / (1 - decay^t). The
    average is the last tree of the state. As optax's ema with debias; averages of PyTorch and Keras start from a
    copy of the parameters.

    Raises   UsageError unless 0 <= decay < 1, and for an optimizer that keeps an average already, or whose state is
             neither () nor Moments.

    >>> import fnnet
    >>> optimizer, params = fnnet.averaged(fnnet.sgd(), 0.9), fnnet.init((4, 2))
    >>> params, state = optimizer.update(params, params, optimizer.init(params), 0.1)
    >>> bool(abs(state.trees[-1].layers[0].W - params.layers[0].W).max() < 1e-6)
    True
    """
    decay, optimizer = check_share("ema", decay), check_optimizer(optimizer)
    if optimizers.averages(optimizer):
        raise UsageError("optimizer to average", expected="one that keeps no average", found="one that does")
    return checked(optimizers.averaged(_with_known_state(unchecked(optimizer)), decay))


def make(
    name: str, *, momentum_beta: float = 0.9, weight_decay: float = 0.0, clip_norm: float = 0.0, ema: float = 0.0
) -> Optimizer:
    """Return the optimizer that options call `name`, with these figures; 0 leaves clipping and the average out.

    weight_decay   coupled; decoupled for adamw and lion.
    """
    if not isinstance(name, str) or name not in STEPPING:
        raise UsageError("unknown optimizer", expected=" or ".join(STEPPING), found=repr(name))
    figures: dict[str, Any] = {"weight_decay": check_amount("weight_decay", weight_decay)}
    if name in ("momentum", "nesterov"):
        figures["beta"] = check_share("momentum", momentum_beta)
    made = optimizers.OPTIMIZERS[name](**figures)
    if clip_norm:
        made = optimizers.clipped(made, check_amount("clip_norm", clip_norm, above=True))
    return checked(optimizers.averaged(made, check_share("ema", ema)) if ema else made)


class CheckedUpdate:
    """The `update` of an optimizer, which checks its arguments; `plain` is the optimizer without checks."""

    __slots__ = ("plain",)

    def __init__(self, plain: Optimizer) -> None:
        self.plain: Final = plain

    def __call__(self, params: Params, grads: Params, state: Any, learning_rate: float) -> tuple[Params, Any]:
        """Return the parameters after a step, and the optimizer's next state."""
        return _update(self.plain, params, grads, state, learning_rate)


@calm
def _update(plain: Optimizer, params: Params, grads: Params, state: Any, learning_rate: float) -> tuple[Params, Any]:
    params, grads = check_like(params, grads, "grads")
    check_finite_grads(grads)
    state = check_state(plain, params, state)
    moved, state = plain.update(params, grads, state, check_amount("learning_rate", learning_rate))
    return freeze_params(moved), _freeze_state(state)


def checked(plain: Optimizer) -> Optimizer:
    """Return `plain` with an `init` and an `update` that check their arguments and return read-only arrays."""

    def init(params: Params) -> Any:
        return _freeze_state(plain.init(check_like(params, params, "params")[0]))

    return plain._replace(init=init, update=CheckedUpdate(plain))


def unchecked(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer that `checked` wrapped.

    One of the user's own is given copies, and what it returns is checked and copied.
    It has no name, as compiled code does not have its rule.
    """
    if isinstance(optimizer.update, CheckedUpdate):
        return optimizer.update.plain
    if _is_of_core(optimizer.update):
        return optimizer
    own = optimizer.update

    def update(params: Params, grads: Params, state: Any, rate: float) -> tuple[Params, Any]:
        returned = call_own("update of the optimizer", own, params, grads, state, rate)
        if not (isinstance(returned, tuple) and len(returned) == 2) or isinstance(returned, Params):
            found = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else type(returned).__name__
            raise ArgumentTypeError("result of the optimizer's update", expected="(params, state)", found=found)
        try:
            moved = check_like(params, returned[0], "params that the optimizer's update returned")[1]
            state = check_state(optimizer, params, returned[1])
        except UsageError as error:
            raise (error if error.where else error.at("optimizer.update")) from None
        return each(read_only, moved), read_only(state)

    return optimizer._replace(update=update, name="")


def _is_of_core(update: Any) -> bool:
    """True for the update of one of core's optimizers, whose rule is known; not for what wraps another's."""
    known = getattr(update, "__module__", None) == optimizers.__name__
    return known and update.__qualname__.partition(".")[0] in optimizers.OPTIMIZERS


SGD: Final = sgd()
"""Plain gradient descent without weight decay."""


def check_optimizer(optimizer: Any) -> Optimizer:
    """Return `optimizer` if it is one, else ArgumentTypeError."""
    if not (isinstance(optimizer, Optimizer) and callable(optimizer.init) and callable(optimizer.update)):
        raise ArgumentTypeError("optimizer", expected="an Optimizer, such as fnnet.momentum()", found=repr(optimizer))
    return optimizer


def check_state(optimizer: Optimizer, params: Params, state: Any) -> Any:
    """Return `state`, its moments plain arrays, if it can be that of `optimizer` for `params`, else UsageError.

    An optimizer of the user's own checks its own state.
    """
    wanted = optimizer.trees
    if wanted is None and optimizers.averages(optimizer):
        wanted = max(1, len(trees_of(state)))
    if wanted is None or (wanted == 0 and isinstance(state, tuple) and not state):
        return state
    trees = state.trees if isinstance(state, Moments) else () if isinstance(state, tuple) and not state else None
    if trees is None or len(trees) != wanted:
        average = " with an average" if optimizers.averages(optimizer) else ""
        expected = f"{counted(wanted, 'tree')} for {optimizer.name or 'this optimizer'}{average}"
        found = type(state).__name__ if trees is None else counted(len(trees), "tree")
        fix = "begin with optimizer.init(params)"
        raise UsageError("optimizer state is not of this optimizer", expected=expected, found=found, fix=fix)
    if isinstance(state, Moments):
        steps = check_count("optimizer state's steps", whole(state.steps), 0)
        state = state if steps is state.steps else state._replace(steps=steps)
    plain: list[Params] = []
    same = True
    for tree in trees:  # a loop: comprehensions are frames of their own, in every step
        converted = check_like(params, tree, "moments")[1]
        same = same and converted is tree
        plain.append(converted)
    return state if same else state._replace(trees=tuple(plain))


def _freeze_state(state: Any) -> Any:
    for tree in trees_of(state):
        freeze_params(tree)
    return state


def _with_known_state(optimizer: Optimizer) -> Optimizer:
    """Return `optimizer` whose `init` refuses a state that an average cannot be appended to."""
    inner: Callable[[Params], Any] = optimizer.init

    def init(params: Params) -> Any:
        state = inner(params)
        if not (isinstance(state, Moments) or (isinstance(state, tuple) and not state)):
            raise UsageError("optimizer to average", expected="a state () or Moments", found=type(state).__name__)
        if isinstance(state, Moments) and state.steps != 0:
            raise UsageError("optimizer to average", expected="a state that begins at step 0", found=state.steps)
        return state

    return optimizer if optimizer.trees is not None else optimizer._replace(init=init)
