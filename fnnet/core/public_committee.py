"""What `core.public` calls for a committee: its members, checked once, and the mean of their logits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fnnet.core import public
from fnnet.core.check_network import check_finite_input, check_input, contiguous, copied
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params
from fnnet.core.state import Committee
from fnnet.core.table import Kernels


class Members:
    """The networks of a checked committee, each ready to score; the mean of their logits predicts.

    The bits of a row depend on the other rows only where those of a network alone do: see `public.scores`.
    """

    def __init__(self, committee: Committee, formula: str | Activation, is_int8: bool, kernels: Kernels) -> None:
        self._first = committee.members[0]
        self._each = [_scorer(member, formula, is_int8, kernels) for member in committee.members]

    def scores(self, given: Any) -> Array:
        """Return the logits of rows (n, inputs), which are checked, (n, classes)."""
        x = check_input(given, self._first)
        rows = contiguous(x, self._first[0].W.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            logits = [score(rows) for score in self._each]
            # Divided first: the sum may be too large where the mean is not.
            mean: Array = functools.reduce(np.add, [each / each.dtype.type(len(logits)) for each in logits])
        if not np.isfinite(mean).all():
            check_finite_input(x, self._first)
        return mean

    def best(self, given: Any) -> Array:
        """Return the class of the highest score of each row, int64 (n,), the first of equals."""
        return public.best_classes(self.scores(given))


def _scorer(params: Params, formula: str | Activation, is_int8: bool, kernels: Kernels) -> Callable[[Array], Array]:
    """Return a function of rows, contiguous bytes or floats of the network's dtype, that gives their logits."""
    if is_int8:
        from fnnet.core.public_int8 import Int8Network

        return Int8Network(params, formula, kernels).scores
    if kernels.predictor is None or not isinstance(formula, str):
        kept = copied(params)  # as compiled kernels do
        return lambda rows: public.scores(kept, rows, activation=formula, kernels=kernels)
    ready = kernels.predictor(params, kernels.threads, formula)
    return lambda rows: ready.scores(rows)[0]
