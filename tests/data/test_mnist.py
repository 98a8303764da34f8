"""MNIST: found, downloaded and verified."""

import contextlib
import gzip
import hashlib
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from fnnet import data
from fnnet.data import mnist
from fnnet.errors import DataError, FnnetError, StorageError, UsageError
from tests.conftest import idx_bytes
from tests.tools.samples import npz, write


@pytest.fixture
def little_mnist(idx_folder, monkeypatch):
    """A folder whose files pass for MNIST."""
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in idx_folder.iterdir()}
    monkeypatch.setattr(mnist, "SHA256", {name: hashes[name] for name in mnist.SHA256})
    return idx_folder


def test_auto_without_data_and_network_is_digits():
    notices = []
    assert data.load("auto", notify=notices.append).name == "digits"
    assert len(notices) == 1
    assert "FNNET_OFFLINE" in notices[0]
    with pytest.raises(FnnetError, match="FNNET_OFFLINE"):
        data.load("mnist")


@pytest.mark.parametrize(
    "place",
    [
        "data/MNIST/raw",
        ".keras/datasets",
        "tensorflow_datasets/downloads",
        "tensorflow_datasets/downloads/extracted",
    ],
)
def test_caches_are_searched(place, little_mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME")
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(little_mnist, tmp_path / place)
    dataset = data.load("auto")
    assert (dataset.name, len(dataset.train.labels)) == ("mnist", 50)
    assert dataset.source == str(tmp_path / place)


def test_our_own_cache_is_searched(little_mnist):
    mnist.cache_folder().parent.mkdir(parents=True)
    shutil.copytree(little_mnist, mnist.cache_folder())
    assert data.load("auto").source == str(mnist.cache_folder())


def test_torchvision_folder_and_variable(little_mnist, monkeypatch, tmp_path):
    shutil.copytree(little_mnist, tmp_path / "root" / "MNIST" / "raw")
    monkeypatch.setenv("FNNET_DATA", str(tmp_path / "root"))
    assert data.load("mnist").name == "mnist"


def test_keras_archive(little_mnist, monkeypatch, tmp_path, small_images):
    x, labels = small_images
    (tmp_path / "k" / "datasets").mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "k"))
    path = tmp_path / "k" / "datasets" / "mnist.npz"
    npz(path, x_train=x[:50], y_train=labels[:50], x_test=x[50:], y_test=labels[50:])
    assert data.load("mnist").source == str(path.parent)
    npz(path, x_train=x[:50], y_train=labels[:50], x_test=x[50:], y_test=9 - labels[50:])
    notices = []
    assert data.load("auto", notify=notices.append).name == "digits"
    assert "y_test: not MNIST's content" in notices[0]


def test_names_do_not_matter_content_does(little_mnist):
    for number, path in enumerate(sorted(little_mnist.iterdir())):
        path.rename(path.with_name(f"{number}.bin"))
    assert data.load("mnist", str(little_mnist)).name == "mnist"


def test_a_named_folder_with_html_for_files_is_an_error(little_mnist):
    for path in little_mnist.iterdir():
        write(path, b"<html>404")
    with pytest.raises(DataError, match="HTML"):
        data.load("auto", str(little_mnist))


def test_a_named_folder_with_damaged_files_is_an_error(little_mnist):
    path = little_mnist / "train-images-idx3-ubyte"
    good = path.read_bytes()
    write(path, good[:-1])
    with pytest.raises(DataError, match="does not match its header"):
        data.load("auto", str(little_mnist))
    write(path, good[:-1] + b"\1")
    with pytest.raises(DataError, match=r"not MNIST's content; expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}"):
        data.load("auto", str(little_mnist))


def test_a_named_folder_without_mnist_is_noted(tmp_path):
    notices = []
    assert data.load("auto", str(tmp_path), notify=notices.append).name == "digits"
    assert "has 0 of MNIST's 4 files" in notices[0]
    data.load("auto", str(tmp_path / "none"), notify=notices.append)
    assert any("no folder" in notice for notice in notices)


@pytest.fixture
def server(little_mnist):
    """A mirror on this machine with a good folder, a bad one and one that sends HTML."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind, name = self.path.strip("/").split("/")
            content = (little_mnist / name.removesuffix(".gz")).read_bytes()
            body = {"good": gzip.compress(content), "bad": gzip.compress(content[:-1] + b"\xff"), "html": b"<html>no"}
            self.send_response(404 if kind == "gone" else 200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body.get(kind, b""))

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


def test_download_goes_from_mirror_to_mirror(server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    notices = []
    mirrors = tuple(f"{server}{kind}/" for kind in ("gone", "html", "bad", "good"))
    mnist.download(tmp_path / "new" / "folder", notices.append, mirrors)
    assert len(notices) == 16
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(
        f"{name}.gz" for name in mnist.SHA256
    )
    assert mnist.complete(tmp_path / "new" / "folder")
    assert data.load("mnist", str(tmp_path / "new" / "folder")).name == "mnist"


def test_load_downloads_when_it_must(server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server}good/",))
    assert data.load("auto", str(tmp_path / "here")).name == "mnist"


def test_the_mirror_that_delivers_is_asked_first(server, monkeypatch):
    mirrors = tuple(f"{server}{kind}/" for kind in ("gone", "html", "good"))
    monkeypatch.setattr(mnist, "MIRRORS", mirrors)
    assert mnist.reachable() == (mirrors[2], *mirrors[:2])


@pytest.mark.parametrize(("name", "value"), [("MAX_DOWNLOAD", 10), ("DOWNLOAD_SECONDS", -1.0)])
def test_downloads_are_bounded(name, value, server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    monkeypatch.setattr(mnist, name, value)
    with pytest.raises(mnist.UnreachableError, match="too large or too slow"):
        mnist.download(tmp_path / "new", lambda notice: None, (f"{server}good/",))
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_of_a_bad_download_stays(server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    with pytest.raises(mnist.UnreachableError, match=r"bad/: not MNIST's content.*html/: an HTML page"):
        mnist.download(tmp_path / "new", lambda notice: None, (f"{server}bad/", f"{server}html/"))
    assert list((tmp_path / "new").iterdir()) == []


def test_no_mirror_answers(monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    assert not mnist.reachable()
    assert data.load("auto").name == "digits"
    with pytest.raises(mnist.UnreachableError, match="ConnectionError"):
        data.load("mnist", str(tmp_path / "x"))


def test_a_silent_mirror_costs_no_more_than_the_deadline(monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(mnist, "MIRRORS", (f"http://127.0.0.1:{silent.getsockname()[1]}/",))
        assert not mnist.reachable(0.2)


def test_real_mnist(mnist_folder):
    dataset = data.load("mnist", mnist_folder)
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((60000, 784), (10000, 784))
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(dataset.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_other_files_beside_mnist_are_left_aside(little_mnist, monkeypatch, tmp_path):
    """In a cache of another program; EMNIST's, or a file cut short."""
    raw = tmp_path / "root" / "MNIST" / "raw"
    shutil.copytree(little_mnist, raw)
    write(raw / "emnist-digits-idx1-ubyte", idx_bytes([1, 2]))
    write(raw / "cut-idx1-ubyte", idx_bytes([1, 2])[:-1])
    monkeypatch.setenv("FNNET_DATA", str(tmp_path / "root"))
    assert data.load("mnist").source == str(raw)


def test_a_folder_that_cannot_be_made(monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    write(tmp_path / "file", b"")
    with pytest.raises(StorageError, match=r"cannot be made.*choose another with --data-dir"):
        mnist.download(tmp_path / "file" / "new", lambda notice: None, ())


def test_a_download_that_is_gone_again(monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    monkeypatch.setattr(mnist, "download", lambda *arguments: None)
    with pytest.raises(DataError, match="download vanished"):
        data.load("mnist", str(tmp_path))


@pytest.mark.parametrize("choice", [None, 7, b"digits", ["digits"]])
def test_what_is_no_name_of_a_data_set(choice):
    with pytest.raises(UsageError, match="no data set; expected a name or a path"):
        data.load(choice)


def test_mirrors_that_never_answer_are_not_waited_for(monkeypatch):
    gone = threading.Event()
    monkeypatch.setattr(mnist, "_delivers", lambda mirror, seconds: gone.wait(30) and None)
    assert mnist.reachable(0.01) == ()
    gone.set()


@pytest.fixture
def collected(monkeypatch):
    """Which folders were looked into, and by which thread."""
    looked, collect = [], mnist._collect

    def note(folder, strict):
        looked.append((folder, strict, threading.current_thread() is threading.main_thread()))
        return collect(folder, strict)

    monkeypatch.setattr(mnist, "_collect", note)
    yield looked
    mnist._begun.clear()


def test_what_is_begun_is_taken_once(little_mnist, monkeypatch, collected):
    monkeypatch.setenv("FNNET_DATA", str(little_mnist))
    mnist.begin()
    first = data.load("mnist")
    assert collected == [(little_mnist, True, False)]
    second = data.load("mnist")
    assert collected == [(little_mnist, True, False), (little_mnist, True, True)]
    assert first.source == second.source == str(little_mnist)
    for one, other in zip((*first.train, *first.test), (*second.train, *second.test), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_begun_is_not_taken_for_another_folder(little_mnist, monkeypatch, collected, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(little_mnist, other)
    monkeypatch.setenv("FNNET_DATA", str(little_mnist))
    mnist.begin()
    assert data.load("mnist", str(other)).source == str(other)
    assert collected[1] == (other, True, True)


@pytest.mark.parametrize("content", [b"<html>404", b"\0\0\x08\1\0\0\0\2\1"])
def test_errors_of_what_is_begun_come_where_it_is_taken(content, little_mnist, monkeypatch, collected):
    write(little_mnist / "train-labels-idx1-ubyte", content)
    monkeypatch.setenv("FNNET_DATA", str(little_mnist))
    with pytest.raises(DataError) as usual:
        data.load("mnist")
    mnist.begin()
    with pytest.raises(DataError) as ahead:
        data.load("mnist")
    assert str(ahead.value) == str(usual.value)
    assert [each[2] for each in collected] == [True, False]


def test_nothing_is_begun_without_a_folder_or_threads(little_mnist, monkeypatch, collected):
    mnist.begin()
    assert not mnist._begun
    monkeypatch.setenv("FNNET_DATA", str(little_mnist))
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    mnist.begin()
    assert not mnist._begun
    assert data.load("mnist").source == str(little_mnist)
    assert collected == [(little_mnist, True, True)]


def no_more_threads(thread):
    raise RuntimeError("can't start new thread")


def test_each_file_is_read_once_by_any_of_the_threads(little_mnist, monkeypatch):
    read, files = mnist._read, []
    monkeypatch.setattr(mnist, "_read", lambda path: files.append(path) or read(path))
    assert data.load("mnist", str(little_mnist)).name == "mnist"
    assert sorted(files) == sorted(little_mnist.iterdir())


def test_what_ends_reading_is_raised_whichever_thread_meets_it(little_mnist, monkeypatch):
    """The first by name of those that fail; a signal, which only the main thread meets, ends it at once."""

    def fails(path):
        raise StorageError("cannot be read", where=path)

    with monkeypatch.context() as patch:
        patch.setattr(mnist, "_read", fails)
        with pytest.raises(StorageError, match="t10k-images-idx3-ubyte: cannot be read"):
            data.load("mnist", str(little_mnist))
    read, files, other = mnist._read, [], threading.Event()

    def interrupted(path):
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        files.append(path)
        other.wait(20)
        return read(path)

    monkeypatch.setattr(mnist, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load("mnist", str(little_mnist))
    other.set()
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.current_thread():
            thread.join(1)
    assert len(files) <= 1
