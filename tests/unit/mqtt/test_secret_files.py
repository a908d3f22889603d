from __future__ import annotations

import logging
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.contracts import Topics
from edge_agent.mqtt import MqttSettings, Publisher
from edge_agent.mqtt.secret_files import exposed_secrets
from edge_agent.spool import MemorySpool


@pytest.mark.parametrize(("mode", "exposed"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_a_secret_that_everybody_can_read_is_named(tmp_path: Path, mode: int, exposed: bool) -> None:
    files = {}
    for name in ("password", "key.pem", "cert.pem"):
        files[name] = tmp_path / name
        files[name].write_text("secret")
        files[name].chmod(mode)
    settings = MqttSettings.model_validate(
        {
            "password_file": files["password"],
            "tls": {"certificate_file": files["cert.pem"], "key_file": files["key.pem"]},
        }
    )
    found = exposed_secrets(settings)
    # A certificate is public.
    assert [str(files[name]) in error.message for name, error in zip(("password", "key.pem"), found, strict=False)] == (
        [True, True] if exposed else []
    )
    assert all(f"chmod o-rwx {tmp_path}" in error.remedy for error in found)


def test_a_file_that_is_not_there_is_another_matter(tmp_path: Path) -> None:
    assert exposed_secrets(MqttSettings(password_file=tmp_path / "absent")) == []
    assert exposed_secrets(MqttSettings()) == []


def test_the_log_warns_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    secret.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        Publisher(MqttSettings(password_file=secret), Topics("clinic", "scope-1"), MemorySpool(2**20), uuid7())
    assert [record.message.count("secret_exposed") for record in caplog.records] == [1]
    assert "secret\n" not in caplog.text
