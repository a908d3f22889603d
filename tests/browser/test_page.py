"""What the page shows and does, with a device that is scripted and a moving picture of known figures."""

from __future__ import annotations

import base64
import json
import queue
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Route, expect

from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import Outcome, Reason, Specimen, SpecimenField
from edge_agent.specimens.tally import Tally
from edge_agent.web.device import Problem
from edge_agent.web.settings import WebSettings
from tests.browser.kept_frames import Given, KeptFrames
from tests.browser.scene import LIMITS, Readings, Scene, draw, scene
from tests.mqtt import PATIENCE_S
from tests.page_access import PASSWORDS, write_access

VIEWS = ("microscope", "history", "slides", "label", "device")
SPECIMEN = Specimen(id="S-7K3F-92QX", slide=2)
CATALOGUES = Path(__file__).parents[2] / "edge_agent/web/assets/locales"


@pytest.fixture(scope="session")
def readings() -> Readings:
    return Readings()


@pytest.fixture(scope="session")
def field() -> NDArray[np.uint8]:
    """What the moving picture shows, uint8 RGB (720, 960, 3)."""
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


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Let the page go on until something is so in this process."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        page.wait_for_timeout(20)


def show_frame(made: Scene, page: Page, picture: NDArray[np.uint8], number: int, **header: object) -> None:
    """Send a frame and wait until it is drawn. Its number differs from those before."""
    made.moving.show(picture, id=number, **header)
    expect(page.locator("#live")).to_have_attribute("data-frame", str(number))


def canvas_pixels(page: Page) -> NDArray[np.uint8]:
    """What the canvas shows, uint8 RGBA (h, w, 4)."""
    size, data = page.evaluate(
        """() => { const c = document.getElementById("live");
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        return [[c.height, c.width, 4], btoa(Array.from(d, (v) => String.fromCharCode(v)).join(""))]; }"""
    )
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(size)


def outlined(page: Page) -> NDArray[np.bool_]:
    """Where the canvas has the colour of the nuclei's outlines."""
    red, green, blue = (canvas_pixels(page)[..., channel].astype(int) for channel in range(3))
    return (green > red + 80) & (green > blue + 40)


def problem(part: str, code: str) -> Problem:
    return Problem(part=part, code=code, message=f"Something is wrong with the {part}.", remedy="Mend it.")


# axe


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_barrier(browser: Browser, made: Scene, scheme: str) -> None:
    """axe-core's rules, in both colour schemes, with every banner and overlay that the page has."""
    result = made.show(made.readings.make())
    made.device.slide = Tally(specimen=SPECIMEN, began_at=result.captured_at, wished_fields_count=20, judged_count=3)
    made.device.problems = (problem("camera", "camera_lost"),)
    made.device.changes |= {"demonstration": True, "provisional": True}
    context = browser.new_context(color_scheme=scheme, locale="en-GB")  # type: ignore[arg-type]
    page = context.new_page()
    KeptFrames([draw("pre-b", 1)]).attach(page)
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


# screen reader


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


# moving picture


def show_once_asked(made: Scene, page: Page) -> None:
    """Wait until the page has asked for a frame."""
    expect(page.locator("#live")).to_be_visible()
    until(page, lambda: bool(made.moving.asked))


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
    # A frame of the part before the zoom still comes.
    page.keyboard.press("+")
    show_frame(made, page, field, 3, reading=str(result.id))
    assert np.array_equal(outlined(page), whole)
    show_frame(made, page, field[:360, :480], 4, reading=str(result.id), region=[0, 0, 0.5, 0.5])
    part = outlined(page)
    rows, columns = np.nonzero(part)
    # Every outline is where the whole one has it, within the width of a line.
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


# state


def test_a_silent_device_is_noticed_within_three_seconds(page: Page, made: Scene) -> None:
    page.clock.install()
    made.show(made.readings.make())
    made.open(page)
    page.locator("#reading-picture .field-picture").wait_for()
    expect(page.get_by_test_id("banner-lost")).to_be_hidden()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    # The page hears the device once more while its clock stands still.
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


# reading


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


def test_the_figure_beside_a_reason_is_the_one_that_refused_the_field(page: Page, made: Scene) -> None:
    """A field may be over-exposed by its nuclei although its brightness is as it should be."""
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


# doing


def commands(made: Scene) -> list[tuple[str, dict[str, Any]]]:
    found = []
    while not made.device.submitted.empty():
        request, _ = made.device.submitted.get()
        found.append((request.command, json.loads(request.payload)))
    return found


def test_keys_do_what_they_say_but_not_while_somebody_writes(page: Page, made: Scene) -> None:
    made.open(page)
    expect(page.get_by_role("button", name="Read this field")).to_be_enabled()
    for key, name in (("n", "Nuclei"), ("e", "Evidence"), ("x", "Clipping")):
        button = page.get_by_role("button", name=name)
        before = button.get_attribute("aria-pressed")
        page.keyboard.press(key)
        expect(button).to_have_attribute("aria-pressed", "false" if before == "true" else "true")
    page.get_by_label("Specimen code").focus()
    page.keyboard.type("cpnex")
    expect(page.get_by_label("Specimen code")).to_have_value("cpnex")
    assert not commands(made)
    page.locator("#main").click(position={"x": 2, "y": 2})
    page.keyboard.press("c")
    expect(page.locator("#action-message")).to_have_text("Read.")
    assert [name for name, _ in commands(made)] == ["capture"]
    page.evaluate("localStorage.setItem('keys', 'off')")
    page.keyboard.press("c")
    page.keyboard.press("p")
    page.locator("#pause").click()
    expect(page.locator("#pause")).not_to_have_attribute("aria-busy", "true")
    assert [name for name, _ in commands(made)] == ["pause"], "only the click"


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


def test_a_refusal_is_said_with_its_remedy_where_the_button_is(page: Page, made: Scene) -> None:
    made.device.answers["capture"] = {
        "state": "refused",
        "error": {"code": "agent_paused", "message": "Reading is paused.", "remedy": "Resume first."},
        "data": None,
    }
    made.open(page)
    page.get_by_role("button", name="Read this field").click()
    expect(page.locator("#action-message [role=alert]")).to_have_text("Reading is paused. Resume first.")


def test_a_slide_shows_its_progress_and_is_finished_only_after_a_question(page: Page, made: Scene) -> None:
    made.open(page)
    page.get_by_label("Specimen code").fill(SPECIMEN.id)
    page.get_by_role("spinbutton", name="Slide").fill("2")
    page.get_by_label("Fields wished").fill("20")
    page.get_by_role("button", name="Start slide").click()
    began = made.readings.make()[0].captured_at
    made.device.slide = Tally(specimen=SPECIMEN, began_at=began, wished_fields_count=20, judged_count=5)
    expect(page.locator("#slide-count")).to_have_text("5 of 20 fields counted")
    expect(page.locator("#slide-progress")).to_be_visible()
    assert page.locator("#slide-progress").evaluate("(node) => node.position") == 0.25
    expect(page.locator("#slide-reached")).to_be_hidden()
    made.device.slide = made.device.slide.model_copy(update={"judged_count": 20})
    expect(page.locator("#slide-reached")).to_be_visible()
    name, sent = commands(made)[0]
    assert (name, sent["specimen"], sent["slide"], sent["fields_count"]) == ("set-specimen", SPECIMEN.id, 2, 20)
    page.get_by_role("button", name="Finish slide").click()
    page.get_by_role("button", name="Go on reading").click()
    assert not commands(made)


def test_fields_are_labelled_by_keys_with_the_next_pictures_loaded_ahead(
    page: Page, made: Scene, kept: KeptFrames
) -> None:
    made.open(page, "label")
    expect(page).to_have_title("Label · Leukoscope")
    picture = page.locator("#label-picture")
    expect(picture).to_have_attribute("data-item", kept.ids[0])
    until(page, lambda: len(kept.fetched) >= 4)
    assert set(kept.fetched) == set(kept.ids[:4])
    for key, following in (("1", 1), ("3", 2), ("n", 3)):
        page.keyboard.press(key)
        expect(picture).to_have_attribute("data-item", kept.ids[following])
    given = [(each.item, each.label) for each in kept.given]
    assert given == [(kept.ids[0], "benign"), (kept.ids[1], "pre-b"), (kept.ids[2], "not_usable")]
    expect(page.locator("#label-progress")).to_have_text("3 of 5 labelled, 0 for a second look")
    # Somebody else labels at the same time, on another page.
    kept.given.append(Given(kept.ids[1], "benign", "of somebody else"))
    page.keyboard.press("u")
    expect(picture).to_have_attribute("data-item", kept.ids[2])
    page.keyboard.press("4")
    expect(picture).to_have_attribute("data-item", kept.ids[3])
    page.keyboard.press("s")
    expect(picture).to_have_attribute("data-item", kept.ids[4])
    page.keyboard.press("2")
    expect(picture).to_have_attribute("data-item", kept.ids[3])
    page.keyboard.press("1")
    expect(page.locator("#label-nothing")).to_be_visible()
    kept.given = [each for each in kept.given if each.id != "of somebody else"]
    assert {each.item: each.label for each in kept.given} == dict(
        zip(kept.ids, ("benign", "pre-b", "pro-b", "benign", "early-pre-b"), strict=True)
    )
    assert sorted(kept.fetched) == sorted(kept.ids), "no picture was loaded twice"


def test_a_frame_that_is_no_longer_kept_can_be_skipped(page: Page, made: Scene, kept: KeptFrames) -> None:
    page.route(f"**/collection/items/{kept.ids[1]}.jpg", lambda route: route.fulfill(status=404))
    made.open(page, "label")
    picture = page.locator("#label-picture")
    expect(picture).to_have_attribute("data-item", kept.ids[0])
    page.keyboard.press("1")
    expect(picture).to_have_text("This picture is no longer kept. Skip it.")
    page.keyboard.press("s")
    expect(picture).to_have_attribute("data-item", kept.ids[2])
    expect(picture.locator("img")).to_be_visible()


def test_a_frame_is_kept_on_request(page: Page, made: Scene) -> None:
    posted: list[object] = []

    def keep(route: Route) -> None:
        posted.append(route.request.post_data_json)
        route.fulfill(status=204)

    page.route("**/collection", lambda route: route.fulfill(json={"keep": "on_request", "sets": [], "frames_count": 0}))
    page.route("**/collection/keep", keep)
    made.open(page)
    expect(page.get_by_role("button", name="Read this field")).to_be_enabled()
    expect(page.get_by_role("button", name="Keep this frame")).to_be_hidden()
    result = made.show(made.readings.make())
    page.get_by_role("button", name="Keep this frame").click()
    expect(page.locator("#action-message")).to_have_text("The frame is kept.")
    assert posted == [{"reading": str(result.id)}]


# history


def test_the_history_is_filtered_and_read_by_arrow_keys(page: Page, made: Scene) -> None:
    results = [
        made.show(each)
        for each in (
            made.readings.make("benign", seed=1),
            made.readings.make("pre-b", seed=2),
            made.readings.make("pre-b", seed=3, outcome=Outcome.ABSTAINED, reason=Reason.LOW_CONFIDENCE, label=None),
            made.readings.make("pre-b", seed=4),
        )
    ]
    ids = [str(each.id) for each in results]
    made.open(page, "history")
    tiles = page.locator("#history-list button")
    expect(tiles).to_have_count(4)
    expect(tiles.first).to_contain_text("Pre-B (drawn)")
    page.locator("#filter-outcome").select_option("classified")
    expect(tiles).to_have_count(3)
    page.locator("#filter-label").select_option(label="Benign (drawn)")
    expect(tiles).to_have_count(1)
    page.locator("#filter-label").select_option("")
    expect(tiles).to_have_count(3)
    tiles.first.click()
    detail = page.locator("#history-detail")
    expect(detail.locator(".field-picture")).to_have_attribute("data-reading", ids[3])
    expect(page.get_by_role("button", name="Newer")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    expect(detail.locator(".field-picture")).to_have_attribute("data-reading", ids[1])
    page.keyboard.press("ArrowLeft")
    expect(detail.locator(".field-picture")).to_have_attribute("data-reading", ids[3])
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(page.locator(f"#history-list [data-reading='{ids[3]}']")).to_be_focused()


# languages


def test_every_view_is_in_the_language_that_was_chosen_and_it_is_remembered(
    page: Page, made: Scene, kept: KeptFrames
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
        if view == "microscope":
            expect(page.get_by_test_id("sentence")).to_have_text(german["reason.unfamiliar.sentence"])
        for node in page.locator("[data-t]").all():
            assert node.text_content() == german[node.get_attribute("data-t") or ""]
        raw = re.findall(r"\b[a-z]+\.[a-z_]+(?:\.[a-z_]+)*\b|\{[a-z]+\}", page.locator("body").inner_text())
        assert not raw, "a text that no catalogue has"
    assert kept.ids


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(page: Page, made: Scene, kept: KeptFrames, width: int, language: str) -> None:
    made.show(made.readings.make())
    began = made.readings.make()[0].captured_at
    made.device.slide = Tally(specimen=SPECIMEN, began_at=began, wished_fields_count=20, judged_count=5)
    made.device.problems = (problem("camera", "camera_lost"),)
    page.add_init_script(f"localStorage.setItem('language', '{language}')")
    page.set_viewport_size({"width": width, "height": 700})
    for view in VIEWS:
        made.open(page, view)
        page.get_by_test_id("banner-camera").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
    assert kept.ids


# access


def locked(folder: Path) -> WebSettings:
    return WebSettings(enabled=True, host="127.0.0.1", port=free_port(), access_file=write_access(folder))


def test_a_password_opens_what_its_role_may_do(page: Page, readings: Readings, tmp_path: Path) -> None:
    with scene(readings, locked(tmp_path)) as made:
        made.moving.attach(page)
        page.goto(made.address)
        expect(page.locator("#page")).to_be_hidden()
        expect(page.locator("#notice")).to_be_visible()
        page.get_by_label("Password").fill("a wrong one")
        page.keyboard.press("Enter")
        expect(page.locator("#login-message [role=alert]")).to_have_text("This password is not known.")
        page.get_by_label("Password").fill(PASSWORDS["look"])
        page.keyboard.press("Enter")
        expect(page.locator("#device-name")).to_have_text("clinic / scope-1")
        expect(page.get_by_role("button", name="Read this field")).to_be_disabled()
        expect(page.locator(".actions .why")).to_contain_text("work with the device")
        page.locator("#nav-device").click()
        expect(page.locator("#session-role")).to_have_text("look")
        expect(page.get_by_role("button", name="Use this bundle")).to_be_disabled()
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Password").fill(PASSWORDS["work"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Self-test")).to_be_enabled()
        expect(page.get_by_role("button", name="Use this bundle")).to_be_disabled()


def test_too_many_attempts_say_how_long_to_wait(page: Page, readings: Readings, tmp_path: Path) -> None:
    with scene(readings, locked(tmp_path)) as made:
        page.goto(made.address)
        message = page.locator("#login-message")
        for _ in range(20):
            page.get_by_label("Password").fill("a wrong one")
            with page.expect_response("**/session"):
                page.keyboard.press("Enter")
            expect(message).not_to_be_empty()
            if "Too many" in message.inner_text():
                break
        expect(message).to_have_text(re.compile(r"Too many attempts\. Try again in [1-9][0-9,]* s\."))


def test_a_device_that_forgot_the_session_asks_for_the_password_again(
    page: Page, readings: Readings, tmp_path: Path
) -> None:
    with scene(readings, locked(tmp_path)) as made:
        made.moving.attach(page)
        page.goto(made.address)
        page.get_by_label("Password").fill(PASSWORDS["work"])
        page.keyboard.press("Enter")
        expect(page.locator("#device-name")).to_have_text("clinic / scope-1")
        made.server.stop()
        expect(page.get_by_test_id("banner-lost")).to_be_visible()
        made.server.start(made.device)
        expect(page.locator("#login")).to_be_visible()
        page.get_by_label("Password").fill(PASSWORDS["work"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Read this field")).to_be_enabled()


def test_an_answer_without_words_is_said_in_words(page: Page, made: Scene) -> None:
    made.open(page)
    expect(page.get_by_role("button", name="Read this field")).to_be_enabled()
    page.route("**/commands/capture", lambda route: route.fulfill(status=500, body="Internal Server Error"))
    page.get_by_role("button", name="Read this field").click()
    expect(page.locator("#action-message")).to_contain_text("The device answered with error 500. Try again")
    page.unroute("**/commands/capture")
    page.route("**/commands/capture", lambda route: route.abort())
    page.get_by_role("button", name="Read this field").click()
    expect(page.locator("#action-message")).to_contain_text("No connection to the device.")
