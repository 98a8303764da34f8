"""MNIST: found on this machine or downloaded, and in either case verified by its SHA-256.

Light, as a command reads it while NumPy is imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fnnet.data import web
from fnnet.data.opened import AGAIN
from fnnet.data.payload import GZIP, looks_like_idx, read_payload
from fnnet.errors import DataError, FnnetError, StorageError, counted
from fnnet.files.disk import check_writable, list_folder, looks_like_html, make_folder, read_head, refuse, write_file

if TYPE_CHECKING:
    from fnnet.core.params import Array
    from fnnet.data.reader import Content

SHA256: Final = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""File -> SHA-256 of its decompressed bytes."""

MIRRORS: Final = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
REACH_SECONDS: Final = 4.0
"""Seconds to wait for any mirror before giving up on the network."""
DOWNLOAD_SECONDS: Final = 600.0
"""Seconds that all downloads together may take."""
MAX_DOWNLOAD: Final = 16 * 2**20
MAX_PAYLOAD: Final = 2**26
NO_HOME: Final = "~/.cache/fnnet/mnist"
"""Named in messages to a user without a home folder; never written."""
LEFT_SECONDS: Final = 3600.0
"""Age in seconds after which a temporary file has no writer."""

Payloads = dict[str, memoryview]
Found = tuple[memoryview | DataError, str]
Notify = Callable[[str], None]


class UnreachableError(FnnetError):
    """No mirror can be reached, or the network is forbidden."""


def find(data_dir: str | None, notify: Notify) -> tuple[Payloads, str] | None:
    """Return MNIST's four files from the first place that has them all, and that place's name; None if none has.

    A place that the user named (`data_dir`, the variable FNNET_DATA) raises DataError if a file there has MNIST's name
    but not MNIST's content; a damaged cache of another program is only reported.
    """
    for folder, named in _places(data_dir):
        if not folder.is_dir():
            if named:
                notify(f"no folder {folder}; looking for MNIST elsewhere")
            continue
        try:
            payloads = _collected(folder, named)
        except FnnetError as error:
            if named:
                raise
            notify(f"skipped {error}")
            continue
        if len(payloads) == len(SHA256):
            return payloads, str(folder)
        if named:
            notify(f"{folder} has {len(payloads)} of MNIST's {len(SHA256)} files; looking elsewhere")
    return None


class _Collecting(threading.Thread):
    """A thread that collects MNIST from a folder."""

    def __init__(self, folder: Path, strict: bool) -> None:
        super().__init__(daemon=True)
        self.folder, self.strict = folder, strict
        self.payloads: Payloads = {}
        self.error: Exception | None = None

    def run(self) -> None:
        """Collect the files, or note the error."""
        try:
            self.payloads = _collect(self.folder, self.strict)
        except Exception as error:
            self.error = error


_begun: list[_Collecting] = []
"""The thread that `begin` has started, until `find` takes what it has read."""


def begin() -> None:
    """Begin in a thread what `find` is to do first, which takes what was read, or the error, where it comes to it."""
    for folder, named in _places(None):
        if folder.is_dir():
            thread = _Collecting(folder, named)
            with contextlib.suppress(RuntimeError):  # no more threads: `find` reads all
                thread.start()
                _begun[:] = [thread]
            return


def _collected(folder: Path, strict: bool) -> Payloads:
    """Return what `_collect` returns, from the thread that has begun with it, if there is one."""
    if not (_begun and (_begun[0].folder, _begun[0].strict) == (folder, strict)):
        return _collect(folder, strict)
    thread = _begun.pop()
    thread.join()
    if thread.error:
        raise thread.error
    return thread.payloads


def _places(data_dir: str | None) -> Iterator[tuple[Path, bool]]:
    """Yield the folders in which MNIST may lie, and whether the user named them."""
    for named in (data_dir, os.environ.get("FNNET_DATA")):
        if named:
            yield Path(named), True
            yield Path(named) / "MNIST" / "raw", False
    home = Path(os.path.expanduser("~"))
    yield cache_folder(), False
    yield from ((root / "MNIST" / "raw", False) for root in (Path("data"), Path("."), home / "data", home / ".data"))
    yield Path(os.environ.get("KERAS_HOME", home / ".keras")) / "datasets", False
    yield Path(os.environ.get("TFDS_DATA_DIR", home / "tensorflow_datasets")) / "downloads", False
    yield Path(os.environ.get("TFDS_DATA_DIR", home / "tensorflow_datasets")) / "downloads" / "extracted", False


def cache_folder() -> Path:
    """Return the folder of our own downloads."""
    from platformdirs import user_cache_dir

    try:
        return Path(user_cache_dir("fnnet")) / "mnist"
    except RuntimeError:
        return Path(NO_HOME)


def _collect(folder: Path, strict: bool) -> Payloads:
    """Return the MNIST files in `folder`, whatever their names; from Keras's archive if there is one."""
    archive = folder / "mnist.npz"
    if archive.is_file():
        return _from_keras(archive)
    known = {digest: name for name, digest in SHA256.items()}
    payloads: Payloads = {}
    # A name that starts with a dot is a file that another download is writing.
    candidates = [path for path in list_folder(folder) if path.name[0] != "." and _may_be_mnist(path)]
    for path, (payload, digest) in zip(candidates, _read_all(candidates), strict=True):
        name = _plain_name(path)
        if isinstance(payload, DataError):
            if strict:
                raise payload
        elif digest in known:
            payloads[known[digest]] = payload
        elif strict and name in SHA256:
            expected, fix = f"sha256 {SHA256[name]}", f"fetch it again, or use the folder as it is with --data {folder}"
            refuse("not MNIST's content", path, "decompressed bytes", expected, digest, fix)
    return payloads


def _plain_name(path: Path) -> str:
    """Return the name in the form of MNIST's own files."""
    return path.name.replace(".idx", "-idx").removesuffix(".gz")


def _may_be_mnist(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size > 2**26:
        return False
    return any(name in _plain_name(path) for name in SHA256) or looks_like_idx(read_head(path, 4))


def _read_all(paths: Sequence[Path]) -> list[Found]:
    """Return what `_read` returns for each file, read by this thread and another.

    Unpacking and hashing release the GIL: the test images are done beside those of training.
    Raises   as `_read` does for the first file that it fails for.
    """
    found: dict[Path, Found | Exception] = {}
    left = list(reversed(paths))  # the training images first, which take the longest
    each = iter(left)

    def work() -> None:
        for path in each:
            try:
                found[path] = _read(path)
            except Exception as error:
                found[path] = error

    other = threading.Thread(target=work, daemon=True)
    try:
        with contextlib.suppress(RuntimeError):  # no more threads: this one reads all
            other.start()
        work()
        if other.ident:
            other.join()
    finally:
        left.clear()  # a signal came
    read: list[Found] = []
    for path in paths:
        one = found[path]
        if isinstance(one, Exception):
            raise one
        read.append(one)
    return read


def _read(path: Path) -> Found:
    """Return a file's IDX bytes, if they are MNIST's, and their SHA-256; or what is wrong with the file."""
    try:
        payload = read_payload(path)
    except DataError as error:
        return error, ""
    digest = hashlib.sha256(payload).hexdigest()
    # Other files are not kept: those of EMNIST may have half a gigabyte each.
    return payload if digest in SHA256.values() else payload[:0], digest


def complete(folder: Path) -> bool:
    """Return True if `folder` holds all of MNIST, undamaged."""
    return folder.is_dir() and len(_collect(folder, strict=False)) == len(SHA256)


def _from_keras(archive: Path) -> Payloads:
    """Return the files of MNIST rebuilt from Keras's mnist.npz, and verified like them."""
    import numpy as np

    from fnnet.data.npz import read_npz

    keys = ("x_train", "y_train", "x_test", "y_test")
    arrays = read_npz(archive, keys)
    payloads = {}
    for name, key in zip(SHA256, keys, strict=True):
        array = arrays[key].astype(np.uint8, copy=False)
        header = bytes((0, 0, 8, array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        payload = header + array.tobytes()
        digest, expected = hashlib.sha256(payload).hexdigest(), f"sha256 {SHA256[name]}"
        if digest != SHA256[name]:
            refuse("not MNIST's content", archive, key, expected, digest, AGAIN)
        payloads[name] = memoryview(payload)
    return payloads


def reachable(seconds: float = REACH_SECONDS) -> tuple[str, ...]:
    """Return the mirrors, the first that delivers ahead of the others; none if none delivers within `seconds`.

    A name server or a mirror that never replies cannot block this: each is asked in a thread of its own.
    """
    replies: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for mirror in MIRRORS:
        threading.Thread(target=lambda at=mirror: replies.put(_delivers(at, seconds)), daemon=True).start()
    deadline = time.monotonic() + seconds
    for _ in MIRRORS:
        try:
            first = replies.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if first is not None:
            return (first, *(mirror for mirror in MIRRORS if mirror != first))
    return ()


def _delivers(mirror: str, seconds: float) -> str | None:
    """Return `mirror` if it sends gzip for the smallest file, rather than nothing, an error or a login page."""
    try:
        return mirror if web.first_bytes(f"{mirror}{min(SHA256, key=len)}.gz", 2, seconds) == GZIP else None
    except DataError:
        return None


def offline() -> bool:
    """Return True if FNNET_OFFLINE forbids the network."""
    return os.environ.get("FNNET_OFFLINE", "0") not in ("", "0")


def download(folder: Path, notify: Notify, mirrors: tuple[str, ...] | None = None) -> None:
    """Fetch those of the four files that `folder` lacks, each from the first mirror whose content is MNIST's.

    A file is verified before it is written under its name: an interrupted download leaves nothing of the file at which
    it stopped, and the next one continues there. Several processes may download to one folder.
    Raises   UnreachableError if no mirror delivers or FNNET_OFFLINE is set, StorageError for a folder that cannot be
             created or written.
    """
    if offline():
        raise UnreachableError("the network is forbidden", where="FNNET_OFFLINE", fix="unset it to download")
    fix = "choose another with --data-dir"
    if folder == cache_folder() and not folder.is_absolute():
        raise StorageError("no home folder to keep MNIST in", found=str(folder), fix="name another with --data-dir")
    try:
        make_folder(folder)
    except StorageError as error:
        raise error.at(folder, fix=fix) from None
    check_writable(folder / next(iter(SHA256)))
    _remove_leftovers(folder)
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    there = _there(folder)
    for name in SHA256:
        if name not in there:
            _download_one(folder, name, notify, MIRRORS if mirrors is None else mirrors, deadline)


def _there(folder: Path) -> Payloads:
    try:
        return _collect(folder, strict=False)
    except FnnetError:
        return {}


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed downloads."""
    ours = tuple(f".{name}" for name in SHA256)
    for path in list_folder(folder):
        if path.name.startswith(ours) and path.suffix == ".part":
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime > LEFT_SECONDS:
                    path.unlink()


def _download_one(folder: Path, name: str, notify: Notify, mirrors: tuple[str, ...], deadline: float) -> None:
    failures = []
    for number, mirror in enumerate(mirrors):
        url = f"{mirror}{name}.gz"
        notify(f"downloading {url}")
        # A slow mirror leaves the others their share of the time.
        seconds = (deadline - time.monotonic()) / (len(mirrors) - number)
        try:
            content = web.fetch(url, seconds, MAX_DOWNLOAD)
            _verify(content, name)
        except DataError as error:
            failures.append(f"{mirror}: {error}")
            continue
        # A server that takes the compression for one of the transfer sends the file without it.
        write_file(folder / (f"{name}.gz" if content.startswith(GZIP) else name), content)
        return
    fix = f"try later, put the four files into {folder}, or use --data digits"
    raise UnreachableError(
        f"{name} could not be downloaded",
        found="; ".join(failures),
        fix=fix,
    )


def _verify(content: bytes, name: str) -> None:
    """Raise DataError unless `content` is MNIST's file `name`, raw or as one whole gzip member."""
    payload, fix = content, "fetch it again"
    if content.startswith(GZIP):
        inflater = zlib.decompressobj(wbits=31)
        try:
            payload = inflater.decompress(content, MAX_PAYLOAD)
        except zlib.error as error:
            raise DataError(f"damaged gzip ({error})", fix=fix) from None
        if inflater.unused_data or (not inflater.eof and len(payload) < MAX_PAYLOAD):
            found = f"{counted(len(content), 'byte')}, {len(inflater.unused_data):,} of them after its end"
            raise DataError("gzip truncated or followed by more data", expected="one member", found=found, fix=fix)
    digest = hashlib.sha256(payload).hexdigest()
    if digest != SHA256[name]:
        problem = "an HTML page, not data" if looks_like_html(content) else "not MNIST's content"
        raise DataError(problem, expected=f"sha256 {SHA256[name]}", found=digest)


def known(labels: Array) -> str | None:
    """Return the name of MNIST's file that has these labels, if any has."""
    content = b"\0\0\x08\1" + len(labels).to_bytes(4, "big") + labels.astype("u1").tobytes()
    digest = hashlib.sha256(content).hexdigest()
    return next((name for name, each in SHA256.items() if each == digest), None)


def content(payloads: Payloads) -> Content:
    """Return training and test set from the four files."""
    from fnnet.data.idx import pair, parse_idx

    arrays = [(Path(name), parse_idx(payloads[name], name)) for name in SHA256]
    return pair(*arrays[0], *arrays[1])._replace(test=pair(*arrays[2], *arrays[3]))
