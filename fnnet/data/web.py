"""A file from the web: bounded in bytes, in time and in redirects, by https alone, and kept nowhere on the way."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from fnnet.errors import DataError, FnnetError

MAX_REDIRECTS: Final = 5
PIECE: Final = 2**14


def fetch(url: str, seconds: float, most: int) -> bytes:
    """The content at `url`, at most `most` bytes of it within `seconds`.

    It is got in a thread of its own, which is left behind when the time is over: a name server that keeps silent, or a
    byte every second, in headers or body, would outlast any limit that a socket knows.
    Raises   DataError that says what came instead.
    """
    answers: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            answers.put(_get(url, most, given_up))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        found = answers.get(timeout=max(0.0, seconds))
    except queue.Empty:
        expected = f"the end within {max(0.0, seconds):.0f} s"
        raise DataError("download too large or too slow", expected=expected) from None
    finally:
        given_up.set()
    if isinstance(found, bytes):
        return found
    raise _explained(found)


def first_bytes(url: str, count: int, seconds: float) -> bytes:
    """The first bytes at `url`, each wait within `seconds`; DataError where there are none."""
    try:
        with _opened(url, seconds) as answer:
            found: bytes = answer.raw.read(count)
            return found
    except Exception as error:
        raise _explained(error) from None


def _explained(error: Exception) -> Exception:
    """What went wrong on the way as a DataError; a mistake of our own as it is."""
    import requests

    known = (requests.RequestException, OSError, ValueError)
    return DataError(type(error).__name__) if isinstance(error, known) and not isinstance(error, FnnetError) else error


def _get(url: str, most: int, given_up: threading.Event) -> bytes:
    with _opened(url, 20.0) as answer:
        expected = f"at most {most:,} bytes"
        declared = answer.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared) > most:
            raise DataError("download too large or too slow", expected=expected, found=f"{int(declared):,}")
        content = bytearray()
        for piece in answer.iter_content(PIECE):
            content += piece
            if len(content) > most or given_up.is_set():
                raise DataError("download too large or too slow", expected=expected, found="more")
        return bytes(content)


@contextlib.contextmanager
def _opened(url: str, seconds: float) -> Iterator[Any]:
    """The answer at `url` or where it is redirected to, its body still to be read."""
    import requests

    with requests.Session() as session:
        for _ in range(MAX_REDIRECTS + 1):
            options: dict[str, Any] = {"timeout": (min(seconds, 5.0), seconds), "allow_redirects": False}
            with session.get(url, stream=True, headers={"Accept-Encoding": "identity"}, **options) as answer:
                if not answer.is_redirect:
                    if answer.status_code != requests.codes.ok:
                        raise DataError(f"HTTP {answer.status_code} {answer.reason}")
                    yield answer
                    return
                target = urljoin(url, answer.headers["Location"])
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise DataError("redirected away from https", found=target)
            url = target
    raise DataError("redirected too often", expected=f"at most {MAX_REDIRECTS} times", found=url)
