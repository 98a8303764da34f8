"""What options mean in other libraries: what is translated, what is refused, and what a library has in force.

Equal names stand for other mathematics in places: where Adam's epsilon stands, what weight decay shrinks, whether a
velocity holds the learning rate. By default options are translated, so that both sides compute the same; `by_name`
gives the library what was given under its own name of it, and leaves all else to the library's defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.apps.versus.steps import UPDATE
from fnnet.core.optimizers import Optimizer
from fnnet.core.params import Array, Params
from fnnet.core.schedules import parse_schedule
from fnnet.errors import UsageError
from fnnet.names import STEPPING
from fnnet.training.plan import WITH_MOMENTUM, Plan

PEERS: Final = {"sklearn": "MLPClassifier", "torch": "PyTorch", "keras": "Keras"}
"""The other libraries, and what each is called in sentences."""
OF_SKLEARN: Final = ("relu", "tanh", "sigmoid", "linear")
DECOUPLED: Final = ("adamw", "lion")


class Setup(NamedTuple):
    """What the other side is made of.

    params          at the start, float64.
    optimizer       fnnet's, with its figures.
    class_weights   of the classes (classes,); None for equal ones.
    given           names of the settings that were given in place of a recipe's.
    by_name         see the module.
    """

    params: Params
    plan: Plan
    optimizer: Optimizer
    seed: int
    class_weights: Array | None = None
    given: frozenset[str] = frozenset()
    by_name: bool = False

    @property
    def figures(self) -> Mapping[str, Any]:
        """The numbers of fnnet's optimizer."""
        return self.optimizer.figures

    @property
    def decay(self) -> float | None:
        """The weight decay to give: None, for the library's own, where none was given `by_name`."""
        return None if self.by_name and "weight_decay" not in self.given else self.plan.weight_decay


class Trait(NamedTuple):
    """Something that both sides have in force; they differ in it where `ours` is not `theirs`.

    at      kinds of operations at which a difference of it appears first.
    """

    name: str
    ours: str
    theirs: str
    at: tuple[str, ...]


class Translation(NamedTuple):
    """What the other side was given for an option of fnnet."""

    option: str
    given: str


class Rule(NamedTuple):
    """An option that is refused: at `where`, if `applies`."""

    where: str
    applies: bool
    problem: str
    expected: str
    found: object


def check(peer: str, plan: Plan, hidden: int, members: int, by_name: bool) -> None:
    """Raise UsageError, at its field, for an option that cannot be compared with a library.

    peer      one of PEERS.
    hidden    the number of hidden layers.
    members   of a committee; 1 for a network alone.
    """
    missing = {"sklearn": _not_in_sklearn(plan, hidden), "torch": _not_in_torch(plan)}
    for rule in (*_general(plan, members), *missing.get(peer, ())):
        if rule.applies:
            raise UsageError(rule.problem, where=rule.where, expected=rule.expected, found=rule.found)
    for rule in _untranslatable(peer, plan):
        if rule.applies and not by_name:
            fix = "set `by_name` to see when the two part"
            raise UsageError(rule.problem, where=rule.where, expected=rule.expected, found=rule.found, fix=fix)


def check_classes(peer: str, classes: int) -> None:
    """Raise UsageError for classes of which a library trains another network."""
    if peer == "sklearn" and classes == 2:
        problem = "MLPClassifier has one logistic unit for two classes, which learns twice as fast as two softmax units"
        raise UsageError(problem, where="data", expected="3 classes or more", found="2 classes")


def _general(plan: Plan, members: int) -> Iterator[Rule]:
    """Yield what is compared with no library."""
    steps = " or ".join(STEPPING)
    yield Rule("optimizer", not plan.is_stepwise, "makes no steps that could be compared", steps, plan.optimizer)
    problem = "networks are trained each by itself, and compared one at a time"
    yield Rule("members", members > 1, problem, "1", members)
    problem = "images are deformed before a network takes them, whatever the library"
    yield Rule("augment", plan.deformation is not None, problem, "--no-augment", "deformed images")
    problem = "steps are compared, not when training ends"
    yield Rule("early_stopping", plan.early_stopping is not None, problem, "none", plan.early_stopping)
    problem = "follows the losses of epochs, and steps are compared"
    yield Rule("schedule", parse_schedule(plan.schedule)[0] == "plateau", problem, "another schedule", plan.schedule)
    problem = "does not change the steps; the average starts from a copy of the weights in PyTorch and Keras"
    yield Rule("ema", plan.ema > 0, problem, "0", plan.ema)
    problem = "only fnnet sums the gradient of a batch in parts"
    yield Rule("shards", plan.shards > 1, problem, "1", plan.shards)


def _not_in_sklearn(plan: Plan, hidden: int) -> Iterator[Rule]:
    """Yield what MLPClassifier does not have."""
    absent, solvers = "MLPClassifier does not have it", ("sgd", *WITH_MOMENTUM, "adam")
    yield Rule("optimizer", plan.optimizer not in solvers, absent, " or ".join(solvers), plan.optimizer)
    is_known = plan.activation in OF_SKLEARN or not hidden
    yield Rule("activation", not is_known, absent, " or ".join(OF_SKLEARN), plan.activation)
    for name in ("dropout", "label_smoothing", "clip_norm"):
        value = getattr(plan, name)
        yield Rule(name, bool(np.any(value)), absent, "0", value)


def _not_in_torch(plan: Plan) -> Iterator[Rule]:
    """Yield what PyTorch does not have."""
    expected = " or ".join(name for name in STEPPING if name != "lion")
    yield Rule("optimizer", plan.optimizer == "lion", "PyTorch does not have it", expected, "lion")


def _untranslatable(peer: str, plan: Plan) -> Iterator[Rule]:
    """Yield what a library has under the same name, but as other mathematics that no option of it undoes."""
    if peer == "torch":
        return
    problem = f"in {PEERS[peer]} the velocity holds the learning rate: what is in it keeps the rate of its step"
    moves = plan.optimizer in WITH_MOMENTUM and parse_schedule(plan.schedule) != ("constant", {})
    yield Rule("schedule", moves, problem, f"constant with {plan.optimizer}", plan.schedule)
    if peer == "sklearn":
        problem = "MLPClassifier's alpha shrinks weights, not biases, and is divided by the rows of the batch"
        yield Rule("weight_decay", plan.weight_decay > 0, problem, "0", plan.weight_decay)
        return
    problem = "Keras has the epsilon of RMSprop inside the root"
    yield Rule("optimizer", plan.optimizer == "rmsprop", problem, "another optimizer", "rmsprop")
    both = plan.weight_decay > 0 and plan.clip_norm > 0 and plan.optimizer not in DECOUPLED
    problem = "Keras takes coupled weight decay as a penalty of the loss, and clips its gradient, too"
    yield Rule("clip_norm", both, problem, "0 beside weight decay", plan.clip_norm)


def corrected_epsilon(setup: Setup, step: int) -> float:
    """Return the epsilon that does before the correction of Adam's second moment what fnnet's does behind it.

    step   counted from 1.
    """
    share = 1 - float(setup.figures["beta_2"]) ** step
    return float(setup.figures["epsilon"]) * float(np.sqrt(share))


def epsilon_of(setup: Setup, step: int, given: float) -> Trait:
    """Return the epsilon of Adam where a library adds it before it corrects the second moment, `given` in `step`."""
    ours = f"{setup.figures['epsilon']:g}"
    same = np.isclose(given, corrected_epsilon(setup, step), rtol=1e-12, atol=0)
    return Trait("epsilon", ours, ours if same else f"{given:g} (before the second moment is corrected)", (UPDATE,))


def decay_words(decay: float | None, decoupled: bool, more: str = "") -> str:
    """Return weight decay in words; what is 0 is the same however it is applied."""
    return f"{decay:g} ({'decoupled' if decoupled else 'coupled'}{more})" if decay else "0"


def momentum_words(beta: float, nesterov: bool) -> str:
    """Return momentum in words."""
    return f"{beta:g}{' (Nesterov)' if nesterov and beta else ''}"


def velocity(setup: Setup) -> list[Trait]:
    """Return what the velocity of scikit-learn and Keras holds, where the rate changes: it makes no difference else."""
    plan = setup.plan
    if plan.optimizer not in WITH_MOMENTUM or parse_schedule(plan.schedule) == ("constant", {}):
        return []
    return [Trait("velocity", "gradients", "gradients times the rate of their step", (UPDATE,))]
