"""Thirty fields are labelled by keys and exported, and the trainer takes them."""

from __future__ import annotations

import csv
import re
import zipfile
from collections import Counter
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from edge_agent.cameras.frame import ColourOrder, Pixels
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import SpecimenField
from tests.browser.scene import Readings as DrawnReadings
from tests.browser.scene import ScriptedDevice, scene
from tests.kept import LABELS, Readings, fill, make_collection
from trainer.cli import main as trainer

CODES = [label.code for label in LABELS]
NUMBER = 30


@pytest.fixture
def kept(tmp_path: Path) -> dict[UUID, str]:
    """Fields of fifteen specimens, and what is drawn on them."""
    readings, found = Readings(), dict[UUID, str]()
    for number in range(NUMBER):
        code = CODES[number % 3]
        array, _ = draw_smear(np.random.default_rng(number), code, size_px=(240, 320))
        specimen = SpecimenField(id=f"S-{number // 2 % 5}-{number % 3}x", slide=1, field=number + 1)
        image = Pixels(array, ColourOrder.RGB)
        (frame,) = fill(tmp_path / "collection", 1, readings, image=image, specimen=specimen)
        found[frame] = code
    return found


def test_thirty_fields_are_labelled_by_keys_and_the_trainer_takes_the_export(
    page: Page, tmp_path: Path, kept: dict[UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = ScriptedDevice()
    device.collection = make_collection(tmp_path / "collection")
    with scene(DrawnReadings(), device=device) as found:
        found.open(page, "label")
        picture = page.locator("#label-picture")
        seen: list[str] = []
        for _ in range(NUMBER):
            # An id, and not that of the last field.
            another = f"^(?!{seen[-1]})" if seen else "^"
            expect(picture).to_have_attribute("data-item", re.compile(f"{another}[0-9a-f-]{{36}}$"))
            item = picture.get_attribute("data-item")
            assert item is not None
            seen.append(item)
            page.keyboard.press(str(1 + CODES.index(kept[UUID(item)])))
        expect(page.locator("#label-nothing")).to_be_visible()
        assert len(set(seen)) == NUMBER
        # The last answer is taken back, and given again.
        page.keyboard.press("u")
        expect(picture).to_have_attribute("data-item", seen[-1])
        page.keyboard.press(str(1 + CODES.index(kept[UUID(seen[-1])])))
        expect(page.locator("#label-nothing")).to_be_visible()
        with page.expect_download() as download:
            page.locator("#label-export").click()
        download.value.save_as(tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        archive.extractall(tmp_path / "export")
    with (tmp_path / "export/manifest.csv").open(newline="") as file:
        assert {UUID(row["item"]): row["label"] for row in csv.DictReader(file)} == kept
    shares = ["--test-share", "0.2", "--validation-share", "0.2"]
    data, out = str(tmp_path / "export"), str(tmp_path / "split.csv")
    monkeypatch.setattr("sys.argv", ["trainer", "prepare", "--data", data, "--out", out, *shares])
    with pytest.raises(SystemExit) as ended:
        trainer()
    assert not ended.value.code
    with (tmp_path / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["label"] for row in rows) == dict.fromkeys(CODES[:3], 10)
    parts = {group: {row["split"] for row in rows if row["group"] == group} for group in {row["group"] for row in rows}}
    assert len(parts) == 15
    assert {len(each) for each in parts.values()} == {1}


def test_an_answer_that_was_lost_on_its_way_back_counts_once(page: Page, tmp_path: Path) -> None:
    first, second = fill(tmp_path / "collection", 2)
    device = ScriptedDevice()
    device.collection = make_collection(tmp_path / "collection")
    lost: list[APIResponse] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch())
            route.abort()

    with scene(DrawnReadings(), device=device) as found:
        page.route("**/collection/labels", lose_the_first)
        found.open(page, "label")
        picture = page.locator("#label-picture")
        expect(picture).to_have_attribute("data-item", str(first))
        page.keyboard.press("1")
        expect(page.locator("#label-message")).not_to_be_empty()
        page.keyboard.press("1")
        expect(picture).to_have_attribute("data-item", str(second))
    lines = (tmp_path / "collection/labels.jsonl").read_bytes().splitlines()
    assert len(lines) == 1, "two would be two people who agree"
