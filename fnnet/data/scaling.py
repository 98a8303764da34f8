"""The columns of tables standardised, as the training part shows: mean 0, standard deviation 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.core.state import Preprocessing, Scaling
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.files.disk import refuse

FAR: Final = float(np.finfo(np.float32).max)
RAW: Final = 3.0
"""Rows whose root mean square is larger are hardly standardised: those of training have 1."""


def scaling_of(x: Array, names: tuple[str, ...], target: str = "") -> Scaling:
    """Return the mean and the standard deviation of each column of a training part, float64 (n, columns).

    The rows are added one after another, in float64: no bit depends on threads. A column that is constant has scale 0.

    >>> scaling_of(np.array([[1.0, 7.0], [3.0, 7.0]]), ("a", "b"))
    Scaling(names=('a', 'b'), means=(2.0, 7.0), scales=(1.0, 0.0), target='')
    """
    x = np.ascontiguousarray(x, np.float64)
    constant = x.min(axis=0) == x.max(axis=0)
    means = x.mean(axis=0)
    means += (x - means).mean(axis=0)  # what the first sum lost by rounding
    means[constant] = x[0, constant]
    apart = x - means
    most = np.abs(apart).max(axis=0)
    most[most == 0] = 1.0
    apart /= most  # squares of very small and very large numbers are then numbers
    scales = most * np.sqrt((apart * apart).mean(axis=0))
    return Scaling(names, tuple(means.tolist()), tuple(scales.tolist()), target)


def standardised(x: Array, scaling: Scaling, where: AnyPath) -> Array:
    """Return rows of a table as a network takes them, read-only float32 (n, columns).

    x      as the file has them, float64 (n, columns), in the order of the scaling.
    where  names the file in messages.
    Raises   DataError for a value so far from those of training that float32 cannot hold it.
    """
    means, scales = np.array(scaling.means), np.array(scaling.scales)
    constant = scales == 0
    with np.errstate(over="ignore"):  # which is refused
        found = (x - means) / np.where(constant, 1, scales)
    found[:, constant] = 0  # nothing was learnt of what it is beside others
    far = ~(np.abs(found) <= FAR)
    if far.any():
        row, column = map(int, np.argwhere(far)[0])
        name = scaling.names[column][:40]
        place = f"row {row + 1}, column {repr(name) if name else column + 1}"
        expected = f"values near {scaling.means[column]:g}, as in training"
        refuse("too far from the training data", where, place, expected, f"{x[row, column]:g}", "correct the cell")
    return freeze(found.astype(np.float32))


def raw_notes(x: Any, preprocessing: Preprocessing) -> Iterator[Note]:
    """Yield a note for an array, given to a model of a table, that looks as if its columns were not standardised yet.

    >>> known = Preprocessing(scaling=Scaling(("a",), (50.0,), (2.0,)))
    >>> [note.code for x in (np.array([[49.0], [52.0]]), np.array([[-0.5], [1.0]])) for note in raw_notes(x, known)]
    ['not-standardised']
    """
    if preprocessing.scaling is None or not isinstance(x, np.ndarray) or x.dtype.kind not in "biuf" or not x.size:
        return
    if x.dtype.kind != "f" or float(np.sqrt(np.square(x, dtype=np.float64).mean())) > RAW:
        text = (
            "the array looks as if its columns were not standardised, as the model takes them: give a file or a frame,"
        )
        yield Note("not-standardised", f"{text} a frame, or what data.read_images returns for one")
