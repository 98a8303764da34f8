"""A lower bound on the memory that training will need, computed before it starts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fnnet import limits
from fnnet.core.orders import WINDOW, whole_batches
from fnnet.core.params import count_parameters
from fnnet.core.shards import waiting
from fnnet.data.stream import Stream
from fnnet.errors import FnnetError
from fnnet.training.plan import Plan, make_optimizer

if TYPE_CHECKING:
    from fnnet.core.table import Kernels
    from fnnet.training.session import Job

FLOAT: Final = 4
DOUBLE: Final = 8
PAIRS: Final = 10
"""Steps that L-BFGS keeps, each with the change of the gradient: SciPy's default (maxcor)."""


def of_training(
    sizes: Sequence[int], images: int, plan: Plan, *, compiled: bool, networks: int = 1, members: int = 1
) -> int:
    """Return the least number of bytes that training needs besides its images.

    It counts the parameters, gradients, moments and the activations of a batch.

    sizes    of the layers, (inputs, hidden..., outputs).
    images   number of training images.
    networks   that are trained together.
    members    of a committee, trained one after another and kept.
    """
    earlier_members = (members - 1) * FLOAT * count_parameters(sizes)
    return earlier_members + _at_once(sizes, images, plan, compiled, networks)


def _at_once(sizes: Sequence[int], images: int, plan: Plan, compiled: bool, networks: int) -> int:
    layers = list(itertools.pairwise(sizes))
    widths, count = networks * sum(sizes[1:]), networks * count_parameters(sizes)
    start = FLOAT * count + 2 * DOUBLE * max((inputs + 1) * outputs for inputs, outputs in layers)
    if not plan.is_stepwise:
        return start + DOUBLE * (images * (sizes[0] + 2 * widths) + 2 * PAIRS * count)
    optimizer = make_optimizer(plan)
    # Kept gradients: of shards, or one to clip. Compiled code adds them up as soon as the tree has two.
    kept = waiting((0, plan.shards), plan.shards) if compiled else plan.shards
    kept = kept if plan.shards > 1 else int("clip_norm" in optimizer.figures)
    trees = optimizer.trees or 0
    rows = min(plan.batch_size or images, images)
    if compiled:
        from fnnet.kernels.trainer import CHUNK_ROWS

        # Three copies: in the trainer's vectors, as given and as returned. Narrow networks take more rows at once, but
        # their activations are small.
        return max(start, FLOAT * (3 * count * (1 + trees) + kept * count + 2 * min(rows, CHUNK_ROWS) * widths))
    # A step makes new parameters and moments of the old ones and the gradient.
    return max(start, FLOAT * (count * (3 + 2 * trees + kept) + rows * (sizes[0] + 2 * widths)))


def check(
    sizes: Sequence[int], images: int, plan: Plan, *, compiled: bool, fixed: bool = False, networks: int = 1,
    members: int = 1, windows: int = 0,
) -> None:  # fmt: skip
    """Raise FnnetError if training would need more memory than this process may allocate.

    windows   bytes of the images of a stream that are in memory.
    networks, members   as in `of_training`.
    fixed   whether the layers are those of a model, so that they cannot be smaller.
    """
    needed = windows + of_training(sizes, images, plan, compiled=compiled, networks=networks, members=members)
    limit = limits.available_bytes()
    if limit and needed > limit[0]:
        expected = f"at most {limit[0] / 1e6:,.0f} MB, as {limit[1]} leaves"
        fewer = "use fewer `members` or a smaller" if members > 1 else "use a smaller"
        fields = [*([] if fixed else ["`hidden`"]), *(["`window`"] if windows else []), "`batch_size`"]
        fix = f"{fewer} {' or '.join(fields)}, or raise the limit"
        raise FnnetError("not enough memory", expected=expected, found=f"at least {needed / 1e6:,.0f} MB", fix=fix)


def check_job(job: Job, kernels: Kernels, networks: int = 1) -> None:
    """Raise FnnetError if training a job, or `networks` like it, would need too much memory: see `check`."""
    fixed, compiled, windows = job.start is not None, kernels.compiled, 0
    if isinstance(job.train, Stream):  # one that is trained on, one that is read
        windows = (
            2
            * min(
                whole_batches(job.plan.window or WINDOW, (job.plan.batch_size or 1) * job.plan.local_steps), job.images
            )
            * job.sizes[0]
        )
    given: dict[str, Any] = {"compiled": compiled, "fixed": fixed, "networks": networks, "windows": windows}
    check(job.sizes, job.images, job.plan, members=job.members, **given)
