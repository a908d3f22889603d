"""The cells that a cells model judged: outlined in the pictures, counted by type, the most blast-like shown."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # has no types
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.contracts import Reason, Report, Result, Topics
from edge_agent.inference import Classifier, load_bundle
from edge_agent.specimens.tally import Tally
from edge_agent.vision.settings import QualityLimits
from tests.browser.scene import TYPES, Scene, draw
from tests.browser.watching import SPECIMEN, show_frame, show_once_asked
from tests.cells import make_cells_bundle
from tests.slides import MODEL, judged, result_of

FATES = ["lymphocyte", "blast", "neutrophil", Reason.LOW_CONFIDENCE, "blast", Reason.UNFAMILIAR, "smudge"]
RATIOS = [0.05, 0.97, 0.3, 0.5, 0.88, 0.99, 0.1]


def shown(made: Scene, page: Page) -> Result:
    """The page with the latest reading, whose cells were judged."""
    result = made.show(made.readings.typed(FATES, blast_ratios=RATIOS))
    made.open(page)
    page.locator("#reading-picture .field-picture").wait_for()
    return result


def boxes(layer: Locator) -> list[dict[str, float | str]]:
    """Place, colour and letters of each outline, in pixels of the picture's drawing."""
    found: list[dict[str, float | str]] = layer.locator("g").evaluate_all(
        """(groups) => groups.map((group) => {
          const line = group.querySelector("rect:last-of-type");
          const number = (name) => Number(line.getAttribute(name));
          return {
            x: number("x") + number("width") / 2, y: number("y") + number("height") / 2,
            colour: line.getAttribute("stroke"), dashed: line.hasAttribute("stroke-dasharray"),
            letters: group.querySelector("text").textContent,
          };
        })"""
    )
    return found


def test_each_cell_is_outlined_where_it_lies_with_the_colour_and_letters_of_its_type(made: Scene, page: Page) -> None:
    result = shown(made, page)
    layer = page.locator("#reading-picture [data-layer=cells]")
    found = boxes(layer)
    assert [each["letters"] for each in found] == ["Ly 6", "Bl 1", "Ne 4", "? 3", "Bl 2", "?", "Sm 5"]
    assert [each["dashed"] for each in found] == [False, False, False, True, False, True, False]
    colours = [each["colour"] for each in found if not each["dashed"]]
    assert colours[1] == colours[3]
    assert len(set(colours)) == 4
    picture = httpx2.get(f"{made.address}readings/{result.id}").json()["picture"]
    left, top, width, height = picture["field"]
    frame_height, frame_width = picture["frame_size_px"]
    for each, cell in zip(found, result.cells, strict=False):
        want_x = (cell.x_px / frame_width - left) / width * picture["width_px"]
        want_y = (cell.y_px / frame_height - top) / height * picture["height_px"]
        assert (each["x"], each["y"]) == pytest.approx((want_x, want_y), abs=1)


def test_what_a_cells_bundle_says_of_a_field_reaches_the_page(made: Scene, page: Page, tmp_path: Path) -> None:
    cells = Classifier(load_bundle(str(make_cells_bundle(tmp_path / "cells", max_cells_count=4))))
    analyzer = Analyzer(Classifier(load_bundle("demo")), QualityLimits(), cells=cells)
    reading = analyzer.analyse(frame_now("camera0", Pixels(draw("pre-b", 7), ColourOrder.RGB)))
    result = made.show((ResultMaker("clinic-a", "scope-1", uuid7()).make(reading), reading))
    assert result.differential is not None
    made.open(page)
    page.locator("#reading .crops").wait_for()
    cut = sum(cell.cut for cell in result.cells)
    assert (result.differential.judged_count, result.differential.refused_count) == (4, cut)
    expect(page.locator("#reading .crops li")).to_have_count(4)
    expect(page.locator("#reading-picture [data-layer=cells] g")).to_have_count(4 + cut)
    expect(page.locator("#reading")).to_contain_text(f"{len(result.cells)} found, 4 judged, {cut} refused")
    expect(page.get_by_role("row", name="Cut by the edge refused")).to_be_visible()


def test_the_legend_counts_the_cells_of_each_type_and_says_why_others_have_none(made: Scene, page: Page) -> None:
    result = shown(made, page)
    table = page.get_by_role("table", name="Cells by type")
    expect(table.locator("caption")).to_have_text(f"Cells by type: {len(result.cells)} found, 5 judged, 2 refused")
    rows = [" ".join(row.split()) for row in table.get_by_role("row").all_inner_texts()]
    assert rows[0] == "Bl Blast malignant type 2"
    assert {"Ly Lymphocyte 1", "Ne Neutrophil 1", "Sm Smudge or other 1"} <= {*rows}
    assert {"? Unlike the training images refused 1", "? Not sure enough refused 1"} <= {*rows}
    assert not any("Monocyte" in row for row in rows)


def test_the_most_blast_like_cells_are_shown_in_order_with_type_and_probability(made: Scene, page: Page) -> None:
    result = shown(made, page)
    items = page.locator("#reading .crops li")
    assert [" ".join(each.split()) for each in items.all_inner_texts()] == [
        "Bl 1 Blast blast 97.0%",
        "Bl 2 Blast blast 88.0%",
        "? 3 no type blast 50.0%",
        "Ne 4 Neutrophil blast 30.0%",
        "Sm 5 Smudge or other blast 10.0%",
        "Ly 6 Lymphocyte blast 5.0%",
    ]
    expect(items.first.get_by_role("img", name="Picture of cell 1")).to_be_visible()
    image = items.nth(2).locator(".crop")
    expect(image).to_have_css("background-position", "40% 0px")
    assert str(result.id) in image.evaluate("(node) => getComputedStyle(node).backgroundImage")


def test_without_their_pictures_the_most_blast_like_cells_are_still_named(made: Scene, page: Page) -> None:
    """This is so for a reading from before the start of the device."""
    result, reading = made.readings.typed(FATES, blast_ratios=RATIOS)
    assert reading.explanation is not None
    made.show((result, replace(reading, explanation=replace(reading.explanation, cell_windows=()))))
    made.open(page)
    items = page.locator("#reading .crops li")
    expect(items).to_have_count(6)
    expect(items.first).to_contain_text("no picture kept")
    expect(items.first).to_contain_text("blast 97.0%")
    expect(items.get_by_role("img")).to_have_count(0)


def test_no_more_than_ten_cells_are_shown(made: Scene, page: Page) -> None:
    ratios = [number / 20 for number in range(12)]
    made.show(made.readings.typed(["lymphocyte"] * 12, blast_ratios=ratios))
    made.open(page)
    items = page.locator("#reading .crops li")
    expect(items).to_have_count(10)
    expect(items.first).to_contain_text("55.0%")
    expect(items.last).to_contain_text("10.0%")


def test_where_no_cell_has_a_probability_the_page_says_so_and_why(made: Scene, page: Page) -> None:
    made.show(made.readings.typed([Reason.MODEL_UNPROVEN] * 3, provisional=True))
    made.open(page)
    reading = page.locator("#reading")
    expect(reading).to_contain_text("Provisional: no figures show that the model of the cells")
    expect(reading).to_contain_text("No cell of this field has a probability of being a blast.")
    expect(reading.get_by_role("row", name="Withheld: no figures prove the model refused 3")).to_be_visible()
    expect(reading.locator(".crops")).to_have_count(0)


def test_a_field_bundle_has_nothing_of_this(made: Scene, page: Page, field: NDArray[np.uint8]) -> None:
    made.show(made.readings.make())
    made.open(page)
    page.locator("#reading-picture .field-picture").wait_for()
    expect(page.locator("#layer-cells")).to_be_hidden()
    expect(page.locator("#reading .cells, [data-layer=cells]")).to_have_count(0)
    show_once_asked(made, page)
    page.keyboard.press("n")
    show_frame(made, page, field, 1)
    # Nothing that could cover the picture is missing.
    expect(page.locator("#live-moved")).to_be_hidden()


def reds(page: Page) -> int:
    """Pixels of the moving picture with the colour of a blast's outline."""
    count: int = page.locator("#live").evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let found = 0;
          for (let at = 0; at < data.length; at += 4)
            if (data[at] === 213 && data[at + 1] === 94 && data[at + 2] === 0) found += 1;
          return found;
        }"""
    )
    return count


def test_the_moving_picture_has_the_outlines_too_and_a_key_switches_both(
    made: Scene, page: Page, field: NDArray[np.uint8]
) -> None:
    result = shown(made, page)
    show_once_asked(made, page)
    show_frame(made, page, field, 1, reading=str(result.id))
    assert reds(page) > 100
    layer, switch = page.locator("#reading-picture [data-layer=cells]"), page.get_by_role("button", name="Cell types")
    expect(layer).to_be_visible()
    expect(switch).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("t")
    expect(switch).to_have_attribute("aria-pressed", "false")
    expect(layer).to_be_hidden()
    show_frame(made, page, field, 2, reading=str(result.id))
    assert reds(page) == 0
    moved = page.locator("#live-moved")
    page.keyboard.press("n")
    show_frame(made, page, field, 3)
    expect(moved).to_be_hidden()
    page.keyboard.press("t")
    show_frame(made, page, field, 4)
    expect(moved).to_be_visible()


def test_the_history_shows_the_cells_of_an_older_reading(made: Scene, page: Page) -> None:
    result = made.show(made.readings.typed(FATES, blast_ratios=RATIOS))
    made.show(made.readings.make(seed=3))
    made.open(page, "history")
    page.goto(f"{made.address}#/history/{result.id}")
    expect(page.locator("#history-detail .crops li")).to_have_count(6)
    expect(page.locator("#history-detail [data-layer=cells] g")).to_have_count(len(FATES))


def test_a_slide_shows_how_many_cells_were_judged_and_its_report_their_share(made: Scene, page: Page) -> None:
    result = shown(made, page)
    tally = Tally(specimen=SPECIMEN, began_at=datetime.now(UTC))
    reading = judged(None)
    counted = result_of(reading, tally.next_field()).model_copy(update={"differential": result.differential})
    tally = tally.counting(counted, reading.labels, TYPES)
    made.device.slide = tally
    report: Report = tally.report(topics=Topics("clinic", "scope-1"), session=result.session, model=MODEL)
    made.device.kept[f"report/{report.id}"] = report.to_json()
    made.open(page)
    page.reload()
    expect(page.locator("#slide-cells")).to_have_text("5 cells judged, 2 of them with a malignant type")
    made.open(page, "slides")
    row = page.get_by_test_id("report")
    expect(row).to_contain_text("Malignant types (blasts)2 (40.0%; 95 % interval 11.8% to 76.9%)")
    expect(row).to_contain_text("Of 5 judged cells, 2 (40.0 %")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_type_has_a_colour_and_letters_of_its_own_and_no_serious_barrier(
    made: Scene, page: Page, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # a literal's name
    made.show(made.readings.typed([*(each.code for each in TYPES), Reason.CELL_CUT]))
    made.open(page)
    rows = page.locator(".cell-types tbody tr")
    expect(rows).to_have_count(len(TYPES) + 1)
    signs = rows.locator(".cell-sign")
    colours = signs.evaluate_all("(all) => all.map((each) => getComputedStyle(each).backgroundColor)")
    assert len({*colours}) == len({*signs.all_text_contents()}) == len(TYPES) + 1
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    found = Axe().run(page, context="#reading").response["violations"]
    assert [each["id"] for each in found if each["impact"] in {"serious", "critical"}] == []


def test_the_cells_are_in_the_language_of_the_page(made: Scene, page: Page) -> None:
    shown(made, page)
    page.evaluate("localStorage.setItem('language', 'de')")
    page.reload()
    reading = page.locator("#reading")
    expect(reading.get_by_role("heading", name="Am ähnlichsten zu Blasten")).to_be_visible()
    expect(reading.locator("caption").first).to_have_text(re.compile("Zellen nach Typ: .* 5 beurteilt, 2 abgelehnt"))
