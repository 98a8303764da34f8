"""MNIST stored otherwise, and what the recipes make of it: `FNNET_DATA=... python -m bench.variants`.

Every variant is written to files, read again with the options that a user would give, and trained by `classic` and
`quick`. The difference is that of its test accuracy to the accuracy with MNIST as it is, in points.

python -m bench.variants                 all variants (a few minutes)
python -m bench.variants --only JPEG     those whose names contain this, and MNIST
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np

from bench.common import cpu_name
from fnnet import kernels
from fnnet.core.params import Array
from fnnet.core.state import Examples
from fnnet.data import Dataset, load
from fnnet.data.convert import convert
from fnnet.data.preprocess import Reading
from fnnet.limits import available_threads
from fnnet.training import session

RECIPES: Final = ("classic", "quick")
SEEDS: Final = (0, 1, 2)


class Variant(NamedTuple):
    """A way to store MNIST.

    name      of the row.
    within    the points by which the accuracy may differ from MNIST's.
    write     (data set, folder) -> the path to load.
    reading   what a user says.
    """

    name: str
    within: float
    write: Callable[[Dataset, Path], Path]
    reading: Reading = Reading()


def as_idx(change: Callable[[Array], Array]) -> Callable[[Dataset, Path], Path]:
    """Return what writes IDX files of changed pixels, uint8 (n, 28, 28)."""

    def write(dataset: Dataset, folder: Path) -> Path:
        def changed(part: Examples) -> Examples:
            return part._replace(x=change(part.x.reshape(-1, 28, 28)).astype(np.uint8).reshape(-1, 784))

        assert dataset.test
        convert(dataset._replace(train=changed(dataset.train), test=changed(dataset.test)), folder / "data", "idx")
        return folder / "data"

    return write


def as_jpeg(quality: int) -> Callable[[Dataset, Path], Path]:
    """Return what writes folders of JPEGs."""

    def write(dataset: Dataset, folder: Path) -> Path:
        from PIL import Image

        assert dataset.test
        for part, (x, labels) in {"train": dataset.train, "test": dataset.test}.items():
            for name in dataset.classes:
                (folder / "data" / part / name).mkdir(parents=True)
            for number, (image, label) in enumerate(zip(x, labels.tolist(), strict=True)):
                place = folder / "data" / part / dataset.classes[label] / f"{number:05}.jpg"
                Image.fromarray(image.reshape(28, 28)).save(place, quality=quality)
        return folder / "data"

    return write


AUTO: Final = Reading(pixel_max="auto")
VARIANTS: Final = (
    Variant("MNIST", 0, as_idx(lambda x: x)),
    Variant("0 and 1", 1, as_idx(lambda x: x > 127), AUTO),
    Variant("0 to 16", 0.3, as_idx(lambda x: np.rint(x * (16 / 255))), AUTO),
    Variant("0 to 100", 0.3, as_idx(lambda x: np.rint(x * (100 / 255))), AUTO),
    Variant("column by column", 0.3, as_idx(lambda x: x.transpose(0, 2, 1)), Reading(transpose=True)),
    Variant("inverted", 0.3, as_idx(lambda x: 255 - x)),
    Variant("grey ink on grey paper", 0.5, as_idx(lambda x: np.rint(200 - x * (140 / 255)))),
    Variant("JPEG, quality 75", 1, as_jpeg(75)),
)


def trained(dataset: Dataset, recipe: str) -> tuple[float, float]:
    """Return the mean test accuracy in percent, and the least seconds of training."""
    table, accuracies, seconds = kernels.load("numba"), [], []
    for seed in SEEDS:
        job = session.prepare(dataset, recipe, {"dev": 0}, seed=seed)
        began = time.perf_counter()
        model, _ = session.train(job, kernels=table)
        seconds.append(time.perf_counter() - began)
        accuracies.append(100 * float(model.training["test_accuracy"]))
    return float(np.mean(accuracies)), min(seconds)


def rows(only: str) -> Iterator[tuple[Variant, Dataset]]:
    """Yield each variant as it is read."""
    mnist = load("mnist")
    for variant in VARIANTS:
        if variant.name == "MNIST" or only in variant.name:
            with tempfile.TemporaryDirectory() as name:
                path = variant.write(mnist, Path(name))
                yield variant, load(str(path), reading=variant.reading)


@click.command()
@click.option("--only", default="", help="Only variants whose names contain this.")
def main(only: str) -> None:
    """Print the table; the exit code is 1 if a variant differs by more than it may."""
    print(f"{cpu_name()}, {available_threads()} threads, mean of seeds {', '.join(map(str, SEEDS))}; time: least")
    print(f"{'stored as':24}{'blank':>7}" + "".join(f"{f'{each} %':>11}{'differs':>9}{'time':>6}" for each in RECIPES))
    first: dict[str, Any] = {}
    blank, missed = 0.0, False
    for variant, dataset in rows(only):
        share = float((dataset.train.x == 0).mean())
        blank = blank or share
        line = f"{variant.name:24}{share / blank:>7.1%}"
        for recipe in RECIPES:
            accuracy, seconds = trained(dataset, recipe)
            first.setdefault(recipe, (accuracy, seconds))
            differs = accuracy - first[recipe][0]
            missed = missed or abs(differs) > variant.within
            line += f"{accuracy:>11.2f}{differs:>+9.2f}{seconds / first[recipe][1]:>6.2f}"
        print(line, flush=True)
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
