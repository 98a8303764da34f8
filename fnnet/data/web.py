"""Downloads limited in bytes, time and redirects, without a redirect from https to http, kept in memory only."""

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
    """Return the content at `url`: at most `most` bytes, within `seconds`.

    The download runs in a thread of its own, which is abandoned when the time is over: a name server that does not
    reply, or a server that sends a byte every second, in headers or body, would outlast any timeout of a socket.
    Raises   DataError with what came instead.
    """
    if seconds <= 0:
        raise DataError("download too large or too slow", expected="time left", found="none")
    replies: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            replies.put(_get(url, most, given_up))
        except Exception as error:
            replies.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        found = replies.get(timeout=seconds)
    except queue.Empty:
        expected = f"the end within {seconds:.0f} s"
        raise DataError("download too large or too slow", expected=expected) from None
    finally:
        given_up.set()
    if isinstance(found, bytes):
        return found
    raise _explained(found)


def first_bytes(url: str, count: int, seconds: float) -> bytes:
    """Return the first bytes at `url`, waiting at most `seconds` for each; DataError if there are none."""
    try:
        with _opened(url, seconds) as response:
            found: bytes = response.raw.read(count)
            return found
    except Exception as error:
        raise _explained(error) from None


def _explained(error: Exception) -> Exception:
    """Return a failure of the network as a DataError; any other exception as it is."""
    import requests

    known = (requests.RequestException, OSError, ValueError)
    return DataError(type(error).__name__) if isinstance(error, known) and not isinstance(error, FnnetError) else error


def _get(url: str, most: int, given_up: threading.Event) -> bytes:
    with _opened(url, 20.0) as response:
        expected = f"at most {most:,} bytes"
        declared = response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared) > most:
            raise DataError("download too large or too slow", expected=expected, found=f"{int(declared):,}")
        content = bytearray()
        for piece in response.iter_content(PIECE):
            content += piece
            if len(content) > most or given_up.is_set():
                raise DataError("download too large or too slow", expected=expected, found="more")
        return bytes(content)


@contextlib.contextmanager
def _opened(url: str, seconds: float) -> Iterator[Any]:
    """Yield the response from `url`, or from where it is redirected to, with its body not yet read."""
    import requests

    with requests.Session() as session:
        for _ in range(MAX_REDIRECTS + 1):
            options: dict[str, Any] = {"timeout": (min(seconds, 5.0), seconds), "allow_redirects": False}
            with session.get(url, stream=True, headers={"Accept-Encoding": "identity"}, **options) as response:
                if not response.is_redirect:
                    if response.status_code != requests.codes.ok:
                        raise DataError(f"HTTP {response.status_code} {response.reason}")
                    yield response
                    return
                target = urljoin(url, response.headers["Location"])
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise DataError("redirected away from https", found=target)
            url = target
    raise DataError("redirected too often", expected=f"at most {MAX_REDIRECTS} times", found=url)
