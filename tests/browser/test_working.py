"""Working with the page: keys, slides, labels, history."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from edge_agent.contracts import Outcome, Reason
from edge_agent.specimens.tally import Tally
from tests.browser.kept_frames import Given, KeptFrames
from tests.browser.scene import Scene
from tests.browser.watching import SPECIMEN, commands, until


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


def test_a_refusal_is_said_with_its_remedy_where_the_button_is(page: Page, made: Scene) -> None:
    made.device.answers["capture"] = {
        "state": "refused",
        "error": {"code": "agent_paused", "message": "Reading is paused.", "remedy": "Resume first."},
        "data": None,
    }
    made.open(page)
    page.get_by_role("button", name="Read this field").click()
    expect(page.locator("#action-message [role=alert]")).to_have_text("Reading is paused. Resume first.")


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
