"""`FNNetClassifier` beside scikit-learn's `MLPClassifier`: `python -m bench.estimator`.

Both get the same rows, hidden layer, optimizer (Adam), batch size and epochs, and take turns in one process, with a
rest before each, in which the threads of the other stop waiting for work. A ratio is the median of those of the turns.
On a busy machine threads that wait for one another take many times as long, those of BLAS above all: there, --processor
compares the processor time of one thread each.

python -m bench.estimator                 all tables (minutes)
python -m bench.estimator --processor     processor time of one thread each, on a busy machine
python -m bench.estimator --write         also into docs/sklearn.md
python -m bench.estimator --once          few rows, once; nothing is written
"""

from __future__ import annotations

import time
import unittest
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from statistics import mean, median, stdev
from textwrap import fill
from typing import Any, Final, NamedTuple

import click
import numpy as np
from threadpoolctl import threadpool_limits

from bench.common import ROOT, cpu_name, markdown_table, rewrite, time_text, versions
from fnnet.limits import available_threads

PAGE: Final = ROOT / "docs" / "sklearn.md"
BEGIN, END = "<!-- bench.estimator -->\n", "<!-- /bench.estimator -->\n"
HIDDEN, BATCH = (100,), 200
PREDICTING: Final = 0.05
"""Seconds for which a turn predicts again and again, about."""
TEST_ROWS: Final = 2000
GRID: Final[dict[str, list[Any]]] = {
    "hidden": [(16,), (32,), (64,), (32, 32)], "learning_rate": [0.001, 0.003, 0.01], "batch_size": [50, 200],
}  # fmt: skip
NAMES: Final = {"hidden": "hidden_layer_sizes", "learning_rate": "learning_rate_init", "epochs": "max_iter"}
"""Parameters of FNNetClassifier that MLPClassifier calls otherwise."""


class Shape(NamedTuple):
    """A table of float64 and the epochs for which it is trained on."""

    rows: int
    columns: int
    classes: int
    epochs: int

    @property
    def name(self) -> str:
        """What its row is called."""
        return f"{self.rows:,} x {self.columns}, {self.classes} classes"


SHAPES: Final = (
    Shape(200, 4, 2, 20), Shape(200, 784, 10, 20), Shape(569, 30, 2, 20), Shape(1000, 20, 100, 20),
    Shape(1797, 64, 10, 20), Shape(5000, 10, 5, 10), Shape(10_000, 100, 100, 5), Shape(10_000, 784, 10, 5),
    Shape(20_000, 50, 20, 5), Shape(50_000, 30, 2, 3), Shape(100_000, 4, 2, 2), Shape(100_000, 784, 100, 2),
)  # fmt: skip
COMPARED: Final = ("digits", "breast cancer", Shape(2000, 100, 20, 30), Shape(5000, 10, 5, 30), Shape(1000, 4, 2, 30))
"""Tables on which accuracy is compared: bundled with scikit-learn, or drawn."""
EPOCHS: Final = 30
USED: Final = ("numpy", "numba", "scikit-learn")
"""Libraries whose versions are named."""


class Size(NamedTuple):
    """How much is measured, and of what: seconds, or the processor time of one thread."""

    processor: bool = False
    turns: int = 5
    rest: float = 0.1
    seeds: int = 20
    rows: int = 10**9
    epochs: int = 10**9
    settings: int = 10**9
    checks: int | None = None


ONCE: Final = Size(turns=1, rest=0.0, seeds=2, rows=300, epochs=1, settings=1, checks=3)


def table(shape: Shape, rows: int, seed: int = 0) -> tuple[Any, Any]:
    """Return rows (rows, columns) and their labels: points around a centre of each class, which overlap."""
    draw = np.random.default_rng(seed)
    centres, labels = draw.standard_normal((shape.classes, shape.columns)), np.arange(rows) % shape.classes
    draw.shuffle(labels)
    return centres[labels] + draw.standard_normal((rows, shape.columns)) * shape.columns**0.5 / 3, labels


def classifiers(seed: int = 0, *, processor: bool = False, **given: Any) -> tuple[Any, Any]:
    """Return both, which make all epochs; ours in one thread where processor time is measured."""
    from sklearn.neural_network import MLPClassifier

    import fnnet

    settings: dict[str, Any] = {"hidden": HIDDEN, "batch_size": BATCH} | given
    theirs = {NAMES.get(name, name): value for name, value in settings.items()}
    threads = 1 if processor else None
    ours = fnnet.FNNetClassifier(**settings, tol=None, random_state=seed, threads=threads)
    return ours, MLPClassifier(**theirs, alpha=0.0, tol=0.0, n_iter_no_change=10**6, random_state=seed)


def turns(pair: Sequence[Callable[[], Any]], size: Size, least: float = 0.0) -> list[tuple[float, float]]:
    """Return the seconds of a call of both, turn by turn; a turn rests first, and calls again for `least` seconds."""
    clock, found = time.process_time if size.processor else time.perf_counter, []
    for turn in range(size.turns):
        taken = [0.0, 0.0]
        for which in (0, 1) if turn % 2 else (1, 0):
            time.sleep(size.rest)
            began, calls = clock(), 0
            while not calls or clock() - began < least:
                pair[which]()
                calls += 1
            taken[which] = (clock() - began) / calls
        found.append((taken[0], taken[1]))
    return found


def ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """Return how many times faster the first is: the median of the ratios of the turns."""
    return median(other / mine for mine, other in pairs)


def speed(size: Size) -> str:
    """Return the table of fits and predictions, and the medians of its ratios."""
    cells, fits, predictions = [], [], []
    for each in SHAPES:
        shape = Shape(min(each.rows, size.rows), each.columns, each.classes, min(each.epochs, size.epochs))
        x, y = table(shape, shape.rows)
        pair = classifiers(processor=size.processor, epochs=shape.epochs)
        for one in pair:
            one.fit(x, y).predict(x)
        fit = turns([partial(one.fit, x, y) for one in pair], size)
        least = PREDICTING if size.rest else 0.0
        predict = turns([partial(one.predict, x) for one in pair], size._replace(turns=2 * size.turns), least)
        fits.append(ratio(fit))
        predictions.append(ratio(predict))
        both = [time_text(median(side)) for pairs in (fit, predict) for side in zip(*pairs, strict=True)]
        row = [*both[:2], f"**{fits[-1]:.2f}**", *both[2:], f"**{predictions[-1]:.2f}**"]
        cells.append([shape.name, f"{shape.epochs}", *row])
        _note(" | ".join(cells[-1]))
    heads = ["table", "epochs", "fit", "MLPClassifier", "faster by", "predict", "MLPClassifier", "faster by"]
    worst = f"at least {min(fits):.2f} and {min(predictions):.2f} times"
    text = f"Median of the ratios: fit {median(fits):.2f}, predict {median(predictions):.2f}; {worst}."
    return f"{markdown_table(heads, cells)}\n{_filled(text)}"


def _data(which: str | Shape, seed: int, rows: int) -> tuple[Any, Any, Any, Any]:
    """Return rows to train on and to test with, and the labels of both."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    if isinstance(which, Shape):
        count = min(which.rows, rows)
        x, y = table(which, count + TEST_ROWS)
        return x[:count], x[count:], y[:count], y[count:]
    x, y = (datasets.load_digits if which == "digits" else datasets.load_breast_cancer)(return_X_y=True)
    parts = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    scale = StandardScaler().fit(parts[0])
    return scale.transform(parts[0]), scale.transform(parts[1]), parts[2], parts[3]


def accuracy(size: Size) -> str:
    """Return the table of accuracies, in percent: mean and standard deviation over the seeds, and their difference."""
    cells = []
    for which in COMPARED:
        found: list[tuple[float, float]] = []
        for seed in range(size.seeds):
            x, x_test, y, y_test = _data(which, seed, size.rows)
            pair = classifiers(seed, processor=size.processor, epochs=min(EPOCHS, size.epochs))
            ours, theirs = (100 * one.fit(x, y).score(x_test, y_test) for one in pair)
            found.append((ours, theirs))
        each = [f"{mean(side):.2f} ± {stdev(side):.2f}" for side in zip(*found, strict=True)]
        differences = [ours - theirs for ours, theirs in found]
        error = stdev(differences) / len(found) ** 0.5
        name = which.name if isinstance(which, Shape) else which
        cells.append([name, *each, f"{mean(differences):+.2f} ± {error:.2f}"])
        _note(" | ".join(cells[-1]))
    return markdown_table(["table", "FNNetClassifier", "MLPClassifier", "difference ± standard error"], cells)


def search(size: Size) -> str:
    """Return what a search over settings of digits takes with both."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV

    x, y = load_digits(return_X_y=True)
    x, y = x[: size.rows] / 16, y[: size.rows]
    grid = {name: values[: size.settings] for name, values in GRID.items()}
    grids = [grid, {NAMES.get(name, name): values for name, values in grid.items()}]
    epochs = min(20, size.epochs)
    pair = classifiers(processor=size.processor, epochs=epochs)
    both = [GridSearchCV(one, of, cv=3) for one, of in zip(pair, grids, strict=True)]
    pairs = turns([partial(one.fit, x, y) for one in both], size._replace(turns=min(size.turns, 3)))
    ours, theirs = (time_text(median(side)) for side in zip(*pairs, strict=True))
    best = [f"{100 * one.best_score_:.1f} %" for one in both]
    settings = int(np.prod([len(values) for values in grid.values()]))
    return _filled(
        f"`GridSearchCV` over {settings} settings of digits, 3 folds, {epochs} epochs: {ours} ({best[0]}), with "
        f"MLPClassifier {theirs} ({best[1]}): **{ratio(pairs):.2f}** times faster."
    )


def outcomes(classifier: Any, most: int | None) -> dict[str, int]:
    """Return how many of scikit-learn's checks of a classifier passed, were skipped, failed."""
    from sklearn.utils.estimator_checks import estimator_checks_generator

    found = {"passed": 0, "skipped": 0, "failed": 0}
    for one, check in islice(estimator_checks_generator(classifier), most):
        try:
            check(one)
        except unittest.SkipTest:
            found["skipped"] += 1
        except Exception:
            found["failed"] += 1
        else:
            found["passed"] += 1
    return found


def checks(size: Size) -> str:
    """Return the table of scikit-learn's checks of both, with all defaults."""
    from sklearn.neural_network import MLPClassifier

    import fnnet

    found = {type(one).__name__: outcomes(one, size.checks) for one in (fnnet.FNNetClassifier(), MLPClassifier())}
    cells = [[name, *map(str, counts.values())] for name, counts in found.items()]
    return markdown_table(["checks of scikit-learn", "passed", "skipped", "failed"], cells)


def sections(size: Size) -> Iterator[str]:
    """Yield the parts of the page between the two marks."""
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items() if name in USED)
    threads = "processor time of one thread" if size.processor else f"{available_threads()} threads"
    command = f"python -m bench.estimator{' --processor' if size.processor else ''}"
    yield _filled(
        f"Fit and predict of whole tables of float64, one hidden layer of {HIDDEN[0]}, Adam, batch {BATCH}, beside "
        f"MLPClassifier, in turns: {cpu_name()}, {threads}; {libraries}. Written by `{command}`."
    )
    yield speed(size)
    yield _filled(
        f"Accuracy in percent on rows held out, {EPOCHS} epochs, mean and standard deviation of {size.seeds} seeds:"
    )
    yield accuracy(size)
    yield search(size)
    yield checks(size)


def _filled(text: str) -> str:
    return f"{fill(text, 118)}\n"


def _note(line: str) -> None:
    """Show on standard error what has been measured, which takes minutes."""
    click.echo(line, err=True)


@click.command()
@click.option("--write", is_flag=True, help="Write the tables into docs/sklearn.md.")
@click.option("--processor", is_flag=True, help="Compare the processor time of one thread each.")
@click.option("--once", is_flag=True, help="Few rows, once; nothing is written.")
def main(write: bool, processor: bool, once: bool) -> None:
    """Measure the classifier beside MLPClassifier."""
    if write and once:
        raise click.UsageError("--once writes nothing")
    size = (ONCE if once else Size())._replace(processor=processor)
    with warnings.catch_warnings(), threadpool_limits(1 if processor else None):
        warnings.simplefilter("ignore")  # MLPClassifier warns that it has made all epochs
        text = "\n" + "\n".join(sections(size)) + "\n"
    if write:
        rewrite(PAGE, BEGIN, text, END)
    click.echo(text)


if __name__ == "__main__":
    main()
