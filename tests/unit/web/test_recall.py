"""The history of a device that keeps frames, after a restart."""

from __future__ import annotations

from pathlib import Path

import cv2
import httpx2
import numpy as np

from edge_agent.cli.local_broker import free_port
from edge_agent.web.history import History
from edge_agent.web.recall import recall
from edge_agent.web.server import MicroscopePage
from edge_agent.web.settings import WebSettings
from tests.kept import collecting, fill
from tests.page_device import FakeDevice


def test_kept_readings_are_recalled_the_newest_last_and_none_of_them_is_the_latest(tmp_path: Path) -> None:
    items = fill(tmp_path / "collection", 3)
    history = History()
    with collecting(tmp_path / "collection") as collection:
        for shown in recall(collection):
            history.add(shown)
    assert [shown.result.id for shown in history.select(lambda _result: True, 10)] == items[::-1]
    assert history.latest() is None
    newest = history.find(items[-1])
    assert newest is not None
    assert newest.picture is not None
    assert not newest.picture.explained
    decoded = cv2.imdecode(np.frombuffer(newest.picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (newest.picture.height_px, newest.picture.width_px, 3)


def test_a_damaged_picture_loses_only_itself(tmp_path: Path) -> None:
    items = fill(tmp_path / "collection", 3)
    damaged = next((tmp_path / "collection").rglob(f"{items[1]}.jpg"))
    with collecting(tmp_path / "collection") as collection:
        collection.state()
        damaged.write_bytes(bytes(damaged.stat().st_size))
        found = list(recall(collection))
    assert [shown.result.id for shown in found] == items
    assert [shown.picture is None for shown in found] == [False, True, False]


def test_a_device_without_a_collection_recalls_nothing() -> None:
    assert list(recall(None)) == []


def test_the_page_shows_them_in_its_history_and_not_as_the_latest(tmp_path: Path) -> None:
    items = fill(tmp_path / "collection", 2)
    device = FakeDevice()
    page = MicroscopePage(WebSettings(enabled=True, port=free_port()))
    with collecting(tmp_path / "collection") as collection:
        device.collection = collection
        with page.serving(device), httpx2.stream("GET", f"{page.address}events", timeout=20) as events:
            lines = events.iter_lines()
            assert next(lines) == "event: state", "a reading would come first"
            while not (found := httpx2.get(f"{page.address}readings").json()["readings"]):
                assert "event: heartbeat" in lines
            assert {each["id"] for each in found} <= {str(item) for item in items}
