"""Two trainings side by side, step by step, in float64: where they part, and at which operation."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.apps.versus import steps as one
from fnnet.apps.versus.meanings import PEERS, Setup, Trait, Translation, check, check_classes
from fnnet.apps.versus.steps import EPSILON, UPDATE, Arrays, Batch, Operation, Ours
from fnnet.core import dropout, rng
from fnnet.core.checks import check_count
from fnnet.core.network import as_floats
from fnnet.core.orders import epoch_order
from fnnet.core.params import Array, Params, each
from fnnet.core.public_optimizers import unchecked
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY
from fnnet.data.stream import Stream
from fnnet.errors import FnnetError, UsageError
from fnnet.training import memory, session
from fnnet.training.plan import make_optimizer, schedule_of
from fnnet.training.session import Job
from fnnet.training.starting import first_params
from fnnet.training.steps import diverged, overflowing_layer

LIMIT: Final = 1e-12
"""What differs by more of an array's largest number is not rounding, whatever the network."""
MARGIN: Final = 10_000
"""Times what fnnet differs from itself, started an ulp away and rounded otherwise: an unstable training grows rounding.
Of 60 trainings of 300 steps beside MLPClassifier, at rates at which units saturate and most weights part by 1 in the
end, 1 is reported."""
PACKAGES: Final = {"sklearn": "scikit-learn", "torch": "torch", "keras": "keras"}
FIXES: Final = {
    "sklearn": "pip install 'fnnet[sklearn]'",
    "torch": "pip install torch",
    "keras": "pip install keras jax",
}
"""Libraries -> their packages, and what installs them."""


class Row(NamedTuple):
    """A step of both sides.

    loss, peer_loss   mean loss of the batch, before the step.
    absolute          the largest difference of a weight or bias after it.
    relative          the largest difference of an array of weights or biases after it, in its largest number.
    itself            the same of fnnet beside itself, started from weights that an ulp was added to or taken from.
    """

    step: int
    learning_rate: float
    loss: float
    peer_loss: float
    absolute: float
    relative: float
    itself: float


class Parting(NamedTuple):
    """Where two trainings part.

    operation    in words, as "update of W1".
    difference   of its result, in its largest number; of an update in the largest movement.
    limit        above which it is not rounding.
    reasons      what both sides have in force that differs and shows there first.
    """

    step: int
    name: str
    operation: str
    kind: str
    difference: float
    limit: float
    reasons: tuple[Trait, ...]


class Comparison(NamedTuple):
    """Two trainings side by side.

    peer         the other library, one of "sklearn", "torch" and "keras"; `about` has its name and version.
    translated   what it was given where an option means another thing there.
    differing    all that both sides have in force and differ in.
    parting      None where all differences are those of rounding.
    """

    peer: str
    about: str
    translated: tuple[Translation, ...]
    differing: tuple[Trait, ...]
    rows: tuple[Row, ...]
    parting: Parting | None


def compare(peer: str, job: Job, steps: int = 100, *, by_name: bool = False) -> Comparison:
    """Train a job's network with NumPy and in another library, in float64, from the same start on the same batches.

    job       as `session.prepare` makes it; its data fit in memory.
    by_name   give the library the options under its own names for them, without translation.
    Raises   UsageError for an option that cannot be compared, FnnetError for a library that is not installed,
             DivergedError where fnnet's numbers are no longer finite.

    >>> from fnnet import data
    >>> from fnnet.apps.versus import compare
    >>> from fnnet.training import memory, session
    >>> job = session.prepare(data.load("digits"), "classic", {"hidden": (8,), "activation": "tanh"})
    >>> try:
    ...     found = compare("sklearn", job, steps=3)
    ... except fnnet.FnnetError:  # without scikit-learn
    ...     pass
    ... else:
    ...     assert found.parting is None and found.rows[-1].relative < 1e-14
    """
    if peer not in PEERS:
        raise UsageError("unknown library", where="peer", expected=" or ".join(PEERS), found=repr(peer))
    session.check_job(job, NUMPY)
    steps = check_count("steps", steps, 1)
    train = job.train
    if isinstance(train, Stream):
        raise UsageError("is read piece by piece", expected="a data set that fits in memory", found="a stream")
    check(peer, job.plan, len(job.sizes) - 2, job.members, by_name)
    check_classes(peer, job.sizes[-1])
    check_installed(peer)
    memory.check_job(job, NUMPY)
    optimizer = unchecked(make_optimizer(job.plan))
    params = each(lambda array: array.astype(np.float64), first_params(job))
    weights = class_weights(job, train)
    setup = Setup(params, job.plan, optimizer, job.seed, weights, job.given, by_name)
    with import_module(f"fnnet.apps.versus.of_{peer}").opened(setup) as other, np.errstate(all="ignore"):
        rows, parting = _compared(other, setup, job, train, steps)
        differing = tuple(each for each in other.traits() if each.ours != each.theirs)
        return Comparison(peer, about(peer), tuple(other.translated), differing, tuple(rows), parting)


def check_installed(peer: str) -> None:
    """Raise FnnetError unless a library is installed."""
    if not find_spec(peer):
        expected = PACKAGES[peer]
        raise FnnetError("is not installed", where=PEERS[peer], expected=f"the package {expected}", fix=FIXES[peer])


def about(peer: str) -> str:
    """Return the name of a library and its version, as in "PyTorch 2.13.0"."""
    name = "scikit-learn" if peer == "sklearn" else PEERS[peer]
    more = f" on {sys.modules['keras'].backend.backend()}" if peer == "keras" else ""
    return f"{name} {version(PACKAGES[peer])}{more}"


def class_weights(job: Job, train: Examples) -> Array | None:
    """Return the weight of each class, float64; 1 for one without images, None where all are equal."""
    if job.weights is None:
        return None
    found = np.ones(job.sizes[-1])
    found[train.labels] = job.weights
    return found


def batches(job: Job, train: Examples, steps: int) -> Iterator[Batch]:
    """Yield what the steps of a training are made on: the batches, rates and masks of `fnnet train`."""
    plan, images = job.plan, len(train.labels)
    size = min(plan.batch_size or images, images)
    rate_at, made = schedule_of(plan, -(-images // size)), 0
    for epoch in range(1, steps + 1):
        order = np.arange(images) if plan.batch_size is None else epoch_order(job.seed, epoch, images)
        for first in range(0, images, size):
            rows = order[first : first + size]
            x, labels = as_floats(train.x[rows], np.float64), np.asarray(train.labels[rows], np.int64)
            weights = None if job.weights is None else np.asarray(job.weights[rows], np.float64)
            masks = dropout.masks(job.seed, made, job.sizes[1:-1], len(x), plan.dropout, dtype=np.float64)
            yield Batch(x, labels, float(rate_at(made)), weights, masks)
            made += 1
            if made == steps:
                return


def nudged(params: Params, seed: int) -> Params:
    """Return parameters of which each that is not 0 is the next larger or smaller number, at random."""
    sizes = [array.size for layer in params.layers for array in layer]
    signs = iter(np.split(rng.words(seed, "check", sum(sizes)) & np.uint64(1), np.cumsum(sizes)[:-1]))

    def moved(array: Array) -> Array:
        towards = np.where(next(signs).reshape(array.shape) > 0, np.inf, -np.inf)
        return np.where(array == 0, array, np.nextafter(array, towards))

    return each(moved, params)


def _compared(other: Any, setup: Setup, job: Job, train: Examples, steps: int) -> tuple[list[Row], Parting | None]:
    """Return every step, and where the two part first."""
    plan, optimizer = setup.plan, setup.optimizer
    known = [*one.operations(len(setup.params.layers), plan.activation, bool(plan.clip_norm))]
    given: dict[str, Any] = {"activation": plan.activation, "optimizer": optimizer}
    given |= {"label_smoothing": plan.label_smoothing, "decay": plan.weight_decay if other.decays else 0.0}
    here = Ours(setup.params, optimizer.init(setup.params))
    shadow = Ours(nudged(setup.params, setup.seed), here.state)
    before = [one.named(each) for each in (setup.params, shadow.params, setup.params)]
    rows, parting, noise = list[Row](), None, dict[str, float]()
    for number, batch in enumerate(batches(job, train, steps), 1):
        here, ours = one.step(here, batch, **given)
        shadow, beside = one.step(shadow, batch, **given, rounded=True)
        _check_finite(ours, number, len(setup.params.layers))
        theirs = other.step(batch)
        for operation in known:
            apart = _difference(operation, ours, beside, before[:2])
            noise[operation.name] = max(noise.get(operation.name, 0.0), apart)
        if parting is None:
            parting = _parting(known, number, ours, theirs, (before[0], before[2]), noise, other)
        before = [{name: arrays[name] for name in before[0]} for arrays in (ours, beside, theirs)]
        absolute, relative = _apart(before[0], before[2])
        losses = float(ours["loss"]), float(theirs["loss"])
        rows.append(Row(number, batch.rate, *losses, absolute, relative, _apart(before[0], before[1])[1]))
    return rows, parting


def _parting(
    known: Sequence[Operation], step: int, ours: Arrays, theirs: Arrays, before: Sequence[Arrays],
    noise: Mapping[str, float], other: Any,
) -> Parting | None:  # fmt: skip
    """Return the first operation of a step of which both sides have other results; None if there is none."""
    for operation in known:
        if operation.name not in theirs or operation.name in other.reported:
            continue
        found, limit = _difference(operation, ours, theirs, before), max(LIMIT, MARGIN * noise[operation.name])
        if not found <= limit:
            reasons = [each for each in other.traits() if each.ours != each.theirs and operation.kind in each.at]
            return Parting(step, operation.name, operation.words, operation.kind, found, limit, tuple(reasons))
    return None


def _difference(operation: Operation, ours: Arrays, theirs: Arrays, before: Sequence[Arrays]) -> float:
    """Return the largest difference of two results in the larger one's largest number.

    Of an update, what each weight moved by is compared, as that of a small rate hides behind the weight; what rounding
    the weight takes does not count.
    """
    name = operation.name
    a, b = ours[name], theirs[name]
    if operation.kind != UPDATE:
        least = 1.0 if name == "loss" else 0.0  # that of a sure network is a difference of logits
        return _relative(np.abs(a - b).max(), max(np.abs(a).max(), np.abs(b).max(), least))
    lost = 4 * EPSILON * float(np.abs(a).max())
    moved = [after - at[name] for after, at in zip((a, b), before, strict=True)]
    apart = float(np.abs(moved[0] - moved[1]).max()) - lost
    return _relative(max(apart, 0.0) if math.isfinite(apart) else apart, max(np.abs(each).max() for each in moved))


def _relative(difference: float, scale: float) -> float:
    """Return a difference in the largest number; infinity where it is not a number."""
    found = float(difference) / float(scale) if difference else 0.0
    return found if math.isfinite(found) else math.inf


def _apart(ours: Arrays, theirs: Arrays) -> tuple[float, float]:
    """Return the largest difference of weights and biases, and the largest of an array in its largest number."""
    apart = {name: float(np.abs(ours[name] - theirs[name]).max()) for name in ours}
    scales = {name: max(np.abs(ours[name]).max(), np.abs(theirs[name]).max()) for name in ours}
    return max(apart.values()), max(_relative(apart[name], scales[name]) for name in ours)


def _check_finite(ours: Arrays, step: int, layers: int) -> None:
    """Raise DivergedError unless the numbers of a step are finite."""
    if not math.isfinite(ours["loss"]):
        zs = tuple(ours[f"z{number}"] for number in range(1, layers + 1))
        raise diverged(step, overflowing_layer(zs), float(ours["loss"]))
    for number in range(1, layers + 1):
        if not all(np.isfinite(ours[f"{letter}{number}"]).all() for letter in "Wb"):
            raise diverged(step, number)
