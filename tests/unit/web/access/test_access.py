"""Access control: passwords, tokens, sessions, requests of other pages, and oversized requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from edge_agent.web.access.access import Access
from edge_agent.web.access.access_file import ROLES, parse_access
from edge_agent.web.access.attempts import Attempts, FailedLogins
from edge_agent.web.access.cross_site import is_own_origin
from edge_agent.web.access.hosts import HostRule
from edge_agent.web.access.protection import protect
from edge_agent.web.access.request_limits import RequestLimits
from edge_agent.web.access.roles import Role, requires, role_of
from edge_agent.web.access.sessions import Sessions
from edge_agent.web.routes.session import session_routes
from tests.page_access import PASSWORDS, TOKENS, access_text

BASE = "https://localhost"
OWN = {"sec-fetch-site": "same-origin"}


@requires(Role.WORK)
async def work(request: Request) -> Response:
    return JSONResponse({"role": role_of(request).code})


@requires(Role.ADMINISTER)
async def administer(_request: Request) -> Response:
    return Response(status_code=204)


async def forgotten(request: Request) -> Response:
    return JSONResponse({"received_bytes": len(await request.body())})


async def live(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(role_of(websocket).code)
    await websocket.close()


class Page:
    """A protected application, its sessions, and its failed log-ins."""

    def __init__(self, *, with_passwords: bool = True, **options: object) -> None:
        self.now_s = 0.0
        self.failed: list[int] = []
        self.sessions = Sessions(60, max_count=3, clock=lambda: self.now_s)
        self.access = Access(
            parse_access(access_text().encode()) if with_passwords else None,
            self.sessions,
            encrypted=True,
            on_failed_logins=self.failed.append,
            **options,  # type: ignore[arg-type]  # any option
        )
        app = Starlette(
            routes=[
                Route("/work", work, methods=["GET", "POST", "PUT"]),
                Route("/administer", administer, methods=["POST"]),
                Route("/forgotten", forgotten, methods=["GET", "POST"]),
                WebSocketRoute("/live", live),
                *session_routes(self.access),
            ]
        )
        self.app = protect(app, self.access, HostRule("127.0.0.1"))

    def visitor(self, address: str = "192.0.2.7") -> TestClient:
        return TestClient(self.app, base_url=BASE, client=(address, 50000))


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def visitor(page: Page) -> Iterator[TestClient]:
    # Within one event loop, as in a server.
    with page.visitor() as found:
        yield found


def log_in(visitor: TestClient, password: str) -> int:
    return visitor.post("/session", json={"password": password}, headers=OWN).status_code


@pytest.mark.parametrize(
    ("role", "working", "administering"), [("look", 403, 403), ("work", 200, 403), ("administer", 200, 204)]
)
def test_the_password_decides_the_role(visitor: TestClient, role: str, working: int, administering: int) -> None:
    assert visitor.get("/session").json() == {"role": "none", "needs_login": True}
    assert visitor.get("/work").status_code == 401
    assert log_in(visitor, PASSWORDS[role]) == 204
    assert visitor.get("/session").json() == {"role": role, "needs_login": True}
    assert visitor.get("/work").status_code == working
    assert visitor.post("/administer", json={}, headers=OWN).status_code == administering
    cookie = visitor.cookies["__Host-leukoscope"]
    assert visitor.delete("/session", headers=OWN).status_code == 204
    assert visitor.get("/work").status_code == 401
    assert visitor.get("/work", headers={"cookie": f"__Host-leukoscope={cookie}"}).status_code == 401, (
        "not only forgotten"
    )


def test_the_cookie_cannot_be_read_sent_elsewhere_or_sent_in_the_clear(visitor: TestClient) -> None:
    answer = visitor.post("/session", json={"password": PASSWORDS["work"]}, headers=OWN)
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-leukoscope=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/", "Max-Age=60"} == set(attributes)
    assert len(name.partition("=")[2]) >= 43, "256 bits"


def test_a_wrong_password_is_refused_alike_and_reported_without_it(
    visitor: TestClient, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        visitor.post("/session", json={"password": wrong}, headers=OWN)
        for wrong in ("s3cret wrong", PASSWORDS["work"] + "!", TOKENS["work"], "", "x" * 5000)
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["code"] == "access_denied"
    assert "set-cookie" not in answers[0].headers
    assert page.failed == [1], "the others are reported after a minute"
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{}", b'{"password": 3}', b"{", b"[" * 60000, b"\xff"])
def test_what_is_no_login_is_said_so(visitor: TestClient, body: bytes) -> None:
    answer = visitor.post("/session", content=body, headers={"content-type": "application/json", **OWN})
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


def test_passwords_cannot_be_tried_for_ever() -> None:
    page = Page(attempts=Attempts(RateLimitItemPerMinute(3), RateLimitItemPerMinute(5)))
    with time_machine.travel(1_800_000_000, tick=False) as clock, page.visitor() as one:
        assert [log_in(one, "wrong") for _ in range(4)] == [401, 401, 401, 429]
        refused = one.post("/session", json={"password": PASSWORDS["work"]}, headers=OWN)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        # Another machine, until there were too many in total.
        other = page.visitor("192.0.2.8")
        other.portal = one.portal
        assert [log_in(other, "wrong") for _ in range(3)] == [401, 401, 429]
        clock.shift(61)
        assert log_in(one, PASSWORDS["work"]) == 204


def test_a_right_password_forgives_the_wrong_ones() -> None:
    page = Page(attempts=Attempts(RateLimitItemPerMinute(3)))
    with page.visitor() as one:
        assert [log_in(one, word) for word in ("wrong", "wrong", PASSWORDS["look"], "wrong", "wrong")] == [
            401,
            401,
            204,
            401,
            401,
        ]


def test_failed_logins_are_reported_at_once_and_then_together() -> None:
    async def fail() -> list[int]:
        reported: list[int] = []
        told = asyncio.Event()

        def report(count: int) -> None:
            reported.append(count)
            if len(reported) == 2:
                told.set()

        failed = FailedLogins(report, interval_s=0)
        for _ in range(4):
            failed.add()
        await told.wait()
        return reported

    assert asyncio.run(fail()) == [1, 3]


def test_a_session_ends_by_itself_and_their_number_is_bounded(page: Page) -> None:
    ids = [page.sessions.open(Role.WORK) for _ in range(5)]
    assert [page.sessions.role(each) for each in ids] == [Role.NONE] * 2 + [Role.WORK] * 3
    page.now_s = 59.9
    assert page.sessions.role(ids[-1]) is Role.WORK
    page.now_s = 60
    assert page.sessions.role(ids[-1]) is Role.NONE
    assert len(page.sessions) == 0


def test_a_token_opens_its_role_for_programs_without_a_browsers_headers(visitor: TestClient, page: Page) -> None:
    token = {"authorization": f"Bearer {TOKENS['work']}"}
    assert visitor.post("/work", content=b"x", headers=token).json() == {"role": "work"}
    assert visitor.post("/administer", json={}, headers=token).status_code == 403
    for wrong in ("Bearer wrong", "Bearer", f"Basic {TOKENS['work']}", f"Bearer {PASSWORDS['work']}"):
        assert visitor.get("/work", headers={"authorization": wrong}).status_code == 401
    assert page.failed == [1]


def test_a_wrong_token_does_not_fall_back_to_the_cookie(visitor: TestClient) -> None:
    log_in(visitor, PASSWORDS["administer"])
    assert visitor.get("/work", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_a_route_that_forgets_to_say_whom_it_serves_serves_nobody(visitor: TestClient) -> None:
    assert visitor.get("/forgotten").status_code == 401
    assert visitor.get("/session/../forgotten").status_code == 401
    assert visitor.get("/assets/../forgotten").status_code in {401, 404}


def test_without_passwords_everyone_on_the_device_may_do_everything() -> None:
    with Page(with_passwords=False).visitor() as visitor:
        assert visitor.get("/session").json() == {"role": "administer", "needs_login": False}
        assert visitor.post("/administer", json={}, headers=OWN).status_code == 204
        assert visitor.post("/administer", json={}).status_code == 403, "other pages may not"


JSON = {"content-type": "application/json"}
REQUESTS = [
    ({"sec-fetch-site": "same-origin"}, JSON, True),
    ({"sec-fetch-site": "none"}, JSON, True),
    ({"sec-fetch-site": "cross-site", "origin": BASE}, JSON, False),
    ({"sec-fetch-site": "same-site", "origin": BASE}, JSON, False),
    ({"origin": BASE}, JSON, True),
    ({"origin": BASE}, {"content-type": "Application/JSON; charset=utf-8"}, True),
    ({"origin": "https://attacker.example"}, JSON, False),
    ({"origin": "http://localhost"}, JSON, False),
    ({"origin": "https://localhost:8443"}, JSON, False),
    ({"origin": "null"}, JSON, False),
    ({}, JSON, False),
    (OWN, {"content-type": "text/plain"}, False),
    (OWN, {"content-type": "application/x-www-form-urlencoded"}, False),
    (OWN, {"content-type": "text/plain; application/json"}, False),
    (OWN, {}, False),
]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(("origin", "content", "allowed"), REQUESTS)
def test_a_change_is_taken_only_from_the_page_itself(
    visitor: TestClient, method: str, origin: dict[str, str], content: dict[str, str], *, allowed: bool
) -> None:
    log_in(visitor, PASSWORDS["work"])
    answer = visitor.request(method, "/work", content=b"{}", headers={**origin, **content})
    assert answer.status_code == (200 if allowed else 403)
    if not allowed:
        assert answer.json()["code"] == "cross_site"


def test_another_page_cannot_log_a_visitor_in_or_out(visitor: TestClient) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    assert visitor.post("/session", json={"password": PASSWORDS["look"]}, headers=foreign).status_code == 403
    log_in(visitor, PASSWORDS["work"])
    assert visitor.delete("/session", headers=foreign).status_code == 403
    assert visitor.get("/work").status_code == 200


@pytest.mark.parametrize("origin", ["https://attacker.example", "http://localhost", "null", None])
def test_a_websocket_is_opened_only_by_the_page_itself(visitor: TestClient, origin: str | None) -> None:
    log_in(visitor, PASSWORDS["look"])
    with visitor.websocket_connect("wss://localhost/live", headers={"origin": BASE}) as socket:
        assert socket.receive_text() == "look"
    headers = {} if origin is None else {"origin": origin}
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        visitor.websocket_connect("wss://localhost/live", headers=headers),
    ):
        pass
    assert refused.value.status_code == 403


def test_a_websocket_needs_a_role_and_this_devices_name(visitor: TestClient) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        visitor.websocket_connect("wss://localhost/live", headers={"origin": BASE}),
    ):
        pass
    assert refused.value.status_code == 401
    with (
        pytest.raises(WebSocketDenialResponse) as foreign,
        visitor.websocket_connect(
            "wss://localhost/live", headers={"host": "attacker.example", "authorization": f"Bearer {TOKENS['look']}"}
        ),
    ):
        pass
    assert foreign.value.status_code == 400


def test_every_answer_carries_the_headers_refusals_too(visitor: TestClient) -> None:
    for answer in (
        visitor.get("/session"),
        visitor.get("/work"),
        visitor.get("/", headers={"host": "attacker.example"}),
    ):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in answer.headers
    assert (answer.status_code, answer.json()["code"]) == (400, "host_foreign")


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused_and_never_reaches_a_route(visitor: TestClient, *, announced: bool) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(65):
            yield bytes(1024)

    token = {"authorization": f"Bearer {TOKENS['work']}"}
    refused = visitor.post("/forgotten", content=bytes(65 * 1024) if announced else chunks(), headers=token)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert refused.headers["connection"] == "close"
    assert visitor.post("/forgotten", content=bytes(64 * 1024), headers=token).json() == {"received_bytes": 65536}


def call(
    limits: RequestLimits, receive: Callable[[], object], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> list[dict[str, object]]:
    """The answer to a request whose messages ``receive`` gives."""
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers)}
    asyncio.run(limits(scope, receive, send))  # type: ignore[arg-type]  # a bare scope
    return sent


def test_a_body_that_announces_too_much_is_not_even_read() -> None:
    async def read() -> object:
        pytest.fail("a byte was read")

    sent = call(RequestLimits(Starlette()), read, ((b"content-length", b"104857600"),))
    assert sent[0]["status"] == 413


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> object:
        return await asyncio.Event().wait()

    sent = call(RequestLimits(Starlette(), body_s=0.01), never)
    assert sent[0]["status"] == 408


def test_no_more_requests_are_answered_at_once_than_fit() -> None:
    async def never(*_args: object) -> None:
        await asyncio.Event().wait()

    async def empty() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def crowd() -> list[object]:
        limits = RequestLimits(never, max_requests=2)
        statuses: list[object] = []

        async def send(message: dict[str, object]) -> None:
            statuses.append(message.get("status"))

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        waiting = [asyncio.ensure_future(limits(scope, empty, send)) for _ in range(2)]  # type: ignore[arg-type]  # the same
        await asyncio.sleep(0)
        await limits(scope, empty, send)  # type: ignore[arg-type]  # the same
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return statuses[:1]

    assert asyncio.run(crowd()) == [503]


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z0-9]{1,5}){0,2}", fullmatch=True)
ports = st.none() | st.integers(1, 65535)


@given(host=names, port=ports, other=names, other_port=ports, upper=st.booleans())
def test_an_origin_is_ones_own_only_if_name_and_port_are(
    host: str, port: int | None, other: str, other_port: int | None, *, upper: bool
) -> None:
    def written(name: str, number: int | None) -> str:
        text = name if number is None else f"{name}:{number}"
        return text.upper() if upper else text

    own = host == other and (port or 443) == (other_port or 443)
    assert is_own_origin(f"https://{written(other, other_port)}", written(host, port), encrypted=True) is own
    assert not is_own_origin(f"http://{written(host, port)}", written(host, port), encrypted=True)


@given(origin=st.text(), host=st.text())
def test_text_that_is_no_origin_is_never_ones_own(origin: str, host: str) -> None:
    assert not is_own_origin(origin, host, encrypted=False) or (origin.lower().startswith("http") and host)


def test_roles_are_in_order() -> None:
    assert [role.code for role in Role][1:] == list(ROLES)
