"""The open slide and the reports of finished ones over HTTP."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pypdf import PdfReader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from edge_agent.contracts import Report, Specimen, Topics
from edge_agent.events.recorder import EventRecorder
from edge_agent.specimens.tracker import SpecimenTracker
from edge_agent.spool import MemorySpool
from edge_agent.web.access.roles import Role
from edge_agent.web.routes import slides
from edge_agent.web.routes.slides import slides_routes
from tests.slides import MODEL, judged, result_of

SLIDE = Specimen(id="S-7K3F-92QX", slide=2)


class InRole:
    """Stands in for the access middleware."""

    role = Role.LOOK

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "role": self.role}, receive, send)


class Nobody(InRole):
    role = Role.NONE


@pytest.fixture
def tracker(tmp_path: Path) -> SpecimenTracker:
    spool, topics = MemorySpool(2**24), Topics("clinic", "scope-1")
    events = EventRecorder(tmp_path, spool, topics, uuid4())
    return SpecimenTracker(spool, events, uuid4(), lambda: topics, lambda: MODEL)


def app_for(tracker: SpecimenTracker, role: type[InRole] = InRole) -> Starlette:
    routes = slides_routes(tracker.archive, lambda: tracker.open_slide)
    return Starlette(routes=routes, middleware=[Middleware(role)])


@pytest.fixture
def client(tracker: SpecimenTracker) -> Iterator[TestClient]:
    with TestClient(app_for(tracker)) as found:
        yield found


def finish(tracker: SpecimenTracker) -> Report:
    tracker.set(SLIDE, 10)
    reading = judged(None)
    for _ in range(3):
        tracker.append(reading, lambda place: result_of(reading, place))
    return tracker.finish()


def test_the_list_has_the_open_slide_and_the_finished_ones(client: TestClient, tracker: SpecimenTracker) -> None:
    assert client.get("/slides").json() == {"open": None, "kept_max_count": 200, "reports": []}
    report = finish(tracker)
    tracker.set(SLIDE, 25)
    found = client.get("/slides").json()
    assert found["open"]["specimen"] == {"id": "S-7K3F-92QX", "slide": 2}
    assert (found["open"]["wished_fields_count"], found["open"]["judged_count"]) == (25, 0)
    assert [each["id"] for each in found["reports"]] == [str(report.id)]


def test_the_statements_of_the_list_are_in_the_readers_language(client: TestClient, tracker: SpecimenTracker) -> None:
    report = finish(tracker)
    english, german = (
        client.get("/slides", params={"language": language}).json()["reports"][0]["statement"]
        for language in ("en", "de")
    )
    assert english == report.statement
    assert german.startswith("Von diesem Präparat beurteilt: 3 Felder.")


def test_a_report_is_given_as_it_was_published(client: TestClient, tracker: SpecimenTracker) -> None:
    report = finish(tracker)
    found = client.get(f"/slides/{report.id}.json")
    assert found.content == report.to_json()
    assert found.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("language", "word"), [("de", "Bericht"), ("en", "Report"), ("", "Report"), ("../x", "Report")]
)
def test_a_report_is_given_as_pdf_in_the_readers_language(
    client: TestClient, tracker: SpecimenTracker, language: str, word: str
) -> None:
    report = finish(tracker)
    found = client.get(f"/slides/{report.id}.pdf", params={"language": language})
    assert found.headers["content-type"] == "application/pdf"
    assert found.headers["content-disposition"].startswith('inline; filename="report-S-7K3F-92QX-2-')
    assert word in PdfReader(io.BytesIO(found.content)).pages[0].extract_text()


def test_a_report_is_given_as_a_table(client: TestClient, tracker: SpecimenTracker) -> None:
    report = finish(tracker)
    found = client.get(f"/slides/{report.id}.csv")
    assert found.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert found.headers["content-disposition"].startswith("attachment")
    assert {row["report"] for row in csv.DictReader(io.StringIO(found.text))} == {str(report.id)}


@pytest.mark.parametrize(
    "name", ["7c9e6679-7425-40de-944b-e07fc1f90ae7.pdf", "x.pdf", ".pdf", "a%00b.json", "..%00.csv"]
)
def test_what_is_not_kept_is_not_found(client: TestClient, tracker: SpecimenTracker, name: str) -> None:
    report = finish(tracker)
    for path in (name, f"{report.id}.exe", str(report.id), f"{report.id}.PDF "):
        found = client.get(f"/slides/{path}")
        assert found.status_code == 404
        assert found.json()["code"] == "report_missing"
        assert found.json()["remedy"]


def test_who_may_not_look_gets_nothing(tracker: SpecimenTracker) -> None:
    report = finish(tracker)
    with TestClient(app_for(tracker, Nobody)) as client:
        for path in ("/slides", f"/slides/{report.id}.pdf"):
            assert client.get(path).status_code == 401


def test_others_are_served_while_a_pdf_is_written(tracker: SpecimenTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PDF is written in another thread than the one that serves."""
    report = finish(tracker)
    serving: list[int] = []
    writing: list[int] = []

    def write(*_arguments: object) -> bytes:
        writing.append(threading.get_ident())
        return b"%PDF"

    monkeypatch.setitem(slides._KINDS, "pdf", (write, "application/pdf"))

    async def ask() -> None:
        serving.append(threading.get_ident())
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/slides/{report.id}.pdf",
            "headers": [],
            "query_string": b"",
        }
        await app_for(tracker)(scope, receive, send)  # type: ignore[arg-type]  # plain dictionaries
        assert sent[0]["status"] == 200

    asyncio.run(ask())
    assert writing
    assert writing != serving


def test_the_newest_report_comes_first(client: TestClient, tracker: SpecimenTracker) -> None:
    first, second = finish(tracker), finish(tracker)
    assert [each["id"] for each in client.get("/slides").json()["reports"]] == [str(second.id), str(first.id)]
