"""The page server's answers about the collection, and who gets them."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from edge_agent.collection.collection import Collection
from edge_agent.collection.store import MIN_FREE_BYTES
from edge_agent.web.access.roles import Role
from edge_agent.web.routes.collection import collection_routes
from tests.kept import Readings, collecting, fill, make_collection

Scope = MutableMapping[str, Any]


def client(collection: Collection, role: Role = Role.ADMINISTER) -> TestClient:
    """A visitor with this role."""
    app = Starlette(routes=collection_routes(collection))

    async def with_role(
        scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        scope["role"] = role
        await app(scope, receive, send)

    return TestClient(with_role, raise_server_exceptions=True)


def label(page: TestClient, item: UUID, code: str, **more: object) -> Any:
    return page.post("/collection/labels", json={"item": str(item), "set": "classes", "label": code, **more})


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/collection", Role.LOOK),
        ("GET", f"/collection/items/{UUID(int=1)}.jpg", Role.LOOK),
        ("GET", "/collection/next?set=classes", Role.WORK),
        ("POST", "/collection/labels", Role.WORK),
        ("POST", "/collection/undo", Role.WORK),
        ("POST", "/collection/keep", Role.WORK),
        ("GET", "/collection/export.zip", Role.ADMINISTER),
    ],
)
def test_each_request_needs_its_role(tmp_path: Path, method: str, path: str, least: Role) -> None:
    collection = make_collection(tmp_path)
    for role in Role:
        status = client(collection, role).request(method, path).status_code
        assert (status in {401, 403}) == (role < least), (role, status)
        assert (status == 401) == (role is Role.NONE)


def test_a_field_is_labelled_from_first_to_last_request(tmp_path: Path) -> None:
    first, second = fill(tmp_path, 2)
    page = client(make_collection(tmp_path), Role.WORK)
    offered = page.get("/collection/next").json()
    assert (offered["item"], offered["then"], offered["waiting_count"]) == (str(first), [str(second)], 2)
    picture = page.get(f"/collection/items/{first}.jpg")
    assert picture.content == (tmp_path / f"{first}.jpg").read_bytes()
    assert picture.headers["content-type"] == "image/jpeg"
    assert "immutable" in picture.headers["cache-control"]
    entry = label(page, first, "benign").json()
    assert (entry["item"], entry["label"], entry["by"]) == (str(first), "benign", "work")
    assert page.get("/collection/next").json()["item"] == str(second)
    label(page, second, "not_usable")
    assert page.get("/collection/next").status_code == 204
    assert page.get("/collection/next?queue=second-look").status_code == 204
    undone = page.post("/collection/undo", json={"set": "classes"}).json()
    assert undone["item"] == str(second)
    undone = page.post("/collection/undo", json={"set": "classes", "id": entry["id"]}).json()
    assert undone["item"] == str(first)
    state = page.get("/collection").json()
    assert state["frames_count"] == 2
    assert [each["unlabelled_count"] for each in state["sets"]] == [2]
    assert state["consent"]


def test_an_answer_with_an_id_can_be_sent_again(tmp_path: Path) -> None:
    (frame,) = fill(tmp_path, 1, label="pre-b")
    page = client(make_collection(tmp_path))
    entry = str(uuid4())
    assert label(page, frame, "benign", id=entry).json() == label(page, frame, "benign", id=entry).json()
    assert (tmp_path / "labels.jsonl").read_bytes().count(b"\n") == 1


def test_a_frame_is_kept_on_request(tmp_path: Path) -> None:
    result, reading = Readings().make()
    with collecting(tmp_path, keep="on_request") as collection:
        page = client(collection)
        collection.offer(result, reading)
        assert page.post("/collection/keep", json={"reading": str(result.id)}).status_code == 204
        assert page.get(f"/collection/items/{result.id}.jpg").status_code == 200
        refused = page.post("/collection/keep", json={"reading": str(uuid4())})
    assert (refused.status_code, refused.json()["code"]) == (404, "frame_not_kept")
    assert refused.json()["remedy"]


def test_the_export_is_a_zip_file_and_nothing_of_it_stays(tmp_path: Path) -> None:
    frames = fill(tmp_path, 3)
    collection = make_collection(tmp_path)
    page = client(collection)
    for frame in frames:
        label(page, frame, "benign")
    before = sorted(tmp_path.iterdir())
    answer = page.get("/collection/export.zip?set=classes")
    assert answer.headers["content-disposition"] == 'attachment; filename="leukoscope-classes.zip"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {f"benign/{frame}.jpg" for frame in frames} <= set(archive.namelist())
    assert sorted(tmp_path.iterdir()) == before


def test_only_one_export_is_made_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (frame,) = fill(tmp_path, 1)
    collection = make_collection(tmp_path)
    page = client(collection)
    label(page, frame, "benign")
    begun, may_end = threading.Event(), threading.Event()
    export = Collection._export

    def slowly(*arguments: Any, **options: Any) -> Any:
        begun.set()
        may_end.wait()
        return export(*arguments, **options)

    monkeypatch.setattr(Collection, "_export", slowly)
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(page.get("/collection/export.zip").status_code))
    first.start()
    assert begun.wait(60)
    busy = client(collection).get("/collection/export.zip")
    may_end.set()
    first.join()
    assert (busy.status_code, busy.json()["code"], statuses) == (503, "collection_busy", [200])


def test_an_export_leaves_the_last_space_to_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (frame,) = fill(tmp_path, 1)
    page = client(make_collection(tmp_path))
    label(page, frame, "benign")
    usage = type("Usage", (), {"free": MIN_FREE_BYTES})
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    answer = page.get("/collection/export.zip")
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_low")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("labels", b"{", 400, "request_invalid"),
        ("labels", b"", 400, "request_invalid"),
        ("labels", b'{"item": "1", "set": "classes", "label": "benign"}', 400, "request_invalid"),
        ("labels", b'{"item": "%s", "set": "classes"}', 400, "request_invalid"),
        ("labels", b'{"item": "%s", "set": "classes", "label": "benign", "by": "me"}', 400, "request_invalid"),
        ("labels", b'{"item": "%s", "set": "classes", "label": "healthy"}', 400, "label_invalid"),
        ("labels", b'{"item": "%s", "set": "colours", "label": "benign"}', 400, "label_invalid"),
        (
            "labels",
            b'{"item": "00000000-0000-0000-0000-000000000001", "set": "classes", "label": "benign"}',
            404,
            "frame_not_kept",
        ),
        ("labels", b" " * 5000, 413, "body_too_large"),
        ("undo", b'{"set": "classes"}', 400, "label_invalid"),
        ("keep", b'{"reading": 1}', 400, "request_invalid"),
    ],
)
def test_a_request_that_is_wrong_is_explained_and_changes_nothing(
    tmp_path: Path, path: str, body: bytes, status: int, code: str
) -> None:
    (frame,) = fill(tmp_path, 1)
    if b"%s" in body:
        body = body % str(frame).encode()
    answer = client(make_collection(tmp_path)).post(f"/collection/{path}", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]
    assert answer.json()["remedy"]
    assert not (tmp_path / "labels.jsonl").exists() or not (tmp_path / "labels.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/collection/items/field7.jpg", 404, "frame_not_kept"),
        ("/collection/items/..%2Flabels.jpg", 404, None),
        (f"/collection/items/{UUID(int=1)}.jpg", 404, "frame_not_kept"),
        ("/collection/next?set=colours", 400, "label_invalid"),
        ("/collection/next?queue=third", 400, "label_invalid"),
        ("/collection/export.zip?set=colours", 400, "label_invalid"),
        ("/collection/export.zip", 409, "collection_empty"),
    ],
)
def test_what_is_not_there_is_explained(tmp_path: Path, path: str, status: int, code: str | None) -> None:
    fill(tmp_path, 1)
    answer = client(make_collection(tmp_path)).get(path)
    assert answer.status_code == status
    if code is not None:
        assert answer.json()["code"] == code
