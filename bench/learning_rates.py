"""How far from the best of a grid is the rate that `lr-find` suggests? `python -m bench.learning_rates`.

Of each data set a fifth of the training images is held out, others for each seed; the test set is never read. At every
rate of a grid the recipe is trained on the rest; that rate is best whose loss on the held-out images is smallest in the
mean over the seeds. `lr-find` sees the rest alone. The factor between a suggestion and the best rate is the larger by
the smaller; TARGET is the promise. Where several rates are nearly as good as the best, `as good` has the lowest and the
highest of those that are not worse by more than twice the standard error of the difference, seed by seed.

FNNET_DATA=... python -m bench.learning_rates                  all data sets (minutes)
FNNET_DATA=... python -m bench.learning_rates --only digits    the data sets whose names contain this
"""

from __future__ import annotations

import math
from typing import Any, Final

import click
import numpy as np

from bench.common import cpu_name

TARGET: Final = 3.0
SEEDS: Final = 5
DENSITY: Final = 4
"""Rates of the grid in each power of ten."""
GRID: Final = tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-3, 10, 4 * DENSITY + 1))
NAMES: Final = ("mnist", "inverted mnist", "digits", "breast cancer", "clusters", "wine")
"""Two of the tables are scikit-learn's, standardised; `clusters` are 3,000 rows of 20 numbers in four classes."""


def dataset_of(name: str) -> Any:
    """Return a data set without its test set."""
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

    if name == "clusters":
        kind = {"n_informative": 8, "n_redundant": 4, "n_classes": 4, "n_clusters_per_class": 2}
        x, labels = datasets.make_classification(3000, 20, random_state=0, **kind)
    else:
        x, labels = getattr(datasets, f"load_{name.replace(' ', '_')}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)[order]
    classes = tuple(map(str, range(labels.max() + 1)))
    train = Examples(x, labels[order].astype(np.int64))
    return Dataset(name, name, train, None, classes, (1, x.shape[1]))


def cut(dataset: Any, seed: int) -> tuple[Any, Any]:
    """Return the data set without a fifth of its images, and these."""
    from fnnet import data

    train, held = data.split(dataset.train, len(dataset.train.labels) // 5, seed + 1000)
    return dataset._replace(train=train), held


def losses(dataset: Any, recipe: str, seeds: int) -> Any:
    """Return the loss on held-out images after training with each seed at each rate of the grid, (seeds, rates).

    A network that diverges has an infinite loss.
    """
    from fnnet import load_kernels, train_many
    from fnnet.errors import DivergedError

    kernels = load_kernels("numba", parts=("train",))
    found = []
    for seed in range(seeds):
        rest, held = cut(dataset, seed)
        each = [{"learning_rate": rate} for rate in GRID]
        networks = train_many(rest, recipe, each, seed=seed, dev_set=held, kernels=kernels).networks
        row = [math.inf if isinstance(one, DivergedError) else one.reports[-1].dev_loss or 0.0 for one in networks]
        found.append([loss if math.isfinite(loss) else math.inf for loss in row])
    return np.array(found)


def suggestions(dataset: Any, recipe: str, seeds: int) -> list[float]:
    """Return what `lr-find` suggests with each seed; NaN for nothing."""
    from fnnet import load_kernels
    from fnnet.training import session
    from fnnet.training.rate_search import find_learning_rate

    kernels = load_kernels("numba", parts=("train",))
    jobs = (session.prepare(cut(dataset, seed)[0], recipe, seed=seed) for seed in range(seeds))
    return [find_learning_rate(job, kernels=kernels).suggestion or math.nan for job in jobs]


def as_good(by_seed: Any) -> list[float]:
    """Return the rates of the grid whose losses (seeds, rates) are not clearly worse than those of the best."""
    best = int(by_seed.mean(axis=0).argmin())
    good = []
    for rate, column in zip(GRID, by_seed.T, strict=True):
        if np.isfinite(column).all():
            worse = column - by_seed[:, best]
            error = worse.std(ddof=1) / math.sqrt(len(worse)) if len(worse) > 1 else 0.0
            good += [rate] if worse.mean() <= 2 * error else []
    return good


def factor(one: float, other: float) -> float:
    """Return by what two rates differ, 1 or more."""
    return max(one / other, other / one) if one > 0 else math.inf


@click.command()
@click.option("--recipe", default="classic", show_default=True)
@click.option("--only", default="", help="Only data sets whose names contain this.")
@click.option("--seeds", default=SEEDS, show_default=True, type=click.IntRange(min=1))
@click.option("--curve", is_flag=True, help="Print the loss at each rate of the grid, too.")
def main(recipe: str, only: str, seeds: int, curve: bool) -> None:
    """Print for each data set the suggestions, the best rate of the grid, and the factor between them."""
    print(f"lr-find, {recipe}, seeds 0 to {seeds - 1}; {cpu_name()}")
    heads = ("suggested", "lowest", "highest", "best", "as good", "to", "factor", "largest")
    print(f"{'data':16}" + "".join(f"{head:>10}" for head in heads))
    worst = 0.0
    for name in NAMES:
        if only not in name:
            continue
        dataset = dataset_of(name)
        by_seed = losses(dataset, recipe, seeds)
        found = suggestions(dataset, recipe, seeds)
        best, good = GRID[int(by_seed.mean(axis=0).argmin())], as_good(by_seed)
        factors = [factor(each, best) for each in found]
        worst = max(worst, *factors)
        middle = float(np.median(found))
        shown = (middle, min(found), max(found), best, min(good), max(good), factor(middle, best), max(factors))
        print(f"{name:16}" + "".join(f"{each:10.3g}" for each in shown), flush=True)
        if curve:
            means = zip(GRID, by_seed.mean(axis=0), strict=True)
            print("    " + ", ".join(f"{rate:.3g}: {loss:.4f}" for rate, loss in means), flush=True)
            print("    " + ", ".join(f"{each:.2g}" for each in found), flush=True)
    print(f"the largest factor is {worst:.2f}, the target {TARGET:g}")


if __name__ == "__main__":
    main()
