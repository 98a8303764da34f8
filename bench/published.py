"""Published runs of plain fully connected networks on MNIST, as points beside ours: what each states, with its source.

A run of which only the time or only the epochs are known is left out of the axis that needs the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

IMAGES: Final = 60_000


class Published(NamedTuple):
    """A run.

    errors    on the 10,000 test images, percent.
    sizes     of the layers.
    epochs    over the 60,000 training images.
    seconds   of training, on `device`.
    """

    name: str
    errors: float
    sizes: tuple[int, ...]
    epochs: int | None
    seconds: float | None
    device: str
    source: str


RUST: Final = "README of github.com/joaocardosodias/multi-layer-perceptron-from-scratch-in-rust at 226eed9"

PUBLISHED: Final = (
    Published(
        "Ciresan 2010", 0.35, (784, 2500, 2000, 1500, 1000, 500, 10), 800, 114 * 3600, "GTX 280", "arXiv 1003.0358"
    ),
    # The best epoch by the test set, some five images better than the last.
    Published("Cardoso, GPU", 0.37, (784, 2048, 1024, 10), 2500, 19.3 * 60, "RTX A4000", RUST),
    Published("Cardoso", 0.44, (784, 2048, 1024, 10), 300, 38 * 60, "i5-1345U", RUST),
    Published("Cardoso, undeformed", 2.91, (784, 256, 128, 10), 25, 8.74, "i5-1345U", RUST),
    Published(
        "Cybertron", 1.17, (784, 512, 256, 10), None, 79, "CPU, NumPy",
        "cybertronai.github.io/schmidhuber-problems/mnist-deep-mlp",
    ),
)  # fmt: skip


def multiply_adds(sizes: Sequence[int], epochs: int, images: int = IMAGES) -> int:
    """Return the multiply-adds of training's matrix products, as if no input were zero.

    Each weight counts once forward and once in its gradient, those behind the first layer once more backward. The
    figure holds on any machine and for any code; deformation and activations are left out.

    >>> multiply_adds((784, 10, 10), 1, 1)
    15980
    """
    weights = [a * b for a, b in itertools.pairwise(sizes)]
    return epochs * images * (2 * weights[0] + 3 * sum(weights[1:]))
