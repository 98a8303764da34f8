"""Compiled deformation of images, the twin of `fnnet.core.deform`'s definition."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.kernels.layout import aligned, round_up, whole_lines
from fnnet.kernels.library import library
from fnnet.kernels.machine import machine
from fnnet.kernels.team import run_team, shares

IMAGES_A_THREAD: Final = 256
"""The fewest images per thread: starting one takes as long as deforming a hundred small images."""


def deform(
    x: Array, image_shape: tuple[int, int], samples: Array, place: tuple[int, int], figures: Any, threads: int
) -> Array:
    """Return what `core.deform.deform` returns for its `figures` at the `place` (seed, epoch)."""
    height, width = image_shape
    seed, epoch = place
    n, knots_y, knots_x = len(x), figures.by.shape[1], figures.bx.shape[0]
    line = round_up(width, machine().vector_bytes // 4)
    bx = np.zeros((knots_x, line), np.float32)
    bx[:, :width] = figures.bx
    out = np.empty(x.shape, np.uint8)
    given = {
        "x": np.ascontiguousarray(x).reshape(-1),
        "height": height,
        "width": width,
        "samples": np.ascontiguousarray(samples, np.int64),
        "seed": seed,
        "epoch": epoch,
        "limits": figures.limits,
        "by": np.ascontiguousarray(figures.by).reshape(-1),
        "bx": bx.reshape(-1),
        "knots_y": knots_y,
        "knots_x": knots_x,
        "out": out.reshape(-1),
    }
    compiled = library("augment", np.float32)
    calls = [
        compiled.bind(
            "deform",
            **given,
            first=first,
            last=last,
            floats=aligned(whole_lines(2 * knots_y * (knots_x + line) + 8), np.float32),
            quads=aligned(whole_lines((height + 2) * (width + 2)), np.uint32),
            spare=aligned(whole_lines(line), np.uint8),
        )
        for first, last in shares(n, threads, IMAGES_A_THREAD)
    ]
    run_team(calls)
    return out
