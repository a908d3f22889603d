"""The page server's answers about teaching the microscope, and who gets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from edge_agent.adaptation.adaptation import Adaptation
from edge_agent.web.access.roles import Role
from edge_agent.web.routes.teaching import teaching_routes
from tests.teaching import teaching

Scope = MutableMapping[str, Any]


def client(adaptation: Adaptation, role: Role = Role.ADMINISTER) -> TestClient:
    """A visitor with this role."""
    app = Starlette(routes=teaching_routes(adaptation))

    async def with_role(
        scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        scope["role"] = role
        await app(scope, receive, send)

    return TestClient(with_role, raise_server_exceptions=True)


@pytest.mark.parametrize(
    ("method", "path", "least"), [("GET", "/teaching", Role.LOOK), ("POST", "/teaching/figure", Role.WORK)]
)
def test_each_request_needs_its_role(tmp_path: Path, method: str, path: str, least: Role) -> None:
    with teaching(tmp_path, counts={}) as made:
        for role in Role:
            status = client(made.adaptation, role).request(method, path).status_code
            assert (status in {401, 403}) == (role < least), (role, status)
            assert (status == 401) == (role is Role.NONE)


def test_the_state_counts_labels_and_the_figure_is_measured_on_request(tmp_path: Path) -> None:
    with teaching(tmp_path) as made:
        page = client(made.adaptation, Role.WORK)
        state = page.get("/teaching").json()
        [labels] = [each["labels"] for each in state["sets"]]
        assert {each["code"]: (each["labelled_count"], each["needed_count"]) for each in labels} == {
            "benign": (6, 10),
            "early-pre-b": (0, 10),
            "pre-b": (6, 10),
            "pro-b": (0, 10),
        }
        assert (state["state"], state["keeps_frames"], state["installed"]) == ("idle", True, True)
        assert page.post("/teaching/figure", json={"set": "classes"}).json()["state"] == "running"
        made.until_ended()
        assert page.get("/teaching").json()["figures"][0]["images_count"] == 12


def test_what_cannot_be_measured_is_refused_with_its_remedy(tmp_path: Path) -> None:
    with teaching(tmp_path, counts={"benign": 9}) as made:
        page = client(made.adaptation, Role.WORK)
        few = page.post("/teaching/figure", json={"set": "classes"})
        assert (few.status_code, few.json()["code"]) == (409, "labels_too_few")
        assert few.json()["remedy"]
        assert page.post("/teaching/figure", json={"set": "none"}).status_code == 400
        assert page.post("/teaching/figure", json={"unknown": 1}).status_code == 400
        assert page.post("/teaching/figure", content=b" " * 5000).status_code == 413
