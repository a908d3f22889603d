from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from starlette.testclient import TestClient
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Explanation, Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels, frame_now
from edge_agent.contracts import Reason, Result
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.app import make_app
from edge_agent.web.hosts import HostRule
from edge_agent.web.picture import STRONG_RATIO, draw_explanation, tint, to_jpeg
from edge_agent.web.recent import KEPT_COUNT, RecentReadings

Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


@pytest.fixture
def recent() -> RecentReadings:
    return RecentReadings()


@pytest.fixture
def client(recent: RecentReadings) -> Iterator[TestClient]:
    with TestClient(make_app(recent, HostRule("127.0.0.1")), base_url="http://localhost") as found:
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
    client: TestClient, recent: RecentReadings, analyzer: Analyzer, smear: Array
) -> None:
    result, reading = judged(analyzer, Pixels(smear, ColourOrder.RGB))
    recent.add(result, reading)
    assert Result.model_validate_json(client.get("/reading.json").content) == result.model_copy(
        update={"captured_at": Result.model_validate_json(result.to_json()).captured_at}
    )
    picture = client.get("/field.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    shown = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert shown is not None
    assert shown.shape == (448, 448, 3)


def test_the_picture_is_that_of_the_reading_that_is_asked_for(
    client: TestClient, recent: RecentReadings, analyzer: Analyzer, smear: Array
) -> None:
    """A newer reading may come between the two requests of a browser."""
    readings = [judged(analyzer, Pixels(np.roll(smear, shift, axis=0), ColourOrder.RGB)) for shift in (0, 60, 120)]
    recent.add(*readings[0])
    shown = client.get("/reading.json").json()["id"]
    for newer in readings[1:]:
        recent.add(*newer)
    pictures = []
    for result, reading in readings:
        answer = client.get("/field.jpg", params={"id": str(result.id)})
        assert answer.headers["x-reading-id"] == str(result.id)
        assert reading.explanation is not None
        assert result.label is not None
        index = list(result.probabilities or {}).index(result.label)
        assert answer.content == to_jpeg(draw_explanation(reading.explanation, index))
        pictures.append(answer.content)
    assert len(set(pictures)) == 3
    assert client.get(f"/field.jpg?id={shown}").content == pictures[0]
    assert client.get(f"/field.jpg?{shown}").content == pictures[0]
    assert client.get("/field.jpg").content == pictures[-1]


def test_a_picture_that_is_not_kept_is_not_replaced_by_another(
    client: TestClient, recent: RecentReadings, analyzer: Analyzer, smear: Array
) -> None:
    oldest = judged(analyzer, Pixels(smear, ColourOrder.RGB))
    recent.add(*oldest)
    for _ in range(KEPT_COUNT):
        recent.add(*judged(analyzer, Pixels(smear, ColourOrder.RGB)))
    for unknown in (str(oldest[0].id), str(uuid7()), "none", "..%2F..%2Fetc", "1" * 5000):
        assert client.get(f"/field.jpg?id={unknown}").status_code == 404


def test_the_page_asks_for_the_picture_by_the_id_of_what_it_shows(client: TestClient) -> None:
    assert "field.jpg?id=${encodeURIComponent(result.id)}" in client.get("/page.js").text


def test_a_failed_reading_has_no_picture(client: TestClient, recent: RecentReadings, analyzer: Analyzer) -> None:
    recent.add(*judged(analyzer, Encoded(b"broken")))
    assert client.get("/reading.json").json()["outcome"] == "failed"
    assert client.get("/field.jpg").status_code == 204
    assert client.get(f"/field.jpg?id={client.get('/reading.json').json()['id']}").status_code == 404


def test_another_host_name_is_refused(client: TestClient) -> None:
    refused = client.get("/reading.json", headers={"host": "attacker.example"})
    assert refused.status_code == 400
    assert "web.allowed_hosts" in refused.text
    assert "default-src 'none'" in refused.headers["content-security-policy"]


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


def test_the_page_can_be_read_aloud(client: TestClient) -> None:
    page, script = client.get("/").text, client.get("/page.js").text
    assert '<html lang="en">' in page
    assert "<title>Leukoscope: microscope page</title>" in page
    assert 'role="status"' in page
    assert "picture.alt = `Field of reading" in script


def test_the_page_gets_the_words_of_every_reason(client: TestClient) -> None:
    assert client.get("/reasons.json").json() == {
        reason.value: {"sentence": reason.sentence, "next_step": reason.next_step} for reason in Reason
    }


def test_the_page_has_a_place_for_what_was_seen_and_for_what_to_do(client: TestClient) -> None:
    page, script = client.get("/").text, client.get("/page.js").text
    for place in ("why", "next-step"):
        assert f'id="{place}"' in page
        assert f'byId("{place}").textContent' in script
    assert "[known.sentence, known.next_step]" in script
    for reason in Reason:
        assert reason not in script, "the words are in one place only"


def explanation(field: Array, map_: NDArray[np.float32] | None) -> Explanation:
    mask = np.zeros(field.shape[:2], np.uint8)
    cv2.circle(mask, (60, 60), 20, (255,), -1)
    return Explanation(field, mask, map_)


def one_part(row: int, column: int) -> NDArray[np.float32]:
    """A map with evidence for class 2 in one of its 7 x 7 parts."""
    map_ = np.zeros((7, 7, 4), np.float32)
    map_[row, column, 2] = 3.0
    return map_


def test_nuclei_are_outlined_and_the_field_is_tinted_where_the_map_is_high() -> None:
    field = np.full((224, 224, 3), 200, np.uint8)
    plain = draw_explanation(explanation(field, None), None)
    assert (plain[300:, 300:] == 200).all()
    assert (plain[120, 80] != 200).any(), "the outline's left edge"
    map_ = one_part(5, 5)
    tinted = draw_explanation(explanation(field, map_), 2).astype(int)
    assert tinted[352, 352, 0] > tinted[352, 352, 2] + 50, "yellow"
    assert (draw_explanation(explanation(field, -map_), 2) == plain).all(), "explanation against is not explanation for"


@given(
    field=arrays(np.uint8, (32, 32, 3)),
    evidence=arrays(np.float32, (32, 32), elements=st.floats(0, 2, width=32) | st.just(0.0)),
)
def test_where_there_is_no_evidence_the_field_is_left_as_it_is(field: Array, evidence: NDArray[np.float32]) -> None:
    tinted = tint(field, evidence)
    assert (tinted[evidence == 0] == field[evidence == 0]).all()


@given(row=st.integers(0, 6), column=st.integers(0, 6))
def test_parts_without_evidence_are_drawn_as_without_a_map(row: int, column: int) -> None:
    field = np.random.default_rng(3).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    plain = draw_explanation(explanation(field, None), None)
    tinted = draw_explanation(explanation(field, one_part(row, column)), 2)
    changed = np.argwhere((tinted != plain).any(axis=-1))
    assert len(changed)
    # Interpolation reaches from the centre of the part to those of its neighbours, 64 px each in the enlarged picture.
    assert (changed.min(axis=0) >= 64 * np.array([row, column]) - 32).all()
    assert (changed.max(axis=0) < 64 * np.array([row, column]) + 96).all()


def hidden_share(evidence: float) -> float:
    """How much of what is below the tint it hides."""
    levels = np.full((1, 1), evidence, np.float32)
    black, white = (tint(np.full((1, 1, 3), level, np.uint8), levels).astype(int) for level in (0, 255))
    return 1 - float((white - black).mean()) / 255


@given(evidence=st.floats(0, 2 * STRONG_RATIO))
def test_the_tint_is_as_opaque_as_the_evidence_is_strong_up_to_the_end_of_the_scale(evidence: float) -> None:
    strongest = hidden_share(STRONG_RATIO)
    assert 0.3 < strongest < 0.7, "the field stays visible"
    assert hidden_share(evidence) == pytest.approx(strongest * min(evidence / STRONG_RATIO, 1), abs=0.01)


def test_the_tint_of_one_field_does_not_depend_on_its_own_maximum() -> None:
    """Otherwise a field that speaks evenly would look as telling as one with a single conspicuous cell."""
    field = np.full((224, 224, 3), 230, np.uint8)
    faint = np.ones((7, 7, 4), np.float32)
    faint[..., 2] = 11
    strong = faint.copy()
    faint[1, 5, 2] *= 1.1
    strong[1, 5, 2] *= 2
    plain, little, much = (
        draw_explanation(explanation(field, map_), 2)[96, 352].astype(int)
        for map_ in (np.ones_like(faint), faint, strong)
    )
    assert 0 < np.abs(little - plain).max() < np.abs(much - plain).max() / 2


def test_the_mask_may_have_a_size_of_its_own() -> None:
    field = np.full((224, 224, 3), 200, np.uint8)
    mask = np.zeros((240, 320), np.uint8)
    mask[60:120, 80:160] = 255
    picture = draw_explanation(Explanation(field, mask, None), None)
    rows, columns = np.nonzero((picture != 200).any(axis=-1))
    assert (rows.min(), rows.max()) == pytest.approx((112, 224), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((112, 224), abs=2)


def test_the_legend_shows_the_tints_of_the_picture(client: TestClient) -> None:
    answer = client.get("/evidence.png")
    assert answer.headers["content-type"] == "image/png"
    scale = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert scale is not None
    background = np.full((224, 224, 3), scale[0, 0], np.uint8)
    assert (scale[:, 0] == background[0, 0]).all(), "none on the left is no tint"
    strongest = draw_explanation(explanation(background, one_part(5, 5)), 2)[352, 352]
    assert (scale[:, -1] == strongest).all(), "strong on the right"


def test_the_legend_has_words_and_is_only_shown_for_a_label(client: TestClient) -> None:
    page, script = client.get("/").text, client.get("/page.js").text
    assert '<figcaption id="legend" hidden>' in page
    for words in ("Evidence for", "none", "strong", "No tint: no more evidence than the field has on average."):
        assert words in page
    assert f"Strong: {'half as much again' if STRONG_RATIO == 0.5 else '?'}, or more." in page
    assert 'byId("legend").hidden = picture === null || result.label === null;' in script
    assert "tinted where there is more evidence for ${result.label} than on average" in script


def test_the_picture_keeps_its_colours() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220
    decoded = cv2.imdecode(np.frombuffer(to_jpeg(red), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert decoded[32, 32, 0] > 200
    assert decoded[32, 32, 2] < 30
