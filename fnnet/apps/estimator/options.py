"""What the parameters of the classifier mean for training: a plan, a rule to end it, seeds, kernels, class weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np

from fnnet import kernels as compiled
from fnnet.apps.estimator.course import Data, Rule
from fnnet.core import rng
from fnnet.core.checks import check_amount, check_count, check_dtype, check_share, shown
from fnnet.core.params import Array
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.training.plan import Plan, check_plan, plain_values

BALANCED: Final = "balanced"
FIELDS: Final = (
    "activation", "optimizer", "learning_rate", "schedule", "batch_size", "epochs", "momentum", "weight_decay",
    "clip_norm", "dropout", "label_smoothing", "early_stopping",
)  # fmt: skip
"""Parameters that are fields of a plan."""


def plan_of(given: Any, hidden: tuple[Any, ...]) -> Plan:
    """Return the plan of a classifier's parameters; UsageError at the name of one that does not fit."""
    if given.early_stopping is True or given.early_stopping is False:
        expected, fix = "epochs, an integer >= 1, or None", "10 is MLPClassifier's number where it stops early"
        problem = "is a number of epochs"
        raise ArgumentTypeError(problem, where="early_stopping", expected=expected, found=given.early_stopping, fix=fix)
    values = [plain_values(getattr(given, name)) for name in FIELDS]
    try:
        return _checked(len(hidden), *values)
    except TypeError as error:
        if isinstance(error, UsageError):
            raise
        return _checked.__wrapped__(len(hidden), *values)  # of a value that has no hash, which it names


@lru_cache(maxsize=64, typed=True)
def _checked(hidden: int, *values: Any) -> Plan:
    """Return the plan of FIELDS with these values; the checks take half a millisecond, once."""
    plan = Plan(**dict(zip(FIELDS, values, strict=True)))
    if plan.optimizer == "lbfgs":
        plan = plan._replace(batch_size=None)
    check_plan(plan, hidden=hidden)
    if plan.epochs < 1:
        raise UsageError("out of range", where="epochs", expected="an integer >= 1", found=plan.epochs)
    if plan.dropout and not hidden:
        raise UsageError("has no effect without hidden layers", where="dropout", expected="hidden layers")
    return plan


def hidden_of(given: Any) -> tuple[Any, ...]:
    """Return the sizes of the hidden layers, one number standing for one layer."""
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        return (int(given),)
    if isinstance(given, np.ndarray) and given.ndim == 1:
        given = given.tolist()
    if not isinstance(given, (tuple, list)):
        expected = "a size, or one for each hidden layer"
        raise ArgumentTypeError("not sizes of layers", where="hidden", expected=expected, found=shown(given))
    return tuple(given)


def rule_of(given: Any) -> Rule:
    """Return when training ends early."""
    tol = None if given.tol is None else at("tol", lambda: check_amount("tol", given.tol))
    stale = at("n_iter_no_change", lambda: check_count("n_iter_no_change", given.n_iter_no_change, 1))
    if given.early_stopping is None:
        fraction_of(given)  # what has no effect is checked, too, as all parameters are
    return Rule(tol if given.early_stopping is None else None, stale, given.early_stopping)


def at(name: str, check: Callable[[], Any]) -> Any:
    """Return what a check returns; its error is at the name of the parameter."""
    try:
        return check()
    except UsageError as error:
        raise error.at(name) from None


def fraction_of(given: Any) -> float:
    """Return the fraction of the rows that is held out for validation, above 0."""
    fraction: float = at("validation_fraction", lambda: check_share("validation_fraction", given.validation_fraction))
    if not fraction:
        raise UsageError("out of range", where="validation_fraction", expected="above 0, less than 1", found=fraction)
    return fraction


def seed_of(random_state: Any) -> int:
    """Return a seed: an integer as it is, else drawn from the state, None being NumPy's own."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        return int(at("random_state", lambda: rng.check_seed(int(random_state), "random_state")))
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(np.iinfo(np.int64).max, dtype=np.int64))


def dtypes_of(dtype: Any) -> list[Any]:
    """Return the dtypes that rows may have: others become the first."""
    if dtype is None:
        return [np.float64, np.float32]
    return [at("dtype", lambda: check_dtype(dtype)).type]


def kernels_of(given: Any, threads: Any) -> Kernels:
    """Return the kernels, loaded once in a process: by their name, or those that are given."""
    if isinstance(given, Kernels):
        return given
    if given == "numpy":
        return NUMPY
    found: Kernels = at("kernels" if threads is None else "threads", lambda: _loaded(given, threads))
    return found


@lru_cache(maxsize=8)
def _loaded(name: str, threads: int | None) -> Kernels:
    # Each part of the compiled code is loaded where it is used first, for the dtype of the rows.
    return compiled.load(name, threads=threads, parts=())


def _weight_of(class_weight: Mapping[Any, Any], label: Any) -> float:
    name = f"weight of class {label}"
    return float(at("class_weight", lambda: check_amount(name, class_weight.get(label, 1.0))))


def class_weights(class_weight: Any, classes: Array, data: Data) -> Array | None:
    """Return the weight of each class, float64 (classes,); None for equal ones.

    class_weight   None, "balanced", or a mapping from labels of classes to weights, 1 for those that are not in it.
    Balanced classes weigh the same, together as much as the rows of `data`.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == BALANCED:
        sums = np.bincount(data.labels, data.weights, len(classes))
        balanced: Array = sums.sum() / (len(classes) * np.where(sums > 0, sums, 1.0))
        return balanced
    if not isinstance(class_weight, Mapping):
        expected = f'None, "{BALANCED}", or a mapping from classes to weights'
        raise ArgumentTypeError("not weights", where="class_weight", expected=expected, found=shown(class_weight))
    names = classes.tolist()
    other = [label for label in class_weight if label not in {*names}]
    if other and any(name not in class_weight for name in names):
        some = ", ".join(map(str, names[:12]))
        raise UsageError("weight for an unknown class", where="class_weight", expected=some, found=shown(other[0]))
    return np.array([_weight_of(class_weight, name) for name in names])
