"""Labels that networks doubt which were trained on other images."""

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core.params import freeze
from fnnet.data.corrections import corrected
from fnnet.errors import DivergedError, UsageError
from fnnet.training.suspects import doubted, find_suspects, rows_of_table

SETTINGS = {"hidden": (32,), "epochs": 8, "learning_rate": 0.1, "dev": 0}


def spoilt(share=0.05):
    """The digits with some wrong labels, and which they are."""
    digits, draw = data.load("digits"), np.random.default_rng(0)
    labels = digits.train.labels.copy()
    wrong = draw.choice(len(labels), round(share * len(labels)), replace=False)
    labels[wrong] = (labels[wrong] + draw.integers(1, 10, len(wrong))) % 10
    return digits._replace(train=digits.train._replace(labels=freeze(labels))), wrong, digits.train.labels


@pytest.fixture(scope="module")
def found():
    dataset, wrong, right = spoilt()
    kernels = fnnet.load_kernels("numba")
    return dataset, wrong, right, find_suspects(dataset, "classic", SETTINGS, folds=4, kernels=kernels)


def test_most_wrong_labels_are_found_and_few_others(found):
    dataset, wrong, right, suspects = found
    hit = np.isin(suspects.rows, wrong)
    assert hit.sum() > 0.7 * len(wrong)
    assert hit.mean() > 0.8
    assert hit[: len(wrong) // 2].all()
    assert (suspects.suggested[hit] == right[suspects.rows[hit]]).mean() > 0.9
    assert suspects.probs.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert suspects.accuracy == (suspects.probs.argmax(axis=1) == dataset.train.labels).mean()
    assert not suspects.rows.flags.writeable


def test_each_image_is_judged_by_the_network_that_has_not_seen_it(found):
    dataset, _, _, suspects = found
    labels = dataset.train.labels.copy()
    at = int(suspects.rows[0])
    labels[at] = suspects.suggested[0]
    other = find_suspects(
        dataset._replace(train=dataset.train._replace(labels=freeze(labels))), "classic", SETTINGS, folds=4,
        kernels=fnnet.load_kernels("numba"),
    )  # fmt: skip
    assert at not in other.rows


def test_the_table_is_one_that_corrects(found, tmp_path):
    dataset, _, right, suspects = found
    for correction, kept in (("suggested", len(dataset.train.labels)), ("leave-out", None), ("", None)):
        path = tmp_path / "s.csv"
        path.write_text("\n".join(map(",".join, rows_of_table(suspects, dataset, correction))))
        labels = corrected(dataset, path).train.labels
        if kept:
            assert (labels != right).sum() < (dataset.train.labels != right).sum() / 2
        else:
            assert len(labels) == len(dataset.train.labels) - (len(suspects.rows) if correction else 0)


def test_what_is_doubted():
    probs = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0]])
    rows, suggested = doubted(probs, np.array([0, 0, 1, 1]))
    # 0.7 is less than 0.75, the mean of the images of class 0.
    assert rows.tolist() == suggested.tolist() == []
    rows, suggested = doubted(np.vstack([probs, [0.95, 0.05, 0.0]]), np.array([0, 0, 1, 1, 1]))
    assert (rows.tolist(), suggested.tolist()) == ([4], [0])


def test_what_cannot_be_judged():
    digits = data.load("digits")
    with pytest.raises(UsageError, match="folds"):
        find_suspects(digits, "classic", SETTINGS, folds=1)
    with pytest.raises(UsageError, match="reads all images at once"):
        find_suspects(None, "classic", SETTINGS)
    with pytest.raises(DivergedError):
        find_suspects(digits, "classic", {**SETTINGS, "learning_rate": 1e30}, folds=2)
