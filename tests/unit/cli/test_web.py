"""``edge-agent web``: passwords, tokens and the address of the page."""

from __future__ import annotations

import socket
import stat
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.app import app
from edge_agent.config import load_config
from edge_agent.errors import ConfigError
from edge_agent.web.access.access_file import read_access
from edge_agent.web.access.certificate import fingerprint, own_certificate, read_certificate
from edge_agent.web.access.passwords import role_of_password
from tests.page_access import PASSWORDS, write_access


def web(*arguments: object, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["web", *map(str, arguments)], input=typed)


def test_a_password_is_one_line_of_the_input_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "made" / "access.toml"
    done = web("password", "--role", "work", "--file", file, typed="s3cret words\nmore\n")
    assert done.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert role_of_password("s3cret words", read_access(file).passwords) == "work"
    assert "s3cret" not in file.read_text() + done.output


@pytest.mark.parametrize(
    ("typed", "words"),
    [("short\n", "at least 8 characters"), (f"{PASSWORDS['look']}\n", "'look' has this password"), ("", "no password")],
)
def test_a_password_that_cannot_be_set_changes_nothing(tmp_path: Path, typed: str, words: str) -> None:
    file = write_access(tmp_path)
    before = file.read_bytes()
    done = web("password", "--role", "work", "--file", file, typed=typed)
    assert done.exit_code != 0
    assert words in str(done.exception)
    assert file.read_bytes() == before


def test_a_role_may_keep_its_own_password(tmp_path: Path) -> None:
    file = write_access(tmp_path)
    assert web("password", "--role", "work", "--file", file, typed=f"{PASSWORDS['work']}\n").exit_code == 0


def test_a_file_that_is_something_else_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[device]\nsite = 'a'\n")
    for command in ("password", "token"):
        done = web(command, "--role", "look", "--file", file, typed="long enough\n")
        assert isinstance(done.exception, ConfigError)
    assert file.read_text() == "[device]\nsite = 'a'\n"


def test_a_token_is_printed_alone_and_replaces_the_old_one(tmp_path: Path) -> None:
    file = write_access(tmp_path)
    made = [web("token", "--role", "look", "--file", file).stdout for _ in range(2)]
    assert all(text == f"{text.strip()}\n" for text in made)
    known = read_access(file)
    assert [known.role_of_token(text.strip()) for text in made] == [None, "look"]
    assert set(known.passwords) == set(PASSWORDS)
    assert made[1].strip() not in file.read_text()


def configured(folder: Path, host: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(
        f'[device]\nsite = "a"\nid = "b"\n[camera]\nkind = "synthetic"\n[state]\nfolder = "{folder}"\n'
        f'[web]\nenabled = true\nhost = "{host}"\nport = 8443\naccess_file = "{write_access(folder)}"\n'
    )
    return file


def test_the_address_is_printed_with_a_code_that_a_phone_reads_and_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = SimpleNamespace(family=socket.AF_INET, address="192.168.1.7")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": [own]})
    monkeypatch.setattr(socket, "gethostname", lambda: "scope-1")
    file = configured(tmp_path, "0.0.0.0")  # noqa: S104 - nothing is bound
    before = web("address", "--config", file)
    assert "when it first serves the page" in before.output
    settings = load_config(file)
    made = read_certificate(own_certificate(settings.web, tmp_path, datetime.now(UTC)))
    assert made is not None
    done = web("address", "--config", file)
    assert done.output.splitlines()[1:3] == ["  https://192.168.1.7:8443/", "  https://scope-1.local:8443/"]
    assert fingerprint(made) in done.output
    assert read_code(done.output) == "https://192.168.1.7:8443/"


def read_code(text: str) -> str:
    """Read the QR code drawn with half blocks: light modules are printed, on a dark terminal."""
    rows = [line for line in text.splitlines() if line and set(line) <= set("█▀▄ ")]
    upper = [[each in "█▀" for each in line] for line in rows]
    lower = [[each in "█▄" for each in line] for line in rows]
    light = np.array([half for pair in zip(upper, lower, strict=True) for half in pair], np.uint8)
    picture = cv2.copyMakeBorder(
        np.kron(255 * light, np.ones((8, 8), np.uint8)), 32, 32, 32, 32, cv2.BORDER_CONSTANT, value=(255,)
    )
    found, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    return found


def test_a_page_for_this_device_only_has_no_code(tmp_path: Path) -> None:
    done = web("address", "--config", configured(tmp_path, "127.0.0.1"))
    assert "  http://127.0.0.1:8443/" in done.output
    assert "Only browsers on this device" in done.output
    assert "█" not in done.output


def test_a_page_that_is_off_has_no_address(tmp_path: Path) -> None:
    file = configured(tmp_path, "127.0.0.1")
    file.write_text(file.read_text().replace("enabled = true", "enabled = false"))
    assert "is off" in str(web("address", "--config", file).exception)
