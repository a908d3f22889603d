"""The page's files: served whole, of one version, in every language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from edge_agent.contracts import Direction, Measure, Reason
from edge_agent.web.routes.assets import asset_routes

ASSETS = Path(__file__).parents[3] / "edge_agent/web/assets"
CATALOGUES = {path.stem: json.loads(path.read_text("utf-8")) for path in (ASSETS / "locales").glob("*.json")}
SCRIPTS = {path.name: path.read_text("utf-8") for path in ASSETS.glob("*.js")}
PAGE = (ASSETS / "index.html").read_text("utf-8")


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=asset_routes())) as found:
        yield found


def test_everything_that_the_page_names_is_served_with_its_type(client: TestClient) -> None:
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "json": "application/json"}
    named = set(re.findall(r'(?:href|src)="(/assets/[a-z.]+)', PAGE))
    named |= {f"/assets/{name}" for text in SCRIPTS.values() for name in re.findall(r'from "\./([a-z0-9]+\.js)"', text)}
    assert len(named) > 10
    for path in [*named, "/locales/en.json", "/locales/de.json"]:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith(kinds[path.rpartition(".")[2]])
    assert client.get("/").text == PAGE


def test_a_file_that_is_known_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/assets/app.js")
    again = client.get("/assets/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/assets/app.js", headers={"If-None-Match": '"of another version"'})
    assert other.content == first.content


@pytest.mark.parametrize("path", ["/assets/..%2Fapp.py", "/assets/locales", "/assets/none.js", "/locales/..%2Fapp.js"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_needs_nothing_from_elsewhere_and_no_inline_script() -> None:
    assert not re.search(r"<script(?![^>]*src=)|\son[a-z]+=|\sstyle=|https?://", PAGE)
    for name, text in SCRIPTS.items():
        assert not re.search(r"https?://|eval\(|innerHTML|insertAdjacentHTML", text), name


def test_every_language_has_the_same_texts_with_the_same_placeholders() -> None:
    assert set(CATALOGUES) >= {"en", "de"}
    english = CATALOGUES["en"]
    for language, texts in CATALOGUES.items():
        own = {key: text for key, text in texts.items() if "reason." not in key}
        assert set(own) == set(english), language
        for key, text in own.items():
            assert text, key
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key


def test_every_reason_is_said_in_every_language() -> None:
    """In English its own words are used."""
    wanted = {f"reason.{reason}.{part}" for reason in Reason for part in ("sentence", "next_step")}
    for language in set(CATALOGUES) - {"en"}:
        assert {key for key in CATALOGUES[language] if key.startswith("reason.")} == wanted


def test_every_measure_that_may_differ_is_said_in_every_language_and_in_english_as_everywhere() -> None:
    words = {
        f"differs.{measure}.{direction}": said
        for measure in Measure
        for direction in Direction
        if (said := measure.words(direction)) is not None
    }
    assert {key: text for key, text in CATALOGUES["en"].items() if key.startswith("differs.")} == words
    for texts in CATALOGUES.values():
        own = {key: text for key, text in texts.items() if key.startswith("differs.")}
        assert set(own) == set(words)
        assert len(set(own.values())) == len(words), "no two say the same"


def test_every_text_that_the_page_names_exists_and_every_text_is_named() -> None:
    named = set(re.findall(r'data-t(?:-label|-title)?="([^"]+)"', PAGE))
    patterns = []
    for text in SCRIPTS.values():
        for before in (r"\bt\(\s*", r"\[\s*", r"[?:] "):
            named |= set(re.findall(before + r'"([a-z]+(?:\.[a-z_]+)+)"', text))
        patterns += [re.sub(r"\$\{[^}]+\}", ".+", each) for each in re.findall(r"\bt\(\s*`([^`]+)`", text)]
    english = CATALOGUES["en"]
    assert named <= set(english), named - set(english)
    built = re.compile("|".join(rf"(?:{pattern})" for pattern in patterns))
    unused = [
        key
        for key in english
        if key not in named and not built.fullmatch(key) and not key.startswith(("report.", "number."))
    ]
    assert not unused
