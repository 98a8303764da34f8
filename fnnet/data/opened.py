"""Files of data, opened for reading. Light, as a command reads MNIST while NumPy is imported."""

from __future__ import annotations

import os
from io import BufferedReader, BytesIO, FileIO
from typing import Final

from fnnet.errors import FnnetError
from fnnet.files.disk import open_regular, unreadable

AnyPath = str | os.PathLike[str]
AGAIN: Final = "fetch the file again"
NO_ROWS: Final = "name a file that has rows, or write some into it"


class Packed(os.PathLike[str]):
    """A file within another: its content, and a name for messages, which stands in place of a path."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def __fspath__(self) -> str:
        return self.name


class Opened:
    """Context manager: the regular file at `path` for reading; a disk that fails inside the block raises StorageError.

    A class rather than a generator, which costs a class folder 2% of its time.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = path

    def __enter__(self) -> BufferedReader:
        # open() would check for a terminal
        raw = BytesIO(self.path.content) if isinstance(self.path, Packed) else FileIO(open_regular(self.path))
        self.file = BufferedReader(raw)
        return self.file  # type: ignore[return-value]

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.file.close()
        if isinstance(error, OSError) and not isinstance(error, FnnetError):
            raise unreadable(self.path, error) from None
