"""From a stain that the bundle refuses to its first answer, on one device: collect, label, fit, look, use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from playwright.sync_api import Page, expect

from edge_agent.contracts import Outcome, Reason, Result
from tests.browser.conftest import PATIENCE_MS, Launch, open_page
from tests.mqtt import Subscriber

FIELDS_COUNT = 60
CAMERA = """
kind = "synthetic"
stain = "blue"
labels = ["benign", "pre-b"]
bad_fields_ratio = 0
frames_per_field_count = 1
width_px = 320
height_px = 240
"""
# Every frame shows another field.
COLLECTION = """
[quality]
max_motion_pct = 100
[collection]
keep = "all"
consent = "Drawn smears."
label_sets = [{name = "smear", question = "Are there blasts?", labels = [
    {code = "none", name = "No blasts", malignant = false},
    {code = "blasts", name = "Blasts", malignant = true},
]}]
"""
AN_ID = re.compile(r"^[0-9a-f-]{36}$")
KEYS = {"benign": "1", "pre-b": "2"}
CODES = {"benign": "none", "pre-b": "blasts"}


def results(subscriber: Subscriber) -> Iterator[Result]:
    while True:
        found = subscriber.next("result").body()
        assert isinstance(found, Result)
        yield found


def drawn(result: Result) -> str:
    """The kind of smear that the camera has drawn, which its frames name."""
    return str(result.source).split(":")[1]


def test_a_microscope_is_taught_a_stain_that_its_bundle_refuses(
    page: Page, launch: Launch, subscriber: Subscriber
) -> None:
    open_page(page, launch(camera=CAMERA, trigger="interval_s = 0.1", more=COLLECTION))
    came = results(subscriber)
    truth: dict[str, str] = {}
    unfamiliar_count = 0
    while len(truth) < FIELDS_COUNT:
        result = next(came)
        assert result.outcome is not Outcome.CLASSIFIED
        unfamiliar_count += result.reason is Reason.UNFAMILIAR
        truth[str(result.id)] = drawn(result)
    assert unfamiliar_count >= 0.95 * FIELDS_COUNT
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()

    page.locator("#nav-label").click()
    picture, item = page.locator("#label-picture"), ""
    for _ in range(FIELDS_COUNT):
        expect(picture).not_to_have_attribute("data-item", item)
        expect(picture).to_have_attribute("data-item", AN_ID)
        item = str(picture.get_attribute("data-item"))
        while item not in truth:
            # It arrived while reading was being paused.
            result = next(came)
            truth[str(result.id)] = drawn(result)
        page.keyboard.press(KEYS[truth[item]])
    expect(page.locator("#label-progress")).to_contain_text(re.compile(f"^{FIELDS_COUNT} of"))

    page.locator("#nav-teach").click()
    # The figure is measured in its own process of the lowest priority.
    expect(page.locator("#teach-accuracy")).to_have_text(re.compile(r"^(100|9\d)%$"), timeout=4 * PATIENCE_MS)
    page.get_by_label("Name of the head").fill("north-clinic")
    page.get_by_role("button", name="Fit the head").click()
    expect(page.locator("#teach-verdict")).to_have_class("ready", timeout=4 * PATIENCE_MS)
    expect(page.locator("#teach-answers")).to_contain_text("names: No blasts, Blasts")
    page.get_by_role("button", name="Use this head").click()
    expect(page.locator("#teach-use-message")).to_contain_text("in use from the next reading on")

    page.locator("#nav-microscope").click()
    page.get_by_role("button", name="Resume").click()
    judged = list(islice((each for each in came if each.model.head is not None), 10))
    assert {each.model.head.name for each in judged if each.model.head is not None} == {"north-clinic"}
    answered = [each for each in judged if each.outcome is Outcome.CLASSIFIED]
    # A head also refuses a few fields of its own site.
    assert len(answered) >= 7
    assert [each.label for each in answered] == [CODES[drawn(each)] for each in answered]
    expect(page.locator("#reading .outcome.classified")).to_be_visible()
