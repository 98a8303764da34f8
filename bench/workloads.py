"""The workloads that `bench.peers` and `bench.against` measure: the same for every library and checkout."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

IMAGES: Final = 60_000
PIXELS, CLASSES = 784, 10
COUNTS: Final = {"train": IMAGES, "step": 41_000, "one": 1000, "many": 10_000}
"""How many images each kind of workload has."""
RATE: Final = 0.05
PROGRAM: Final = ("train", "--jit", "--hidden", "128", "--batch-size", "128", "--epochs", "3", "--dev", "0")
"""The arguments of the whole program, without the path of its model."""


class Workload(NamedTuple):
    """What is measured.

    name    in the tables.
    kind    "train" an epoch, "step" a full-batch step, "one" an image, "many" images, "process" a whole program.
    data    "mnist", or "dense" for random floats of the same shape without zeros. To predict, also "bytes" or "floats":
            MNIST as every library gets it, whereas for "mnist" fnnet gets bytes and the others floats.
    target  how many times faster than the fastest peer fnnet is to be, at least.
    """

    name: str
    kind: str
    sizes: tuple[int, ...]
    batch: int
    data: str
    target: float

    @classmethod
    def of(cls, fields: Sequence[Any]) -> Workload:
        """Return the workload with these fields, which come from JSON."""
        name, kind, sizes, batch, data, target = fields
        return cls(name, kind, tuple(sizes), batch, data, target)

    def gflop(self, images: int) -> float:
        """Return the 10^9 floating-point operations of dense code for `images`: forward, and backward in training."""
        weights = [a * b for a, b in itertools.pairwise(self.sizes)]
        training = self.kind in ("train", "step")
        return images * ((6 * sum(weights) - 2 * weights[0]) if training else 2 * sum(weights)) / 1e9


_SHAPES: Final = (
    ((784, 10, 10), 64, 3.0),
    ((784, 128, 10), 128, 2.5),
    ((784, 300, 100, 10), 50, 2.0),
    ((784, 800, 10), 128, 1.5),
    ((784, 1024, 1024, 10), 512, 1.0),
)


def _title(sizes: tuple[int, ...]) -> str:
    return "-".join(map(str, sizes))


WORKLOADS: Final = (
    *(Workload(f"train {_title(s)}, batch {b}", "train", s, b, "mnist", target) for s, b, target in _SHAPES),
    *(Workload(f"train {_title(s)}, batch {b}, dense", "train", s, b, "dense", 0.8) for s, b, _ in _SHAPES),
    Workload("full-batch step 784-10-10, 41,000 images", "step", (784, 10, 10), 41_000, "mnist", 6.0),
    Workload("predict 1 image, 784-10-10", "one", (784, 10, 10), 1, "mnist", 2.0),
    Workload("predict 1 image, 784-128-10", "one", (784, 128, 10), 1, "mnist", 2.0),
    Workload("predict 10,000 images, 784-10-10", "many", (784, 10, 10), 10_000, "mnist", 1.0),
    Workload("predict 10,000 images, 784-128-10", "many", (784, 128, 10), 10_000, "mnist", 1.3),
    Workload("program: 784-128-10, batch 128, 3 epochs", "process", (784, 128, 10), 128, "mnist", 3.0),
    Workload("program: peak memory", "memory", (784, 128, 10), 128, "mnist", 2.0),
)
"""Every row of the tables, in order."""

_TARGETS: Final = {
    "one": {
        (784, 10, 10): {"bytes": 1.4, "dense": 1.0},
        (784, 128, 10): {"bytes": 1.8, "dense": 1.0},
        (784, 1024, 1024, 10): {"bytes": 1.0, "dense": 0.9},
    },
    "many": {
        (784, 10, 10): {"bytes": 2.2, "floats": 1.2, "dense": 1.0},
        (784, 300, 100, 10): {"bytes": 2.1, "floats": 2.0, "dense": 1.0},
        (784, 1024, 1024, 10): {"bytes": 1.5, "floats": 1.2, "dense": 1.02},
    },
}
_DATA: Final = {"bytes": "bytes", "floats": "floats", "dense": "dense floats"}


def prediction(kind: str, sizes: tuple[int, ...], data: str) -> Workload:
    """Return the workload of predicting one image or many, given as bytes, as floats, or as floats without zeros."""
    images = "1 image" if kind == "one" else f"{COUNTS[kind]:,} images"
    target = _TARGETS[kind].get(sizes, {}).get(data, 1.0)
    return Workload(f"{images}, {_DATA[data]}, {_title(sizes)}", kind, sizes, COUNTS[kind], data, target)


PREDICTIONS: Final = tuple(
    prediction(kind, sizes, data)
    for kind, shapes in _TARGETS.items()
    for sizes, each in shapes.items()
    for data in each
)
"""Every row of docs/engines.md, in order."""


def predictions(sizes: tuple[int, ...]) -> tuple[Workload, ...]:
    """Return the rows that a network of these sizes would have."""
    return tuple(prediction(kind, sizes, data) for kind in _TARGETS for data in _DATA)


def images_and_labels(work: Workload, count: int) -> tuple[Any, Any]:
    """Return `count` images as bytes, as floats, or as random floats for a dense workload, and labels.

    The images are MNIST's if it is found, otherwise blots of ink as dense as digits.
    """
    draw = np.random.default_rng(0)
    if work.data == "dense":
        return draw.random((count, 784), dtype=np.float32), draw.integers(0, 10, count)
    found = _mnist()
    if found is None:
        found = _blots(draw, 6000), draw.integers(0, 10, 6000)
    x, labels = found
    rows = np.arange(count) % len(x)
    x, labels = np.ascontiguousarray(x[rows]), np.ascontiguousarray(labels[rows]).astype(np.int64)
    return (np.divide(x, 255, dtype=np.float32) if work.data == "floats" else x), labels


def random_images(count: int, dense: bool = False) -> tuple[Any, Any]:
    """Return random bytes of which 81% are zero, as in MNIST, or random floats without zeros, and random labels."""
    draw = np.random.default_rng(count)
    labels = draw.integers(0, 10, count)
    if dense:
        return draw.random((count, 784), dtype=np.float32), labels
    x = draw.integers(0, 256, (count, 784)).astype(np.uint8)
    x[draw.random(x.shape) < 0.81] = 0
    return x, labels


def _mnist() -> tuple[Any, Any] | None:
    from fnnet import data
    from fnnet.errors import FnnetError

    try:
        train = data.load("mnist").train
    except FnnetError:
        return None
    return np.asarray(train.x).reshape(len(train.labels), -1), np.asarray(train.labels)


def _blots(draw: Any, count: int) -> Any:
    """Return images in which a fifth of the pixels, near the middle, are ink."""
    x = np.zeros((count, 28, 28), np.uint8)
    for image in x:
        for _ in range(4):
            top, left = draw.integers(4, 17, 2)
            image[top : top + 6, left : left + 7] = draw.integers(1, 256, (6, 7))
    return x.reshape(count, 784)
