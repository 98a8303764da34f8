"""Data sets by name or path, verified as a whole, images kept as bytes."""

from typing import TYPE_CHECKING

from fnnet.lazy import importers

if TYPE_CHECKING:
    from fnnet.data.dataset import DIGITS as DIGITS
    from fnnet.data.dataset import PLAIN as PLAIN
    from fnnet.data.dataset import Dataset as Dataset
    from fnnet.data.dataset import split as split
    from fnnet.data.dataset import with_classes as with_classes
    from fnnet.data.from_path import from_frame as from_frame
    from fnnet.data.from_path import read_images as read_images
    from fnnet.data.preprocess import AUTOMATIC as AUTOMATIC
    from fnnet.data.preprocess import Reading as Reading
    from fnnet.data.sets import load as load

_HOMES = {
    "AUTOMATIC": "preprocess",
    "DIGITS": "dataset",
    "Dataset": "dataset",
    "PLAIN": "dataset",
    "Reading": "preprocess",
    "from_frame": "from_path",
    "load": "sets",
    "read_images": "from_path",
    "split": "dataset",
    "with_classes": "dataset",
}
"""Public name -> the module of this package that defines it."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES)
