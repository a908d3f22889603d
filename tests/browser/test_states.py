"""The page's text about the device and about a reading."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from edge_agent.contracts import Outcome, Reason, SpecimenField
from tests.browser.scene import LIMITS, Scene
from tests.browser.watching import SPECIMEN, problem, until


def test_a_silent_device_is_noticed_within_three_seconds(page: Page, made: Scene) -> None:
    page.clock.install()
    made.show(made.readings.make())
    made.open(page)
    page.locator("#reading-picture .field-picture").wait_for()
    expect(page.get_by_test_id("banner-lost")).to_be_hidden()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    # The page hears from the device once more while its clock stands still.
    made.device.changes |= {"site": "other-clinic"}
    expect(page.locator("#device-name")).to_have_text("other-clinic / scope-1")
    made.server.stop()
    page.clock.run_for(2000)
    expect(page.get_by_test_id("banner-lost")).to_be_hidden()
    page.clock.run_for(1000)
    expect(page.get_by_test_id("banner-lost")).to_be_visible()
    expect(page.locator("#reading")).to_have_class("card outdated")
    expect(page.locator("#reading-age")).to_contain_text("connection lost")
    expect(page.get_by_role("button", name="Read this field")).to_be_disabled()
    page.clock.resume()
    made.server.start(made.device)
    expect(page.get_by_test_id("banner-lost")).to_be_hidden()
    expect(page.locator("#reading")).to_have_class("card")


@pytest.mark.parametrize(
    ("changes", "banner", "age"),
    [
        ({"paused": True}, "paused", "paused, reading of"),
        ({"stale_after_s": 0.001}, "stale", "old, reading of"),
        ({"safe_mode": True}, "safe_mode", "reading of"),
        ({"problems": (problem("camera", "camera_lost"),)}, "camera", "no camera, reading of"),
        ({"problems": (problem("broker", "broker_unreachable"),)}, "broker", None),
        ({"problems": (problem("disk", "disk_low"),)}, "disk", None),
        ({"problems": (problem("spool", "spool_full"),)}, "spool", None),
        ({"demonstration": True}, "demonstration", None),
        ({"provisional": True}, "provisional", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_state_is_a_banner_with_what_to_do(
    page: Page, made: Scene, changes: dict[str, object], banner: str, age: str | None
) -> None:
    made.show(made.readings.make())
    made.open(page)
    page.locator("#reading-picture .field-picture").wait_for()
    expect(page.locator("#reading-age")).to_contain_text("ago")
    usual = dict(made.device.changes)
    made.device.changes |= changes
    shown = page.get_by_test_id(f"banner-{banner}")
    expect(shown).to_be_visible()
    expect(shown.locator("strong")).not_to_be_empty()
    expect(shown.locator("span")).not_to_be_empty()
    if age is not None:
        expect(page.locator("#reading-age")).to_contain_text(age)
        expect(page.locator("#reading")).to_have_class("card outdated")
    else:
        expect(page.locator("#reading")).to_have_class("card")
    made.device.changes = usual
    expect(shown).to_be_hidden()
    expect(page.locator("#reading")).to_have_class("card")


def test_words_wait_for_their_own_picture(page: Page, made: Scene) -> None:
    first = made.show(made.readings.make())
    made.open(page)
    reading = page.locator("#reading")
    expect(reading).to_have_attribute("data-reading", str(first.id))
    held: list[Route] = []
    page.route("**/field.jpg", lambda route: held.append(route))  # noqa: PLW0108 - a builtin is refused
    second = made.show(made.readings.unfamiliar())
    until(page, lambda: bool(held))
    expect(reading).to_have_attribute("data-reading", str(first.id))
    expect(reading.get_by_test_id("outcome")).to_contain_text("Pre-B")
    held[0].continue_()
    expect(reading).to_have_attribute("data-reading", str(second.id))
    expect(reading.get_by_test_id("outcome")).to_have_text("No label")
    expect(reading.locator(".field-picture")).to_have_attribute("data-reading", str(second.id))


def test_a_refused_field_says_why_and_how_far_it_is_from_the_limit(page: Page, made: Scene) -> None:
    result = made.show(made.readings.unfamiliar())
    made.open(page)
    reading = page.locator("#reading")
    expect(reading.get_by_test_id("outcome")).to_have_text("No label")
    expect(reading.get_by_test_id("sentence")).to_contain_text("unlike the images")
    expect(reading.get_by_test_id("step")).to_contain_text("Check magnification")
    expect(reading.locator("table")).to_have_count(0)
    decision = result.decision
    assert decision is not None
    expect(reading.locator(".why-score p")).to_contain_text(f"{decision.unfamiliarity_score:.2f}".rstrip("0"))
    fill, limit = (
        reading.locator(selector).evaluate("(node) => parseFloat(node.style.width || node.style.left)")
        for selector in (".score .fill", ".score .limit")
    )
    assert fill / limit == pytest.approx(1.4, abs=0.01)


def test_the_figure_beside_a_reason_is_the_one_that_refused_the_field(page: Page, made: Scene) -> None:
    """A field may be over-exposed by its nuclei although its brightness is right."""
    quality = made.readings.make()[1].quality
    assert quality is not None
    assert quality.brightness_pct < LIMITS["max_brightness_pct"]
    refused: dict[str, Any] = {
        "outcome": Outcome.REJECTED,
        "reason": Reason.OVER_EXPOSED,
        "label": None,
        "probabilities": None,
    }
    made.show(made.readings.make(**refused, quality=quality.model_copy(update={"clipped_nuclei_pct": 91.0})))
    made.open(page)
    expect(page.locator(".why-score p")).to_have_text(
        f"Nuclei that are too bright, %: 91, at most {LIMITS['max_clipped_nuclei_pct']:g} is allowed"
    )


def test_a_field_that_was_counted_before_says_so_first(page: Page, made: Scene) -> None:
    made.show(made.readings.make(specimen=SpecimenField(id=SPECIMEN.id, slide=2, field=9, repeats_field=3)))
    made.open(page)
    expect(page.locator("#reading-summary").get_by_test_id("repeats")).to_have_text(
        "Already counted: this is field 3 again."
    )
