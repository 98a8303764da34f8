"""The processor that the kernels are compiled for, as code generation sees it."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fnnet.errors import UsageError


class Machine(NamedTuple):
    """The processor as code generation sees it.

    cpu, features  names that LLVM knows; part of the key of the compiled code's cache.
    vector_bytes   width of a vector register.
    rows           rows of a register tile: 2 vectors wide, it leaves registers for its operands.
    fma            True if a multiply-add is one instruction that rounds once.
    compress       True if an instruction packs the chosen elements of a vector.
    dot            how sums of four products of bytes are made: "vnni", one instruction; "maddubs", pairs in 16 bits
                   first; "", plain operations.
    """

    cpu: str
    features: str
    vector_bytes: int
    rows: int
    fma: bool
    compress: bool
    dot: str


LEVELS: Final = MappingProxyType(
    {
        "x86-64": (16, 6, False, ""),
        "x86-64-v2": (16, 6, False, "maddubs"),
        "x86-64-v3": (32, 6, True, "maddubs"),
        "x86-64-v4": (64, 12, True, "maddubs"),
    }
)
"""Levels of the x86-64 architecture: bytes of a vector, rows of a tile, multiply-add, sums of four products."""

FEATURES: Final = MappingProxyType(
    {
        "x86-64": ("sse2",),
        "x86-64-v2": ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"),
        "x86-64-v3": ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
        "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    }
)
"""What each level adds to those before it, by LLVM's names."""


def _needed(level: str) -> list[str]:
    """Return the features of a level and of those below it."""
    below = list(FEATURES)[: list(FEATURES).index(level) + 1]
    return [name for each in below for name in FEATURES[each]]


@functools.cache
def machine() -> Machine:
    """Return this machine, or the level of x86-64 that FNNET_CPU names, for code that several machines can share.

    It imports llvmlite.

    Raises   UsageError for another name.
    """
    from llvmlite import binding

    if level := os.environ.get("FNNET_CPU"):
        if level not in LEVELS:
            raise UsageError("unknown processor", where="FNNET_CPU", expected=" or ".join(LEVELS), found=repr(level))
        if lacking := [name for name in _needed(level) if not binding.get_host_cpu_features().get(name)]:
            expected, found = (
                f"a level that this {platform.machine()} processor has",
                f"{level}, which needs {lacking[0]}",
            )
            raise UsageError("not this processor", where="FNNET_CPU", expected=expected, found=found)
        width, rows, fma, dot = LEVELS[level]
        return Machine(level, "", width, rows, fma, compress=False, dot=dot)
    cpu, features = binding.get_host_cpu_name(), binding.get_host_cpu_features()
    arm = platform.machine().lower() in ("aarch64", "arm64")
    wide, avx = features.get("avx512f", False), features.get("avx", False)
    return Machine(
        cpu,
        features.flatten(),
        64 if wide else 32 if avx else 16,
        12 if wide or arm else 6,
        arm or features.get("fma", False),
        wide and features.get("avx512vbmi2", False),
        _dot(features, wide, avx),
    )


def _dot(features: Mapping[str, bool], wide: bool, avx: bool) -> str:
    """Return how this machine sums four products of bytes, in vectors of its width."""
    if features.get("avx512vnni" if wide else "avxvnni"):
        return "vnni"
    needed = "avx512bw" if wide else "avx2" if avx else "ssse3"
    return "maddubs" if features.get(needed) else ""


def target() -> Any:
    """Return LLVM's description of this machine."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    host = machine()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=host.cpu, features=host.features, opt=3, reloc="default", codemodel="jitdefault"
    )
