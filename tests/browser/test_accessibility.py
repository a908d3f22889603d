"""The page for people who see it badly or not at all: barriers, spoken words, keys, languages, phones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # has no types
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from edge_agent.adaptation.state import FitMode, FitState
from edge_agent.specimens.tally import Tally
from tests.browser.kept_frames import KeptFrames
from tests.browser.scene import Readings, Scene, draw, scene
from tests.browser.taught import GROWING, Taught, fitted, report, state
from tests.browser.watching import SPECIMEN, locked, problem, show_frame, show_once_asked

VIEWS = ("microscope", "history", "slides", "label", "teach", "device")


CATALOGUES = Path(__file__).parents[2] / "edge_agent/web/assets/locales"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_barrier(browser: Browser, made: Scene, scheme: str) -> None:
    """axe-core's rules, in both colour schemes, with every banner and overlay that the page has."""
    result = made.show(made.readings.make())
    made.device.slide = Tally(specimen=SPECIMEN, began_at=result.captured_at, wished_fields_count=20, judged_count=3)
    made.device.problems = (problem("camera", "camera_lost"),)
    made.device.changes |= {"demonstration": True, "provisional": True}
    context = browser.new_context(color_scheme=scheme, locale="en-GB")  # type: ignore[arg-type]  # a literal's name
    page = context.new_page()
    kept = KeptFrames([draw("pre-b", 1)])
    kept.attach(page)
    Taught(
        state(
            {"benign": 24, "pre-b": 20}, figures=GROWING, head=fitted("Too few."), report=report(*kept.ids),
            state=FitState.RUNNING, mode=FitMode.HEAD,
        )
    ).attach(page)  # fmt: skip
    found: list[str] = []

    def examine(place: str) -> None:
        # Colours that are still changing would be measured.
        page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in {"serious", "critical"}:
                where = ", ".join(str(node["target"]) for node in violation["nodes"])
                found.append(f"{place}: {violation['id']}: {where}")

    for view in VIEWS:
        made.open(page, view)
        if view == "microscope":
            page.locator("#reading-picture .field-picture").wait_for()
            page.locator("#layer-evidence").click()
        if view == "label":
            page.locator("#label-picture img").wait_for()
        if view == "teach":
            page.locator("#teach-mistakes img").wait_for()
        examine(view)
    page.goto(f"{made.address}#/history/{result.id}")
    page.locator("#history-detail-words .outcome").wait_for()
    page.locator("#history-detail summary").click()
    examine("reading")
    made.open(page)
    page.locator("#finish").click()
    examine("dialog")
    context.close()
    assert not found


def test_the_log_in_has_no_serious_barrier(page: Page, readings: Readings, tmp_path: Path) -> None:
    with scene(readings, locked(tmp_path)) as made:
        page.goto(made.address)
        page.locator("#password").wait_for()
        serious = {each["id"] for each in Axe().run(page).response["violations"] if each["impact"] != "minor"}
        assert not serious & {"color-contrast", "label", "button-name", "document-title", "html-has-lang"}


def test_only_a_change_of_the_outcome_is_spoken(page: Page, made: Scene) -> None:
    made.show(made.readings.make(seed=1))
    made.open(page)
    page.locator("#reading-picture .field-picture").wait_for()
    page.evaluate(
        """() => { window.said = []; const node = document.getElementById("announcer");
        new MutationObserver(() => window.said.push(node.textContent)).observe(node, {childList: true}); }"""
    )
    for again in (
        made.readings.make(seed=2),
        made.readings.make(seed=3),
        made.readings.unfamiliar(seed=4),
        made.readings.unfamiliar(seed=5),
        made.readings.make(seed=6),
    ):
        result = made.show(again)
        expect(page.locator("#reading")).to_have_attribute("data-reading", str(result.id))
    said = page.evaluate("window.said")
    assert len(said) == 2
    assert said[0].startswith("No label This field is unlike the images")
    assert "Pre-B" in said[1]


def test_meters_have_names_and_values_that_are_read_out(page: Page, made: Scene, field: NDArray[np.uint8]) -> None:
    made.open(page)
    show_once_asked(made, page)
    for number, score in enumerate((10.0, 41.5, 25.0), 1):
        show_frame(made, page, field, number, focus_score=score, brightness_pct=81.0, clipped_bright_pct=2.5)
    focus = page.get_by_role("meter", name="Focus")
    assert [focus.get_attribute(f"aria-{name}") for name in ("valuenow", "valuemin", "valuemax")] == ["25", "0", "41.5"]
    expect(focus).to_have_attribute("aria-valuetext", "25 (best 41.5)")
    assert page.evaluate("parseFloat(document.getElementById('focus-bar').style.width)") == pytest.approx(
        60.24, abs=0.1
    )
    exposure = page.get_by_role("meter", name="Exposure")
    expect(exposure).to_have_attribute("aria-valuetext", "81 % of white; clipped: 2.5 % bright, 0 % dark")
    page.get_by_role("button", name="Reset best").click()
    show_frame(made, page, field, 4, focus_score=12.0)
    expect(focus).to_have_attribute("aria-valuetext", "12 (best 12)")


def test_malignant_classes_are_told_apart_without_colours(page: Page, made: Scene) -> None:
    made.show(made.readings.make("pre-b"))
    made.open(page)
    rows = page.locator(".probabilities tbody tr")
    expect(rows).to_have_count(4)
    for row in rows.all():
        malignant = "malignant" in (row.get_attribute("class") or "")
        expect(row.locator("th small")).to_have_text("malignant class" if malignant else "benign class")
    expect(page.get_by_test_id("outcome")).to_contain_text("A malignant class of the model, not a finding")
    background = page.locator("tr.malignant .fill").first.evaluate("(node) => getComputedStyle(node).backgroundImage")
    assert "repeating-linear-gradient" in background


def test_the_page_can_be_worked_with_by_tab_alone(page: Page, made: Scene) -> None:
    made.open(page)
    expect(page.get_by_role("button", name="Read this field")).to_be_enabled()
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(({activeElement: at}) => [at.id || at.name || '', getComputedStyle(at).outlineStyle])(document)"
        )
        if name:
            reached.append(name)
            assert outline != "none", f"the focus on {name} is not seen"
    wanted = [
        *(f"nav-{view}" for view in VIEWS),
        "zoom-in",
        "layer-nuclei",
        "focus-reset",
        "capture",
        "pause",
        "specimen",
    ]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted
    page.locator("#nav-history").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#nav-history")).to_have_attribute("aria-current", "page")
    expect(page.locator("#history-heading")).to_be_focused()


def test_every_view_is_in_the_language_that_was_chosen_and_it_is_remembered(
    page: Page, made: Scene, kept: KeptFrames, taught: Taught
) -> None:
    german: dict[str, str] = json.loads((CATALOGUES / "de.json").read_text("utf-8"))
    made.show(made.readings.unfamiliar())
    made.open(page, "device")
    page.get_by_label("Language").select_option("de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    for view in VIEWS:
        page.goto("about:blank")
        made.open(page, view)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("#notice")).to_have_text(german["notice"])
        if view == "teach":
            page.locator("#teach-head").wait_for()
        if view == "microscope":
            expect(page.get_by_test_id("sentence")).to_have_text(german["reason.unfamiliar.sentence"])
        for node in page.locator("[data-t]").all():
            assert node.text_content() == german[node.get_attribute("data-t") or ""]
        raw = re.findall(r"\b[a-z]+\.[a-z_]+(?:\.[a-z_]+)*\b|\{[a-z]+\}", page.locator("body").inner_text())
        assert not raw, "a text that no catalogue has"
    assert kept.ids


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(
    page: Page, made: Scene, kept: KeptFrames, taught: Taught, width: int, language: str
) -> None:
    made.show(made.readings.make())
    began = made.readings.make()[0].captured_at
    made.device.slide = Tally(specimen=SPECIMEN, began_at=began, wished_fields_count=20, judged_count=5)
    made.device.problems = (problem("camera", "camera_lost"),)
    page.add_init_script(f"localStorage.setItem('language', '{language}')")
    page.set_viewport_size({"width": width, "height": 700})
    for view in VIEWS:
        made.open(page, view)
        page.get_by_test_id("banner-camera").wait_for()
        if view == "teach":
            page.locator("#teach-head").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
    assert kept.ids
