"""Images held out to test on where a data set has no test set: by class, the same for every seed, never trained on."""

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples
from fnnet.data import Dataset
from fnnet.data.holdout import hold_out, hold_out_again, note_of
from fnnet.data.stream import fingerprint_of


def made(counts, order=0):
    """A data set with these numbers of images of each class, each image its own number, in a drawn order."""
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = labels[np.random.default_rng(order).permutation(len(labels))]
    x = np.arange(len(labels), dtype=np.uint32)[:, None].view(np.uint8)
    return Dataset("made", "here", Examples(x, labels), None, tuple(map(str, range(len(counts)))), (2, 2))


def held(counts):
    found = hold_out(made(counts))
    return np.bincount(found.test.labels, minlength=len(counts)).tolist() if found.test else None


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ([100, 50, 10], [10, 5, 1]),
        ([14, 15, 24, 25, 26], [1, 2, 2, 3, 3]),
        ([5, 6, 9], [1, 1, 1]),
        ([1, 100], [0, 10]),
        ([0, 30], [0, 3]),
        ([3, 3], None),
        ([4] * 2, None),
        ([1] * 50, None),
        ([2, 1], None),
    ],
)
def test_a_tenth_of_each_class_is_held_out(counts, wanted):
    assert held(counts) == wanted


def test_of_many_small_classes_some_give_an_image_each():
    found = held([3] * 100)
    assert sum(found) == 30
    assert {*found} == {0, 1}
    assert sum(held([2] * 20 + [100])) == 14


@pytest.mark.parametrize("counts", [[2] * 30, [1, 2, 3, 4, 5, 6], [1] * 9 + [91], [7] * 10])
def test_no_image_is_in_both_parts_and_each_class_keeps_one(counts):
    whole = made(counts)
    found = hold_out(whole)
    parts = [part.x.copy().view(np.uint32).ravel() for part in (found.train, found.test)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(sum(counts)))
    assert all(np.all(np.diff(part.astype(np.int64)) > 0) for part in parts)
    for part, numbers in zip((found.train, found.test), parts, strict=True):
        np.testing.assert_array_equal(part.labels, whole.train.labels[numbers])
        assert not part.x.flags.writeable
    left = np.bincount(found.train.labels, minlength=len(counts))
    assert ((left > 0) == (np.array(counts) > 0)).all()
    assert found.origin.held_out == len(found.test.labels)


def test_the_share_is_drawn_once_and_for_all():
    """It must never change: a model that is trained further would be tested on what it has seen."""
    whole = made([20, 20, 20])
    whole = whole._replace(train=whole.train._replace(labels=np.arange(60) % 3))
    for _ in range(2):
        assert hold_out(whole).test.x.copy().view(np.uint32).ravel().tolist() == GOLDEN


GOLDEN = [0, 24, 31, 41, 46, 53]


def test_labels_in_another_order_change_nothing():
    """As those of a model whose classes are in another order than the data's."""
    whole = made([20, 3, 3, 3, 30, 3, 3])
    other = whole._replace(train=whole.train._replace(labels=6 - whole.train.labels))
    assert hold_out(other).test.x.tobytes() == hold_out(whole).test.x.tobytes()


def test_a_data_set_with_a_test_set_stays_as_it_is():
    digits = data.load("digits")
    assert hold_out(digits) is digits


def test_the_note_gives_the_numbers():
    found = hold_out(made([20, 20, 20]))
    note = note_of(found)
    text = "here: no test set: 6 of 60 images, a share of each class, held out to test on"
    assert (note.code, note) == ("held-out", f"{text}; --test-data names others, or none to train on all")
    note = note_of(hold_out(made([2, 2])))
    text = "here: no test set, and too few images of each class to hold some out"
    assert (note.code, note) == ("no-test-set", text)


def test_the_share_is_known_again_by_its_digest():
    dataset = made([100, 50, 10])
    share = hold_out(dataset).test
    about = {"held_out": True, "sha256": fingerprint_of(share)}
    assert fingerprint_of(hold_out_again(dataset, about).test) == about["sha256"]
    unlike = [about | {"sha256": "x"}, about | {"held_out": False}, {"held_out": True}, {}]
    assert all(hold_out_again(dataset, each) is dataset for each in unlike)
    for other in (made([100, 50, 11]), made([3, 3]), dataset._replace(test=share), None):
        assert hold_out_again(other, about) is other
