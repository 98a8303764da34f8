"""Folds of cross-validation."""

import numpy as np
import pytest

from fnnet.core.state import Examples
from fnnet.errors import UsageError
from fnnet.training.folds import cut, fold_numbers

LABELS = np.array([0] * 50 + [1] * 23 + [2] * 4 + [3])


@pytest.mark.parametrize("folds", [2, 3, 10, 78])
def test_folds_are_equal_in_all_and_in_each_class(folds):
    numbers = fold_numbers(LABELS, folds, seed=5)
    for some in (numbers, *(numbers[label == LABELS] for label in range(4))):
        counts = np.bincount(some, minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_the_seed_draws_them():
    assert (fold_numbers(LABELS, 3, 1) == fold_numbers(LABELS, 3, 1)).all()
    assert (fold_numbers(LABELS, 3, 1) != fold_numbers(LABELS, 3, 2)).any()


def test_each_image_is_held_out_once():
    examples = Examples(np.arange(len(LABELS))[:, None], LABELS)
    parts = [*cut(examples, 4, seed=3)]
    assert sorted(np.concatenate([held.x[:, 0] for _, held in parts])) == [*range(len(LABELS))]
    for train, held in parts:
        assert sorted([*train.x[:, 0], *held.x[:, 0]]) == [*range(len(LABELS))]
        assert (train.labels == LABELS[train.x[:, 0]]).all()
        assert not held.x.flags.writeable


@pytest.mark.parametrize("folds", [1, 79, 2.5])
def test_other_numbers_are_refused(folds):
    with pytest.raises(UsageError, match="folds"):
        fold_numbers(LABELS, folds)
