"""Steps that ranks make together: each sums the gradients of its shards, and moves the weights by the sum of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fnnet.core.params import Array
from fnnet.core.shards import Ranks, subtrees
from fnnet.kernels.layout import CLIP, READS
from fnnet.kernels.library import Library, put
from fnnet.kernels.team import run_team

MARK: Final = 16
"""Elements behind each gradient: the first counts those of ranks whose loss is not finite."""

MOVED: Final = (
    "counters", "whole", "shape", "networks", "parameters", "first_moment", "second_moment", "average", "norms", "rule",
    "constants", "apart",
)  # fmt: skip
"""What moving the weights takes as the steps before it do."""


class SharedSteps:
    """What ranks do behind the gradients of each step of a block.

    given        the arguments of `train_block`.
    parameters   the elements of a gradient that belong to weights.
    """

    def __init__(self, ranks: Ranks, library: Library, threads: int, given: Mapping[str, Any], parameters: int) -> None:
        self._ranks, self._given, self._parameters = ranks, given, parameters
        own, self._shards = (given["own_shard"], given["own_stop"]), given["shards"]
        self._own, self._kept = own, given["gradient"].reshape(given["levels"], -1)
        self._parts = [*self._kept[: len(subtrees(own, self._shards))]]
        alike = {name: given[name] for name in MOVED}
        alike |= {"gradient": self._kept[0], "phase": 0, "threads": threads}
        self._moving = [library.bind("move_gathered", rank=rank, **alike) for rank in range(threads)]

    def move(self, step: int, *, failed: bool) -> bool:
        """Move the weights by the sum of the gradients of a step; return False if it failed in any rank."""
        given = self._given
        first = step * given["batch"] % given["ids"].size
        rows = min(given["batch"], given["ids"].size - first)
        if len({rows * shard // self._shards for shard in self._own}) == 1:
            self._kept[:] = 0  # its shards have no rows
        self._kept[:, self._parameters] = int(failed)
        total = self._ranks.total(self._parts, self._shards, given["bits"])
        if total[self._parameters]:
            return False
        self._move(step, total)
        return True

    def _move(self, step: int, total: Array) -> None:
        given = self._given
        constants = given["constants"]
        columns = (given["apart"] or constants.size) // given["steps"]
        current = constants[step * columns :]
        norms = given["norms"] if current[CLIP] > 0 else given["norms"][:0]
        put(self._moving, {"constants": current, "norms": norms, "gradient": total})
        reads = given["counters"][READS]
        given["counters"][:] = 0
        given["counters"][READS] = reads
        run_team(self._moving)
