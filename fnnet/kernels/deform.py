"""Compiled deformation of images, the twin of `fnnet.core.deform`'s definition."""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.kernels.layout import aligned, whole_lines
from fnnet.kernels.library import library, run_team
from fnnet.kernels.machine import machine

IMAGES_A_THREAD: Final = 256
"""From so many on a second thread pays: starting one takes as long as a hundred small images."""


def deform(
    x: Array, image_shape: tuple[int, int], samples: Array, place: tuple[int, int], figures: Any, threads: int
) -> Array:
    """As `augment.deform` with its `figures`, at the `place` (seed, epoch): uint8 (n, height * width)."""
    height, width = image_shape
    n, knots_y, knots_x = len(x), figures.by.shape[1], figures.bx.shape[0]
    lanes = machine().vector_bytes // 4
    line = -(-width // lanes) * lanes
    bx = np.zeros((knots_x, line), np.float32)
    bx[:, :width] = figures.bx
    flat, out = np.ascontiguousarray(x).reshape(-1), np.empty(x.shape, np.uint8)
    count = max(1, min(threads, n // IMAGES_A_THREAD))
    cuts = [n * i // count for i in range(count + 1)]
    compiled = library("augment", np.float32)
    calls = [
        compiled.bind(
            "deform", flat, first, end - first, height, width, np.ascontiguousarray(samples, np.int64), *place,
            figures.limits, np.ascontiguousarray(figures.by).reshape(-1), bx.reshape(-1), knots_y, knots_x,
            aligned(whole_lines(2 * knots_y * (knots_x + line) + 8), np.float32),
            aligned(whole_lines((height + 2) * (width + 2)), np.uint32), aligned(whole_lines(line), np.uint8),
            out.reshape(-1),
        )
        for first, end in itertools.pairwise(cuts)
    ]  # fmt: skip
    run_team(calls)
    return out
