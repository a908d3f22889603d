"""The moving picture of a real agent: focus, overlays, and its pace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.conftest import Launch, open_page

SWEEP = (
    'kind = "synthetic"\nbad_fields_ratio = 0\nframes_per_field_count = 16\nfocus_sweep_um = 3.0\n'
    "width_px = 640\nheight_px = 480"
)

RECORD = """
(count) => new Promise((resolve) => {
    const canvas = document.getElementById("live");
    const meter = document.getElementById("focus");
    const context = canvas.getContext("2d", {willReadFrequently: true});
    const seen = [];
    const sharpness = () => {
        const {data, width, height} = context.getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let y = 1; y < height - 1; y += 1)
            for (let x = 1; x < width - 1; x += 1) {
                const at = 4 * (y * width + x) + 1;
                const curve = 4 * data[at] - data[at - 4] - data[at + 4] - data[at - 4 * width] - data[at + 4 * width];
                sum += curve * curve;
            }
        return sum / (width * height);
    };
    new MutationObserver(() => {
        seen.push({frame: canvas.dataset.frame, meter: Number(meter.getAttribute("aria-valuenow")),
            share: document.getElementById("focus-bar").style.width, sharpness: sharpness()});
        if (seen.length === count) resolve(seen);
    }).observe(meter, {attributes: true, attributeFilter: ["aria-valuenow"]});
})
"""


def test_the_focus_meter_peaks_at_the_sharpest_picture_of_a_sweep(page: Page, launch: Launch) -> None:
    open_page(page, launch(camera=SWEEP, trigger='mode = "triggered"'))
    page.locator("#layer-nuclei").click()
    seen: list[dict[str, Any]] = page.evaluate(RECORD, 40)
    assert len({each["frame"] for each in seen}) == 40, "each picture is shown once"
    sharpest = max(seen, key=lambda each: each["sharpness"])
    peak = max(seen, key=lambda each: each["meter"])
    blurred = min(seen, key=lambda each: each["sharpness"])
    assert peak["sharpness"] >= 0.8 * sharpest["sharpness"]
    assert peak["sharpness"] > 3 * blurred["sharpness"], "the sweep goes through focus"
    assert blurred["meter"] < 0.5 * peak["meter"]
    assert peak["share"] == "100%", "the best value seen is the end of the bar"


def test_overlays_are_those_of_the_reading_that_the_picture_still_shows_and_can_be_switched(
    page: Page, launch: Launch
) -> None:
    device = launch(
        camera='kind = "synthetic"\nbad_fields_ratio = 0\nframes_per_field_count = 100000',
        trigger='mode = "triggered"',
    )
    open_page(page, device)
    canvas = page.locator("#live")
    expect(canvas).to_have_attribute("data-layered", "")
    expect(page.locator("#live-moved")).to_be_hidden()
    page.get_by_role("button", name="Read this field").click()
    page.locator("#reading-picture .field-picture").wait_for()
    reading = page.locator("#reading").get_attribute("data-reading")
    assert reading
    expect(canvas).to_have_attribute("data-layered", reading)
    expect(page.locator("#live-moved")).to_be_hidden()

    def outlined() -> int:
        """Pixels in the colour of the outlines, once another picture has been drawn."""
        frame = canvas.get_attribute("data-frame")
        page.wait_for_function("frame => document.getElementById('live').dataset.frame !== frame", arg=frame)
        return int(
            page.evaluate(
                """() => {
                    const canvas = document.getElementById("live");
                    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                    let count = 0;
                    for (let at = 0; at < data.length; at += 4)
                        count += data[at] < 60 && data[at + 1] > 150 && data[at + 2] < 170;
                    return count;
                }"""
            )
        )

    assert outlined() > 50
    layers = page.locator("#reading-picture [data-layer=nuclei]")
    expect(layers).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator("#layer-nuclei")).to_have_attribute("aria-pressed", "false")
    expect(layers).to_be_hidden()
    assert outlined() == 0
    expect(page.locator("#legend")).to_be_hidden()
    page.locator("#layer-evidence").click()
    expect(page.locator("#legend")).to_be_visible()
    expect(page.locator("#reading-picture [data-layer=evidence]")).to_be_visible()


def test_zoom_shows_the_cameras_own_pixels_of_a_part(page: Page, launch: Launch) -> None:
    camera = 'kind = "synthetic"\nbad_fields_ratio = 0\nwidth_px = 1280\nheight_px = 960'
    open_page(page, launch(camera=camera, trigger='mode = "triggered"'))
    page.wait_for_function("() => document.getElementById('live').width === 960")
    for _ in range(3):
        page.locator("#zoom-in").click()
    expect(page.locator("#zoom-value")).to_have_text(re.compile("^3[.]4"))
    # 1280 px / 1.5^3: neither enlarged nor reduced.
    page.wait_for_function("() => Math.abs(document.getElementById('live').width - 379) < 3")
    page.locator("#zoom-out").click()
    expect(page.locator("#zoom-value")).to_have_text(re.compile("^2[.]3"))


def test_what_is_clipped_is_striped(page: Page, launch: Launch, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    picture = np.full((480, 640, 3), 128, np.uint8)
    picture[:240, :320] = 255
    picture[240:, 320:] = 0
    cv2.imwrite(str(folder / "one.png"), picture)
    open_page(page, launch(camera=f'kind = "folder"\npath = "{folder}"\nloop = true', trigger="interval_s = 0.2"))
    page.locator("#layer-clipping").click()
    page.wait_for_function(
        """() => {
            const canvas = document.getElementById("live");
            const context = canvas.getContext("2d");
            const colours = (x, y) => {
                const {data} = context.getImageData(x, y, 16, 1);
                return new Set(Array.from({length: 16}, (_, at) => data.slice(4 * at, 4 * at + 3).join()));
            };
            if (canvas.width !== 640) return false;
            const bright = colours(100, 100), middle = colours(500, 100), dark = colours(500, 400);
            return bright.has("220,30,30") && bright.size > 1 && dark.has("40,120,255") && dark.size > 1
                && ![...middle].some((each) => each === "220,30,30" || each === "40,120,255");
        }"""
    )


def test_nobody_asks_for_pictures_in_another_view(page: Page, launch: Launch) -> None:
    device = launch(trigger='mode = "triggered"')
    sockets: list[Any] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - Playwright needs a function
    open_page(page, device)
    page.wait_for_function("() => document.getElementById('live').dataset.frame !== undefined")
    page.goto(f"{device.address}#/history")
    page.locator("#view-history").wait_for()
    assert len(sockets) == 1
    if not sockets[0].is_closed():
        sockets[0].wait_for_event("close")
    page.goto(f"{device.address}#/microscope")
    page.wait_for_function("() => document.getElementById('live').dataset.frame !== undefined")
    assert len(sockets) == 2
