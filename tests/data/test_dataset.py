"""What a data set is shown as."""

import numpy as np

from fnnet.core.state import Examples
from fnnet.data import Dataset


def test_a_data_set_is_shown_on_one_line():
    examples = Examples(np.zeros((1200, 6), np.uint8), np.zeros(1200, int))
    shown = "Dataset(toy, 1,200 train, 0 test images of 2x3, 2 classes)"
    assert repr(Dataset("toy", "here", examples, None, ("a", "b"), (2, 3))) == shown
    shown = "Dataset(toy, 1,200 train, 1,200 test images of 2x3, 2 classes)"
    assert repr(Dataset("toy", "here", examples, examples, ("a", "b"), (2, 3))) == shown
