"""The line at the end of a training: failures that are provoked get theirs, healthy runs none. `python -m` this.

Each provoked failure is also trained again with what its line advises, to see that it helps.
"""

import functools
import os
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from fnnet import data, kernels
from fnnet.core.state import Examples
from fnnet.data import Dataset
from fnnet.errors import DivergedError, FnnetError
from fnnet.training import session
from fnnet.training.advice import advise, advise_diverged

MNIST = os.environ.get("FNNET_DATA")
"""The folder of MNIST; without it, its cases are left out."""


class Case(NamedTuple):
    """A training: `data` names what `dataset` makes; `codes` are the right ones, none for a healthy run."""

    data: str
    recipe: str
    settings: dict[str, Any]
    codes: tuple[str, ...] = ()
    seed: int = 0
    weights: Any = None

    def __str__(self):
        figures = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.data}, {self.recipe}, seed {self.seed}{', ' if figures else ''}{figures}"


def table(name, scaled):
    """A table of scikit-learn's, four fifths of it for training, standardised by these or as it is."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return split_table(name, x, y, scaled)


def split_table(name, x, y, scaled=True):
    order = np.random.default_rng(1).permutation(len(x))
    x, y = x[order], y[order].astype(np.int64)
    n = len(x) * 4 // 5
    if scaled:
        x = (x - x[:n].mean(axis=0)) / x[:n].std(axis=0)
    x = x.astype(np.float32)
    classes = tuple(map(str, range(y.max() + 1)))
    return Dataset(name, name, Examples(x[:n], y[:n]), Examples(x[n:], y[n:]), classes, (1, x.shape[1]))


def corners(n=1000):
    """Four clouds, of which those at opposite corners are of one class: no flat cut parts them."""
    draw = np.random.default_rng(2)
    at = draw.integers(0, 2, (n, 2))
    return split_table("corners", 2 * at - 1 + 0.3 * draw.standard_normal((n, 2)), at.sum(axis=1) % 2)


def some(dataset, n):
    return dataset._replace(train=Examples(dataset.train.x[:n], dataset.train.labels[:n]))


@functools.cache
def dataset(name):
    """A data set by its name: `digits`, `mnist`, a table, and these changed, as in `mnist shuffled`."""
    first, *changes = name.split()
    if first in ("breast_cancer", "wine", "iris"):
        return table(first, scaled="raw" not in changes)
    found = corners() if first == "corners" else data.load(first, MNIST if first == "mnist" else None)
    for change in changes:
        x, labels = found.train
        if change.isdecimal():
            found = some(found, int(change))
        elif change == "shuffled":
            found = found._replace(train=Examples(x, np.random.default_rng(3).permutation(labels)))
        elif change == "noisy":  # three labels of ten are drawn by chance
            draw = np.random.default_rng(4)
            drawn = np.where(draw.random(len(x)) < 0.3, draw.integers(0, 10, len(x)), labels)
            found = found._replace(train=Examples(x, drawn))
        elif change == "inverted":
            found = found._replace(
                train=Examples(255 - x, labels), test=Examples(255 - found.test.x, found.test.labels)
            )
        else:
            made = {"floats": lambda x: x.astype(np.float32), "bits": lambda x: (x > 127).astype(np.uint8)}[change]
            found = found._replace(
                train=Examples(made(x), labels), test=Examples(made(found.test.x), found.test.labels)
            )
    return found


DEEP = {"hidden": (64,) * 6, "activation": "sigmoid", "epochs": 20}
PROVOKED = [
    Case("digits", "classic", {"learning_rate": 1e-6}, ("at-chance",)),
    Case("mnist", "classic", {"learning_rate": 1e-7, "epochs": 3}, ("at-chance",)),
    Case("mnist", "quick", {"learning_rate": 1e-6}, ("at-chance",)),
    Case("digits", "notebook", {"learning_rate": 1e-5, "epochs": 100}, ("at-chance",)),
    Case("digits", "classic", DEEP, ("at-chance",)),
    Case("mnist 10000", "classic", {**DEEP, "epochs": 3}, ("at-chance",)),
    Case("digits", "classic", {"weight_decay": 1.0}, ("at-chance",)),
    Case("digits", "classic", {"clip_norm": 1e-6}, ("at-chance",)),
    Case("mnist 20000 shuffled", "classic", {"epochs": 5}, ("at-chance",)),
    Case("corners", "classic", {"hidden": ()}, ("at-chance",)),
    Case("digits", "classic", {"learning_rate": 5.0}, ("dead-units",)),
    Case("mnist", "classic", {"learning_rate": 3.0, "epochs": 3}, ("dead-units",)),
    Case("digits", "quick", {"learning_rate": 20.0}, ("dead-units",)),
    Case("mnist inverted", "classic", {}, ("dead-units",)),
    Case("mnist inverted", "quick", {}, ("dead-units",)),
    Case("digits", "classic", {"learning_rate": 20.0, "activation": "tanh"}, ("saturated",)),
    Case("mnist", "classic", {"learning_rate": 30.0, "activation": "tanh", "epochs": 3}, ("saturated",)),
    Case("digits", "classic", {"learning_rate": 1.0, "optimizer": "adam", "activation": "sigmoid"}, ("saturated",)),
    Case("mnist 10000", "classic", {"learning_rate": 50.0, "hidden": (), "epochs": 5}, ("diverged",)),
    Case("digits", "classic", {"learning_rate": 100.0, "activation": "leaky_relu"}, ("diverged",)),
    Case("digits", "classic", {"weight_decay": 100.0}, ("diverged",)),
    Case("mnist", "classic", {"learning_rate": 100.0, "activation": "linear", "epochs": 3}, ("diverged",)),
    Case("digits noisy", "classic", {"hidden": (128,), "epochs": 200, "dev": 400}, ("overfitted",)),
    Case("mnist 1300", "classic", {"hidden": (256,), "epochs": 200, "dev": 1000}, ("overfitted",)),
    Case("mnist 1000 shuffled", "classic", {"hidden": (512,), "epochs": 200, "dev": 200}, ("overfitted",)),
    Case("mnist floats", "classic", {"epochs": 3}, ("unscaled",)),
    Case("mnist bits", "classic", {"epochs": 2}, ("unscaled",)),
    Case("digits floats", "quick", {}, ("unscaled",)),
    Case("breast_cancer raw", "classic", {}, ("unscaled",)),
    Case("wine raw", "classic", {"activation": "tanh"}, ("unscaled",)),
    Case("mnist", "classic", {"learning_rate": 3e-4, "epochs": 5}, ("still-falling",)),
    Case("digits", "classic", {"learning_rate": 2e-3, "epochs": 20}, ("still-falling",)),
    Case("mnist", "quick", {"learning_rate": 1e-4}, ("still-falling",)),
    Case("digits", "notebook", {"epochs": 60, "report_every": 10}, ("still-falling",)),
]

SHORT_RECORD = {"epochs": 20}
HEALTHY = [
    *(Case("mnist", "classic", {}, seed=seed) for seed in range(8)),
    *(Case("mnist", "quick", {}, seed=seed) for seed in range(8)),
    *(Case("mnist", "notebook", {}, seed=seed) for seed in range(2)),
    *(Case("mnist", "accurate", {"epochs": 4, "dev": 5000}, seed=seed) for seed in range(2)),
    *(Case("mnist", "record", {"epochs": 2}, seed=seed) for seed in range(1)),
    *(Case("mnist", "committee", {"epochs": 2, "members": 2}, seed=seed) for seed in range(1)),
    *(Case("digits", "classic", {}, seed=seed) for seed in range(10)),
    *(Case("digits", "notebook", {}, seed=seed) for seed in range(6)),
    *(Case("digits", "quick", {}, seed=seed) for seed in range(8)),
    *(Case("digits", "accurate", {"epochs": 40}, seed=seed) for seed in range(3)),
    *(Case("digits", "record", SHORT_RECORD, seed=seed) for seed in range(1)),
    *(Case("digits", "committee", {"epochs": 40, "members": 2}, seed=seed) for seed in range(2)),
    *(Case("breast_cancer", "classic", {}, seed=seed) for seed in range(3)),
    *(Case("wine", "classic", {}, seed=seed) for seed in range(3)),
    *(Case("corners", "classic", {}, seed=seed) for seed in range(2)),
]
"""All recipes, some of them with fewer epochs."""
OTHERS = [
    Case("digits", "classic", {"activation": "tanh"}),
    Case("digits", "classic", {"activation": "sigmoid", "learning_rate": 0.5}),
    Case("digits", "classic", {"activation": "gelu", "optimizer": "adam", "learning_rate": 1e-3}),
    Case("digits", "classic", {"activation": "elu", "optimizer": "momentum", "learning_rate": 0.01}),
    Case("digits", "classic", {"hidden": ()}),
    Case("digits", "classic", {"hidden": (64, 32), "dropout": 0.2}),
    Case("digits", "classic", {"early_stopping": 5}),
    Case("digits", "classic", {"optimizer": "lbfgs"}),
    Case("digits", "quick", {"ema": 0.99}),
    Case("digits", "quick", {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01}),
    Case("digits", "quick", {"optimizer": "lion", "learning_rate": 3e-4}),
    Case("mnist", "classic", {"hidden": (128,), "activation": "tanh", "epochs": 5}),
    Case("mnist", "quick", {"activation": "sigmoid"}),
    Case("mnist", "quick", {"label_smoothing": 0.0, "dev": 5000}),
    Case("mnist inverted", "classic", {"learning_rate": 0.01}),
    Case("mnist inverted", "quick", {"learning_rate": 0.01}),
    Case("mnist", "classic", {"epochs": 3}, weights="balanced"),
    Case("mnist", "classic", {"epochs": 2}),
    Case("mnist", "quick", {"epochs": 1}),
    Case("iris", "classic", {"dev": 0}),
]
"""Healthy runs with other options."""


@functools.cache
def table_of_kernels():
    return kernels.load("numba", parts=("train", "clip", "augment"))


def lines(case, settings=None):
    """What is said at the end of a training, in a list of Advice; and the accuracy on the test images."""
    settings = case.settings if settings is None else settings
    job = session.prepare(dataset(case.data), case.recipe, settings, seed=case.seed, class_weights=case.weights)
    try:
        if job.members > 1:
            from fnnet.training.committee import train

            found = train(job, kernels=table_of_kernels())
            return [each.advice for each in found.members if each.advice], found.model.training["test_accuracy"]
        model, history = session.train(job, kernels=table_of_kernels())
    except DivergedError:
        found = advise_diverged(job, ())
        return [found] if found else [], 0.0
    began = time.perf_counter()
    found = advise(job, model, history)
    seconds.append(time.perf_counter() - began)
    return [found] if found else [], model.training["test_accuracy"]


seconds = []
"""That finding the line took, of each training of one network."""


def is_there(case):
    return MNIST or not case.data.startswith("mnist")


def healed(case, advice):
    """The accuracy with what is advised, by itself or with what is advised then; None where no option is."""
    settings, accuracy = dict(case.settings), None
    for _ in range(3):
        if not advice or not advice.option or advice.option == "pixel_max":
            break
        settings[advice.option] = advice.value
        try:
            found, accuracy = lines(case, settings)
        except FnnetError as error:
            return f"{settings}: {error}"
        advice = found[0] if found else None
    return accuracy


def main(most=sys.maxsize):
    wrong, kinds = [], (PROVOKED, HEALTHY, OTHERS)
    provoked, healthy, others = ([each for each in cases if is_there(each)][:most] for cases in kinds)
    for case in provoked:
        found, accuracy = lines(case)
        codes = {each.code for each in found}
        right = bool(codes) and codes <= set(case.codes)
        wrong += [] if right else [case]
        after = healed(case, found[0] if found else None)
        print(f"{'named' if right else 'WRONG'} {'/'.join(case.codes)}: {case}: {accuracy:.3f} -> {after}", flush=True)
        for each in found:
            print(f"    {each.note}", flush=True)
    alarms = []
    for case in [*healthy, *others]:
        found, accuracy = lines(case)
        alarms += [case] if found else []
        print(
            f"{'FALSE ALARM' if found else 'quiet'}: {case}: {accuracy:.4f}", *[each.note for each in found], flush=True
        )
    print(f"failures: {len(provoked) - len(wrong)} of {len(provoked)} provoked named rightly")
    print(f"failures: {len(alarms)} false alarms in {len(healthy)} healthy runs and {len(others)} with other options")
    most, middle = 1e3 * max(seconds), 1e3 * float(np.median(seconds))
    print(f"failures: to find the line took {most:.0f} ms at most, {middle:.1f} in the median")
    return bool(wrong or alarms)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else sys.maxsize))
