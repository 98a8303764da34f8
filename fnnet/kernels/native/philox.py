"""Philox4x64-10, the generator of `fnnet.core.rng`, inside compiled code."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fnnet.kernels.native import compiled

MULTIPLIERS: Final = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
WEYL: Final = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
ROUNDS: Final = 10


@intrinsic
def high_half(typing, a, b):
    """Return the upper 64 bits of the product of two 64-bit words."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(each, wide) for each in args))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), emit


@compiled
def philox(block, step, epoch, seed, purpose):
    """Return the four words of a block, words 4 block to 4 block + 3 of `rng.words` there. Arguments are uint64."""
    c0, c1, c2, c3 = block, step, epoch, np.uint64(0)
    k0, k1 = seed, purpose
    for _ in range(ROUNDS):
        low0, low1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        high0, high1 = high_half(MULTIPLIERS[0], c0), high_half(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + WEYL[0], k1 + WEYL[1]
    return c0, c1, c2, c3
