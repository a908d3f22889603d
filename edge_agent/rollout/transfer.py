"""Reads one answer of a file server over HTTPS, bounded in time whatever the server does."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from edge_agent import __version__
from edge_agent.contracts.rollout import check_source
from edge_agent.errors import DownloadFailed, DownloadStalled, DownloadUnsafe, DownloadUntrusted

REDIRECTIONS_MAX = 3
SLOWEST_BYTES_PER_S = 256
"""A server that sends less than this over the time after which silence counts as a stall has stalled too."""

_OK, _PART, _NOT_THERE = 200, 206, 416
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_LENGTH = re.compile(r"[0-9]{1,15}")


class Cancelled(Exception):
    """The download was cancelled. The received part is kept."""


class Watch:
    """The clock of one download, which every read from the network checks. Any thread may call ``cancel``."""

    def __init__(self, *, deadline_s: float, stall_s: float) -> None:
        self._deadline_s = deadline_s
        self._stall_s = stall_s
        self._end_at = time.monotonic() + deadline_s
        self._lock = threading.Lock()
        self._cancelled = False
        self._socket: socket.socket | None = None
        self._window_at = time.monotonic()
        self._window_bytes = 0

    def cancel(self) -> None:
        """End the download soon."""
        with self._lock:
            self._cancelled = True
            if self._socket is not None:
                self._shut_down(self._socket)

    def follow(self, connection: socket.socket) -> None:
        """Shut ``connection`` down when the download is cancelled, instead of the previous one."""
        with self._lock:
            self._socket = connection
            if self._cancelled:
                self._shut_down(connection)

    def check(self) -> None:
        """Raise ``Cancelled``, or ``DownloadStalled`` when the time is over."""
        if self._cancelled:
            raise Cancelled
        if time.monotonic() >= self._end_at:
            raise DownloadStalled(f"The download was not finished within {self._deadline_s:g} s.")

    def timeout_s(self) -> float:
        """How long the next read may take. Raises as ``check``."""
        self.check()
        return max(0.001, min(self._stall_s, self._end_at - time.monotonic()))

    def received(self, count: int) -> None:
        """Count received bytes. Raises ``DownloadStalled`` if they are too few for the time that they took."""
        now = time.monotonic()
        self._window_bytes += count
        elapsed_s = now - self._window_at
        if elapsed_s < self._stall_s:
            return
        if self._window_bytes < SLOWEST_BYTES_PER_S * elapsed_s:
            raise DownloadStalled(f"The file server sent {self._window_bytes} bytes in {elapsed_s:.0f} s.")
        self._window_at, self._window_bytes = now, 0

    @staticmethod
    def _shut_down(connection: socket.socket) -> None:
        with suppress(OSError):
            # Not the shutdown of TLS, after which the reading thread would go on without encryption.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _WatchedSocket(ssl.SSLSocket):
    """A TLS socket that checks the clock before each read."""

    watch: Watch | None = None

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:  # noqa: ANN401 - as the base
        """See the base. Raises as ``Watch`` does."""
        if self.watch is not None:
            self.settimeout(self.watch.timeout_s())
        count = super().recv_into(buffer, nbytes, flags)
        if self.watch is not None:
            self.watch.received(count)
        return count


class _Connection(http.client.HTTPSConnection):
    """A connection that can be cancelled while it is being made."""

    def __init__(self, host: str, port: int | None, context: ssl.SSLContext, watch: Watch) -> None:
        super().__init__(host, port, timeout=watch.timeout_s(), context=context)
        self._tls = context
        self._watch = watch

    def connect(self) -> None:
        """See the base."""
        http.client.HTTPConnection.connect(self)
        self._watch.follow(self.sock)
        self.sock.settimeout(self._watch.timeout_s())
        encrypted = self._tls.wrap_socket(self.sock, server_hostname=self.host)
        self.sock = encrypted
        if isinstance(encrypted, _WatchedSocket):
            encrypted.watch = self._watch
        self._watch.follow(encrypted)


@dataclass(frozen=True, slots=True)
class Continuation:
    """The part that is there already, from the beginning of the file."""

    size: int
    validator: str | None


class Answer:
    """The server's answer to a request for a file, or for the rest of it."""

    def __init__(self, response: http.client.HTTPResponse, asked: Continuation) -> None:
        """Raises ``DownloadFailed`` if the response does not answer the request."""
        self._response = response
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding != "identity":
            raise DownloadFailed(
                f"The file server sent the archive encoded as '{_short(encoding)}', which was not asked for.",
                remedy="Switch compression off for archives at the file server.",
            )
        self.start = 0
        """Offset in the file at which the body begins."""
        self.size: int | None = None
        """Size of the whole file; None if the server does not say it."""
        if response.status == _PART and asked.size:
            self.start, self.size = _read_range(response, asked)
        elif response.status == _NOT_THERE and asked.size:
            # There is no more: the part is the whole file, or of another file, which its hash will show.
            self.start = self.size = asked.size
        elif response.status == _OK:
            self.size = _read_length(response)
        else:
            raise DownloadFailed(
                f"The file server answered {response.status} '{_short(response.reason)}' instead of the archive."
            )

    @property
    def validator(self) -> str | None:
        """Tells the server whether its file is still the same: a strong ETag, or the time of its last change."""
        etag, modified = self._response.headers.get("ETag"), self._response.headers.get("Last-Modified")
        if etag is not None and etag.startswith('"'):
            return etag if _is_header(etag) else None
        return modified if modified is not None and _is_header(modified) else None

    def chunks(self, most_bytes: int) -> Iterator[bytes]:
        """The body from ``start`` on, in pieces of at most ``most_bytes``."""
        if self._response.status == _NOT_THERE:
            return
        while chunk := self._response.read1(most_bytes):
            yield chunk


@contextmanager
def get(address: str, context: ssl.SSLContext, watch: Watch, asked: Continuation) -> Iterator[Answer]:
    """Ask for a file, or for the rest of it.

    Raises ``DownloadFailed`` and its kinds, inside the block too, ``DownloadUnsafe`` and ``Cancelled``.
    """
    try:
        for _ in range(REDIRECTIONS_MAX + 1):
            parts = urlsplit(address)
            connection = _Connection(parts.hostname or "", parts.port, context, watch)
            with closing(connection):
                target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
                connection.request("GET", target if target.startswith("/") else f"/{target}", headers=_headers(asked))
                # The answer has the socket as well, so closing the connection alone is not enough.
                with closing(connection.getresponse()) as response:
                    if response.status not in _REDIRECTIONS:
                        yield Answer(response, asked)
                        return
                    address = _redirected(address, response)
        raise DownloadUnsafe(f"The file server redirects more than {REDIRECTIONS_MAX} times.")
    except (OSError, http.client.HTTPException, ValueError) as error:
        # A connection that was shut down to cancel looks like one that failed.
        watch.check()
        raise _explain(address, error) from error


def watched_context(context: ssl.SSLContext) -> ssl.SSLContext:
    """``context``, with connections that check the clock of their download."""
    context.sslsocket_class = _WatchedSocket
    return context


def shown(address: str) -> str:
    """An address for a message, without its query, which may contain a token."""
    parts = urlsplit(address)
    return parts._replace(query="", fragment="").geturl()[:200]


def _headers(asked: Continuation) -> dict[str, str]:
    headers = {"User-Agent": f"leukoscope/{__version__}", "Accept-Encoding": "identity", "Connection": "close"}
    if asked.size:
        headers["Range"] = f"bytes={asked.size}-"
        if asked.validator is not None:
            headers["If-Range"] = asked.validator
    return headers


def _redirected(address: str, response: http.client.HTTPResponse) -> str:
    location = response.headers.get("Location", "")
    try:
        target = check_source(urljoin(address, location)) if len(location) <= 2048 and location else ""
        safe = urlsplit(target).scheme == "https"
    except ValueError:
        safe = False
    if not safe:
        raise DownloadUnsafe(f"{shown(address)} redirects to what is not an https address without a password.")
    return target


def _read_range(response: http.client.HTTPResponse, asked: Continuation) -> tuple[int, int]:
    found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if found is not None:
        start, last, size = (int(number) for number in found.groups())
        if start == asked.size and last == size - 1:
            return start, size
    raise DownloadFailed("The file server sent another part of the archive than was asked for.")


def _read_length(response: http.client.HTTPResponse) -> int | None:
    if response.chunked:
        return None
    length = response.headers.get("Content-Length")
    if length is None or not _LENGTH.fullmatch(length.strip()):
        # The end of the connection would count as the end of the file, so that a part would look like the whole.
        raise DownloadFailed(
            "The file server does not say how long the archive is.",
            remedy="Use a file server that sends Content-Length, as all common ones do.",
        )
    return int(length)


def _explain(address: str, error: Exception) -> DownloadFailed:
    where = shown(address)
    match error:
        case ssl.SSLCertVerificationError():
            return DownloadUntrusted(f"The certificate of {where} is not trusted: {error.verify_message}.")
        case TimeoutError():
            return DownloadStalled(f"The file server at {where} did not answer in time.")
        case ssl.SSLError():
            return DownloadFailed(f"{where} does not speak TLS as it should: {error.reason}.")
        case http.client.HTTPException():
            return DownloadFailed(f"{where} does not answer as a file server does: {type(error).__name__}.")
        case OSError():
            return DownloadFailed(f"{where} cannot be reached: {error.strerror or error}.")
        case _:
            return DownloadFailed(f"{where} cannot be asked: {_short(str(error))}.")


def _is_header(value: str) -> bool:
    return len(value) < 256 and value.isascii() and value.isprintable()


def _short(text: str) -> str:
    """A server's text, shortened for a message."""
    return "".join(character if character.isprintable() else "?" for character in text[:60])
