"""Helpers of the tests of the page with a scripted device."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import Specimen
from edge_agent.web.device import Problem
from edge_agent.web.settings import WebSettings
from tests.browser.scene import Scene
from tests.mqtt import PATIENCE_S
from tests.page_access import write_access

SPECIMEN = Specimen(id="S-7K3F-92QX", slide=2)


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Let the page go on until ``condition`` is true in this process."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        page.wait_for_timeout(20)


def canvas_pixels(page: Page) -> NDArray[np.uint8]:
    """The pixels of the canvas, uint8 RGBA (h, w, 4)."""
    size, data = page.evaluate(
        """() => { const c = document.getElementById("live");
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        return [[c.height, c.width, 4], btoa(Array.from(d, (v) => String.fromCharCode(v)).join(""))]; }"""
    )
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(size)


def show_frame(made: Scene, page: Page, picture: NDArray[np.uint8], number: int, **header: object) -> None:
    """Send a frame and wait until it is drawn. Its number differs from those before."""
    made.moving.show(picture, id=number, **header)
    expect(page.locator("#live")).to_have_attribute("data-frame", str(number))


def show_once_asked(made: Scene, page: Page) -> None:
    """Wait until the page has asked for a frame."""
    expect(page.locator("#live")).to_be_visible()
    until(page, lambda: bool(made.moving.asked))


def outlined(page: Page) -> NDArray[np.bool_]:
    """Where the canvas has the colour of the nuclei's outlines."""
    red, green, blue = (canvas_pixels(page)[..., channel].astype(int) for channel in range(3))
    return (green > red + 80) & (green > blue + 40)


def commands(made: Scene) -> list[tuple[str, dict[str, Any]]]:
    found = []
    while not made.device.submitted.empty():
        request, _ = made.device.submitted.get()
        found.append((request.command, json.loads(request.payload)))
    return found


def locked(folder: Path) -> WebSettings:
    return WebSettings(enabled=True, host="127.0.0.1", port=free_port(), access_file=write_access(folder))


def problem(part: str, code: str) -> Problem:
    return Problem(part=part, code=code, message=f"Something is wrong with the {part}.", remedy="Mend it.")
