"""The project's statements about itself agree: version, change log, licence."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import edge_agent

ROOT = Path(__file__).parents[2]


def test_the_change_log_has_a_dated_entry_for_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    version, rest = headings[1]
    assert version == edge_agent.__version__
    assert re.fullmatch(r" - \d{4}-\d{2}-\d{2}", rest)


def test_the_licence_is_the_one_that_the_metadata_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)


def test_the_debian_package_names_the_licence_of_every_library_that_it_contains() -> None:
    copyrights = (ROOT / "deploy/debian/copyright").read_text("utf-8")
    patterns = re.findall(r"site-packages/([^/\s]+)", copyrights)
    libraries = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/device.txt").read_text("utf-8"), re.MULTILINE)
    folders = [library.replace("-", "_") for library in libraries]
    assert folders
    assert not [folder for folder in folders if not any(fnmatch(folder, pattern) for pattern in patterns)]
