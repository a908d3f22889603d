"""A real browser, and the page of a real agent with a real broker."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect, sync_playwright

from edge_agent.cli.local_broker import free_port
from tests.browser.kept_frames import KeptFrames
from tests.browser.scene import Readings, Scene, draw, scene
from tests.browser.taught import Taught
from tests.mqtt import PATIENCE_S

PATIENCE_MS = 1000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless. It is closed before other tests, because Playwright's event loop runs until then."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        # Its sandbox needs rights, and its shared memory a size, that a container may not have.
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in its own context, in English. A failing script makes its test fail."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    found = context.new_page()
    failures: list[str] = []
    found.on("pageerror", lambda error: failures.append(str(error)))
    yield found
    context.close()
    assert not failures


@dataclass
class RunningDevice:
    """An agent in its own process, which can be killed and started again."""

    config: Path
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        code = "from edge_agent.cli.app import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "run", "--config", str(self.config)], stderr=subprocess.PIPE, text=True
        )

    def kill(self) -> None:
        """Kill the agent, as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()
        self.process = None

    def wait_until_served(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process is not None
                assert self.process.poll() is None, "the agent ended"
                assert time.monotonic() < deadline, "the agent does not serve its page"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=PATIENCE_S)
            self.process = None


SYNTHETIC = 'kind = "synthetic"\nbad_fields_ratio = 0'

Launch = Callable[..., RunningDevice]


@pytest.fixture
def launch(tmp_path: Path, broker_port: int) -> Iterator[Launch]:
    """Start an agent whose configuration has these sections, each as TOML lines."""
    started: list[RunningDevice] = []

    def start(
        camera: str = SYNTHETIC, trigger: str = "interval_s = 0.2", web: str = "", more: str = ""
    ) -> RunningDevice:
        port = free_port()
        folder = tmp_path / f"device-{len(started)}"
        folder.mkdir()
        config = folder / "agent.toml"
        config.write_text(
            f'[device]\nsite = "clinic"\nid = "scope-1"\n'
            f"[camera]\n{camera}\n"
            f"[capture]\nreopen_initial_s = 0.1\nreopen_max_s = 0.5\ndeadline_s = 2\n"
            f'[trigger]\n{trigger}\n[analysis]\nbundle = "demo"\n'
            f"[mqtt]\nport = {broker_port}\nreconnect_max_s = 1\n"
            f'[state]\nfolder = "{folder / "state"}"\n'
            f"[web]\nenabled = true\nport = {port}\n{web}\n{more}\n"
        )
        device = RunningDevice(config, port)
        started.append(device)
        device.start()
        return device

    yield start
    for device in started:
        if device.process is not None:
            device.process.kill()
            device.process.communicate()


def open_page(page: Page, device: RunningDevice, view: str = "microscope") -> None:
    """Open a view as soon as the agent serves it."""
    page.goto("about:blank")
    device.wait_until_served()
    page.goto(f"{device.address}#/{view}")
    page.locator(f"#view-{view}").wait_for()


@pytest.fixture(scope="session")
def readings() -> Readings:
    return Readings()


@pytest.fixture(scope="session")
def field() -> NDArray[np.uint8]:
    """The picture that the moving picture shows, uint8 RGB (720, 960, 3)."""
    return draw("pre-b", 7)


@pytest.fixture
def made(readings: Readings) -> Iterator[Scene]:
    with scene(readings) as found:
        yield found


@pytest.fixture
def kept(page: Page) -> KeptFrames:
    found = KeptFrames([np.full((60, 80, 3), 40 * number, np.uint8) for number in range(5)])
    found.attach(page)
    return found


@pytest.fixture
def taught(page: Page) -> Taught:
    found = Taught()
    found.attach(page)
    return found
