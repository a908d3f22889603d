from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.system.apt import Mirror, find_mirror

DEB822 = """\
# A comment.
Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg
"""
ONE_LINE = """\
# deb http://off.example/debian bookworm main
deb http://mirror.example/security bookworm-security main
deb [arch=amd64 signed-by=/usr/share/keyrings/archive.gpg] http://mirror.example/debian bookworm main contrib
"""
MIRROR = Mirror("http://mirror.example/debian", "/usr/share/keyrings/archive.gpg")


@pytest.fixture(autouse=True)
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    release = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)


def test_the_mirror_is_found_in_sources_of_either_form(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert find_mirror(tmp_path) == MIRROR
    (tmp_path / "sources.list").unlink()
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert find_mirror(tmp_path) == MIRROR


def test_another_suite_is_asked_of_the_same_archive_by_the_same_keys() -> None:
    line = "deb [signed-by=/usr/share/keyrings/archive.gpg] http://mirror.example/debian trixie main"
    assert MIRROR.line("trixie") == line


def test_sources_that_are_switched_off_or_of_others_give_no_mirror(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "off.sources").write_text(f"{DEB822}Enabled: no\n")
    (tmp_path / "sources.list").write_text("deb http://other.example/debian stable main\n")
    assert find_mirror(tmp_path) is None


def test_on_another_distribution_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "other"})
    assert find_mirror(tmp_path) is None
