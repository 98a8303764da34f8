"""The index of a folder of a stream: what its files hold, the SHA-256 of each, and the CRC-32 of its pieces.

FOLDER/index.json                 this index
FOLDER/train-00001.npy            images, uint8 (n, inputs), as `numpy.load(file, mmap_mode="r")` maps them
FOLDER/train-00001-labels.npy     their labels, whole numbers (n,)
FOLDER/test.npy, dev.npy          images for the test and for validation, if there are any, and their labels likewise
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

from fnnet.core.checks import check_classes
from fnnet.core.state import Preprocessing, described, unfit
from fnnet.errors import DataError, FnnetError, counted
from fnnet.files import strictjson
from fnnet.files.disk import read_bytes, read_head, refuse
from fnnet.limits import MAX_CLASSES

INDEX: Final = "index.json"
FORMAT: Final = "fnnet stream"
VERSION: Final = 2
HEAD: Final = re.compile(rb'\s*\{\s*"format"\s*:\s*"fnnet stream"')
PARTS: Final = ("train", "dev", "test")
MAX_INDEX: Final = 2**28
MOST_PIXELS: Final = 2**31 - 1
NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""Names of files: none leads out of the folder."""
SHA256: Final = re.compile("[0-9a-f]{64}")
CRC32: Final = re.compile("(?:[0-9a-f]{8})+")
PIECE: Final = 2**19
"""Bytes of a piece of a file, which stay in the cache between reading and summing."""
AGAIN: Final = "make the folder again: fnnet data expand"


class File(NamedTuple):
    """A file in the folder.

    sha256   of its bytes.
    crc32    of each `PIECE` bytes of it, one behind another, as zlib computes it: 8 hexadecimal digits each.
    """

    name: str
    sha256: str
    crc32: str


class Shard(NamedTuple):
    """A file of images and that of their labels.

    counts   images of each class.
    """

    images: File
    labels: File
    counts: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many images there are."""
        return sum(self.counts)


class Index(NamedTuple):
    """What an index says.

    parts    name of the part -> its shards: of "dev" and "test" one, if there is any.
    origin   what the images were made of, as JSON values, for readers.
    Other fields are as those of `Dataset`.
    """

    image_shape: tuple[int, int]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    numbered: bool
    parts: Mapping[str, tuple[Shard, ...]]
    origin: Mapping[str, Any] = MappingProxyType({})


def is_stream(path: Path) -> bool:
    """Return True if there is the index of a stream in the folder at `path`."""
    index = path / INDEX
    return index.is_file() and HEAD.match(read_head(index)) is not None


def is_streamed(path: Path, *, window: bool, large: bool = False) -> bool:
    """Return True for the folder of a stream, and for Parquet that is to be read piece by piece: with a window of
    images, or, if `large`, where it is large.
    """
    if path.is_dir() and is_stream(path):
        return True
    if not path.exists() or not (window or large):
        return False
    from fnnet.data.parquet_folder import is_large, is_parquet

    return is_large(path) if large else is_parquet(path)


def check_no_stream(path: Path) -> None:
    """Raise DataError for the folder of a stream, which is not loaded as a whole."""
    if not is_stream(path):
        return
    shards = read_index(path).parts["train"]
    found = f"a stream: {sum(shard.size for shard in shards):,} images in {counted(len(shards), 'file')}"
    fix = "'fnnet train --data' trains on it, 'fnnet data info' shows what it has; in Python, data.open_stream opens it"
    refuse("not read as a whole", path, INDEX, "a data set that is read into memory", found, fix)


def index_as_json(index: Index) -> bytes:
    """Return the text of an index. Its last key is the SHA-256 of the others, as `digest_of` takes it."""
    found: dict[str, Any] = {"format": FORMAT, "version": VERSION, **index._asdict()}
    found["preprocessing"] = described(index.preprocessing)
    found["parts"] = {
        part: [
            {"images": shard.images._asdict(), "labels": shard.labels._asdict(), "counts": shard.counts}
            for shard in shards
        ]
        for part, shards in index.parts.items()
    }
    found = json.loads(strictjson.dumps(found))
    return json.dumps({**found, "sha256": digest_of(found)}, indent=1).encode()


def digest_of(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values, written without blanks, keys in order."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_index(folder: Path) -> Index:
    """Return the index of the stream in a folder.

    Raises   DataError naming the key unless it is whole and each of its values is as it should be.
    """
    path = folder / INDEX
    try:
        values = strictjson.loads(read_bytes(path, MAX_INDEX))
    except DataError as error:
        raise error.at(path, fix=AGAIN) from None
    except (ValueError, RecursionError) as error:
        refuse("damaged index", path, "JSON", "the index of a stream", str(error)[:80], AGAIN)
    return _Reader(path).index(values)


class _Reader:
    """Checks the values of an index."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def index(self, values: Any) -> Index:
        given = self._fields(values, "the index", ("format", "version", "sha256", *Index._fields))
        if given["format"] != FORMAT:
            self._refuse("format", FORMAT, given["format"])
        if given["version"] != VERSION:
            fix = "read it with the version of fnnet that made it, or make it again"
            refuse("unknown version", self._path, "version", VERSION, repr(given["version"])[:40], fix)
        found = digest_of({key: value for key, value in values.items() if key != "sha256"})
        if given["sha256"] != found:
            self._refuse("sha256", f"{found[:12]}..., as of the other keys", given["sha256"])
        classes = self._classes(given["classes"])
        parts = self._parts(given["parts"], len(classes))
        if type(given["numbered"]) is not bool:
            self._refuse("numbered", "true or false", given["numbered"])
        if not isinstance(given["origin"], Mapping):
            self._refuse("origin", "an object", given["origin"])
        shape, preprocessing = self._shape(given["image_shape"]), self._preprocessing(given["preprocessing"])
        return Index(shape, classes, preprocessing, given["numbered"], parts, given["origin"])

    def _refuse(self, place: str, expected: object, found: object) -> NoReturn:
        refuse("damaged index", self._path, place, expected, repr(found)[:80], AGAIN)

    def _fields(self, value: Any, place: str, names: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, dict) or {*value} != {*names}:
            found = ", ".join(map(str, value)) if isinstance(value, dict) else value
            self._refuse(place, f"the keys {', '.join(names)}", found)
        return value

    def _whole(self, value: Any, place: str, most: int, least: int = 1) -> int:
        if type(value) is not int or not least <= value <= most:
            self._refuse(place, f"a whole number from {least} to {most}", value)
        return value

    def _list(self, value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            self._refuse(place, "a list", value)
        return value

    def _shape(self, value: Any) -> tuple[int, int]:
        sides = [self._whole(each, "image_shape", MOST_PIXELS) for each in self._list(value, "image_shape")]
        if len(sides) != 2:
            self._refuse("image_shape", "height and width", value)
        return sides[0], sides[1]

    def _classes(self, value: Any) -> tuple[str, ...]:
        try:
            found = check_classes(self._list(value, "classes"))
        except FnnetError as error:
            refuse("damaged index", self._path, "classes", error.expected, error.found, AGAIN)
        self._whole(len(found), "classes", MAX_CLASSES)
        return found

    def _preprocessing(self, value: Any) -> Preprocessing:
        images = tuple(name for name in Preprocessing._fields if name != "scaling")
        found = Preprocessing(**self._fields(value, "preprocessing", images))
        if wrong := unfit(found):
            self._refuse("preprocessing", *wrong)
        return found

    def _parts(self, value: Any, classes: int) -> Mapping[str, tuple[Shard, ...]]:
        if not isinstance(value, dict) or not {"train"} <= {*value} <= {*PARTS}:
            self._refuse("parts", "train, and dev or test", [*value] if isinstance(value, dict) else value)
        names: set[str] = set()
        parts = {}
        for part, shards in value.items():
            given = self._list(shards, f"parts.{part}")
            if not given or (part != "train" and len(given) > 1):
                self._refuse(f"parts.{part}", "shards" if part == "train" else "one shard", f"{len(given)} shards")
            parts[part] = tuple(
                self._shard(each, f"parts.{part}[{at}]", classes, names) for at, each in enumerate(given)
            )
        return parts

    def _shard(self, value: Any, place: str, classes: int, names: set[str]) -> Shard:
        given = self._fields(value, place, Shard._fields)
        images, labels = (self._file(given[key], f"{place}.{key}", names) for key in ("images", "labels"))
        place = f"{place}.counts"
        counts = tuple(self._whole(each, place, 2**62, 0) for each in self._list(given["counts"], place))
        if len(counts) != classes or not 0 < sum(counts) < 2**62:
            self._refuse(
                place, f"the images of each of {classes} classes", f"{len(counts)} numbers, {sum(counts)} images"
            )
        return Shard(images, labels, counts)

    def _file(self, value: Any, place: str, names: set[str]) -> File:
        given = self._fields(value, place, File._fields)
        name, sha256, crc32 = (given[key] for key in File._fields)
        if not (isinstance(name, str) and NAME.fullmatch(name)) or name in names or name == INDEX:
            self._refuse(f"{place}.name", "the name of a file in the folder, each once", name)
        if not (isinstance(sha256, str) and SHA256.fullmatch(sha256)):
            self._refuse(f"{place}.sha256", "64 hexadecimal digits", sha256)
        if not (isinstance(crc32, str) and CRC32.fullmatch(crc32)):
            self._refuse(f"{place}.crc32", "8 hexadecimal digits for each piece", crc32)
        names.add(name)
        return File(name, sha256, crc32)
