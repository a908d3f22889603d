"""The conversation of 'leukoscope setup': every wrong answer gets its reason, and nothing is written before the end."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from edge_agent.cli.setup import Setup
from edge_agent.config import load_config
from edge_agent.errors import ConfigError

Answers = list[tuple[str, str]]


class Person:
    """Answers by the question's words; the default to all others. A question without an answer left is an error."""

    def __init__(self, answers: Answers) -> None:
        self.left = list(answers)
        self.heard: list[str] = []

    def ask(self, question: str, default: str | None, *, secret: bool = False) -> str:
        del secret
        for number, (words, answer) in enumerate(self.left):
            if words in question:
                del self.left[number]
                return answer
        assert default is not None, f"no answer to '{question}'; heard {self.heard[-2:]}"
        return default


@pytest.fixture
def talk(tmp_path: Path) -> Callable[[Answers], Person]:
    def run(answers: Answers) -> Person:
        person = Person(answers)
        Setup(person.ask, person.heard.append, tmp_path / "agent.toml", tmp_path / "credentials").run()
        assert not person.left, "a question was never put"
        return person

    return run


def test_defaults_and_two_names_make_a_configuration(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    talk([("clinic or laboratory", "north-clinic"), ("this device", "scope-2")])
    config = load_config(tmp_path / "agent.toml")
    assert (config.device.site, config.device.id) == ("north-clinic", "scope-2")
    assert config.mqtt.host == "localhost"
    assert config.mqtt.tls is None
    assert "# Longest wait for a camera" in (tmp_path / "agent.toml").read_text()


@pytest.mark.parametrize(
    ("question", "wrong", "right", "reason"),
    [
        ("clinic or laboratory", "North Clinic", "north-clinic", "lower-case letters"),
        ("this device", "scope_1", "scope-1", "lower-case letters"),
        ("Its port", "70000", "1883", "less than or equal to 65535"),
        ("Its port", "mqtt", "1883", "'mqtt' is not a number"),
        ("broker", "", "localhost", "at least 1 character"),
        ("Encrypt", "maybe", "no", "none of these: yes, no"),
        ("sign in", "key", "none", "none of these: none, password, certificate"),
        ("Which camera", "webcam", "v4l2", "none of these"),
        ("read?", "always", "settled", "none of these"),
    ],
)
def test_a_wrong_answer_is_refused_with_its_reason(
    talk: Callable[[Answers], Person], question: str, wrong: str, right: str, reason: str
) -> None:
    person = talk([(question, wrong), (question, right)])
    assert any(reason in line for line in person.heard)


def test_a_password_goes_into_a_file_of_its_own(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    person = talk([("sign in", "password"), ("User name", "scope"), ("Password", ""), ("Password", "S3cret!")])
    assert "A password is needed." in person.heard
    file = tmp_path / "credentials" / "mqtt-password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    config = load_config(tmp_path / "agent.toml")
    password = config.mqtt.password()
    assert password is not None
    assert password.get_secret_value() == "S3cret!"
    assert "S3cret!" not in (tmp_path / "agent.toml").read_text()
    assert not any("S3cret!" in line for line in person.heard)


def test_certificates_are_copied_to_the_credentials(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("scope-1")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "device.crt")
    issued.private_key_pem.write_to_path(tmp_path / "device.key")
    (tmp_path / "picture.crt").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "notes.crt").write_text("no certificate")
    person = talk(
        [
            ("address of the MQTT broker", "broker.example"),
            ("authority", str(tmp_path / "absent.crt")),
            ("authority", str(tmp_path / "picture.crt")),
            ("authority", str(tmp_path / "notes.crt")),
            ("authority", str(tmp_path / "ca.crt")),
            ("sign in", "certificate"),
            ("this device's certificate", str(tmp_path / "device.crt")),
            ("Its key", ""),
            ("Its key", str(tmp_path / "device.key")),
        ]
    )
    for reason in ("No such file", "not PEM text", "no line '-----BEGIN", "No file cannot be read"):
        assert any(reason in line for line in person.heard), reason
    mqtt = load_config(tmp_path / "agent.toml").mqtt
    assert mqtt.port == 8883
    assert mqtt.tls is not None
    mqtt.tls.context()
    assert mqtt.tls.key_file == tmp_path / "credentials" / "device.key"


def test_what_was_not_asked_for_stays(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        '# mine\n[device]\nsite = "a"\nid = "b"\n[camera]\nkind = "v4l2"\nexposure_us = 8000\n[spool]\nmax_mib = 5\n'
    )
    file.chmod(0o640)
    talk([("clinic or laboratory", "c")])
    config = load_config(file)
    assert config.device.site == "c"
    assert config.device.id == "b"
    assert config.spool.max_mib == 5
    assert "exposure_us = 8000" in file.read_text()
    assert "# mine" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert 'site = "a"' in (tmp_path / "agent.toml.before").read_text()


def test_another_kind_of_camera_does_not_keep_the_old_ones_keys(
    tmp_path: Path, talk: Callable[[Answers], Person]
) -> None:
    talk([("Which camera", "synthetic")])
    assert load_config(tmp_path / "agent.toml").camera.kind == "synthetic"


def test_a_broken_file_is_replaced_and_kept(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    (tmp_path / "agent.toml").write_text("[device")
    person = talk([])
    assert any("cannot be used and will be replaced" in line for line in person.heard)
    assert (tmp_path / "agent.toml.before").read_text() == "[device"
    load_config(tmp_path / "agent.toml")


def test_a_mistake_that_was_not_asked_for_is_named_and_nothing_written(
    tmp_path: Path, talk: Callable[[Answers], Person]
) -> None:
    text = '[device]\nsite = "a"\nid = "b"\n[camera]\nkind = "v4l2"\n[spool]\nmax_mib = -5\n'
    (tmp_path / "agent.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"spool\.max_mib"):
        talk([])
    assert (tmp_path / "agent.toml").read_text() == text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be stopped by an immutable folder; others by its rights")
def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    person = Person([])
    with pytest.raises(ConfigError, match="cannot be written"):
        Setup(person.ask, person.heard.append, tmp_path / "file" / "agent.toml", tmp_path / "file" / "c").run()
