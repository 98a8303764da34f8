"""How wide images are that are stored as rows of numbers: their rows are like those below them."""

from __future__ import annotations

import numpy as np

from fnnet.core.params import Array
from fnnet.data.preprocess import spread


def width_of(x: Array, width: int) -> int:
    """Return by how many pixels images must be shifted to be most like themselves, from half `width` to its double."""
    sample = spread(x).astype(np.float32)
    shifts = range(max(2, width // 2), min(2 * width + 1, x.shape[1]))
    alike = [float((sample[:, :-shift] * sample[:, shift:]).sum()) for shift in shifts]
    return shifts[int(np.argmax(alike))] if max(alike, default=0) > 0 else 0
