"""The page of a real agent with a real broker, as a technician sees it."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from pypdf import PdfReader

from edge_agent.cameras.smear import draw_smear
from edge_agent.testing.network_camera import NetworkCamera
from tests.browser.conftest import Launch, open_page
from tests.integration.test_stream_camera import serving
from trainer.cli import main as trainer_main

FRAMES = 12


@pytest.fixture(scope="module")
def fields() -> list[bytes]:
    """Drawn fields as JPEG."""
    drawn = [draw_smear(np.random.default_rng(seed), "pre-b", size_px=(480, 640))[0] for seed in range(4)]
    return [np.asarray(cv2.imencode(".jpg", cv2.cvtColor(each, cv2.COLOR_RGB2BGR))[1]).tobytes() for each in drawn]


@pytest.fixture
def camera(fields: list[bytes]) -> Iterator[NetworkCamera]:
    with serving(lambda number: fields[number % len(fields)]) as running:
        yield running


def banner(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"banner-{name}")


def test_picture_and_words_are_always_of_the_same_reading(page: Page, launch: Launch) -> None:
    open_page(page, launch(trigger="interval_s = 0.05"))
    page.locator("#reading-picture .field-picture").wait_for()
    seen = page.evaluate(
        """() => new Promise((resolve) => {
            const pairs = [];
            const section = document.getElementById("reading");
            new MutationObserver(() => {
                const picture = section.querySelector(".field-picture");
                // On a slow computer the device may have forgotten the picture before it was asked for.
                if (picture === null) return;
                const source = picture.querySelector("img").src;
                pairs.push([section.dataset.reading, picture.dataset.reading, source.split("/").at(-2),
                    picture.querySelector("img").complete]);
                if (pairs.length === 8) resolve(pairs);
            }).observe(document.getElementById("reading-words"), {childList: true});
        })"""
    )
    assert len({shown for shown, *_ in seen}) == 8
    for shown, picture, source, complete in seen:
        assert shown == picture == source
        assert complete, "it is loaded before anything is shown"


def test_a_slide_survives_a_kill_in_the_middle_and_its_report_is_a_pdf(page: Page, launch: Launch) -> None:
    device = launch()
    open_page(page, device)
    page.get_by_label("Specimen code").fill("JANE-DOE-7")
    page.get_by_role("button", name="Start slide").click()
    expect(page.locator("#slide-message")).to_contain_text("A code that says nothing about the patient")
    page.get_by_label("Specimen code").fill("S-7K3F-92QX")
    page.get_by_label("Fields wished").fill("3")
    page.get_by_role("button", name="Start slide").click()
    expect(page.locator("#slide-count")).to_contain_text("of 3 fields counted")
    expect(page.locator("#slide-count")).to_have_text(re.compile("[2-9] of 3 fields counted"))
    device.kill()
    expect(banner(page, "lost")).to_be_visible()
    device.start()
    expect(banner(page, "lost")).to_be_hidden()
    expect(page.locator("#slide-name")).to_have_text("S-7K3F-92QX, slide 1")
    # The camera starts again with the fields that it showed before.
    expect(page.locator("#slide-outcomes")).to_contain_text("already counted")
    expect(page.locator("#slide-count")).to_have_text(re.compile("[2-9] of 3 fields counted"))
    page.get_by_role("button", name="Finish slide").click()
    page.locator("#finish-yes").click()
    expect(page.locator("#slide-message")).to_contain_text("finished after")
    with page.expect_download() as download:
        page.locator("#slide-message").get_by_role("link", name="PDF").click()
    text = "\n".join(each.extract_text() for each in PdfReader(io.BytesIO(download.value.path().read_bytes())).pages)
    assert "S-7K3F-92QX" in text
    assert "Research" in text
    assert "Demonstration" in text or "demonstration" in text
    page.goto(f"{device.address}#/slides")
    expect(page.get_by_test_id("report")).to_have_count(1)
    expect(page.get_by_test_id("report")).to_contain_text("S-7K3F-92QX, slide 1")


def test_a_paused_device_says_so_and_does_not_pretend_that_its_reading_is_new(page: Page, launch: Launch) -> None:
    open_page(page, launch())
    page.locator("#reading-picture .field-picture").wait_for()
    page.get_by_role("button", name="Pause").click()
    expect(banner(page, "paused")).to_be_visible()
    expect(page.locator("#reading-age")).to_contain_text("paused, reading of")
    expect(page.locator("#reading")).to_have_class("card outdated")
    expect(page.get_by_role("button", name="Read this field")).to_be_disabled()
    page.get_by_role("button", name="Resume").click()
    expect(banner(page, "paused")).to_be_hidden()
    expect(page.locator("#reading")).to_have_class("card")
    expect(page.get_by_role("button", name="Read this field")).to_be_enabled()


def test_a_camera_that_is_lost_and_comes_back_is_said(page: Page, launch: Launch, camera: NetworkCamera) -> None:
    open_page(page, launch(camera=f'kind = "stream"\nurl = "http://{camera.address}/live"\nread_timeout_s = 1'))
    page.locator("#reading-age").wait_for()
    camera.password = "nobody knows it"
    camera.cut.set()
    expect(banner(page, "camera")).to_be_visible()
    expect(page.locator("#reading")).to_have_class("card outdated")
    camera.password = None
    expect(banner(page, "camera")).to_be_hidden()
    expect(page.locator("#reading")).to_have_class("card")


def test_a_broker_that_is_lost_is_said_and_readings_go_on(page: Page, launch: Launch, broker_port: int) -> None:
    device = launch()
    device.config.write_text(device.config.read_text().replace(f"port = {broker_port}", "port = 1"))
    device.stop()
    device.start()
    open_page(page, device)
    expect(banner(page, "broker")).to_be_visible()
    expect(banner(page, "broker")).to_contain_text("1")
    page.locator("#reading-picture .field-picture").wait_for()


def test_actions_are_done_by_the_device_and_its_words_are_shown(page: Page, launch: Launch) -> None:
    device = launch(trigger='mode = "triggered"')
    open_page(page, device)
    expect(page.locator("#reading-waiting")).to_be_visible()
    # A key works only once its button does.
    expect(page.get_by_role("button", name="Read this field")).to_be_enabled()
    page.keyboard.press("c")
    page.locator("#reading-picture .field-picture").wait_for()
    page.goto(f"{device.address}#/device")
    page.get_by_role("button", name="Self-test").click()
    expect(page.locator("#checks li").first).to_be_visible()
    page.locator("#model").select_option("fast")
    page.get_by_role("button", name="Use this bundle").click()
    expect(page.locator("#model-message")).to_contain_text("fast")
    expect(page.locator("#device-facts")).to_contain_text("fast")


def test_the_history_finds_readings_again_with_everything(page: Page, launch: Launch) -> None:
    device = launch(camera='kind = "synthetic"\nbad_fields_ratio = 0.5\nframes_per_field_count = 1')
    open_page(page, device)
    page.locator("#reading-picture .field-picture").wait_for()
    page.goto(f"{device.address}#/history")
    page.get_by_label("Outcome").select_option("rejected")
    tiles = page.locator("#history-list button")
    while not tiles.count():
        with page.expect_response("**/readings?*"):
            page.get_by_role("button", name="Refresh").click()
    tiles.first.click()
    detail = page.locator("#history-detail-words")
    expect(detail.get_by_test_id("outcome")).to_have_text("Not fit to be judged")
    expect(detail.get_by_test_id("step")).not_to_be_empty()
    detail.locator("summary").click()
    expect(detail.locator("pre")).to_contain_text('"outcome": "rejected"')
    page.keyboard.press("Escape")
    expect(page.locator("#history-detail")).to_be_hidden()


def test_frames_that_the_device_kept_are_labelled_and_the_trainer_takes_their_export(
    page: Page, launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files, each read on request: the kept frames, and so their labels, are the same on every machine.
    folder = tmp_path / "fields"
    folder.mkdir()
    for number, drawn in enumerate(["benign", "pre-b"] * (FRAMES // 2)):
        field, _ = draw_smear(np.random.default_rng(number), drawn)
        assert cv2.imwrite(str(folder / f"{number}-{drawn}.png"), cv2.cvtColor(field, cv2.COLOR_RGB2BGR))
    device = launch(
        camera=f'kind = "folder"\npath = "{folder}"\nloop = true',
        trigger='mode = "triggered"',
        more='[quality]\nmax_motion_pct = 100\n[collection]\nkeep = "all"\nconsent = "the head of the laboratory"',
    )
    open_page(page, device)
    for number in range(1, FRAMES + 1):
        page.get_by_role("button", name="Read this field").click()
        while page.request.get(f"{device.address}collection").json()["frames_count"] < number:
            page.locator("#reading-age").wait_for()
    page.goto(f"{device.address}#/label")
    expect(page.locator("#label-consent")).to_contain_text("the head of the laboratory")
    picture = page.locator("#label-picture")
    labels: dict[str, str] = {}
    while len(labels) < FRAMES:
        another = f"^(?!{list(labels)[-1]})" if labels else "^"
        expect(picture).to_have_attribute("data-item", re.compile(f"{another}[0-9a-f-]{{36}}$"))
        item = picture.get_attribute("data-item")
        assert item is not None
        # The same as the model's label: a label that contradicts it waits for a second look.
        reading = page.request.get(f"{device.address}readings/{item}").json()
        codes = [label["code"] for label in reading["labels"]]
        labels[item] = reading["result"]["label"]
        page.keyboard.press(str(1 + codes.index(labels[item])))
    # A label is acknowledged once it is on the disk; then the next field is shown.
    expect(picture).not_to_have_attribute("data-item", list(labels)[-1])
    with page.expect_download() as download:
        page.locator("#label-export").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path / "export")
    with (tmp_path / "export/manifest.csv").open(newline="") as file:
        assert {row["item"]: row["label"] for row in csv.DictReader(file)} == labels
    assert Counter(labels.values()) == dict.fromkeys(["benign", "pre-b"], FRAMES // 2)
    command = ["trainer", "prepare", "--data", str(tmp_path / "export"), "--out", str(tmp_path / "split.csv")]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        trainer_main()
    assert ended.value.code in {0, None}
    assert len((tmp_path / "split.csv").read_text().splitlines()) == FRAMES + 1
