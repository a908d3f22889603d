"""Who may use the page of a real agent: passwords, roles, other sites, other names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Launch, RunningDevice, open_page
from tests.page_access import PASSWORDS, write_access

PAUSE = """
async ([address, options]) => {
    const id = "01a22689-4bf6-77ad-8ab0-eeb9f00c0419";
    try {
        const body = JSON.stringify({id});
        const answer = await fetch(address + "commands/pause", {method: "POST", body, ...options});
        return [answer.type, answer.status];
    } catch (error) {
        return [error.name, 0];
    }
}
"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of an empty page of another site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title>")

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://localhost:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def log_in(page: Page, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def locked(launch: Launch, folder: Path) -> RunningDevice:
    return launch(web=f'access_file = "{write_access(folder)}"')


def open_log_in(page: Page, device: RunningDevice) -> None:
    device.wait_until_served()
    page.goto(device.address)
    page.locator("#login").wait_for()


def test_a_wrong_password_opens_nothing(page: Page, launch: Launch, tmp_path: Path) -> None:
    device = locked(launch, tmp_path)
    open_log_in(page, device)
    expect(page.locator("#page")).to_be_hidden()
    log_in(page, "not the password")
    expect(page.locator("#login-message")).to_contain_text("This password is not known.")
    for path in ("readings", "events", "slides", "collection"):
        assert page.request.get(f"{device.address}{path}").status == 401
    log_in(page, PASSWORDS["look"])
    expect(page.locator("#page")).to_be_visible()


def test_a_role_does_what_it_may_and_no_more(page: Page, launch: Launch, tmp_path: Path) -> None:
    device = locked(launch, tmp_path)
    open_log_in(page, device)
    log_in(page, PASSWORDS["look"])
    page.locator("#reading-picture .field-picture").wait_for()
    expect(page.get_by_role("button", name="Read this field")).to_be_disabled()
    # The button is only a convenience; the device decides.
    assert page.evaluate(PAUSE, [device.address, {"headers": {"Content-Type": "application/json"}}]) == ["basic", 403]
    page.goto(f"{device.address}#/device")
    page.get_by_role("button", name="Log out").click()
    page.locator("#login").wait_for()
    log_in(page, PASSWORDS["work"])
    page.goto(f"{device.address}#/microscope")
    expect(page.get_by_role("button", name="Pause")).to_be_enabled()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_test_id("banner-paused")).to_be_visible()


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "no-cors"},
        {"mode": "no-cors", "headers": {"Content-Type": "text/plain"}},
        {"mode": "cors", "headers": {"Content-Type": "application/json"}},
    ],
)
def test_another_site_cannot_have_the_device_do_anything(
    page: Page, launch: Launch, elsewhere: str, options: dict[str, object]
) -> None:
    """On the device itself nobody needs a password, so only the request's origin shows this."""
    device = launch()
    device.wait_until_served()
    page.goto(elsewhere)
    kind, status = page.evaluate(PAUSE, [device.address, {**options, "credentials": "include"}])
    assert (kind, status) in {("opaque", 0), ("TypeError", 0)}
    open_page(page, device)
    page.locator("#reading-picture .field-picture").wait_for()
    expect(page.get_by_test_id("banner-paused")).to_be_hidden()
    expect(page.get_by_role("button", name="Pause")).to_be_enabled()


def test_another_site_cannot_watch(page: Page, launch: Launch, elsewhere: str) -> None:
    device = launch()
    device.wait_until_served()
    page.goto(elsewhere)
    opened = page.evaluate(
        """(address) => new Promise((resolve) => {
            const socket = new WebSocket(address.replace("http", "ws") + "live");
            socket.onopen = () => resolve(true);
            socket.onerror = () => resolve(false);
        })""",
        device.address,
    )
    assert opened is False


def test_a_name_that_is_not_the_devices_is_refused(page: Page, launch: Launch) -> None:
    device = launch()
    device.wait_until_served()
    # Browsers resolve every name below localhost to this machine, as an attacker's name server would.
    answer = page.goto(device.address.replace("127.0.0.1", "attacker.localhost"))
    assert answer is not None
    assert answer.status == 400
    assert "does not answer under that name" in answer.text()
