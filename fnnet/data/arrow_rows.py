"""Some rows of a Parquet file after others, for streams: files stay open, and are read on from where rows ended.

All this happens in a child: see `child`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from fnnet.errors import DataError

ROWS: Final = 2048
"""Rows that are unpacked at a time."""
FILES: Final = 8
"""Files that stay open."""
BUFFERS: Final = 2**22
"""Bytes of the columns of a file that are read ahead: not whole row groups, which may be larger than memory."""
LEAST: Final = 2**14

_open: dict[tuple[int, ...], Rows] = {}


class Rows:
    """An open Parquet file.

    starts   the first row of each row group, counted from 0.
    """

    def __init__(self, descriptor: int) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        self._file = os.fdopen(os.dup(descriptor), "rb")
        metadata = ParquetFile(pa.PythonFile(self._file, mode="r")).metadata
        given: dict[str, Any] = {"pre_buffer": False, "page_checksum_verification": True}
        given |= {"buffer_size": max(LEAST, BUFFERS // max(1, metadata.num_columns)), "metadata": metadata}
        self.parquet = ParquetFile(pa.PythonFile(self._file, mode="r"), **given)
        sizes = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        self.starts = [0, *itertools.accumulate(sizes)]
        self._place: tuple[Any, ...] = ()
        self._at, self._left = 0, None
        self._batches: Iterator[Any] = iter(())

    def between(self, names: Sequence[str], group: int, spans: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Return the columns `names` of rows of a row group, in pieces.

        spans   (first, behind the last) of rows that follow one another.

        Raises   DataError if there are fewer.
        """
        if self._place != (group, names) or self._at > spans[0][0]:
            self._place, self._at, self._left = (group, names), 0, None
            given: dict[str, Any] = {"row_groups": [group], "columns": [*names], "use_threads": False}
            self._batches = self.parquet.iter_batches(ROWS, **given)
        if len(spans) == 1:
            return self._between(*spans[0])
        import pyarrow as pa

        # Single rows at once: a batch of pictures is unpacked in little more time than one.
        batches = [_copied(batch) for span in spans for batch in self._between(*span)]
        return iter(pa.Table.from_batches(batches).combine_chunks().to_batches(ROWS))

    def _between(self, first: int, stop: int) -> Iterator[Any]:
        while first < stop:
            batch = next(self._batches, None) if self._left is None else self._left
            if batch is None:
                raise DataError("row group cut short", expected=f"{stop:,} rows", found=f"{self._at:,}")
            skipped = min(first - self._at, batch.num_rows)
            found = batch.slice(skipped, stop - first)
            used = skipped + found.num_rows
            self._left = batch.slice(used) if used < batch.num_rows else None
            self._at, first = self._at + used, first + found.num_rows
            if found.num_rows:
                yield found

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _copied(batch: Any) -> Any:
    """Return rows in memory of their own: a slice keeps the memory of all rows that were unpacked with it."""
    import pyarrow as pa

    rows = pa.array(range(batch.num_rows))
    try:
        return batch.take(rows)
    except pa.ArrowNotImplementedError:  # of views, as Polars writes them
        columns = [pa.array(column.to_pylist(), column.type) for column in batch.columns]
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


@contextmanager
def opened(descriptor: int) -> Iterator[Rows]:
    """Yield an open file by the descriptor of one that is open; it stays open, unless the block raises."""
    status = os.fstat(descriptor)
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    rows = _open.pop(stamp, None) or Rows(descriptor)
    try:
        yield rows
    except BaseException:
        rows.close()
        raise
    _open[stamp] = rows  # last: the first is closed
    while len(_open) > FILES:
        _open.pop(next(iter(_open))).close()
