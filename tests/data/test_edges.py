"""Edges of ranges, limits and pieces of files: each test fails with one small change that no other test noticed."""

import contextlib
import gzip
import threading
import types
import zipfile
import zlib

import numpy as np
import pytest

from fnnet import data
from fnnet.data import bounds, csv_lines, digits, idx, kaggle_csv, mnist, npz, payload, png, web
from fnnet.data import npy as npy_reader
from fnnet.data.paper import dark_on_light
from fnnet.errors import DataError
from fnnet.files.disk import show_bytes
from tests.conftest import idx_bytes
from tests.tools.samples import npy, png_bytes, raw_npz, write

MIB = 2**20


@pytest.mark.parametrize(
    ("limit", "documented"),
    [
        (bounds.FREE, 64 * MIB),
        (bounds.RATIO, 100),
        (payload.MAX_PAYLOAD, 2048 * MIB),
        (mnist.MAX_DOWNLOAD, 16 * MIB),
        (mnist.MAX_PAYLOAD, 64 * MIB),
        (web.MAX_REDIRECTS, 5),
        (npz.MAX_MEMBER, 2048 * MIB),
        (npz.MAX_MEMBERS, 1000),
        (npz.MAX_DIRECTORY, MIB),
        (png.MAX_PIXELS, 16 * MIB),
        (png.MAX_SIDE, 32_768),
        (png.MAX_CHUNKS, 32_768),
        (png.MAX_ASIDE, 16 * MIB),
        (csv_lines.MAX_LINE, 65_536),
    ],
)
def test_limits_stay(limit, documented):
    """A file that one version reads is read by the next, and what is refused is refused by it."""
    assert limit == documented


@pytest.mark.parametrize("size", [2**26, 2**26 + 1])
def test_the_largest_file_that_may_be_of_mnist(size, tmp_path):
    path = write(tmp_path / "train-images-idx3-ubyte", b"\0\0\x08\3")
    with path.open("r+b") as file:
        file.truncate(size)  # a hole, which takes no space
    assert mnist._may_be_mnist(path) == (size == 2**26)


@pytest.mark.parametrize("dimensions", [8, 9])
def test_npz_of_many_dimensions(dimensions, tmp_path):
    array = np.arange(4, dtype=np.uint8).reshape(*[1] * (dimensions - 2), 2, 2)
    path = raw_npz(tmp_path / "a.npz", **{"x.npy": npy(array)})
    if dimensions == 8:
        np.testing.assert_array_equal(npz.read_npz(path, ("x",))["x"], array)
        return
    with pytest.raises(DataError, match="the header of a plain array"):
        npz.read_npz(path, ("x",))


@pytest.mark.parametrize("length", [npy_reader.MAX_HEADER, npy_reader.MAX_HEADER + 1])
def test_npz_with_the_longest_header(length, tmp_path):
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }".ljust(length - 1) + b"\n"
    content = b"\x93NUMPY\2\0" + length.to_bytes(4, "little") + text + b"\1\2"
    path = raw_npz(tmp_path / "a.npz", **{"x.npy": content})
    if length == npy_reader.MAX_HEADER:
        assert npz.read_npz(path, ("x",))["x"].tolist() == [1, 2]
        return
    with pytest.raises(DataError, match=r"a header of at most 10,000 bytes, found .*, 10,001 bytes"):
        npz.read_npz(path, ("x",))


def test_npz_without_members_or_with_other_bytes(tmp_path):
    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    with pytest.raises(DataError, match="no array x; expected x, found no arrays"):
        npz.read_npz(tmp_path / "none.npz", ("x",))
    last = bytes(range(65, 65 + npz.END))
    with pytest.raises(DataError, match="byte 1000: damaged NPZ, truncated or followed by more data") as caught:
        npz.read_npz(write(tmp_path / "other.npz", b"PK\3\4".ljust(1000) + last), ("x",))
    assert caught.value.place == "byte 1000"
    assert caught.value.found == f"{show_bytes(last)}, 1,022 bytes in all"


def test_npz_directory_that_ends_elsewhere(tmp_path):
    path = raw_npz(tmp_path / "a.npz", **{"x.npy": npy(np.zeros(3, np.uint8))})
    content = bytearray((tmp_path / "a.npz").read_bytes())
    end = len(content) - npz.END
    content[end + 16] += 1
    with pytest.raises(DataError) as caught:
        npz.read_npz(write(tmp_path / "b.npz", bytes(content)), ("x",))
    assert caught.value.place == f"byte {end}"
    assert caught.value.expected == f"a directory up to byte {end}"
    assert npz.read_npz(path, ("x",))["x"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "dtype", "order", "each"),
    [("x", "u1", "C", 1), ("x", "u1", "F", 2), ("x", "<i4", "C", 5), ("x", "<i4", "F", 8), ("y", "u1", "C", 9)],
)
def test_the_memory_that_an_npz_needs(name, dtype, order, each, tmp_path, monkeypatch):
    """As stored and, if that differs, as converted: bytes, or integers of 64 bits for labels."""
    array = np.zeros((40, 1000), dtype, order=order)
    np.savez_compressed(tmp_path / "a.npz", **{name: array})
    monkeypatch.setattr(bounds, "FREE", each * array.size)
    np.testing.assert_array_equal(npz.read_npz(tmp_path / "a.npz", (name,))[name], array)
    monkeypatch.setattr(bounds, "FREE", each * array.size - 1)
    with pytest.raises(DataError, match="expands to far more") as caught:
        npz.read_npz(tmp_path / "a.npz", (name,))
    assert caught.value.found == f"{each * array.size:,} bytes"


def test_16_bits_of_grey_with_alpha_are_rounded_to_the_nearest(tmp_path):
    """These lie next to the middle of two bytes, at both sides of it."""
    whole = 65535**2
    value, alpha = (each.ravel() for each in np.meshgrid(np.arange(1, 65536, 11), np.arange(65000, 65536, 7)))
    left = value * alpha * 255 % whole
    close = abs(2 * left - whole) < 131_000
    near = list(zip(value[close].tolist(), alpha[close].tolist(), strict=True))
    assert len({*(left[close] * 2 > whole).tolist()}) == 2
    packed = b"".join(b"\0" + row.tobytes() for row in np.array(near, ">u2"))
    path = write(tmp_path / "a.png", png_bytes(1, len(near), 4, 16, zlib.compress(packed)))
    wanted = [(2 * value * alpha * 255 + whole) // (2 * whole) for value, alpha in near]
    assert png.read_png(path)[:, 0].tolist() == wanted


def test_photos_are_judged_by_all_four_edges_at_the_limits():
    """One edge is light, in turn: with the others below the limit the median of all is."""
    for light in (63, 64):
        x = np.full((1, 16), light, np.uint8)
        assert dark_on_light(x, (4, 4)).tolist() == [light == 64]
    frame = np.array([[9, 1, 2, 3], [8, 0, 0, 4], [7, 0, 0, 5], [6, 5, 4, 3]], np.uint8) * 25
    edge = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
    for image in (frame, frame.T, frame[::-1], frame[:, ::-1], frame.T[::-1, ::-1]):
        for middle in (0, 255):
            picture = np.ascontiguousarray(image)
            picture[1:3, 1:3] = middle
            wanted = np.median(edge) >= max(64, picture.mean())
            assert dark_on_light(picture.reshape(1, -1), (4, 4)).tolist() == [wanted]


def test_as_many_test_images_as_training_images_are_not_swapped(tmp_path):
    for name, n in (("train", 3), ("t10k", 3)):
        write(tmp_path / f"{name}-images-idx3-ubyte", idx_bytes(np.full((n, 2, 2), 200)))
        write(tmp_path / f"{name}-labels-idx1-ubyte", idx_bytes(np.zeros(n)))
    notes = []
    data.load(str(tmp_path), notify=notes.append)
    assert [note for note in notes if note.code == "swapped"] == []
    write(tmp_path / "t10k-images-idx3-ubyte", idx_bytes(np.full((4, 2, 2), 200)))
    write(tmp_path / "t10k-labels-idx1-ubyte", idx_bytes(np.zeros(4)))
    data.load(str(tmp_path), notify=notes.append)
    (note,) = [note for note in notes if note.code == "swapped"]
    assert "the test set has 4 images, the training set 3" in note


@pytest.mark.parametrize(("shape", "each"), [((40_000,), 9), ((400, 10, 10), 1), ((40, 10, 10, 10), 1)])
def test_the_memory_that_an_idx_needs(shape, each, tmp_path, monkeypatch):
    """A byte for each pixel, and for each label a byte and an integer of 64 bits."""
    array = np.zeros(shape, np.uint8)
    path = write(tmp_path / "a.gz", gzip.compress(idx_bytes(array)))
    monkeypatch.setattr(bounds, "FREE", each * array.size)
    np.testing.assert_array_equal(idx.read_idx(path), array)
    monkeypatch.setattr(bounds, "FREE", each * array.size - 1)
    with pytest.raises(DataError, match="expands to far more") as caught:
        idx.read_idx(path)
    assert caught.value.found == f"{each * array.size:,} bytes"


def member(content, packed):
    """An archive of one deflated member, whose directory says that all of `packed` belongs to it."""
    checksum = zlib.crc32(content).to_bytes(4, "little")
    sizes = len(packed).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    about = b"\x14\0\0\0\x08\0\0\0\x21\0" + checksum + sizes + (5).to_bytes(2, "little") + b"\0\0"
    local = b"PK\3\4" + about + b"x.npy" + packed
    directory = b"PK\1\2\x14\0" + about + bytes(14) + b"x.npy"
    end = b"PK\5\6" + bytes(4) + b"\1\0\1\0" + len(directory).to_bytes(4, "little") + len(local).to_bytes(4, "little")
    return local + directory + end + b"\0\0"


def test_npz_that_fills_more_than_what_it_was_unpacked_from(tmp_path, monkeypatch):
    """The directory counts bytes as packed that are not: what was read so far tells."""
    content = npy(np.zeros(2**22, np.uint8))
    deflate = zlib.compressobj(9, wbits=-15)
    packed = deflate.compress(content) + deflate.flush() + b"\1" * 5 * 2**20
    path = write(tmp_path / "a.npz", member(content, packed))
    assert npz.read_npz(path, ("x",))["x"].size == 2**22
    monkeypatch.setattr(bounds, "FREE", 1000)
    monkeypatch.setattr(bounds, "RATIO", 1)
    with pytest.raises(DataError, match="expands to far more") as caught:
        npz.read_npz(path, ("x",))
    assert int(caught.value.found.removesuffix(" bytes").replace(",", "")) < 2**22  # not all of it was unpacked


@pytest.mark.parametrize("interlace", [0, 1, 2, 255])
def test_png_of_another_interlacing(interlace, tmp_path):
    path = write(tmp_path / "a.png", png_bytes(1, 1, 0, 8, zlib.compress(b"\0\7"), interlace=interlace))
    if interlace < 2:
        assert png.read_png(path).tolist() == [[7]]
        return
    with pytest.raises(DataError, match="unsupported PNG"):
        png.read_png(path)


@pytest.mark.parametrize("declared", [None, "9", "10", "11", "many"])
@pytest.mark.parametrize("length", [10, 11])
def test_a_download_of_the_largest_size(length, declared, monkeypatch):
    """What is declared is looked at before anything is fetched."""

    @contextlib.contextmanager
    def opened(url, seconds):
        pieces = iter([b"1234567", b"7" * (length - 7)])
        headers = {} if declared is None else {"Content-Length": declared}
        yield types.SimpleNamespace(headers=headers, iter_content=lambda size: pieces)

    monkeypatch.setattr(web, "_opened", opened)
    if length == 10 and declared != "11":
        assert web._get("http://a", 10, threading.Event()) == b"1234567777"
        return
    with pytest.raises(DataError, match="too large or too slow; expected at most 10 bytes, found") as caught:
        web._get("http://a", 10, threading.Event())
    assert caught.value.found == ("11" if declared == "11" else "more")


def test_a_folder_with_a_damaged_file_of_mnist_is_not_complete(tmp_path):
    for name in mnist.SHA256:
        write(tmp_path / name, idx_bytes(np.zeros(3)))
    assert mnist.complete(tmp_path) is False
    assert mnist.complete(tmp_path / "none") is False


@pytest.mark.parametrize(("blocks", "found"), [(0, 10_000), (1, 512), (19, 9728), (20, 10_000), (None, 10_000)])
def test_holes_count_for_nothing(blocks, found, monkeypatch):
    """Some file systems do not count blocks; the last may be longer than the file."""
    status = types.SimpleNamespace(st_size=10_000, **({} if blocks is None else {"st_blocks": blocks}))
    with monkeypatch.context() as patch:
        patch.setattr(bounds.os, "fstat", lambda descriptor: status)
        counted = bounds.bytes_on_disk(0)
    assert counted == found


def test_threads_that_wait_for_the_network_let_the_program_end(monkeypatch):
    over, daemons = threading.Event(), []

    def wait(*arguments):
        daemons.append(threading.current_thread().daemon)
        over.wait(60)

    monkeypatch.setattr(mnist, "_delivers", wait)
    monkeypatch.setattr(web, "_get", wait)
    try:
        assert mnist.reachable(0.1) == ()
        with pytest.raises(DataError, match="too large or too slow; expected the end within 0 s"):
            web.fetch("http://a", 0.1, 1)
    finally:
        over.set()
    assert daemons == [True] * (len(mnist.MIRRORS) + 1)


def test_each_mirror_has_its_share_of_the_time_that_is_left(tmp_path, monkeypatch):
    given = []

    def fetch(url, seconds, most):
        given.append((seconds, most))
        raise DataError("nothing came")

    monkeypatch.setattr(mnist.time, "monotonic", lambda: 40.0)
    monkeypatch.setattr(web, "fetch", fetch)
    with pytest.raises(mnist.UnreachableError, match="a: nothing came; b: nothing came; c: nothing came"):
        mnist._download_one(tmp_path, next(iter(mnist.SHA256)), lambda notice: None, ("a", "b", "c"), 100.0)
    assert given == [(20.0, mnist.MAX_DOWNLOAD), (30.0, mnist.MAX_DOWNLOAD), (60.0, mnist.MAX_DOWNLOAD)]


@pytest.mark.parametrize(("count", "length"), [(0, 0), (1, 0), (0, 1)])
def test_npz_with_the_largest_directory(count, length, tmp_path, monkeypatch):
    path = raw_npz(tmp_path / "a.npz", **{"x.npy": npy(np.ones(3, np.uint8)), "y.npy": npy(np.ones(3, np.uint8))})
    end = (tmp_path / "a.npz").read_bytes()[-npz.END :]
    size = int.from_bytes(end[12:16], "little")
    monkeypatch.setattr(npz, "MAX_MEMBERS", 2 - count)
    monkeypatch.setattr(npz, "MAX_DIRECTORY", size - length)
    if count == length:
        assert npz.read_npz(path, ("x",))["x"].tolist() == [1, 1, 1]
        return
    with pytest.raises(DataError, match=f"too many members; expected at most .*, found 2 in {size:,} bytes"):
        npz.read_npz(path, ("x",))


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_idx_whose_header_is_cut_short(rank, tmp_path):
    content = idx_bytes(np.ones((1,) * rank))
    assert len(content) == 4 + 4 * rank + 1
    for length in (4, 4 + 4 * rank - 1):
        with pytest.raises(DataError, match=f"byte {length}: IDX header cut short; expected {4 + 4 * rank} bytes"):
            idx.read_idx(write(tmp_path / "a", content[:length]))
    with pytest.raises(DataError, match=f"byte {4 + 4 * rank}: IDX size does not match its header"):
        idx.read_idx(write(tmp_path / "a", content[: 4 + 4 * rank]))
    assert idx.read_idx(write(tmp_path / "a", content)).tolist() == np.ones((1,) * rank).tolist()


def test_once_the_time_is_over_no_mirror_is_waited_for(monkeypatch):
    """The first reply came late, and says that nothing can be reached."""
    waits, clock = [], iter([100.0, 101.0, 105.0, 109.0])

    class Queue(mnist.queue.SimpleQueue):
        def get(self, timeout):
            waits.append(timeout)

    monkeypatch.setattr(mnist, "_delivers", lambda mirror, seconds: None)
    monkeypatch.setattr(mnist, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(mnist, "queue", types.SimpleNamespace(SimpleQueue=Queue, Empty=mnist.queue.Empty))
    assert mnist.reachable(4.0) == ()
    assert waits == [3.0, 0.0, 0.0]


@pytest.mark.parametrize("before", [b"", b"1," * 64 + b"1\n"])
def test_a_line_that_never_ends_is_not_read_to_its_end(before, tmp_path):
    path = write(tmp_path / "a.csv", before + b"1," * 2**20)
    with pytest.raises(DataError, match=f"line {1 + bool(before)}: line too long; expected at most 65,536") as caught:
        kaggle_csv.read_csv(path)
    assert caught.value.found == f"{kaggle_csv.PIECE - len(before):,} or more"


@pytest.mark.parametrize("amount", [0, 1, 2, 900])
def test_where_ink_of_one_line_is_placed(amount):
    for at in range(20):
        mass = np.zeros(20, np.int64)
        mass[at] = amount
        assert digits._offset(mass) == (min(max(round(14.0 - at), 0), 8) if amount else 8)


def test_what_deflate_can_hold_is_not_refused(tmp_path, monkeypatch):
    """A bound of so many bytes for each that is packed, and 1,024 besides."""
    monkeypatch.setattr(payload, "DEFLATE_BOUND", 3)
    packed = {n: gzip.compress(idx_bytes(np.zeros(n)), mtime=0) for n in range(1000, 1300)}
    largest = max(n for n, content in packed.items() if 8 + n <= 3 * len(content) + 1024)
    assert 1000 < largest < 1299
    assert idx.read_idx(write(tmp_path / "a", packed[largest])).shape == (largest,)
    with pytest.raises(DataError, match="compressed file too small; expected at least"):
        idx.read_idx(write(tmp_path / "a", packed[largest + 1]))
