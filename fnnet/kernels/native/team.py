"""Threads that meet inside compiled code: an atomic barrier and tickets for units of work, without a threading layer.

T threads run the same function on shared counters. Who arrives early at a barrier reads it over and over for some
microseconds, and then sleeps in the kernel until the last has arrived: on a busy machine the others need the processor.
Tickets are never reset: after a phase of U units each of T threads has drawn one ticket too many, and the next phase
starts U + T further on.
"""

from __future__ import annotations

import os
import platform
import sys
from types import MappingProxyType
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fnnet.kernels.layout import ARRIVED, ASLEEP, READS, SLEPT
from fnnet.kernels.native import compiled

FUTEX: Final = MappingProxyType({"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221})
"""Linux's number of the system call that sleeps until memory changes, for little-endian processors."""
CAN_SLEEP: Final = sys.platform == "linux" and platform.machine() in FUTEX
WAIT, WAKE, ALL = 128, 129, 2**31 - 1
"""Operations of that call on memory that only this process sees, and the most threads to wake."""

yield_processor = types.ExternalFunction("SwitchToThread" if os.name == "nt" else "sched_yield", types.int32())


@intrinsic
def fetch_add(typing, counters, i, amount):
    """Add `amount` to counters[i] as one step and return what was there."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [args[1]]), args[2], "seq_cst")

    return types.int64(counters, types.intp, types.int64), emit


@intrinsic
def load(typing, counters, i):
    """Return counters[i]; all that was written before it is then visible, and reads and writes of it have one order."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "seq_cst", 8)

    return types.int64(counters, types.intp), emit


@intrinsic
def futex(typing, counters, i, operation, value):
    """Have Linux let this thread sleep while the low half of counters[i] is `value`, or wake `value` that do."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.ptrtoint(builder.gep(data, [args[1]]), word)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(word, [word], var_arg=True), "syscall"
        )
        number = FUTEX[platform.machine()]
        return builder.call(function, [word(number), place, args[2], args[3], word(0), word(0), word(0)])

    return types.int64(counters, types.intp, types.int64, types.int64), emit


if CAN_SLEEP:

    @compiled
    def sleep(counters, seen):
        """Sleep while as many threads have arrived as were seen; it may end early."""
        futex(counters, ARRIVED, WAIT, seen)

    @compiled
    def wake(counters):
        """Wake all that sleep."""
        futex(counters, ARRIVED, WAKE, ALL)

else:

    @compiled
    def sleep(counters, seen):
        """Let other threads run."""
        yield_processor()

    @compiled
    def wake(counters):
        """Nobody sleeps."""


@compiled
def meet(counters, threads, phase):
    """Return once `threads` threads have reached `phase`, counted from 1."""
    if threads == 1:
        return
    target = phase * threads
    if fetch_add(counters, ARRIVED, 1) + 1 == target:
        # One that falls asleep now has counted itself before, or sees that all have arrived.
        if load(counters, ASLEEP):
            wake(counters)
        return
    for _ in range(counters[READS]):
        if load(counters, ARRIVED) >= target:
            return
    fetch_add(counters, SLEPT, 1)
    fetch_add(counters, ASLEEP, 1)
    seen = load(counters, ARRIVED)
    while seen < target:
        sleep(counters, seen)
        seen = load(counters, ARRIVED)
    fetch_add(counters, ASLEEP, -1)


@compiled
def piece(array, threads):
    """Return the number of elements of an array that each thread has to itself: whole cache lines."""
    return array.size // threads // 16 * 16
