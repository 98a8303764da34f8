"""Downloads from mirrors that misbehave in every way: bounded, verified before they are kept, nothing left behind."""

import contextlib
import gzip
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fnnet import data
from fnnet.data import mnist, web
from fnnet.errors import DataError, StorageError
from tests.conftest import ROOT, start

GOOD = 200


def packed(content):
    return gzip.compress(content, 1, mtime=0)


BOMB = packed(bytes(mnist.MAX_PAYLOAD + 1))


class Mirror:
    """A mirror on this machine. The first part of a path says how it misbehaves, the last which file is meant."""

    def __init__(self, folder):
        self.folder, self.asked, self.stop = folder, [], threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}/"

    def content(self, name):
        return (self.folder / name.removesuffix(".gz")).read_bytes()

    def __call__(self, *kinds):
        return tuple(f"{self.address}{kind}/" for kind in kinds)

    def _handler(mirror):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                kind, _, name = self.path.strip("/").rpartition("/")
                mirror.asked.append((kind, name))
                with contextlib.suppress(OSError):
                    getattr(self, f"do_{kind}", self.do_status)(packed(mirror.content(name)), kind)

            def send(self, body, code=GOOD, **headers):
                self.send_response(code)
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def do_status(self, good, kind):
                self.send(b"<html>no", int(kind), Retry_After="3600")

            def do_good(self, good, kind):
                self.send(good, Content_Length=str(len(good)))

            def do_html(self, good, kind):
                self.send(b"\n<!DOCTYPE html><title>Log in</title>", Content_Type="text/html")

            def do_empty(self, good, kind):
                self.send(b"", Content_Length="0")

            def do_bad(self, good, kind):
                self.send(packed(gzip.decompress(good)[:-1] + b"\xff"))

            def do_torn(self, good, kind):
                self.send(good[:-5])

            def do_flipped(self, good, kind):
                self.send(good[:30] + bytes(each ^ 255 for each in good[30:40]) + good[40:])

            def do_behind(self, good, kind):
                self.send(good + b"\0")

            def do_bomb(self, good, kind):
                self.send(BOMB)

            def do_short(self, good, kind):
                self.send(good[:-9], Content_Length=str(len(good)))

            def do_long(self, good, kind):
                self.send(good, Content_Length=str(len(good) - 9))

            def do_huge(self, good, kind):
                self.send(good, Content_Length=str(10**15))

            def do_nonsense(self, good, kind):
                self.send(good, Content_Length="-5")

            def do_endless(self, good, kind):
                self.send(b"")
                while not mirror.stop.is_set():
                    self.wfile.write(bytes(2**16))

            def do_drip(self, good, kind):
                self.send(good[:100], Content_Length=str(len(good)))
                for number in range(100, len(good)):
                    if mirror.stop.wait(0.05):
                        return
                    self.wfile.write(good[number : number + 1])

            def do_dripping_head(self, good, kind):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not mirror.stop.wait(0.05):
                    self.wfile.write(b"x")

            def do_silent(self, good, kind):
                mirror.stop.wait(60)

            def do_encoded(self, good, kind):
                self.send(good, Content_Encoding="gzip")

            def do_twice(self, good, kind):
                self.send(packed(good), Content_Encoding="gzip")

            def do_round(self, good, kind):
                self.send(b"", 302, Location=self.path)

            def do_moved(self, good, kind):
                self.send(b"", 301, Location="/good/" + self.path.rpartition("/")[2])

            def do_elsewhere(self, good, kind):
                self.send(b"", 302, Location="file:///etc/passwd")

            def do_nowhere(self, good, kind):
                self.send(b"", 302, Location="http://[::1")

            def log_message(self, *arguments):
                pass

        return Handler


@pytest.fixture
def mirror(idx_folder, monkeypatch):
    """Mirrors of files that pass for MNIST."""
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in idx_folder.iterdir()}
    monkeypatch.setattr(mnist, "SHA256", {name: hashes[name] for name in mnist.SHA256})
    monkeypatch.delenv("FNNET_OFFLINE")
    made = Mirror(idx_folder)
    thread = threading.Thread(target=made.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.stop.set()
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def fetch(folder, mirrors):
    mnist.download(folder, lambda notice: None, mirrors)


REFUSED = {
    "403": "HTTP 403 Forbidden",
    "404": "HTTP 404 Not Found",
    "429": "HTTP 429 Too Many Requests",
    "503": "HTTP 503 Service Unavailable",
    "204": "HTTP 204",
    "html": "an HTML page",
    "empty": "not MNIST's content",
    "bad": r"not MNIST's content; expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}",
    "torn": "gzip truncated",
    "flipped": "damaged gzip",
    "behind": "gzip truncated or followed by more data",
    "bomb": "not MNIST's content",
    "short": "(ConnectionError|ChunkedEncodingError|gzip truncated)",
    "long": "gzip truncated",
    "huge": "download too large or too slow; expected at most 16,777,216 bytes, found 1,000,000,000,000,000",
    "round": "redirected too often",
    "elsewhere": "InvalidSchema",
    "nowhere": "(InvalidURL|ValueError)",
}


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_f63_f64_what_a_mirror_sends_instead(kind, mirror, tmp_path):
    """Each is reported with what was expected and found, nothing of it is kept, and the next mirror is asked."""
    with pytest.raises(mnist.UnreachableError, match=f"{kind}/: {REFUSED[kind]}"):
        fetch(tmp_path / "new", mirror(kind))
    assert os.listdir(tmp_path / "new") == []
    fetch(tmp_path / "new", mirror(kind, "good"))
    assert sorted(os.listdir(tmp_path / "new")) == sorted(f"{name}.gz" for name in mnist.SHA256)
    assert mnist.complete(tmp_path / "new")


@pytest.mark.parametrize("kind", ["encoded", "twice", "moved", "nonsense", "good"])
def test_f64_what_is_odd_and_right_is_taken(kind, mirror, tmp_path):
    fetch(tmp_path / "new", mirror(kind))
    assert data.load("mnist", str(tmp_path / "new")).name == "mnist"
    raw = kind == "encoded"
    for name in mnist.SHA256:
        path = tmp_path / "new" / (name if raw else f"{name}.gz")
        content = path.read_bytes()
        assert hashlib.sha256(content if raw else gzip.decompress(content)).hexdigest() == mnist.SHA256[name]


@pytest.mark.parametrize("kind", ["drip", "dripping_head", "silent", "endless"])
def test_f64_what_never_ends_costs_its_share_of_the_deadline(kind, mirror, tmp_path, monkeypatch):
    """One after which there are other mirrors leaves them time."""
    monkeypatch.setattr(mnist, "DOWNLOAD_SECONDS", 4.0)
    if kind == "endless":
        monkeypatch.setattr(mnist, "MAX_DOWNLOAD", 2**20)
    began = time.monotonic()
    fetch(tmp_path / "new", mirror(kind, "good"))
    assert mnist.complete(tmp_path / "new")
    monkeypatch.setattr(mnist, "DOWNLOAD_SECONDS", 0.3)
    with pytest.raises(mnist.UnreachableError, match="too large or too slow"):
        fetch(tmp_path / "other", mirror(kind))
    assert os.listdir(tmp_path / "other") == []
    assert time.monotonic() - began < 60, "far from what the mirror would take"


def test_f64_https_is_not_left(monkeypatch):
    """Neither for http nor for another scheme, at whatever redirection."""
    import requests

    class Redirecting(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            answer = requests.Response()
            answer.status_code, answer.url, answer.request = 302, request.url, request
            hop = int(request.url.rpartition("/")[2])
            answer.headers["Location"] = f"https://other/{hop + 1}" if hop < 3 else "http://portal/login"
            return answer

        def close(self):
            pass

    class Session(requests.Session):
        def __init__(self):
            super().__init__()
            self.mount("https://", Redirecting())

    monkeypatch.setattr(requests, "Session", Session)
    with pytest.raises(DataError, match="redirected away from https; found http://portal/login"):
        web.fetch("https://mirror/1", 10.0, 1000)


def test_f64_a_portal_is_no_mirror(mirror, monkeypatch):
    kinds = ("html", "503", "round", "elsewhere", "empty", "moved")
    monkeypatch.setattr(mnist, "MIRRORS", mirror(*kinds))
    assert mnist.reachable()[0] == mirror("moved")[0]
    monkeypatch.setattr(mnist, "MIRRORS", mirror(*kinds[:-1]))
    assert not mnist.reachable()


def test_f62_what_is_there_already_is_not_fetched_again(mirror, tmp_path):
    first, second, *_ = mnist.SHA256
    fetch(tmp_path, mirror("good"))
    (tmp_path / f"{second}.gz").write_bytes(b"damaged")
    (tmp_path / f".{first}.gz.1-00000000.part").write_bytes(b"of a killed one")
    os.utime(tmp_path / f".{first}.gz.1-00000000.part", (0, 0))
    (tmp_path / f".{first}.gz.2-00000000.part").write_bytes(b"of one at work")
    mirror.asked.clear()
    fetch(tmp_path, mirror("good"))
    assert mirror.asked == [("good", f"{second}.gz")]
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == [f".{first}.gz.2-00000000.part"]


def test_f62_what_is_there_and_damaged_does_not_stop_a_download(mirror, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mnist.npz").write_bytes(b"PK\3\4 and no more")
    fetch(tmp_path / "new", mirror("good"))
    assert len(os.listdir(tmp_path / "new")) == 1 + len(mnist.SHA256)


def test_f62_a_temporary_file_is_never_taken_for_one_of_mnist(mirror, tmp_path):
    """Neither whole nor torn, also where the user named the folder."""
    fetch(tmp_path / "new", mirror("good"))
    for name, content in (("a", packed(b"\0\0\x08\1\0\0\0\5")[:-3]), ("b", (tmp_path / "new").joinpath(
        f"{next(iter(mnist.SHA256))}.gz").read_bytes())):  # fmt: skip
        (tmp_path / "new" / f".{name}.part").write_bytes(content)
    assert data.load("mnist", str(tmp_path / "new")).name == "mnist"
    (tmp_path / "new" / f"{next(iter(mnist.SHA256))}.gz").unlink()
    assert not mnist.complete(tmp_path / "new")


DOWNLOAD = """
import sys, json
from fnnet.data import mnist
mnist.SHA256, mnist.MIRRORS = json.loads(sys.argv[1]), (sys.argv[2],)
from fnnet.cli import main
main(sys.argv[3:])
"""


def command(mirror, kind, *arguments):
    import json

    known = json.dumps(dict(mnist.SHA256))
    return [sys.executable, "-c", DOWNLOAD, known, *mirror(kind), *map(str, arguments)]


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_f56_f62_a_download_that_is_broken_off_leaves_nothing(number, mirror, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    download = command(mirror, "drip", "data", "download", "--data-dir", tmp_path / "new")
    with start(download, tmp_path, env) as process:
        assert process.stderr.readline().startswith("note: downloading ")
        while not mirror.asked:
            time.sleep(0.01)
        process.send_signal(getattr(signal, number))
        _, err = process.communicate(timeout=60)
    assert process.returncode == {"SIGINT": 130, "SIGTERM": 143}.get(number, -signal.SIGKILL)
    assert err == {"SIGINT": "error: interrupted\n", "SIGTERM": "error: terminated\n"}.get(number, "")
    assert os.listdir(tmp_path / "new") == []


def test_f60_two_processes_download_at_once(mirror, tmp_path):
    """And both succeed, into one folder, as do two threads of one process."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    download = command(mirror, "good", "data", "download", "--data-dir", tmp_path / "new", "--quiet")
    running = [subprocess.Popen(download, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    failures = []

    def work():
        try:
            fetch(tmp_path / "new", mirror("good"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for process in running:
        out, err = process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert out.decode().startswith(f"MNIST is in {tmp_path / 'new'}")
    assert sorted(os.listdir(tmp_path / "new")) == sorted(f"{name}.gz" for name in mnist.SHA256)
    assert mnist.complete(tmp_path / "new")


def test_f51_a_full_disk_is_no_fault_of_the_mirror(mirror, tmp_path, monkeypatch):
    def full(path, content):
        raise StorageError("cannot be written: No space left on device", where=path)

    monkeypatch.setattr(mnist, "write_file", full)
    with pytest.raises(StorageError, match=r"ubyte\.gz: cannot be written: No space left"):
        fetch(tmp_path / "new", mirror("good", "good"))
    assert len(mirror.asked) == 1


def test_f58_without_a_home_a_folder_is_asked_for(mirror, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    monkeypatch.setattr(mnist, "MIRRORS", mirror("good"))
    with pytest.raises(StorageError, match=r"no home folder to keep MNIST in; found ~.*--data-dir"):
        data.load("mnist")
    assert mnist.find(None, pytest.fail) is None
    assert os.listdir(tmp_path) == ["idx"]
