"""The moving picture with frames of known figures."""

from __future__ import annotations

import queue
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from tests.browser.scene import Scene
from tests.browser.watching import canvas_pixels, outlined, show_frame, show_once_asked, until


def test_the_next_frame_is_asked_for_when_one_is_drawn(page: Page, made: Scene, field: NDArray[np.uint8]) -> None:
    made.open(page)
    show_once_asked(made, page)
    assert made.moving.asked == [{"next": True, "region": [0, 0, 1, 1], "max_width_px": 960}]
    for number in (1, 2, 3):
        show_frame(made, page, field, number)
        until(page, lambda: len(made.moving.asked) > made.moving.shown_count)
        assert len(made.moving.asked) == number + 1


def test_zoom_asks_for_the_part_that_is_looked_at(page: Page, made: Scene, field: NDArray[np.uint8]) -> None:
    made.open(page)
    show_once_asked(made, page)
    expect(page.locator("#live")).to_have_css("touch-action", "pan-y")
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(page.locator("#live")).to_have_css("touch-action", "none")
    expect(page.locator("#zoom-value")).to_have_text(re.compile(r"^2\.3"))
    canvas = page.locator("#live").bounding_box()
    assert canvas is not None
    page.mouse.move(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    page.mouse.down()
    page.mouse.move(canvas["x"] + canvas["width"], canvas["y"] + canvas["height"])
    page.mouse.up()
    show_frame(made, page, field, 1)
    until(page, lambda: len(made.moving.asked) >= 2)
    left, top, width, height = made.moving.asked[-1]["region"]
    assert (left, top) == pytest.approx((0.0555, 0.0555), abs=0.01), "dragged by half of the part"
    assert width == height == pytest.approx(1 / 2.25)


def test_layers_belong_to_the_field_that_was_read_and_follow_the_part_that_is_shown(
    page: Page, made: Scene, field: NDArray[np.uint8]
) -> None:
    result = made.show(made.readings.make(seed=7))
    made.open(page)
    page.locator("#reading-picture .field-picture").wait_for()
    show_once_asked(made, page)
    show_frame(made, page, field, 1)
    assert not outlined(page).any()
    expect(page.locator("#live-moved")).to_be_visible()
    show_frame(made, page, field, 2, reading=str(result.id))
    expect(page.locator("#live-moved")).to_be_hidden()
    whole = outlined(page)
    assert whole.sum() > 500
    # A frame of the part before the zoom still arrives.
    page.keyboard.press("+")
    show_frame(made, page, field, 3, reading=str(result.id))
    assert np.array_equal(outlined(page), whole)
    show_frame(made, page, field[:360, :480], 4, reading=str(result.id), region=[0, 0, 0.5, 0.5])
    part = outlined(page)
    rows, columns = np.nonzero(part)
    # Every outline is where it is in the whole picture, within the width of a line.
    near = sum(
        bool(whole[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].any()) for y, x in zip(rows, columns, strict=True)
    )
    assert near / rows.size > 0.97
    show_frame(made, page, field, 5)
    assert not outlined(page).any(), "the field has moved away"
    expect(page.locator("#live-moved")).to_be_visible()
    page.keyboard.press("n")
    show_frame(made, page, field, 6, reading=str(result.id))
    assert not outlined(page).any()


def test_what_is_clipped_is_striped_when_asked_for(page: Page, made: Scene) -> None:
    picture = np.full((120, 160, 3), 150, np.uint8)
    picture[:, :40] = 255
    picture[:, 120:] = 0
    made.open(page)
    show_once_asked(made, page)
    show_frame(made, page, picture, 1)
    plain = canvas_pixels(page).astype(int)
    page.get_by_role("button", name="Clipping").click()
    show_frame(made, page, picture, 2)
    striped = (np.abs(canvas_pixels(page).astype(int) - plain).max(axis=2) > 60).mean(axis=0)
    assert striped[:36].mean() == pytest.approx(0.5, abs=0.1)
    assert striped[124:].mean() == pytest.approx(0.5, abs=0.1)
    assert not striped[50:110].any()


def test_nothing_is_asked_for_while_nobody_looks(page: Page, made: Scene) -> None:
    made.open(page)
    show_once_asked(made, page)
    closed: queue.SimpleQueue[None] = queue.SimpleQueue()
    made.moving.sockets[-1].on_close(lambda *_: closed.put(None))
    page.locator("#nav-device").click()
    until(page, lambda: not closed.empty())
    asked = len(made.moving.asked)
    page.locator("#nav-microscope").click()
    until(page, lambda: len(made.moving.asked) > asked)
    assert len(made.moving.sockets) == 2
