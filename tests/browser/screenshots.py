"""Takes the pictures of the page for the documentation: ``python -m tests.browser.screenshots --out FOLDER``.

Fields are drawn, never real. Every view at the width of a phone and of a desk, light and dark.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, WebSocketRoute, expect, sync_playwright
from uuid_utils.compat import uuid7

from edge_agent.adaptation.state import FitState
from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import ModelIdentity, Outcome, Reason, Result, Specimen, Topics
from edge_agent.specimens.tally import Tally
from edge_agent.web.device import ModelInUse, ModelOption, Problem
from edge_agent.web.settings import WebSettings
from tests.browser.kept_frames import KeptFrames
from tests.browser.scene import Readings, Scene, draw, live_message, scene
from tests.browser.taught import GROWING, Taught, fitted, report, state
from tests.page_access import write_access

SIZES = {390: 844, 1280: 860}
SCHEMES = ("light", "dark")
VIEWS = ("microscope", "history", "slides", "label", "teach", "device")
SPECIMEN = Specimen(id="S-7K3F-92QX", slide=2)
FOCUSED, BLURRED = 0.6, 4.0


def _fill(made: Scene, readings: Readings) -> Result:
    """Fill a slide that is being read: labels, an unsure field, a blurred one, and an unfamiliar one."""
    tally = Tally(specimen=SPECIMEN, began_at=datetime.now(UTC) - timedelta(minutes=9), wished_fields_count=20)
    kinds = ["pre-b", "benign", "pre-b", "early-pre-b", "pre-b", "pro-b", "pre-b", "pre-b", "benign", "pre-b"]
    for number, kind in enumerate([*kinds, *kinds[::-1]]):
        place = tally.next_field()
        match number:
            case 4:
                made_reading = readings.make(kind, seed=number, focus_sigma_px=BLURRED, specimen=place)
            case 9:
                made_reading = readings.unfamiliar(seed=number)
            case 13:
                made_reading = readings.make(
                    kind, seed=number, specimen=place, outcome=Outcome.ABSTAINED, reason=Reason.LOW_CONFIDENCE,
                    label=None, malignant=None,
                )  # fmt: skip
            case _:
                made_reading = readings.make(kind, seed=number, specimen=place)
        tally = tally.counting(made_reading[0], made_reading[1].labels)
        latest = made.show(made_reading)
    made.device.slide = tally
    model = ModelIdentity(name="accurate", version="0.3.0", sha256="a" * 64, preprocessing="rgb@1", runtime="LiteRT 2")
    for report_of in (SPECIMEN, Specimen(id="S-11AB-40CD", slide=1)):
        report = tally.model_copy(update={"specimen": report_of}).report(
            topics=Topics("clinic", "scope-1"), session=uuid7(), model=model
        )
        made.device.kept.update(
            {key: value for key, value in made.device.reports.entries_with(report).items() if value is not None}
        )
    made.device.changes |= {
        "model": "accurate",
        "model_version": "0.3.0",
        "in_use": ModelInUse(bundle="accurate"),
        "models": (
            ModelOption(name="accurate", version="0.3.0", reference="accurate", demonstration=False, provisional=False),
            ModelOption(name="fast", version="0.3.0", reference="fast", demonstration=False, provisional=False),
            ModelOption(name="demo", version="0.3.0", reference="demo", demonstration=True, provisional=False),
        ),
        "readings_count": 20,
        "trigger": "settled",
    }
    return latest


def _moving(made: Scene, latest: Result, kind: str, seed: int) -> None:
    """Let the picture come into focus and stay, on the field of the latest reading."""
    steps = iter([2.0, 1.2, *[FOCUSED] * 1000])

    def answer(socket: WebSocketRoute, request: dict[str, object]) -> None:
        sigma = next(steps)
        picture = draw(kind, seed, sigma)
        header: dict[str, object] = {
            "focus_score": 62 / (0.4 + sigma),
            "reading": str(latest.id),
            "brightness_pct": 74.0,
        }
        region: Any = request["region"]
        rows, columns = picture.shape[:2]
        left, right = (round(columns * each) for each in (region[0], region[0] + region[2]))
        top, bottom = (round(rows * each) for each in (region[1], region[1] + region[3]))
        part = picture[top:bottom, left:right]
        # A second frame would only cost time once it is in focus.
        if len(made.moving.asked) < 6:
            socket.send(live_message(part, region=region, **header))

    made.moving.on_ask = answer


def _page(made: Scene, browser: Browser, width: int, scheme: str, language: str) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": SIZES[width]},
        color_scheme=scheme,  # type: ignore[arg-type]  # a literal's name
        locale=language,
        device_scale_factor=1.5 if width < 600 else 1,
        has_touch=width < 600,
    )
    page: Page = context.new_page()
    made.moving.asked.clear()
    made.moving.attach(page)
    kept = KeptFrames([draw("pre-b", 40), draw("benign", 41)])
    kept.attach(page)
    Taught(
        state(
            {"benign": 24, "pre-b": 20}, figures=GROWING, head=fitted(), state=FitState.DONE, report=report(*kept.ids)
        )
    ).attach(page)
    return page


def _take(page: Page, out: Path, name: str) -> None:
    page.wait_for_load_state("load")
    # Take the whole page as one screen, so that a phone's menu is at its end and every picture is loaded.
    size = page.viewport_size or {"width": 0, "height": 0}
    for _ in range(2):
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
        page.evaluate(
            "Promise.all([...document.images].filter((each) => each.checkVisibility()).map((each) => each.decode()))"
        )
    page.screenshot(path=out / f"{name}.png", animations="disabled")
    page.set_viewport_size(size)
    sys.stdout.write(f"{out / name}.png\n")


def _views(made: Scene, browser: Browser, latest: Result, out: Path, only: str) -> None:
    for width, scheme, view in product(SIZES, SCHEMES, VIEWS):
        name = f"{view}-{width}-{scheme}"
        if only not in name:
            continue
        page = _page(made, browser, width, scheme, "en-GB")
        page.goto(f"{made.address}#/{view}")
        page.locator(f"#view-{view}").wait_for()
        match view:
            case "microscope":
                page.locator("#reading-picture .field-picture").wait_for()
                expect(page.locator("#live")).to_have_attribute("data-layered", str(latest.id))
                expect(page.locator("#focus-text")).to_contain_text("62")
            case "label":
                page.locator("#label-picture img").wait_for()
            case "teach":
                page.locator("#teach-mistakes img").first.wait_for()
            case "history":
                expect(page.locator("#history-list button").first).to_contain_text("(drawn)")
        _take(page, out, name)
        if view == "history":
            page.locator("#history-list button").nth(10).click()
            page.locator("#history-detail-words .outcome").wait_for()
            _take(page, out, f"reading-{width}-{scheme}")
        page.context.close()


def _log_in(readings: Readings, browser: Browser, out: Path) -> None:
    with TemporaryDirectory() as folder:
        access = write_access(Path(folder))
        settings = WebSettings(enabled=True, host="127.0.0.1", port=free_port(), access_file=access)
        with scene(readings, settings) as made:
            page = _page(made, browser, 390, "dark", "en-GB")
            page.goto(made.address)
            page.locator("#password").wait_for()
            _take(page, out, "log-in-390-dark")
            page.context.close()


def _german(made: Scene, browser: Browser, out: Path) -> None:
    page = _page(made, browser, 390, "light", "de-DE")
    page.goto(made.address)
    page.locator("#reading-picture .field-picture").wait_for()
    page.get_by_role("button", name="Hinweise").click()
    _take(page, out, "microscope-390-light-de")
    page.context.close()


def _cells(readings: Readings, browser: Browser, out: Path) -> None:
    """Types are drawn at random: no shipped bundle was trained on drawn cells."""
    types = ["blast", "lymphocyte", "blast", "neutrophil", Reason.CELL_CUT, "monocyte", "blast", "lymphocyte"]
    types += ["neutrophil", "smudge", Reason.CELL_CUT, "eosinophil", Reason.LOW_CONFIDENCE, "lymphocyte"]
    ratios = [0.97, 0.04, 0.91, 0.01, 0, 0.22, 0.83, 0.06, 0.02, 0.11, 0, 0.01, 0.48, 0.09]
    with scene(readings) as made:
        latest = made.show(readings.typed(types, blast_ratios=ratios, seed=7))
        for width, scheme in ((1280, "light"), (390, "dark")):
            _moving(made, latest, "pre-b", 7)
            page = _page(made, browser, width, scheme, "en-GB")
            page.goto(made.address)
            page.locator("#reading .crops").wait_for()
            expect(page.locator("#live")).to_have_attribute("data-layered", str(latest.id))
            _take(page, out, f"cells-{width}-{scheme}")
            page.context.close()


def _problems(made: Scene, browser: Browser, out: Path) -> None:
    made.device.paused = True
    made.moving.on_ask = lambda socket, _request: socket.send('{"state": "paused"}')
    words = "The camera was unplugged.", "Plug it in again; the device goes on by itself."
    found = Problem(part="camera", code="camera_lost", message=words[0], remedy=words[1])
    made.device.changes |= {"demonstration": True, "problems": (found,)}
    for width in SIZES:
        page = _page(made, browser, width, "dark", "en-GB")
        page.goto(made.address)
        page.locator("#reading-picture .field-picture").wait_for()
        page.get_by_test_id("banner-camera").wait_for()
        _take(page, out, f"problems-{width}-dark")
        page.context.close()


def take_all(out: Path, chromium: str, only: str = "") -> None:
    """Write every picture into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    readings = Readings()
    with sync_playwright() as playwright, scene(readings) as made:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        latest = _fill(made, readings)
        _moving(made, latest, "pre-b", 19)
        _views(made, browser, latest, out, only)
        if only in "log-in":
            _log_in(readings, browser, out)
        if only in "german":
            _german(made, browser, out)
        if only in "cells":
            _cells(readings, browser, out)
        if only in "problems":
            _problems(made, browser, out)
        browser.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="take only pictures with this in their name")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.error("chromium is not installed (apt-get install chromium)")
    take_all(options.out, chromium, options.only)


if __name__ == "__main__":
    main()
