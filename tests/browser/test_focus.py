"""Focusing with the page of a real agent, whose synthetic camera moves its focus away and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

from tests.browser.conftest import Launch, open_page

SWEEP = """
kind = "synthetic"
labels = ["pre-b"]
bad_fields_ratio = 0
frame_rate_hz = 8
frames_per_field_count = 17
focus_sweep_um = 2.0
"""
FRAMES = 40

WATCH = """(count) => new Promise((resolve) => {
    const seen = [];
    const canvas = document.getElementById("live");
    new MutationObserver(() => {
        const {width, height} = canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
        let energy = 0;
        // Green alone, every fourth row: the slope across two pixels.
        for (let y = 0; y < height; y += 4)
            for (let x = 2; x < width; x++) {
                const at = 4 * (y * width + x) + 1;
                energy += (data[at] - data[at - 8]) ** 2;
            }
        const meter = document.getElementById("focus");
        seen.push([energy, Number(meter.getAttribute("aria-valuenow")), Number(meter.getAttribute("aria-valuemax")),
            parseFloat(document.getElementById("focus-bar").style.width)]);
        if (seen.length === count) resolve(seen);
    }).observe(document.getElementById("focus"), {attributeFilter: ["aria-valuetext"]});
})"""


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.argsort(np.argsort(values)), np.float64)


def test_the_focus_meter_rises_and_falls_with_the_picture_and_is_full_at_the_sharpest(
    page: Page, launch: Launch
) -> None:
    open_page(page, launch(camera=SWEEP, trigger='mode = "triggered"'))
    page.locator("#live[data-frame]").wait_for()
    sharpness, focus, best, bar_pct = np.array(page.evaluate(WATCH, FRAMES)).T
    assert focus.max() > 4 * focus.min()
    assert np.corrcoef(ranks(sharpness), ranks(focus))[0, 1] > 0.9
    # By the meter, the sharpest picture is among the very best; there the bar is full.
    assert focus[sharpness.argmax()] > 0.9 * focus.max()
    assert bar_pct[focus.argmax()] == 100
    assert np.allclose(bar_pct, 100 * focus / best, atol=0.1)
