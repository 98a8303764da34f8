"""All readers by one contract: the right value, or one error that names file, place, expected, found and remedy."""

import contextlib
import gzip
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import zlib
from functools import partial

import numpy as np
import pytest

from fnnet import data
from fnnet.data import bounds, folders, formats, idx, kaggle_csv, mnist, payload, png
from fnnet.data import npz as npz_reader
from fnnet.data.reader import Wanted, read_as
from fnnet.errors import DataError, FnnetError, StorageError
from fnnet.files import disk
from tests.campaigns import bombs, damage
from tests.conftest import ROOT, idx_bytes
from tests.tools.archives import directory, end, local, zipped
from tests.tools.damaged import DAMAGED, GZIP, archived, method_9
from tests.tools.samples import SAMPLES, SHAPE, csv_file, missing_parts, npy, png_bytes, raw_npz, write


@pytest.mark.parametrize("name", DAMAGED)
def test_f02_f04_f06_f08_f16_f21_f23_f32_f34_every_error_names_file_place_expected_found_and_remedy(name, tmp_path):
    content, message = DAMAGED[name]
    path = write(tmp_path / "damaged", content)
    messages = []
    for read in (load, lambda at: data.read_images(at, (2, 2)), *EACH):
        with pytest.raises(FnnetError) as raised:
            read(path)
        messages.append(str(raised.value))
        assert missing_parts(raised.value) == [], messages[-1]
        assert messages[-1].startswith(str(path))
    assert any(re.search(message, each) for each in messages), messages


def load(path):
    return data.load(str(path))


def read_npz(path):
    return npz_reader.read_npz(path, ("x",))


EACH = [partial(read_as, (each,), wanted=Wanted(labelled=False)) for each in formats.FORMATS]
"""The readers of the table, each by itself."""
READERS = [*EACH, png.read_png, kaggle_csv.read_csv, idx.read_idx, read_npz]


@contextlib.contextmanager
def deadline(seconds):
    """End a wait that would not end, on systems with alarms."""

    def stop(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop) if hasattr(signal, "SIGALRM") else None
    if before is not None:
        signal.alarm(seconds)
    try:
        yield
    finally:
        if before is not None:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)


def loop(path):
    path.symlink_to(path)


def locked(path):
    if getattr(os, "geteuid", lambda: 0)() == 0:
        pytest.skip("root may read anything")
    write(path, b"label,pixel0\n1,2\n").chmod(0)


def device(path):
    if not os.path.exists("/dev/zero"):
        pytest.skip("no /dev/zero on this system")
    path.symlink_to("/dev/zero")


def fifo(path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this system")
    os.mkfifo(path)


@pytest.mark.parametrize(
    "make", [os.mkdir, fifo, loop, device, locked, lambda path: None, lambda path: write(path, b"")]
)
def test_f27_what_is_not_a_regular_file_is_refused_at_once(make, tmp_path):
    path = tmp_path / "odd"
    make(path)
    with deadline(20):
        for read in (load, lambda at: data.read_images(at, (28, 28)), *READERS):
            with pytest.raises(FnnetError) as raised:
                read(path)
            error = raised.value
            assert error.fix, error
            assert error.found is not None, error
            assert error.expected is not None, error
    if path.is_dir():
        with pytest.raises(StorageError, match=r"cannot be listed.*check the path"):
            disk.list_folder(tmp_path / "none")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", [None, 7, "a\0b"])
def test_f27_what_is_not_a_path(read, name):
    with pytest.raises(StorageError, match="cannot be opened"):
        read(name)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no /proc here")
def test_f27_a_file_whose_reading_fails(monkeypatch, tmp_path):
    """A disk that fails in the middle: memory of this process at address 0 is such a file."""
    for read in (disk.read_head, *READERS[:-1]):  # read_npz seeks to the end first, which this file has not
        with pytest.raises(StorageError, match="cannot be read; expected its content, found Input/output error"):
            read("/proc/self/mem")
    real = disk.open_regular

    def failing(path, disk=None):
        descriptor = real(path)
        os.close(descriptor)
        return os.open("/proc/self/mem", os.O_RDONLY)

    path = write(tmp_path / "a", GZIP)
    monkeypatch.setattr(disk, "open_regular", failing)
    monkeypatch.setattr(disk.os, "fstat", lambda descriptor: os.stat(path))
    with pytest.raises(StorageError, match="cannot be read"):
        disk.read_bytes(path)


def test_f27_f69_whole_files_are_read_up_to_a_cap(tmp_path):
    path = write(tmp_path / "a", b"12345")
    assert disk.read_bytes(path) == b"12345"
    with pytest.raises(DataError, match="file too large; expected at most 4 bytes, found 5"):
        disk.read_bytes(path, 4)
    with pytest.raises(DataError, match="file is empty"):
        disk.read_bytes(write(tmp_path / "b", b""))


@pytest.mark.parametrize("name", SAMPLES)
def test_f28_a_file_is_opened_once_to_recognise_and_to_read_it(name, monkeypatch, tmp_path):
    """So what was recognised is what is read, whatever another program writes meanwhile."""
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *more: opened.append(path) or real(path, *more))
    path = write(tmp_path / "a", SAMPLES[name].content)
    data.read_images(path, SHAPE)
    assert opened.count(path) == 1


@pytest.mark.parametrize("change", [lambda file: file.truncate(9), lambda file: file.write(b"\0\0\x08\4")])
def test_f28_a_file_that_changes_while_it_is_read(change, monkeypatch, tmp_path):
    path = write(tmp_path / "a", idx_bytes(np.zeros((2, 3, 4))))

    def meanwhile(*arguments):
        with open(path, "r+b") as file:
            change(file)

    monkeypatch.setattr(payload, "check_expansion", meanwhile)
    with pytest.raises(DataError, match="file changed while it was read") as raised:
        idx.read_idx(path)
    assert missing_parts(raised.value) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_f07_f09_f10_f17_f26_f33_f69_bombs_cost_little_memory_and_time():
    """A share of the campaign, in a process of its own, which forks a child for each bomb."""
    assert len(bombs.BOMBS) >= 90
    command = [sys.executable, "-m", "tests.campaigns", "bombs", "--cases", "30"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=600)
    assert done.returncode == 0, done.stderr + done.stdout
    assert re.match(r"30 bombs: worst \d+ MiB above the base", done.stdout.splitlines()[-1])


IN_A_CHILD = ("HDF5", "MATLAB", "Parquet", "Arrow")
"""Formats of which only some damage is tried here: crashes take time. The campaign `damage` tries all."""


@pytest.mark.parametrize("name", SAMPLES)
def test_f01_f02_f17_f34_every_truncation_and_every_flipped_bit(name, tmp_path):
    """Refused with all parts, or read as if undamaged."""
    content, guarded = SAMPLES[name].content, SAMPLES[name].guarded
    most = 500 if SAMPLES[name].format in IN_A_CHILD else sys.maxsize
    count = damage.damage(name, tmp_path, most)
    assert count.wrong == []
    assert (count.truncations, count.flips) == (min(most, len(content)), min(most, 8 * len(content)))
    assert count.refused >= count.truncations if guarded else count.refused > 0
    if guarded:
        assert count.refused + count.right == count.truncations + count.flips


@pytest.mark.parametrize("piece", [1, 6, 50])
def test_f01_f02_damage_wherever_the_file_is_cut_into_pieces(piece, monkeypatch, tmp_path):
    monkeypatch.setattr(payload, "PIECE", piece)
    count = damage.damage("idx.gz", tmp_path)
    assert count.wrong == []
    assert count.right == 3  # bits that only fill the last byte of the compressed data


@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_f05_a_name_that_says_otherwise_is_noted(name, tmp_path):
    notices = []
    data.load(str(csv_file(tmp_path / name, [[0, 2], [1, 200]])), classes=("a", "b"), notify=notices.append)
    assert len(notices) == name.endswith(".gz")
    assert all("is not gzip, whatever its name says" in notice for notice in notices)


def test_f05_gzip_without_its_name_is_noted(idx_folder):
    notices, path = [], idx_folder / "train-images-idx3-ubyte"
    data.load(str(idx_folder), notify=notices.append)
    assert notices == []
    write(path, gzip.compress(path.read_bytes()))
    data.load(str(idx_folder), notify=notices.append)
    assert notices == [f"{path} is gzip, whatever its name says; read as what it is"]


def test_f15_training_and_test_set_swapped(idx_folder, monkeypatch):
    labels = (idx_folder / "train-labels-idx1-ubyte").read_bytes()
    for kind in ("images-idx3", "labels-idx1"):
        one, other = (idx_folder / f"{part}-{kind}-ubyte" for part in ("train", "t10k"))
        one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
        write(one, other_bytes), write(other, one_bytes)
    notices = []
    assert len(data.load(str(idx_folder), notify=notices.append).train.labels) == 10
    assert notices == [f"{idx_folder}: the test set has 50 images, the training set 10; are the files swapped?"]
    monkeypatch.setitem(mnist.SHA256, "train-labels-idx1-ubyte", hashlib.sha256(labels).hexdigest())
    data.load(str(idx_folder), notify=notices.append)
    assert "its labels are those of train-labels-idx1-ubyte; are" in notices[1]


def test_f15_sets_of_the_same_size_are_not_called_swapped(idx_folder):
    for kind in ("images-idx3", "labels-idx1"):
        write(idx_folder / f"t10k-{kind}-ubyte", (idx_folder / f"train-{kind}-ubyte").read_bytes())
    notices = []
    assert len(data.load(str(idx_folder), notify=notices.append).test.labels) == 50
    assert notices == []


def test_f17_archives_of_other_kinds(tmp_path):
    good = archived(x=npy(np.arange(8, dtype=">u2").reshape(2, 2, 2)))
    assert read_npz(write(tmp_path / "a", good))["x"].tolist() == np.arange(8).reshape(2, 2, 2).tolist()
    changes = {
        "unsupported compression": archived(method_9, x=b"1"),
        "members overlap": local(b"") + end(directory(b"", 0, 0) + directory(b"", 0, 0, name=b"x"), 41, 2),
        "found 1,100 in": archived(**{f"n{number}": b"" for number in range(1100)}),
    }
    for message, content in changes.items():
        with pytest.raises(DataError, match=message) as raised:
            read_npz(write(tmp_path / "a", content))
        assert missing_parts(raised.value) == []


def test_f13_f19_f20_arrays_that_do_not_fit_have_all_parts(tmp_path):
    x = npy(np.zeros((3, 4, 4), np.uint8))
    for labels in (np.zeros(4, int), np.ones((3, 3), int), np.full(3, -1), np.full(3, 10**6)):
        with pytest.raises(DataError) as raised:
            data.load(raw_npz(tmp_path / "a.npz", **{"x_train.npy": x, "y_train.npy": npy(labels)}))
        assert missing_parts(raised.value) == []


def test_f09_f17_what_unpacks_to_far_more_is_refused_before_it_is_read(monkeypatch, tmp_path):
    """As the campaign `bombs` does at full size, with a limit of 1,000 bytes."""
    monkeypatch.setattr(bounds, "FREE", 1000)
    zeros, noise = np.zeros((1000, 28, 28), np.uint8), np.random.default_rng(0).integers(0, 256, (99, 28, 28))
    for array in (zeros, noise.astype(np.uint8)):
        packed, archive = gzip.compress(idx_bytes(array)), io.BytesIO()
        np.savez_compressed(archive, x=array)
        for read, content in ((idx.read_idx, packed), (read_npz, archive.getvalue())):
            path = write(tmp_path / "a", content)
            if array is zeros:
                with pytest.raises(DataError, match="expands to far more than its size on disk") as raised:
                    read(path)
                assert missing_parts(raised.value) == []
            else:
                read(path)


def test_f17_a_member_shorter_than_its_directory_says(tmp_path):
    """The checksum fits the content that is there."""
    content = npy(np.zeros((1, 2, 2), np.uint8))[:-1]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    path = tmp_path / "a"
    zipped(packed, len(content) + 1, crc=content)(path)
    with pytest.raises(DataError, match="expected 4 bytes of numbers, found 3") as raised:
        npz_reader.read_npz(path, ("x_train",))
    assert missing_parts(raised.value) == []


def test_an_image_of_another_kind_is_not_passed_over(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write(tmp_path / name / "0.png", png_bytes(1, 1, 0, 8, zlib.compress(b"\0\7")))
    write(tmp_path / "b" / "notes.txt", b"not an image")
    assert len(data.load(str(tmp_path)).train.labels) == 2
    write(tmp_path / "b" / "1.HEIC", b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"1\.HEIC: the name: an image of another kind; expected PNG, .* found \.HEIC"):
        data.load(str(tmp_path))


def test_f47_which_files_are_a_data_set_s(idx_folder):
    images_path, labels_path = (idx_folder / f"train-{name}-ubyte" for name in ("images-idx3", "labels-idx1"))
    assert idx.labels_beside(images_path) == [labels_path]
    assert idx.labels_beside(labels_path) == []
    write(idx_folder / "notes.txt", b"notes")
    (idx_folder / "0").mkdir()
    theirs = {
        path: folders.is_data_of(idx_folder, path) for path in (*idx_folder.iterdir(), idx_folder / "0" / "a.PNG")
    }
    assert {path.name for path, is_theirs in theirs.items() if not is_theirs} == {"notes.txt", "0"}
    assert all(theirs[path] for path in (images_path, labels_path, idx_folder / "0" / "a.PNG"))
    assert not folders.is_data_of(idx_folder / "0", images_path)
    assert folders.is_data_of(idx_folder, idx_folder / "mnist.npz")
