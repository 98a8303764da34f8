"""Threads that meet inside compiled code: an atomic barrier and tickets for units of work, without a threading layer.

T threads run the same function on shared counters. A barrier spins and then yields, so that more threads than
processors make progress too. Tickets are never reset: after a phase of U units each of T threads has drawn one ticket
too many, and the next phase starts U + T further on.
"""

from __future__ import annotations

import os
from typing import Any, Final

from numba import types
from numba.extending import intrinsic

from fnnet.kernels.layout import ARRIVED
from fnnet.kernels.native import compiled

SPINS: Final = 2000
"""Reads of a barrier before the processor is yielded."""

yield_processor = types.ExternalFunction("SwitchToThread" if os.name == "nt" else "sched_yield", types.int32())


@intrinsic
def fetch_add(typing, counters, i, amount):
    """Add `amount` to counters[i] as one step and return what was there."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [args[1]]), args[2], "seq_cst")

    return types.int64(counters, types.intp, types.int64), emit


@intrinsic
def load_acquire(typing, counters, i):
    """Return counters[i]; all that was written before it is then visible."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

    return types.int64(counters, types.intp), emit


@compiled
def meet(counters, threads, phase):
    """Return once `threads` threads have reached `phase`, counted from 1."""
    if threads == 1:
        return
    fetch_add(counters, ARRIVED, 1)
    spins = 0
    while load_acquire(counters, ARRIVED) < phase * threads:
        spins += 1
        if spins > SPINS:
            yield_processor()
            spins = 0


@compiled
def piece(array, threads):
    """Return the number of elements of an array that each thread has to itself: whole cache lines."""
    return array.size // threads // 16 * 16
