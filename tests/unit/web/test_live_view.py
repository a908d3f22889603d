from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer, Explanation, Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.cameras.stamp import frame_now
from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import Result
from edge_agent.errors import WebPortTaken
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.quality import QualityLimits
from edge_agent.web.app import Latest, make_app
from edge_agent.web.picture import draw_explanation, to_jpeg
from edge_agent.web.server import LiveView
from edge_agent.web.settings import WebSettings

Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


@pytest.fixture
def latest() -> Latest:
    return Latest()


@pytest.fixture
def client(latest: Latest) -> Iterator[TestClient]:
    with TestClient(make_app(latest, ["localhost"]), base_url="http://localhost") as found:
        yield found


def judged(analyzer: Analyzer, image: Pixels | Encoded) -> tuple[Result, Reading]:
    reading = analyzer.analyse(frame_now("camera0", image))
    return ResultMaker("scope-1", uuid7()).make(reading), reading


def test_before_the_first_reading_there_is_nothing_to_show(client: TestClient) -> None:
    assert client.get("/reading.json").status_code == 204
    assert client.get("/field.jpg").status_code == 204
    page = client.get("/")
    assert page.status_code == 200
    assert "Research use only" in page.text


def test_the_latest_reading_is_shown_as_it_was_published(
    client: TestClient, latest: Latest, analyzer: Analyzer, smear: Array
) -> None:
    result, reading = judged(analyzer, Pixels(smear, ColourOrder.RGB))
    latest.set(result, reading)
    assert Result.model_validate_json(client.get("/reading.json").content) == result.model_copy(
        update={"captured_at": Result.model_validate_json(result.to_json()).captured_at}
    )
    picture = client.get("/field.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    shown = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert shown is not None
    assert shown.shape == (448, 448, 3)


def test_a_failed_reading_has_no_picture(client: TestClient, latest: Latest, analyzer: Analyzer) -> None:
    latest.set(*judged(analyzer, Encoded(b"broken")))
    assert client.get("/reading.json").json()["outcome"] == "failed"
    assert client.get("/field.jpg").status_code == 204


def test_another_host_name_is_refused(client: TestClient) -> None:
    assert client.get("/reading.json", headers={"host": "attacker.example"}).status_code == 400


def test_nothing_can_be_changed_through_it(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/reading.json").status_code == 405
    assert client.get("/../../etc/passwd").status_code == 404


def test_pages_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("page.js", "page.css"):
        assert client.get(f"/{name}").status_code == 200
    assert "http" not in page.text


def explanation(field: Array, map_: NDArray[np.float32] | None) -> Explanation:
    mask = np.zeros(field.shape[:2], np.uint8)
    cv2.circle(mask, (60, 60), 20, (255,), -1)
    return Explanation(field, mask, map_)


def test_nuclei_are_outlined_and_evidence_shines_where_the_map_is_high() -> None:
    field = np.full((224, 224, 3), 200, np.uint8)
    plain = draw_explanation(explanation(field, None), None)
    assert (plain[300:, 300:] == 200).all()
    assert (plain[120, 80] != 200).any(), "the outline's left edge"
    heat = np.zeros((7, 7, 4), np.float32)
    heat[5, 5, 2] = 3.0
    warm = draw_explanation(explanation(field, heat), 2).astype(int)
    assert warm[352, 352].sum() > warm[352, 100].sum() + 50
    assert (draw_explanation(explanation(field, -heat), 2) == plain).all(), "explanation against is not explanation for"


def test_the_picture_keeps_its_colours() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220
    decoded = cv2.imdecode(np.frombuffer(to_jpeg(red), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert decoded[32, 32, 0] > 200
    assert decoded[32, 32, 2] < 30


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    settings = WebSettings(enabled=True, port=free_port())
    first = LiveView(settings)
    first.start()
    with pytest.raises(WebPortTaken, match=str(settings.port)):
        LiveView(settings)
    first.stop()
