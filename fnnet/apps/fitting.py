"""Training in one call: from data of any kind to a model and its history."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar

from fnnet.apps.given import dataset_of, examples_for
from fnnet.core.state import EpochReport, Examples, Model
from fnnet.core.table import NUMPY, Kernels
from fnnet.data import Dataset, StreamedDataset
from fnnet.errors import ArgumentTypeError
from fnnet.training import session
from fnnet.training.recipes import Recipe
from fnnet.training.session import Notify, OnBlock, OnReport, StoppedError

D = TypeVar("D", bound="Dataset | StreamedDataset")


class Fitted(NamedTuple):
    """What `fit` returns: a model, and the reports on its training, those of members of a committee one after another.

    It unpacks as (model, history).
    """

    model: Model
    history: tuple[EpochReport, ...]


def fit(
    data: Any,
    recipe: str | Recipe = "classic",
    *,
    dev_data: Any = None,
    test_data: Any = None,
    class_weights: Any = None,
    seed: int = 0,
    init_seed: int | None = None,
    start: Model | None = None,
    kernels: Kernels = NUMPY,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    on_report: OnReport = lambda report: None,
    on_block: OnBlock = lambda progress: None,
    notify: Notify = lambda notice: None,
    **settings: Any,
) -> Fitted:
    """Train a network on `data` by a recipe, with `settings` in place of the recipe's, and test it.

    Where there is no test set, a tenth of the images of each class is held out and not trained on, the same for every
    seed and by the same rule as `fnnet train` (`fnnet.data.holdout`), which a note says; with `test_data="none"` there
    is no test, and all are trained on. Without paths, and without `run_dir`, it is pure: the same arguments give the
    same bits.

    data           a name ("mnist", "digits"), the path of a file or folder, a `Dataset`, a frame of pandas or Polars
                   with a column of labels, or a pair (x, labels) as `data.from_arrays` takes them: what a network takes
                   as it is, uint8 divided by 255. `data.load` takes options for files that do not show all. The columns
                   of a table in a file or a frame are standardised (see `data.Dataset`), those of arrays are not.
    recipe         one of the named ways to train, or a `Recipe`.
    dev_data       images for validation, in place of some held out (`dev=500`): a path, a pair (x, labels) or Examples.
    test_data      images to test on, in the same forms, in place of the test set or of the share; "none" for no test.
    class_weights  "balanced", or the weight of each class: a mapping from names or labels as in arrays, a sequence,
                   or text as in "7=2,1=0.5".
    seed           of all that is drawn; `init_seed` of the initial weights alone.
    start          a model to train further.
    kernels        `fnnet.load_kernels("numba")` trains in compiled code, in a small part of the time.
    run_dir        a folder for checkpoints, a log and the model; with `resume` the run in it goes on.
    on_report      called with each EpochReport as soon as it is made; `on_block` about ten times a second, with the
                   Progress. A text that one of them returns ends the training: the model is what it had reached then.
    notify         called with each note about the data and the training, such as `print`.
    settings       fields of a plan or a recipe: hidden=(128, 64), epochs=5, optimizer="adam", learning_rate=0.001...
    Returns  Fitted(model, history). `model.training` has the plan and the figures of the test.
    Raises   UsageError at the name of the argument that does not fit; DataError, StorageError, DivergedError.

    >>> import fnnet
    >>> model, history = fnnet.fit("digits", hidden=(16,), epochs=3, learning_rate=0.1)
    >>> [report.epoch for report in history], model.training["test_accuracy"] > 0.7
    ([1, 2, 3], True)

    Arrays; and a callback that ends the training:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((200, 4))
    >>> labels = np.where(x[:, 0] * x[:, 1] > 0, "same", "other")
    >>> def good_enough(report):
    ...     return "good enough" if report.train_accuracy > 0.95 else None
    >>> model, history = fnnet.fit((x, labels), dev=0, epochs=500, optimizer="adam", on_report=good_enough)
    >>> len(history) < 500, fnnet.predict(model, [[3.0, -2.0, 0.0, 0.0]]).tolist()
    (True, ['other'])
    """
    if start is not None and not isinstance(start, Model):
        raise ArgumentTypeError("start", expected="a Model", found=type(start).__name__)
    dataset = dataset_of(data, notify, start, settings.get("window"))
    given: dict[str, Any] = {"class_weights": class_weights, "seed": seed, "init_seed": init_seed, "start": start}
    dev_set = None if dev_data is None else dev_set_of(dev_data, dataset, notify)
    dataset = with_tests_of(dataset, test_data, notify)
    job = session.prepare(dataset, recipe, settings, dev_set=dev_set, **given)
    try:
        found = session.train(
            job, kernels=kernels, run_dir=run_dir, resume=resume, on_block=on_block, on_report=on_report, notify=notify
        )
    except StoppedError as error:
        if error.training is None:  # of a committee, whose other members there are not
            raise
        return Fitted(session.tested(job, error.training, kernels), error.training.history)
    return Fitted(*found)


def dev_set_of(given: Any, dataset: Dataset | StreamedDataset, notify: Notify) -> Examples:
    """Return images for validation: those in a file or folder, or arrays."""
    if isinstance(given, (str, os.PathLike)):
        from fnnet.data.frames import naming_arguments
        from fnnet.training.dev_set import load_dev_set

        with naming_arguments():
            return load_dev_set(given, dataset, notify)
    return _arrays(given, dataset, "dev_data")


def with_tests_of(dataset: D, given: Any, notify: Notify) -> D:
    """Return a data set with images to test on: as `dev_set.with_test_set`, with pairs (x, labels), too."""
    from fnnet.data.frames import naming_arguments, with_arguments
    from fnnet.data.notes import Note
    from fnnet.training.dev_set import with_test_set

    def tell(note: str) -> None:
        notify(with_arguments(note) if isinstance(note, Note) else note)

    if given is not None and not isinstance(given, (str, os.PathLike)):
        given = _arrays(given, dataset, "test_data")
    with naming_arguments():
        return with_test_set(dataset, given, tell)


def _arrays(given: Any, dataset: Dataset | StreamedDataset, where: str) -> Examples:
    if isinstance(given, tuple) and len(given) == 2:
        return examples_for(given, dataset, where)
    expected, found = "a path, a pair (x, labels) or Examples", type(given).__name__
    raise ArgumentTypeError("not labelled images", where=where, expected=expected, found=found)
