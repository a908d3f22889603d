"""Fetches an archive from servers that lie, stall and hang up, and to full disks."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.errors import (
    ConfigError,
    DiskFull,
    DiskLow,
    DownloadFailed,
    DownloadMismatch,
    DownloadStalled,
    DownloadTooLarge,
    DownloadUnsafe,
    DownloadUntrusted,
    EdgeAgentError,
)
from edge_agent.rollout.download import Download, DownloadLimits, OnProgress
from edge_agent.rollout.transfer import REDIRECTIONS_MAX, Cancelled
from tests.faults.disks import small_disk
from tests.file_server import FileServer, Visit, file_server, sha256

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = sha256(CONTENT)
HALF = len(CONTENT) // 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with file_server(tmp_path) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "download"


def limits(server: FileServer | None = None, **changes: Any) -> DownloadLimits:
    values: dict[str, Any] = {
        "max_bytes": 2**20,
        "deadline_s": 30.0,
        "stall_s": 20.0,
        "min_free_bytes": 0,
        "ca_file": None if server is None else server.ca_file,
    }
    return DownloadLimits(**{**values, **changes})


def fetch(server: FileServer, folder: Path, *, path: str = "/model.zip", sha256: str = SHA256, **changes: Any) -> Path:
    return Download(folder, limits(server, **changes)).fetch(server.address(path), sha256)


def cut_after(size: int) -> Callable[[Visit], None]:
    """Start sending the file, and hang up."""

    def reply(visit: Visit) -> None:
        visit.head("200 OK", Content_Length=len(CONTENT), ETag='"1"')
        visit.send(CONTENT[:size])

    return reply


def answer(status: str, body: bytes = b"", **headers: object) -> Callable[[Visit], None]:
    def reply(visit: Visit) -> None:
        visit.head(status, **headers)
        visit.send(body)

    return reply


def left(folder: Path) -> bytes:
    """What an attempt has left for the next one."""
    return b"".join(path.read_bytes() for path in folder.glob("*.part"))


def test_a_file_is_fetched_as_it_is_and_its_progress_is_told(server: FileServer, folder: Path) -> None:
    server.serve(CONTENT)
    told: list[tuple[int, int | None]] = []
    on_progress: OnProgress = lambda received, size: told.append((received, size))  # noqa: E731 - one line
    found = Download(folder, limits(server), on_progress=on_progress).fetch(server.address("/a/b.zip?x=1"), SHA256)
    assert found.read_bytes() == CONTENT
    assert server.visits[0].path == "/a/b.zip?x=1"
    assert server.visits[0].header("Accept-Encoding") == "identity"
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_what_was_cut_off_is_continued_where_it_ended(server: FileServer, folder: Path) -> None:
    server.replies.append(cut_after(HALF))
    server.serve(CONTENT)
    with pytest.raises(DownloadFailed, match=f"after {HALF} of {len(CONTENT)}"):
        fetch(server, folder)
    assert left(folder) == CONTENT[:HALF]
    assert fetch(server, folder).read_bytes() == CONTENT
    assert [visit.start for visit in server.visits] == [0, HALF]
    assert server.visits[1].header("If-Range") == '"1"'


def test_another_file_at_the_address_is_fetched_from_its_beginning(server: FileServer, folder: Path) -> None:
    server.replies.append(cut_after(HALF))
    server.serve(CONTENT[::-1], etag='"2"')
    with pytest.raises(DownloadFailed):
        fetch(server, folder)
    # The server answers 200 to the request for the rest, because its file has changed.
    assert fetch(server, folder, sha256=sha256(CONTENT[::-1])).read_bytes() == CONTENT[::-1]


def test_a_hole_that_a_power_cut_left_is_found_and_the_whole_is_fetched_again(server: FileServer, folder: Path) -> None:
    server.replies.append(cut_after(HALF))
    server.serve(CONTENT)
    with pytest.raises(DownloadFailed):
        fetch(server, folder)
    next(folder.glob("*.part")).write_bytes(bytes(HALF))
    assert fetch(server, folder).read_bytes() == CONTENT
    assert [visit.start for visit in server.visits] == [0, HALF, 0]


def test_what_is_complete_is_not_fetched_again(server: FileServer, folder: Path) -> None:
    server.serve(CONTENT)
    fetch(server, folder)
    assert fetch(server, folder).read_bytes() == CONTENT
    assert server.visits[1].start == len(CONTENT)


def test_what_came_from_another_address_is_not_continued(server: FileServer, folder: Path) -> None:
    server.replies.append(cut_after(HALF))
    server.serve(CONTENT)
    with pytest.raises(DownloadFailed):
        fetch(server, folder)
    fetch(server, folder, path="/other.zip")
    assert server.visits[1].start == 0


def test_what_another_archive_left_is_deleted(server: FileServer, folder: Path) -> None:
    server.replies.append(cut_after(HALF))
    server.serve(CONTENT[:100])
    with pytest.raises(DownloadFailed):
        fetch(server, folder)
    found = fetch(server, folder, sha256=sha256(CONTENT[:100]))
    assert sorted(folder.iterdir()) == [found.with_suffix(".json"), found]


@pytest.mark.parametrize("position", [0, HALF, len(CONTENT) - 1])
def test_one_changed_byte_is_refused_and_nothing_is_left(server: FileServer, folder: Path, position: int) -> None:
    changed = bytearray(CONTENT)
    changed[position] ^= 1
    server.serve(bytes(changed))
    with pytest.raises(DownloadMismatch):
        fetch(server, folder)
    assert list(folder.iterdir()) == []
    assert len(server.visits) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer("200 OK", CONTENT, Content_Length=len(CONTENT) + 10), DownloadFailed),
        (answer("200 OK", CONTENT, Content_Length=len(CONTENT) - 10), DownloadMismatch),
        (answer("200 OK", CONTENT), DownloadFailed),
        (answer("200 OK", CONTENT, Content_Length="-5"), DownloadFailed),
        (answer("200 OK", CONTENT, Content_Length="a lot"), DownloadFailed),
        (answer("200 OK", CONTENT, Content_Length=2**20 + 1), DownloadTooLarge),
        (answer("200 OK", CONTENT, Content_Length="9" * 400), DownloadFailed),
        (answer("200 OK", CONTENT, Content_Length=len(CONTENT), Content_Encoding="gzip"), DownloadFailed),
        (answer("206 Partial Content", CONTENT, Content_Range="bytes 0-9/10"), DownloadFailed),
        (answer("404 Not Found", Content_Length=0), DownloadFailed),
        (answer("503 Service Unavailable", Content_Length=0), DownloadFailed),
        (answer("200 OK", b"zzz\r\n", Transfer_Encoding="chunked"), DownloadFailed),
        (answer("200 OK", b"5\r\nab", Transfer_Encoding="chunked"), DownloadFailed),
        (answer("302 Found", Location="http://localhost/model.zip"), DownloadUnsafe),
        (answer("302 Found", Location="file:///etc/passwd"), DownloadUnsafe),
        (answer("302 Found", Location="https://user:secret@localhost/"), DownloadUnsafe),
        (answer("302 Found", Location=""), DownloadUnsafe),
        (answer("302 Found"), DownloadUnsafe),
        (answer("302 Found", Location="https://localhost:99999999/"), DownloadUnsafe),
        (answer("302 Found", Location="/again"), DownloadUnsafe),
        (lambda visit: visit.send(b"SSH-2.0-OpenSSH_9.6\r\n"), DownloadFailed),
        (lambda visit: visit.send(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 1000), DownloadFailed),
        (lambda visit: visit.send(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000), DownloadFailed),
        (lambda _visit: None, DownloadFailed),
    ],
)
def test_a_server_that_does_not_have_the_file_as_it_should_gets_its_own_code(
    server: FileServer, folder: Path, reply: Callable[[Visit], None], error: type[EdgeAgentError]
) -> None:
    server.replies.append(reply)
    with pytest.raises(error) as raised:
        fetch(server, folder)
    assert type(raised.value) is error
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "where", ["bytes 0-9/10", "bytes 1-{last}/{size}", "bytes {half}-{half}/{size}", "bytes {half}-{last}/*", ""]
)
def test_another_part_than_was_asked_for_is_not_joined_to_what_is_there(
    server: FileServer, folder: Path, where: str
) -> None:
    wrong = where.format(half=HALF, last=len(CONTENT) - 1, size=len(CONTENT))
    server.replies += [cut_after(HALF), answer("206 Partial Content", CONTENT, Content_Range=wrong)]
    server.serve(CONTENT)
    with pytest.raises(DownloadFailed):
        fetch(server, folder)
    with pytest.raises(DownloadFailed, match="another part"):
        fetch(server, folder)
    assert left(folder) == CONTENT[:HALF]
    assert fetch(server, folder).read_bytes() == CONTENT


def test_a_body_without_an_end_stops_at_the_limit(server: FileServer, folder: Path) -> None:
    def endless(visit: Visit) -> None:
        visit.head("200 OK", Transfer_Encoding="chunked")
        chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
        for _ in range(1000):
            visit.send(chunk)

    server.replies.append(endless)
    with pytest.raises(DownloadTooLarge):
        fetch(server, folder)
    assert list(folder.iterdir()) == []


def test_a_chunked_file_is_fetched(server: FileServer, folder: Path) -> None:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)
    server.replies.append(answer("200 OK", body, Transfer_Encoding="chunked"))
    assert fetch(server, folder).read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_left_and_what_came_is_kept(server: FileServer, folder: Path) -> None:
    def silent(visit: Visit) -> None:
        cut_after(HALF)(visit)
        visit.wait()

    server.replies.append(silent)
    server.serve(CONTENT)
    with pytest.raises(DownloadStalled):
        fetch(server, folder, stall_s=0.3)
    assert left(folder) == CONTENT[:HALF]
    assert fetch(server, folder).read_bytes() == CONTENT


def drip(prefix: bytes) -> Callable[[Visit], None]:
    """After the prefix, send a byte now and then, so that a time-out for silence never expires."""

    def reply(visit: Visit) -> None:
        visit.send(prefix)
        while not visit.ended.wait(0.02):
            visit.send(b"x")

    return reply


@pytest.mark.parametrize(
    "prefix", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"], ids=["head", "body"]
)
def test_a_server_that_drips_is_left(server: FileServer, folder: Path, prefix: bytes) -> None:
    server.replies.append(drip(prefix))
    with pytest.raises(DownloadStalled, match="bytes in"):
        fetch(server, folder, stall_s=0.3)


def test_a_download_has_a_deadline_however_well_it_flows(server: FileServer, folder: Path) -> None:
    def flowing(visit: Visit) -> None:
        visit.head("200 OK", Content_Length=2**20)
        while not visit.ended.wait(0.02):
            visit.send(bytes(100))

    server.replies.append(flowing)
    with pytest.raises(DownloadStalled, match="within"):
        fetch(server, folder, deadline_s=0.4)


def test_a_cancelled_download_ends_at_once_and_keeps_what_came(server: FileServer, folder: Path) -> None:
    def silent(visit: Visit) -> None:
        cut_after(HALF)(visit)
        visit.wait()

    server.replies.append(silent)
    arrived = threading.Event()
    download = Download(
        folder, limits(server), on_progress=lambda received, _size: arrived.set() if received == HALF else None
    )
    failures: list[BaseException] = []

    def run() -> None:
        try:
            download.fetch(server.address(), SHA256)
        except Cancelled as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert arrived.wait(10)
    download.cancel()
    thread.join(10)
    assert len(failures) == 1
    assert left(folder) == CONTENT[:HALF]


def test_a_download_that_was_cancelled_before_it_began_asks_nobody(server: FileServer, folder: Path) -> None:
    download = Download(folder, limits(server))
    download.cancel()
    with pytest.raises(Cancelled):
        download.fetch(server.address(), SHA256)
    assert server.visits == []


def test_a_redirection_to_https_is_followed(server: FileServer, folder: Path) -> None:
    server.replies.append(answer("301 Moved Permanently", Location="/there.zip", Content_Length=0))
    server.serve(CONTENT)
    assert fetch(server, folder).read_bytes() == CONTENT
    assert [visit.path for visit in server.visits] == ["/model.zip", "/there.zip"]


def test_redirections_have_an_end(server: FileServer, folder: Path) -> None:
    server.replies.append(answer("302 Found", Location="/again", Content_Length=0))
    with pytest.raises(DownloadUnsafe, match="redirects more than"):
        fetch(server, folder)
    assert len(server.visits) == REDIRECTIONS_MAX + 1


def test_a_certificate_of_another_authority_is_not_trusted(server: FileServer, folder: Path, tmp_path: Path) -> None:
    server.serve(CONTENT)
    with file_server(tmp_path / "..") as other, pytest.raises(DownloadUntrusted):
        fetch(server, folder, ca_file=other.ca_file)
    assert server.visits == []


def test_a_certificate_of_another_name_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    with file_server(tmp_path, name="elsewhere.example") as server:
        server.serve(CONTENT)
        with pytest.raises(DownloadUntrusted):
            fetch(server, folder)


def test_a_server_without_tls_is_asked_nothing(folder: Path, tmp_path: Path) -> None:
    with file_server(tmp_path, tls=False) as server:
        server.serve(CONTENT)
        with pytest.raises(DownloadFailed, match="TLS"):
            fetch(server, folder)
        assert not any(visit.request.startswith("GET") for visit in server.visits)


def test_nobody_listening_and_an_unknown_name_are_failures_of_the_download(folder: Path, tmp_path: Path) -> None:
    with file_server(tmp_path) as server:
        pass
    with pytest.raises(DownloadFailed):
        fetch(server, folder)
    with pytest.raises(DownloadFailed):
        Download(folder, limits()).fetch("https://nowhere.invalid/model.zip", SHA256)


def test_a_ca_file_that_cannot_be_read_says_so(server: FileServer, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        fetch(server, folder, ca_file=tmp_path / "missing.pem")


_statuses = st.sampled_from([b"200", b"206", b"301", b"416", b"100", b"99", b"\xff"])
_names = st.sampled_from([b"Content-Length", b"Content-Range", b"Transfer-Encoding", b"Location", b"ETag"])
_values = st.binary(max_size=20) | st.sampled_from([b"chunked", b"0", b"5", b"bytes 0-4/5"])


@st.composite
def http_answers(draw: st.DrawFn) -> bytes:
    headers = draw(st.lists(st.tuples(_names, _values), max_size=4))
    head = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %b x\r\n%b\r\n%b" % (draw(_statuses), head, draw(st.binary(max_size=20)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | http_answers())
def test_whatever_a_server_says_ends_in_one_of_our_errors(server: FileServer, folder: Path, said: bytes) -> None:
    server.replies = [lambda visit: visit.send(said)]
    with pytest.raises(EdgeAgentError):
        fetch(server, folder)


def test_a_file_on_the_device_is_copied(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "a model.zip"
    source.write_bytes(CONTENT)
    for address in (str(source), source.as_uri()):
        assert Download(folder, limits()).fetch(address, SHA256).read_bytes() == CONTENT
    with pytest.raises(DownloadTooLarge):
        Download(folder, limits(max_bytes=1000)).fetch(str(source), SHA256)
    with pytest.raises(DownloadMismatch):
        Download(folder, limits()).fetch(str(source), "0" * 64)
    assert source.read_bytes() == CONTENT


def test_what_is_not_a_file_is_not_read(folder: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(DownloadUnsafe):
            Download(folder, limits()).fetch(str(path), SHA256)
    with pytest.raises(DownloadFailed):
        Download(folder, limits()).fetch(str(tmp_path / "missing.zip"), SHA256)


def test_the_last_space_is_left_to_results_and_what_came_is_kept(server: FileServer, folder: Path) -> None:
    server.serve(CONTENT)
    free = iter([10**6, 10**6, 1000])
    download = Download(folder, limits(server, min_free_bytes=100_000), free_bytes_of=lambda _folder: next(free))
    with pytest.raises(DiskLow):
        download.fetch(server.address(), SHA256)
    assert 0 < len(left(folder)) < len(CONTENT)
    assert fetch(server, folder).read_bytes() == CONTENT


def test_a_disk_that_is_full_in_the_middle_gets_its_space_back(server: FileServer, tmp_path: Path) -> None:
    server.serve(CONTENT)
    with small_disk(tmp_path / "disk", 128) as disk:
        # This cannot be foreseen: other programs write to the disk, too.
        download = Download(disk / "download", limits(server), free_bytes_of=lambda _folder: 2**40)
        with pytest.raises(DiskFull):
            download.fetch(server.address(), SHA256)
        assert left(disk / "download") == b""
    # With enough space it works.
    assert fetch(server, tmp_path / "room").read_bytes() == CONTENT


LIMITED = """
import resource, sys
from pathlib import Path
from edge_agent.errors import DiskFull
from edge_agent.rollout.download import Download, DownloadLimits
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
limits = DownloadLimits(max_bytes=2**20, deadline_s=30, stall_s=20, min_free_bytes=0)
try:
    Download(Path(sys.argv[1]), limits).fetch(sys.argv[2], sys.argv[3])
except DiskFull:
    print("full", list(Path(sys.argv[1]).iterdir()))
"""


def test_a_quota_counts_as_a_full_disk(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.zip"
    source.write_bytes(CONTENT)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder), str(source), SHA256], capture_output=True, text=True, check=True
    )
    assert done.stdout == "full []\n"
