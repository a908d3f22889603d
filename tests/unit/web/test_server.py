"""The page's server on real sockets."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.cli.local_broker import free_port
from edge_agent.errors import WebPortTaken
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.server import MicroscopePage
from edge_agent.web.settings import WebSettings
from tests.page_access import write_access
from tests.page_device import FakeDevice


def settings(host: str = "127.0.0.1", access_file: Path | None = None) -> WebSettings:
    return WebSettings(enabled=True, host=host, port=free_port(), access_file=access_file)


def can_bind(port: int, host: str = "127.0.0.1") -> bool:
    """Without SO_REUSEADDR, as strict as possible."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        try:
            found.bind((host, port))
        except OSError:
            return False
    return True


def status(connect_to: str, port: int, path: str = "/", host: str | None = None) -> int:
    connection = http.client.HTTPConnection(connect_to, port, timeout=10)
    try:
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as found:
            found.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")


@needs_ipv6
def test_the_page_answers_on_an_ipv6_address() -> None:
    with MicroscopePage(settings("::1")).serving(FakeDevice()) as page:
        port = page._settings.port
        assert page.address == f"http://[::1]:{port}/"
        # http.client and browsers themselves send the address in brackets, with the port.
        assert status("::1", port) == 200
        for host in (f"[::1]:{port}", "[::1]", f"localhost:{port}"):
            assert status("::1", port, host=host) == 200
        for host in ("attacker.example", f"attacker.example:{port}", "[fd00::1]"):
            assert status("::1", port, host=host) == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_page_answers_on_an_ipv4_address(host: str) -> None:
    with MicroscopePage(settings(host)).serving(FakeDevice()) as page:
        port = page._settings.port
        assert status("127.0.0.1", port) == 200
        assert status("127.0.0.1", port, host=f"localhost:{port}") == 200
        assert status("127.0.0.1", port, host="attacker.example") == 400


def test_the_latest_reading_is_served(smear: NDArray[np.uint8]) -> None:
    reading = Analyzer(Classifier(load_bundle("demo")), QualityLimits()).analyse(
        frame_now("camera0", Pixels(smear, ColourOrder.RGB))
    )
    result = ResultMaker("clinic-a", "scope-1", uuid7()).make(reading)
    with MicroscopePage(settings()).serving(FakeDevice()) as page:
        port = page._settings.port
        with httpx2.stream("GET", f"http://127.0.0.1:{port}/events", timeout=20) as events:
            lines = events.iter_lines()
            assert next(lines) == "event: state"
            page.update(result, reading)
            assert "event: reading" in lines
            assert json.loads(next(lines).removeprefix("data: "))["id"] == str(result.id)
            assert status("127.0.0.1", port, f"/readings/{result.id}/field.jpg") == 200
            assert status("127.0.0.1", port, f"/readings/{uuid7()}/field.jpg") == 404


def test_a_page_that_listens_does_not_hold_up_the_stop() -> None:
    page = MicroscopePage(settings())
    page.start(FakeDevice())
    with httpx2.stream("GET", f"{page.address}events", timeout=20) as events:
        lines = events.iter_lines()
        assert next(lines) == "event: state"
        page.stop()
        assert all("error" not in line for line in lines), "the stream ends by itself"


def test_a_page_that_was_never_started_holds_no_port() -> None:
    """What is made beside it may fail to be made; then nobody gets to start it."""
    wanted = settings()
    page = MicroscopePage(wanted)
    assert can_bind(wanted.port)
    page.stop()
    assert can_bind(wanted.port)
    with MicroscopePage(wanted).serving(FakeDevice()):
        assert not can_bind(wanted.port)


def test_the_port_is_free_after_the_stop_and_may_be_taken_again() -> None:
    wanted = settings()
    page = MicroscopePage(wanted)
    for _ in range(2):
        page.start(FakeDevice())
        page.start(FakeDevice())
        assert status("127.0.0.1", wanted.port) == 200
        page.stop()
        page.stop()
        with socket.create_server(("127.0.0.1", wanted.port)):
            pass


def test_the_port_is_released_where_the_block_fails() -> None:
    wanted = settings()
    with pytest.raises(KeyError), MicroscopePage(wanted).serving(FakeDevice()):
        raise KeyError
    with socket.create_server(("127.0.0.1", wanted.port)):
        pass


def test_a_client_that_says_nothing_does_not_hold_up_the_stop() -> None:
    wanted = settings()
    page = MicroscopePage(wanted)
    page.start(FakeDevice())
    with socket.create_connection(("127.0.0.1", wanted.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        page.stop()
    assert page._running is None


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    wanted = settings()
    with MicroscopePage(wanted).serving(FakeDevice()):
        other = MicroscopePage(wanted)
        with pytest.raises(WebPortTaken, match=f"port {wanted.port}: Address already in use") as caught:
            other.start(FakeDevice())
        assert "web.port" in caught.value.remedy
        other.stop()
        assert status("127.0.0.1", wanted.port) == 200


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7", "a..b", "x" * 70])
def test_an_address_that_is_not_this_devices_is_one_clear_error(host: str, tmp_path: Path) -> None:
    with pytest.raises(WebPortTaken) as caught:
        MicroscopePage(settings(host, write_access(tmp_path)), tmp_path).start(FakeDevice())
    assert "web.host" in caught.value.remedy


def test_a_name_that_cannot_be_resolved_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    wanted = settings("microscope.invalid", write_access(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(WebPortTaken, match=r"microscope\.invalid cannot be resolved") as caught:
        MicroscopePage(wanted, tmp_path).start(FakeDevice())
    assert "web.host" in caught.value.remedy
