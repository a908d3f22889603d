"""The shipped dashboard: made from its source, complete in both languages, its rules checked by Node's tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.contracts import Reason
from tests.node_tools import NodeTools

DASHBOARD = Path(__file__).resolve().parents[3] / "deploy" / "dashboard"
PAGE = DASHBOARD / "page"
LOGIC = sorted(Path(__file__).parent.glob("*.test.js"))


def catalogue(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((DASHBOARD / "src" / "locales" / f"{language}.json").read_text("utf-8"))
    return found


def test_the_rules_of_the_page_hold() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed (apt-get install nodejs)")
    found = subprocess.run([node, "--test", *LOGIC], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-4000:]
    assert re.search(r"^# pass [1-9]\d+$", found.stdout, re.MULTILINE)


def test_the_script_and_the_style_are_what_the_source_makes(node_tools: NodeTools, tmp_path: Path) -> None:
    esbuild = node_tools.modules / ".bin" / "esbuild"
    subprocess.run([DASHBOARD / "build", esbuild, tmp_path], check=True)
    for name in ("dashboard.js", "dashboard.css"):
        assert (tmp_path / name).read_text("utf-8") == (PAGE / name).read_text("utf-8"), "run 'make dashboard'"


def test_mqtt_js_is_the_package_as_it_was_published(node_tools: NodeTools) -> None:
    package = node_tools.modules / "mqtt"
    assert (PAGE / "mqtt.min.js").read_bytes() == (package / "dist" / "mqtt.min.js").read_bytes()
    assert (PAGE / "mqtt.LICENSE.md").read_bytes() == (package / "LICENSE.md").read_bytes()


def test_nothing_is_fetched_from_elsewhere_and_no_text_becomes_markup() -> None:
    page = (PAGE / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    rules = dict(each.strip().split(" ", 1) for each in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*[:/][^"]*"', page)
    assert not re.findall(r"\son\w+=|<script>|\sstyle=", page)
    sources = [each.read_text("utf-8") for each in (DASHBOARD / "src").glob("*.js")]
    assert len(sources) > 20
    for source in sources:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)


def test_both_languages_have_every_text() -> None:
    english, german = catalogue("en"), catalogue("de")
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", german[key])), key
    page = (PAGE / "index.html").read_text("utf-8")
    assert set(re.findall(r'data-t(?:-label)?="([^"]+)"', page)) <= english.keys()
    used = {
        key
        for source in (DASHBOARD / "src").glob("*.js")
        for key in re.findall(r'\bt\("([\w.]+)"', source.read_text("utf-8"))
    }
    assert used <= english.keys()


def test_the_words_of_a_reason_are_those_of_the_device() -> None:
    english, german = catalogue("en"), catalogue("de")
    page = json.loads(
        (DASHBOARD.parents[1] / "edge_agent" / "web" / "assets" / "locales" / "de.json").read_text("utf-8")
    )
    for reason in Reason:
        for part in ("sentence", "next_step"):
            key = f"reason.{reason.value}.{part}"
            assert english[key] == getattr(reason, part)
            assert german[key] == page[key]
        assert f"reason.{reason.value}.short" in english
