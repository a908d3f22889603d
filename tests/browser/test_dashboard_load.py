"""The dashboard with its intended number of devices. ``make dashboard-load`` measures it over ten minutes."""

from __future__ import annotations

from playwright.sync_api import Browser

from benchmarks.dashboard import load


def test_every_reading_of_200_devices_is_counted_once(browser: Browser, mosquitto: str) -> None:
    run = load(browser, devices_count=200, seconds=8, steps_count=2)
    assert run.published_count == 1600
    assert run.shown_count == run.published_count
    assert (run.repeats_count, run.missing_count, run.unreadable_count) == (0, 0, 0)
