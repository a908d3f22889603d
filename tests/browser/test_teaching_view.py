"""The teaching view: its requests to the device, and when it lets a person continue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from edge_agent.adaptation.state import FitMode, FitState
from edge_agent.contracts import ErrorReport
from tests.browser.kept_frames import KeptFrames
from tests.browser.scene import Readings, Scene, scene
from tests.browser.taught import GROWING, Taught, fitted, report, state
from tests.browser.watching import locked
from tests.page_access import PASSWORDS


def submitted(made: Scene) -> dict[str, dict[str, object]]:
    found = {}
    while not made.device.submitted.empty():
        request, _ = made.device.submitted.get()
        found[request.command] = json.loads(request.payload)
    return found


def test_the_figure_is_asked_for_once_for_each_number_of_labels(page: Page, made: Scene, taught: Taught) -> None:
    taught.state = state({"benign": 4, "pre-b": 9})
    made.open(page, "teach")
    expect(page.locator("#teach-figure-none")).to_contain_text("As soon as two classes have 5 labelled fields")
    expect(page.locator("#teach-counts li").first).to_contain_text("4 of 20: 16 more")
    expect(page.get_by_role("button", name="Fit the head")).to_be_disabled()
    assert not taught.measured
    taught.state = state({"benign": 5, "pre-b": 9})
    expect(page.locator("#teach-figure-none")).to_have_text("The accuracy is being measured …")
    taught.state = state({"benign": 5, "pre-b": 9}, figures=GROWING[:1])
    expect(page.locator("#teach-accuracy")).to_have_text("75%")
    expect(page.locator("#teach-interval")).to_contain_text("between 47% and 91%")
    taught.state = state({"benign": 6, "pre-b": 9}, figures=GROWING[:2])
    expect(page.locator("#teach-plot svg")).to_have_attribute(
        "aria-label", "Accuracy by the number of labelled fields: 83% with 18."
    )
    assert taught.measured == [{"set": "smear"}] * 2


def test_a_head_is_fitted_cancelled_and_used(page: Page, made: Scene, taught: Taught) -> None:
    taught.state = state({"benign": 24, "pre-b": 20}, figures=GROWING)
    made.open(page, "teach")
    page.get_by_label("Name of the head").fill("north-clinic")
    page.get_by_role("button", name="Fit the head").click()
    expect(page.locator("#teach-message")).to_have_text("The head is being fitted.")
    command = submitted(made)["adapt"]
    assert (command["label_set"], command["name"]) == ("smear", "north-clinic")
    running = {"state": FitState.RUNNING, "mode": FitMode.HEAD, "stage": "validating", "progress_ratio": 0.4}
    taught.state = state({"benign": 24, "pre-b": 20}, figures=GROWING, **running)
    expect(page.locator("#teach-stage")).to_have_text("Testing on fields that are held out")
    expect(page.get_by_role("button", name="Fit the head")).to_be_disabled()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#teach-message")).to_have_text("The fit was cancelled.")
    assert "cancel-adaptation" in submitted(made)
    taught.state = state({"benign": 24, "pre-b": 20}, figures=GROWING, state=FitState.DONE, head=fitted())
    expect(page.locator("#teach-answers")).to_contain_text("names: Benign, Pre-B ALL")
    page.get_by_role("button", name="Use this head").click()
    expect(page.locator("#teach-use-message")).to_have_text("The head north-clinic is in use from the next reading on.")
    command = submitted(made)["select-model"]
    assert (command["model"], command["head"]) == ("accurate", "north-clinic@1.0.0")


def test_a_provisional_head_cannot_be_used_and_says_what_is_missing(page: Page, made: Scene, taught: Taught) -> None:
    missing = "Class 'pre-b' has 9 images (at least 20 are needed)."
    taught.state = state({"benign": 24, "pre-b": 9}, head=fitted(missing), state=FitState.DONE)
    made.open(page, "teach")
    expect(page.locator("#teach-verdict")).to_contain_text("with it the device answers nothing")
    expect(page.locator("#teach-reasons")).to_have_text(missing)
    expect(page.get_by_role("button", name="Use this head")).to_be_disabled()


def test_a_mistake_is_looked_at_again(page: Page, made: Scene, kept: KeptFrames, taught: Taught) -> None:
    taught.state = state({"benign": 24, "pre-b": 20}, head=fitted(), report=report(kept.ids[3]))
    made.open(page, "teach")
    expect(page.locator("#teach-warnings")).to_contain_text("The size of the picture alone")
    page.locator("#teach-mistakes a").click()
    expect(page.locator("#label-picture")).to_have_attribute("data-item", kept.ids[3])
    page.keyboard.press("2")
    expect(page.locator("#label-picture")).to_have_attribute("data-item", kept.ids[0])
    assert [(each.item, each.label) for each in kept.given] == [(kept.ids[3], "early-pre-b")]


def test_what_went_wrong_is_said_with_its_remedy(page: Page, made: Scene, taught: Taught) -> None:
    error = ErrorReport(code="adaptation_memory", message="It needed too much.", remedy="Raise the limit.")
    taught.state = state({"benign": 24, "pre-b": 20}, state=FitState.FAILED, error=error)
    made.open(page, "teach")
    expect(page.locator("#teach-message")).to_have_text("It needed too much. Raise the limit.")
    expect(page.get_by_role("button", name="Fit the head")).to_be_enabled()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"installed": False}, "leukoscope[adapt]"), ({"enabled": False}, "Heads are not fitted on this device")],
)
def test_a_device_that_cannot_fit_says_why(
    page: Page, made: Scene, taught: Taught, changes: dict[str, object], words: str
) -> None:
    taught.state = state({"benign": 24, "pre-b": 20}, **changes)
    made.open(page, "teach")
    expect(page.locator("#teach-fit-heading ~ .why")).to_contain_text(words)
    assert not taught.measured


def test_without_kept_frames_there_is_nothing_to_learn_from(page: Page, made: Scene, taught: Taught) -> None:
    taught.state = state({"benign": 0, "pre-b": 0}, keeps_frames=False)
    made.open(page, "teach")
    expect(page.locator("#teach-off")).to_be_visible()
    expect(page.locator("#teach-desk")).to_be_hidden()


def test_whoever_may_only_look_starts_nothing(page: Page, readings: Readings, tmp_path: Path, taught: Taught) -> None:
    with scene(readings, locked(tmp_path)) as made:
        page.goto(f"{made.address}#/teach")
        page.locator("#password").fill(PASSWORDS["look"])
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#teach-accuracy")).to_have_text("93%")
        expect(page.get_by_role("button", name="Fit the head")).to_be_disabled()
        expect(page.get_by_role("button", name="Use this head")).to_be_disabled()
        assert not taught.measured


def test_nobody_asks_in_another_view(page: Page, made: Scene, taught: Taught) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    made.open(page, "teach")
    page.locator("#teach-head").wait_for()
    with page.expect_request("**/teaching"):
        page.clock.run_for(2000)
    page.locator("#nav-device").click()
    page.locator("#view-device").wait_for()
    asked.clear()
    page.clock.run_for(20_000)
    assert not [each for each in asked if each.endswith("/teaching")]
