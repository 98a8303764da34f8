"""How far from the best of a grid is the rate that `lr-find` suggests? `python -m bench.learning_rates`.

For each data set the recipe is trained at every rate of a grid, each with several seeds, and the rate is best whose
loss on images held out of the training set is smallest in the mean: never the test set. The range test is made with the
same seeds. The factor between the suggestion and the best rate is the larger by the smaller; TARGET is the promise.

FNNET_DATA=... python -m bench.learning_rates                  all data sets (minutes)
FNNET_DATA=... python -m bench.learning_rates --only digits    the data sets whose names contain this
"""

from __future__ import annotations

from typing import Any, Final

import click
import numpy as np

from bench.common import cpu_name

TARGET: Final = 3.0
SEEDS: Final = 5
DENSITY: Final = 4
"""Rates of the grid in each power of ten."""
GRID: Final = tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-3, 10, 4 * DENSITY + 1))
NAMES: Final = ("mnist", "inverted mnist", "digits", "breast cancer", "wine")


def dataset_of(name: str) -> Any:
    """Return a data set without its test set; tables are those of scikit-learn, standardised."""
    from fnnet import data

    if name == "digits":
        return data.load("digits")._replace(test=None)
    if name.endswith("mnist"):
        found = data.load("mnist")._replace(test=None)
        x, labels = found.train
        return found._replace(train=type(found.train)(255 - x, labels)) if name.startswith("inverted") else found
    return _table(name)


def _table(name: str) -> Any:
    from sklearn import datasets

    from fnnet.core.state import Examples
    from fnnet.data import Dataset

    x, labels = getattr(datasets, f"load_{name.replace(' ', '_')}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)[order]
    classes = tuple(map(str, range(labels.max() + 1)))
    train = Examples(x, labels[order].astype(np.int64))
    return Dataset(name, "scikit-learn", train, None, classes, (1, x.shape[1]))


def losses(dataset: Any, recipe: str, settings: dict[str, Any], seeds: int) -> dict[float, float]:
    """Return each rate of the grid -> the loss on held-out images after training, mean over the seeds.

    A network that diverges has an infinite loss.
    """
    from fnnet import load_kernels, train_many
    from fnnet.errors import DivergedError

    kernels = load_kernels("numba", parts=("train",))
    sums = dict.fromkeys(GRID, 0.0)
    for seed in range(seeds):
        each = [{**settings, "learning_rate": rate} for rate in GRID]
        found = train_many(dataset, recipe, each, seed=seed, kernels=kernels)
        for rate, network in zip(GRID, found.networks, strict=True):
            bad = isinstance(network, DivergedError)
            sums[rate] += np.inf if bad else network.reports[-1].dev_loss or 0.0
    return {rate: total / seeds for rate, total in sums.items()}


def suggestions(dataset: Any, recipe: str, settings: dict[str, Any], seeds: int) -> list[float | None]:
    """Return what the range test suggests with each seed."""
    from fnnet import load_kernels
    from fnnet.training import session

    kernels = load_kernels("numba", parts=("train",))
    jobs = (session.prepare(dataset, recipe, settings, seed=seed) for seed in range(seeds))
    return [session.find_learning_rate(job, kernels=kernels)[0].suggestion for job in jobs]


def factor(one: float | None, other: float) -> float:
    """Return by what two rates differ, 1 or more."""
    return float("inf") if not one else max(one / other, other / one)


@click.command()
@click.option("--recipe", default="classic", show_default=True)
@click.option("--only", default="", help="Only data sets whose names contain this.")
@click.option("--seeds", default=SEEDS, show_default=True, type=click.IntRange(min=1))
@click.option("--curve", is_flag=True, help="Print the loss at each rate of the grid, too.")
def main(recipe: str, only: str, seeds: int, curve: bool) -> None:
    """Print for each data set the suggestions, the best rate of the grid, and the factor between them."""
    print(f"lr-find, {recipe}, seeds 0 to {seeds - 1}; {cpu_name()}")
    print(f"{'data':16}{'suggested':>11}{'lowest':>9}{'highest':>9}{'best':>9}{'factor':>8}{'worst':>8}")
    worst = 0.0
    for name in NAMES:
        if only not in name:
            continue
        dataset = dataset_of(name)
        settings: dict[str, Any] = {"dev": max(1, len(dataset.train.labels) // 5)}
        by_rate = losses(dataset, recipe, settings, seeds)
        found = suggestions(dataset, recipe, settings, seeds)
        best = min(by_rate, key=lambda rate: by_rate[rate])
        known = [each for each in found if each]
        middle = float(np.median(known)) if known else None
        factors = [factor(each, best) for each in found]
        worst = max(worst, *factors)
        shown = (middle or np.nan, min(known, default=np.nan), max(known, default=np.nan), best)
        print(f"{name:16}{shown[0]:11.3g}{shown[1]:9.3g}{shown[2]:9.3g}{best:9.3g}", end="")
        print(f"{factor(middle, best):8.2f}{max(factors):8.2f}", flush=True)
        if curve:
            print("    " + ", ".join(f"{rate:.3g}: {loss:.4f}" for rate, loss in by_rate.items()), flush=True)
    print(f"the worst factor is {worst:.2f}, the target {TARGET:g}")


if __name__ == "__main__":
    main()
