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
    from fnnet.data.in_arrays import from_arrays as from_arrays
    from fnnet.data.parquet_stream import open_parquet as open_parquet
    from fnnet.data.preprocess import AUTOMATIC as AUTOMATIC
    from fnnet.data.preprocess import Reading as Reading
    from fnnet.data.sets import load as load
    from fnnet.data.stream import StreamedDataset as StreamedDataset
    from fnnet.data.stream_folder import open_stream as open_stream

_HOMES = {
    "AUTOMATIC": "preprocess",
    "DIGITS": "dataset",
    "Dataset": "dataset",
    "PLAIN": "dataset",
    "Reading": "preprocess",
    "StreamedDataset": "stream",
    "from_arrays": "in_arrays",
    "from_frame": "from_path",
    "load": "sets",
    "open_parquet": "parquet_stream",
    "open_stream": "stream_folder",
    "read_images": "from_path",
    "split": "dataset",
    "with_classes": "dataset",
}
"""Public name -> the module of this package that defines it."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES)
