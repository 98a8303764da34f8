"""IDX, raw and compressed: read rightly or refused with the place and the remedy."""

import gzip
import itertools
import mmap
import subprocess
import sys

import numpy as np
import pytest

from fnnet import data
from fnnet.data import payload
from fnnet.data.idx import read_idx
from fnnet.errors import DataError
from tests.conftest import idx_bytes
from tests.tools.samples import missing_parts, write


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2), (2, 2, 2, 2)])
@pytest.mark.parametrize("name", ["a.gz", "a-ubyte"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_f05_idx_raw_or_gzip_by_content_not_by_name(shape, name, pack, tmp_path):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    found = read_idx(write(tmp_path / name, pack(idx_bytes(array))))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.uint8
    assert not found.flags.writeable


def test_f01_truncated_gzip_says_where(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 28, 28))
    content = gzip.compress(idx_bytes(noise))
    with pytest.raises(
        DataError, match=r"gzip truncated; expected 15,696 bytes decompressed and a checksum, found"
    ) as error:
        read_idx(write(tmp_path / "a.gz", content[:9000]))
    assert "compressed byte 9000" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx_bytes(np.zeros(9)))[:-4] + b"\1\2\3\4", "damaged gzip"),
        (gzip.compress(idx_bytes(np.zeros(9))) + b"more", "after the end"),
        (gzip.compress(idx_bytes(np.zeros(9))) * 2, "more data than declared"),
        (gzip.compress(idx_bytes(np.zeros(9))) + b"\x1f", "after the end"),
        (gzip.compress(idx_bytes(np.zeros(9)) + b"more"), "more data than declared"),
        (idx_bytes(np.zeros(9)) + b"more", "does not match"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\0\0\x0a\1" + b"\0\0\0\1" + b"\0" * 4, "IDX type"),
        (b"\0\0\x08\0", "IDX rank"),
        (b"\0\0\x08\5" + b"\0" * 20, "IDX rank"),
        (b"\0\0\x08\3" + b"\xff" * 12, "too large"),
        (b"\0\0\x08\3" + b"\x80\0\0\0\x80\0\0\0\0\0\0\4", "too large.*18,446,744,073,709,551,616"),
        (b"\0\0\x08\1" + b"\0\0\0\0", "empty dataset"),
        (gzip.compress(b"\0\0\x08\1" + b"\0\1\0\0"), "compressed file too small"),
        (b"", "empty"),
        (b"\0", "not an IDX"),
    ],
    ids=range(16),
)
def test_f02_f03_f04_f06_f07_f08_f09_f11_idx_that_is_refused(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_idx(write(tmp_path / "a", content))


def test_f10_a_gzip_bomb_stops_at_the_declared_size(tmp_path):
    content = gzip.compress(idx_bytes(np.zeros(100)) + bytes(50_000_000))
    with pytest.raises(DataError, match="more data than declared; expected 108 bytes"):
        read_idx(write(tmp_path / "a.gz", content))


def test_idx_folder(idx_folder, small_images):
    dataset = data.load(str(idx_folder))
    np.testing.assert_array_equal(dataset.train.x, small_images[0][:50].reshape(50, 784))
    np.testing.assert_array_equal(dataset.test.labels, small_images[1][50:])
    assert dataset.image_shape == (28, 28)
    assert dataset.classes == tuple("0123456789")


def test_idx_folder_compressed_and_renamed(idx_folder):
    for path in list(idx_folder.iterdir()):
        write(idx_folder / path.name.replace("-idx", ".idx"), gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(data.load(str(idx_folder)).train.labels) == 50


def test_one_idx_file_finds_its_labels(idx_folder):
    dataset = data.load(str(idx_folder / "train-images-idx3-ubyte"))
    assert len(dataset.train.labels) == 50
    assert dataset.test is None
    (idx_folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"no labels; expected train-labels-idx1-ubyte or"):
        data.load(str(idx_folder / "train-images-idx3-ubyte"))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(49), "counts differ; expected 49 images.*found 50"),
        (
            "train-labels-idx1-ubyte",
            np.full(50, 12),
            "train-labels-idx1-ubyte: image 1: label out of range; expected 0 to 9, found 12",
        ),
        ("t10k-images-idx3-ubyte", np.zeros((10, 27, 28)), "image sizes differ"),
        ("train-images-idx3-ubyte", np.zeros((50, 784)), "ranks 2 and 1"),
    ],
)
def test_f12_f13_f14_idx_folders_that_do_not_fit(name, array, message, idx_folder):
    write(idx_folder / name, idx_bytes(array))
    with pytest.raises(DataError, match=message):
        data.load(str(idx_folder))


def test_incomplete_and_crowded_folders(idx_folder):
    again = idx_folder / "train-images-idx3-ubyte.gz"
    write(again, gzip.compress((idx_folder / "train-images-idx3-ubyte").read_bytes()))
    assert len(data.load(str(idx_folder)).train.labels) == 50  # raw and compressed side by side, as torchvision leaves
    write(again, idx_bytes(np.ones((50, 28, 28))))
    with pytest.raises(DataError, match="more files than expected"):
        data.load(str(idx_folder))
    write(again, b"<html>")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: byte 0: an HTML page"):
        data.load(str(idx_folder))
    again.unlink()
    (idx_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="test set incomplete"):
        data.load(str(idx_folder))


def test_more_classes_when_asked(idx_folder):
    write(idx_folder / "train-labels-idx1-ubyte", idx_bytes(np.full(50, 12)))
    assert len(data.load(str(idx_folder), classes=list(map(str, range(26)))).classes) == 26


def idx_of(array):
    """IDX of any type."""
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, code, array.ndim)) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "f4", "f8"])
def test_numbers_of_every_type(dtype, tmp_path, small_images):
    x, labels = small_images[0][:20] // 2, small_images[1][:20]
    write(tmp_path / "a-images-idx3-x", idx_of(x.astype(dtype)))
    write(tmp_path / "a-labels-idx1-x", idx_of(labels.astype(dtype)))
    found = data.load(tmp_path / "a-images-idx3-x")
    np.testing.assert_array_equal(found.train.x.reshape(x.shape), x)
    np.testing.assert_array_equal(found.train.labels, labels)
    write(tmp_path / "a-images-idx3-x", idx_of(np.full((20, 3, 3), -1, dtype)))
    with pytest.raises(DataError, match=r"the images\[0, 0, 0\]: value out of range; expected 0 to 255, found -1"):
        data.load(tmp_path / "a-images-idx3-x")


@pytest.mark.parametrize("packed", [False, True])
def test_qmnist_s_labels_are_the_first_of_eight_columns(packed, tmp_path, small_images):
    x, labels = small_images[0][:20], small_images[1][:20]
    rows = np.column_stack([labels, *(np.arange(20) + 1000 * column for column in range(7))]).astype("i4")
    suffix, pack = (".gz", gzip.compress) if packed else ("", bytes)
    for part in ("train", "test"):
        write(tmp_path / f"qmnist-{part}-images-idx3-ubyte{suffix}", pack(idx_bytes(x)))
        write(tmp_path / f"qmnist-{part}-labels-idx2-int{suffix}", pack(idx_of(rows)))
    for path in (tmp_path, tmp_path / f"qmnist-train-images-idx3-ubyte{suffix}"):
        found = data.load(path)
        np.testing.assert_array_equal(found.train.labels, labels)
        assert {note.code for note in found.notes} == {"qmnist"} | ({"not-used"} if path != tmp_path else set())
    with pytest.raises(DataError, match="these are labels"):
        data.load(tmp_path / f"qmnist-train-labels-idx2-int{suffix}")


@pytest.mark.parametrize("cuts", [[5], [20, 21, 22], [1, 100, 5000, 15000], []])
def test_gzip_of_several_members(cuts, tmp_path, small_images):
    content = idx_bytes(small_images[0])
    ends = [0, *cuts, len(content)]
    members = [gzip.compress(content[a:b]) for a, b in itertools.pairwise(ends)]
    for packed in (members, [gzip.compress(b""), *members, gzip.compress(b"")]):
        found = read_idx(write(tmp_path / "a.gz", b"".join(packed)))
        np.testing.assert_array_equal(found, small_images[0])
    for damaged in (members[:-1], [*members, b"\0"], [*members, b"\x1f\x8b"], [*members, gzip.compress(b"1")]):
        with pytest.raises(DataError):
            read_idx(write(tmp_path / "a.gz", b"".join(damaged)))


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("dtype", ["u1", ">i4", ">f4"])
def test_colours_are_read_as_those_of_npz(folder, channels, last, dtype, tmp_path):
    """Of rank 4, colours behind height and width or before; a note where they carry the class."""
    generator = np.random.default_rng(channels)
    x, y = np.zeros((40, 12, 9, channels), np.uint8), np.arange(40) % 2
    x[..., :3] = generator.integers(0, 256, (40, 12, 9, min(channels, 3)))
    if channels > 1:  # red and green of one luma
        x[y == 0, ..., :3], x[y == 1, ..., :3] = (200, 0, 0), (0, 102, 0)
    x[:, :2] = 0
    x[..., 3:] = 255
    stored = x if last else np.moveaxis(x, 3, 1)
    np.savez(tmp_path / "a.npz", x=stored, y=y)
    sizes = b"".join(size.to_bytes(4, "big") for size in stored.shape)
    kind = {"u1": 8, ">i4": 12, ">f4": 13}[dtype]
    images = write(tmp_path / "a-images-idx4-ubyte", bytes((0, 0, kind, 4)) + sizes + stored.astype(dtype).tobytes())
    write(tmp_path / "a-labels-idx1-ubyte", idx_bytes(y))
    expected = data.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").unlink()
    found = data.load(tmp_path if folder else images)
    assert np.array_equal(found.train.x, expected.train.x)
    assert np.array_equal(found.train.labels, y)
    assert found.image_shape == (12, 9)
    codes = [note.code for note in found.notes]
    assert codes == [note.code for note in expected.notes]
    assert ("colour" in codes) == (channels > 1)
    assert np.array_equal(data.read_images(images, (12, 9), found.preprocessing, notify=str), found.train.x)


@pytest.mark.skipif(not hasattr(mmap, "MAP_ANONYMOUS"), reason="no memory of the system that is private")
@pytest.mark.parametrize("granted", ["of the system", "none known"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_memory_of_every_kind_is_filled_alike(granted, pack, tmp_path, monkeypatch):
    array, asked = np.arange(4000, dtype=np.uint8).reshape(10, 20, 20), []
    monkeypatch.setattr(payload, "LARGE", 4016)
    if granted == "none known":
        monkeypatch.delattr(mmap, "MAP_ANONYMOUS")
        monkeypatch.setattr(payload.mmap, "mmap", lambda *given, **options: asked.append(given))
    found = read_idx(write(tmp_path / "a", pack(idx_bytes(array))))
    np.testing.assert_array_equal(found, array)
    assert (found.flags.writeable, asked) == (False, [])


@pytest.mark.skipif(not hasattr(mmap, "MAP_ANONYMOUS"), reason="no memory of the system that is private")
def test_too_little_memory_is_no_fault_of_the_file(tmp_path, monkeypatch):
    def refuse(*given, **options):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(payload, "LARGE", 100)
    monkeypatch.setattr(payload.mmap, "mmap", refuse)
    with pytest.raises(MemoryError, match="124 bytes: Cannot allocate memory"):
        read_idx(write(tmp_path / "a", idx_bytes(np.zeros(116))))


def test_reading_idx_imports_no_other_reader(idx_folder):
    """The import of all of them takes longer than reading MNIST."""
    code = "import sys; from fnnet.data import load; load('digits'); load(sys.argv[1]); print(*sys.modules)"
    for path in (idx_folder, next(idx_folder.glob("train-images*"))):
        run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        for name in ("formats", "kaggle_csv", "folders", "frames", "arrays"):
            assert f"fnnet.data.{name}" not in run.stdout.split()
        assert "subprocess" not in run.stdout.split()


@pytest.mark.parametrize("columns", [1, 8, 10])
def test_labels_of_two_axes_are_named_with_their_shape(columns, idx_folder):
    write(idx_folder / "train-labels-idx1-ubyte", idx_bytes(np.zeros((12, columns), np.uint8)))
    for path in (idx_folder, idx_folder / "train-images-idx3-ubyte"):
        message = rf"train-labels-idx1-ubyte: byte 3: not labels; .* found rank 2, shape \(12, {columns}\); store the"
        with pytest.raises(DataError, match=message) as raised:
            data.load(path)
        assert missing_parts(raised.value) == []


def swapped(header):
    """The numbers of a header with their lowest byte first."""
    return np.frombuffer(header, ">u4").astype("<u4").tobytes()


def test_a_header_in_another_byte_order_is_named(tmp_path):
    content = idx_bytes(np.zeros((20, 28, 28), np.uint8))
    sizes = content[:4] + swapped(content[4:16]) + content[16:]
    message = (
        r"byte 4: IDX header in another byte order; expected sizes with their highest byte first, found shape "
        r"\(335544320, .*\), which is \(20, 28, 28\) with the lowest byte first; write the header big-endian"
    )
    for packed in (sizes, gzip.compress(sizes)):
        with pytest.raises(DataError, match=message):
            read_idx(write(tmp_path / "a", packed))
    whole = write(tmp_path / "train-images-idx3-ubyte", swapped(content[:16]) + content[16:])
    for read in (read_idx, data.load):
        with pytest.raises(
            DataError, match="found IDX with its header in another byte order; write the header big-end"
        ):
            read(whole)
