"""Readings, events and commands over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels, frame_now
from edge_agent.contracts import Reason, Result
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.access.access import Access
from edge_agent.web.access.hosts import HostRule
from edge_agent.web.access.protection import protect
from edge_agent.web.access.roles import Role
from edge_agent.web.access.sessions import Sessions
from edge_agent.web.app import make_app
from edge_agent.web.broadcast import LISTENERS_MAX, QUEUE_MAX, Broadcast, Happening, TooManyListeners
from edge_agent.web.device import Problem
from edge_agent.web.history import History, ShownReading
from edge_agent.web.live.hub import LiveHub
from edge_agent.web.pictures import make_picture
from edge_agent.web.routes.commands import command_routes
from edge_agent.web.routes.events import follow
from tests.page_device import FakeDevice
from tests.results import any_result
from tests.slides import TYPES

Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


@pytest.fixture
def history() -> History:
    return History(kept_count=3)


@pytest.fixture
def client(device: FakeDevice, history: History) -> Iterator[TestClient]:
    access = Access(None, Sessions(3600), encrypted=False)
    app = protect(make_app(device, history, Broadcast(), LiveHub(device), access), access, HostRule("127.0.0.1"))
    with TestClient(app, base_url="http://localhost", headers={"origin": "http://localhost"}) as found:
        yield found


def read(analyzer: Analyzer, image: Pixels | Encoded) -> ShownReading:
    reading = analyzer.analyse(frame_now("camera0", image))
    result = ResultMaker("clinic-a", "scope-1", uuid7()).make(reading)
    return ShownReading(result, make_picture(result, reading), reading.labels)


def test_a_reading_is_returned_as_it_was_published_with_what_its_labels_mean(
    client: TestClient, history: History, analyzer: Analyzer, smear: Array
) -> None:
    shown = read(analyzer, Pixels(smear, ColourOrder.RGB))
    history.add(shown)
    found = client.get(f"/readings/{shown.result.id}").json()
    assert Result.model_validate(found["result"]).id == shown.result.id
    assert found["result"] == json.loads(shown.result.to_json())
    assert [label["code"] for label in found["labels"]] == list(shown.result.probabilities or ())
    assert all(label["display_name"] for label in found["labels"])
    assert found["quality_limits"] == {"min_focus_score": 20.0}
    assert found["picture"]["has_evidence"] is True


def test_pictures_are_those_of_the_reading_that_is_asked_for_and_never_change(
    client: TestClient, history: History, analyzer: Analyzer, smear: Array
) -> None:
    readings = [read(analyzer, Pixels(np.roll(smear, shift, axis=0), ColourOrder.RGB)) for shift in (0, 60, 120)]
    for shown in readings:
        history.add(shown)
    for shown in readings:
        assert shown.picture is not None
        for name, want in {
            "field.jpg": shown.picture.jpeg,
            "thumbnail.jpg": shown.picture.thumbnail,
            "nuclei.png": shown.picture.nuclei_png,
            "evidence.png": shown.picture.evidence_png(),
        }.items():
            answer = client.get(f"/readings/{shown.result.id}/{name}")
            assert answer.content == want
            assert "immutable" in answer.headers["cache-control"]
    assert len({shown.picture.jpeg for shown in readings if shown.picture}) == 3


def test_a_reading_whose_cells_were_judged_has_their_types_and_the_most_blast_like_ones(
    client: TestClient, history: History, analyzer: Analyzer, smear: Array
) -> None:
    reading = analyzer.analyse(frame_now("camera0", Pixels(smear, ColourOrder.RGB)))
    assert reading.explanation is not None
    windows = (np.zeros((96, 96, 3), np.uint8),) * 2
    reading = replace(reading, explanation=replace(reading.explanation, cell_windows=windows))
    cells = tuple(
        cell.model_copy(update={"type": "blast", "blast_ratio": ratio})
        for cell, ratio in zip(reading.cells, (0.2, 0.7), strict=False)
    )
    result = ResultMaker("clinic-a", "scope-1", uuid7()).make(reading).model_copy(update={"cells": cells})
    picture = make_picture(result, reading)
    assert picture is not None
    history.add(ShownReading(result, picture, reading.labels, TYPES))
    found = client.get(f"/readings/{result.id}").json()
    assert [label["code"] for label in found["types"]] == [each.code for each in TYPES]
    assert found["picture"]["foremost"] == [1, 0]
    assert found["picture"]["frame_size_px"] == list(smear.shape[:2])
    answer = client.get(f"/readings/{result.id}/cells.jpg")
    assert (answer.content, answer.headers["content-type"]) == (picture.crops, "image/jpeg")
    history.add(read(analyzer, Pixels(smear, ColourOrder.RGB)))
    latest = history.latest()
    assert latest is not None
    assert client.get(f"/readings/{latest.result.id}/cells.jpg").status_code == 404


def test_what_is_no_longer_kept_is_not_replaced_by_another(
    client: TestClient, history: History, analyzer: Analyzer, smear: Array
) -> None:
    oldest = read(analyzer, Pixels(smear, ColourOrder.RGB))
    history.add(oldest)
    for _ in range(3):
        history.add(ShownReading(any_result(), None, ()))
    latest = history.latest()
    assert latest is not None
    for path in (
        f"/readings/{oldest.result.id}",
        f"/readings/{oldest.result.id}/field.jpg",
        f"/readings/{latest.result.id}/field.jpg",
        f"/readings/{latest.result.id}/other.jpg",
        f"/readings/{uuid7()}",
        "/readings/none",
        "/readings/..%2F..%2Fetc/field.jpg",
        f"/readings/{'1' * 5000}",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"].startswith(("application/json", "text/plain"))


def test_the_history_can_be_filtered_and_says_what_is_wrong_with_a_filter(
    client: TestClient, history: History, analyzer: Analyzer, smear: Array
) -> None:
    judged = read(analyzer, Pixels(smear, ColourOrder.RGB))
    for shown in (judged, read(analyzer, Encoded(b"broken"))):
        history.add(shown)
    everything = client.get("/readings").json()["readings"]
    assert [each["outcome"] for each in everything] == ["failed", "classified"]
    assert [each["has_picture"] for each in everything] == [False, True]
    found = client.get("/readings", params={"outcome": "classified", "label": judged.result.label or ""}).json()
    assert [each["id"] for each in found["readings"]] == [str(judged.result.id)]
    assert len(client.get("/readings?limit=1").json()["readings"]) == 1
    for query in ("limit=0", "limit=x", "slide=x", "sort=up"):
        refused = client.get(f"/readings?{query}")
        assert refused.status_code == 400
        assert refused.json()["code"] == "request_invalid"
        assert query.split("=")[0] in refused.json()["message"]


def test_the_page_gets_the_words_of_every_reason(client: TestClient) -> None:
    assert client.get("/reasons.json").json() == {
        reason.value: {"sentence": reason.sentence, "next_step": reason.next_step} for reason in Reason
    }
    assert client.get("/evidence-legend.png").headers["content-type"] == "image/png"


def test_a_command_goes_to_the_dispatcher_with_its_sender_and_its_answer_comes_back(
    client: TestClient, device: FakeDevice
) -> None:
    body = json.dumps({"id": str(uuid4())})
    answer = client.post("/commands/capture", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (200, device.answer)
    request, by = device.submitted.get_nowait()
    assert (request.command, request.payload.decode(), request.retained, by) == (
        "capture",
        body,
        False,
        "page:administer",
    )


@pytest.mark.parametrize(("state", "status"), [("refused", 409), ("failed", 500)])
def test_an_answer_that_says_no_has_a_status_that_says_so(
    client: TestClient, device: FakeDevice, state: str, status: int
) -> None:
    device.answer = {"state": state, "error": {"code": "agent_paused"}}
    answer = client.post("/commands/capture", json={})
    assert (answer.status_code, answer.json()) == (status, device.answer)


@pytest.mark.parametrize("command", ["select-model", "shadow-model", "get-config"])
def test_models_are_for_those_who_administer(device: FakeDevice, command: str) -> None:
    async def working(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "role": Role.WORK}, receive, send)

    app = Starlette(routes=command_routes(device))
    with TestClient(working) as worker:
        assert worker.post(f"/commands/{command}", json={}).status_code == 403
        assert worker.post("/commands/capture", json={}).status_code == 200
    assert device.submitted.get_nowait()[0].command == "capture"
    assert device.submitted.empty()


def test_a_command_can_only_be_sent_not_fetched(client: TestClient, device: FakeDevice) -> None:
    assert client.get("/commands/capture").status_code == 405
    assert device.submitted.empty()


async def collect(device: FakeDevice, history: History, broadcast: Broadcast, count: int) -> list[Happening]:
    async with broadcast.listen() as queue:
        found: list[Happening] = []
        async for happening in follow(device, history, queue, heartbeat_s=0.01):
            found.append(happening)
            if len(found) == count:
                break
        return found


def test_a_new_listener_gets_the_latest_reading_and_the_state_at_once(device: FakeDevice, history: History) -> None:
    history.add(ShownReading(any_result(), None, ()))
    latest = history.latest()
    assert latest is not None
    reading, state, heartbeat = asyncio.run(collect(device, history, Broadcast(), 3))
    assert (reading.name, json.loads(reading.data)["id"]) == ("reading", str(latest.result.id))
    assert (state.name, json.loads(state.data)["paused"]) == ("state", False)
    assert heartbeat.name == "heartbeat"
    assert set(json.loads(heartbeat.data)) == {"at"}


def test_the_state_is_told_when_it_changes_and_not_otherwise(device: FakeDevice, history: History) -> None:
    async def run() -> list[tuple[str, bool]]:
        broadcast = Broadcast()
        found: list[tuple[str, bool]] = []
        async with broadcast.listen() as queue:
            beats = 0
            async for happening in follow(device, history, queue, heartbeat_s=0.01):
                if happening.name == "state":
                    state = json.loads(happening.data)
                    found.append(("paused" if state["paused"] else "running", bool(state["problems"])))
                beats += happening.name == "heartbeat"
                if beats == 3:
                    device.paused = True
                if beats == 6:
                    device.problems = (Problem(part="camera", code="camera_absent", message="", remedy=None),)
                if beats == 9:
                    return found
        return found

    assert asyncio.run(run()) == [("running", False), ("paused", False), ("paused", True)]


async def until_ended(happenings: AsyncIterator[Happening], broadcast: Broadcast) -> AsyncIterator[Happening]:
    """The readings up to the end, which the first reading brings about."""
    async for happening in happenings:
        if happening.name == "reading":
            broadcast.end()
            yield happening


def test_a_reading_is_told_to_every_listener(device: FakeDevice, history: History) -> None:
    async def run() -> list[list[str]]:
        broadcast = Broadcast()

        async with broadcast.listen() as one, broadcast.listen() as other:
            await asyncio.to_thread(broadcast.tell, Happening("reading", "one"))
            return [
                [each.data async for each in until_ended(follow(device, history, queue), broadcast)]
                for queue in (one, other)
            ]

    assert asyncio.run(run()) == [["one"], ["one"]]


def test_a_listener_that_falls_behind_is_ended_and_the_others_are_not(device: FakeDevice) -> None:
    async def run() -> tuple[int, bool]:
        broadcast = Broadcast()
        async with broadcast.listen() as slow, broadcast.listen() as quick:
            for number in range(QUEUE_MAX + 20):
                broadcast.tell(Happening("reading", str(number)))
                await asyncio.sleep(0)
                assert (await quick.get()) == Happening("reading", str(number))
            waiting = [slow.get_nowait() for _ in range(slow.qsize())]
            return len(waiting), waiting[-1] is None

    assert asyncio.run(run()) == (QUEUE_MAX + 1, True)


def test_the_number_of_listeners_is_bounded_and_a_place_becomes_free_again() -> None:
    async def run() -> None:
        broadcast = Broadcast()
        async with broadcast.listen():
            for _ in range(2 * LISTENERS_MAX):
                async with broadcast.listen():
                    pass
        listeners = [broadcast.listen() for _ in range(LISTENERS_MAX + 1)]
        for listener in listeners[:-1]:
            await listener.__aenter__()
        with pytest.raises(TooManyListeners):
            await listeners[-1].__aenter__()
        for listener in listeners[:-1]:
            await listener.__aexit__(None, None, None)
        assert not broadcast.heard

    asyncio.run(run())


def test_when_the_server_stops_every_listener_comes_to_its_end(device: FakeDevice, history: History) -> None:
    async def run() -> None:
        broadcast = Broadcast()
        async with broadcast.listen() as queue:
            async for happening in follow(device, history, queue, heartbeat_s=60):
                if happening.name == "heartbeat":
                    await asyncio.to_thread(broadcast.end)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_each_role_may_do_what_the_ones_before_it_may() -> None:
    assert Role.NONE < Role.LOOK < Role.WORK < Role.ADMINISTER
    assert [role.code for role in Role] == ["none", "look", "work", "administer"]
