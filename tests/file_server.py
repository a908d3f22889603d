"""A file server over TLS on the loopback address that does what a test says, lies included."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

PATIENCE_S = 30.0

Reply = Callable[["Visit"], None]


class Visit:
    """One request, and the connection on which it is answered."""

    def __init__(self, connection: socket.socket, request: str, ended: threading.Event) -> None:
        self.connection = connection
        self.request = request
        self.ended = ended
        """Set when the server is about to be closed: nothing may wait for longer."""

    @property
    def path(self) -> str:
        return self.request.split(" ")[1]

    def header(self, name: str) -> str | None:
        found = re.search(rf"(?mi)^{name}: (.*?)\r?$", self.request)
        return None if found is None else found.group(1)

    @property
    def start(self) -> int:
        """Where the range that was asked for begins; 0 without one."""
        asked = self.header("Range")
        return 0 if asked is None else int(asked.removeprefix("bytes=").removesuffix("-"))

    def send(self, content: bytes) -> None:
        # The client may have had enough.
        with contextlib.suppress(OSError):
            self.connection.sendall(content)

    def head(self, status: str, **headers: object) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def wait(self) -> None:
        """Say nothing more, without hanging up."""
        self.ended.wait(PATIENCE_S)


class FileServer:
    """Replies to one visit after another; the last reply is repeated."""

    def __init__(self, authority: trustme.CA, folder: Path, *, name: str = "localhost", tls: bool = True) -> None:
        self.replies: list[Reply] = []
        self.visits: list[Visit] = []
        self.ca_file = folder / "file-server-ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        self._tls = tls
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def address(self, path: str = "/model.zip") -> str:
        return f"https://localhost:{self.port}{path}"

    def serve(self, content: bytes, *, etag: str | None = '"1"') -> None:
        """Serve a file as a file server does: with ranges, and If-Range."""

        def reply(visit: Visit) -> None:
            described = {} if etag is None else {"ETag": etag}
            condition = visit.header("If-Range")
            if visit.start and (condition is None or condition == etag):
                if visit.start >= len(content):
                    visit.head("416 Range Not Satisfiable", Content_Range=f"bytes */{len(content)}")
                    return
                rest = content[visit.start :]
                where = f"bytes {visit.start}-{len(content) - 1}/{len(content)}"
                visit.head("206 Partial Content", Content_Range=where, Content_Length=len(rest), **described)
                visit.send(rest)
                return
            visit.head("200 OK", Content_Length=len(content), **described)
            visit.send(content)

        self.replies.append(reply)

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            # A close alone does not end a wait for the next connection.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(raw,), daemon=True).start()

    def _answer(self, raw: socket.socket) -> None:
        raw.settimeout(PATIENCE_S)
        with raw, contextlib.suppress(OSError):
            connection = self._context.wrap_socket(raw, server_side=True) if self._tls else raw
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (received := connection.recv(4096)):
                    request += received
                    if not self._tls:
                        # What comes is not HTTP, and has no such end.
                        break
                visit = Visit(connection, request.decode("latin-1"), self._ended)
                self.visits.append(visit)
                self.replies[min(len(self.visits), len(self.replies)) - 1](visit)
                if isinstance(connection, ssl.SSLSocket):
                    with contextlib.suppress(OSError):
                        connection.unwrap()


@contextmanager
def file_server(folder: Path, *, name: str = "localhost", tls: bool = True) -> Iterator[FileServer]:
    server = FileServer(trustme.CA(), folder, name=name, tls=tls)
    try:
        yield server
    finally:
        server.close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
