"""The conversation of 'leukoscope setup': every wrong answer gets its reason, and nothing is written before the end."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from edge_agent.cli.conversation import Conversation
from edge_agent.config import load_config
from edge_agent.errors import ConfigError
from edge_agent.web.access.access_file import read_access
from edge_agent.web.access.passwords import role_of_password
from tests.page_access import PASSWORDS, write_access

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
        if default is None and "name a person" in question:
            return "no"
        assert default is not None, f"no answer to '{question}'; heard {self.heard[-2:]}"
        return default


@pytest.fixture
def talk(tmp_path: Path) -> Callable[[Answers], Person]:
    def run(answers: Answers) -> Person:
        person = Person(answers)
        Conversation(person.ask, person.heard.append, tmp_path / "agent.toml", tmp_path / "credentials").run()
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
        ("broker", "Scope 1", "localhost", "should be a name such as"),
        ("broker", "mqtt://localhost", "localhost", "not a URL"),
        ("broker", "localhost:1883", "localhost", "should be a name or address alone"),
        ("Encrypt", "maybe", "no", "not one of these: yes, no"),
        ("sign in", "key", "none", "not one of these: none, password, certificate"),
        ("Which camera", "webcam", "v4l2", "not one of these"),
        ("read?", "always", "settled", "not one of these"),
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
    for reason in ("No such file", "it is not text", "no line '-----BEGIN", "No file cannot be read"):
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


@pytest.mark.parametrize("content", [b"[device", b"\xff\xfe", b"mqtt = 3\n[device]\n", b"[spool]\nmax_mib = -5\n"])
def test_a_file_that_is_not_understood_stays_as_it_is(
    tmp_path: Path, talk: Callable[[Answers], Person], content: bytes
) -> None:
    (tmp_path / "agent.toml").write_bytes(content)
    with pytest.raises(ConfigError):
        talk([])
    assert (tmp_path / "agent.toml").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


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
        Conversation(person.ask, person.heard.append, tmp_path / "file" / "agent.toml", tmp_path / "file" / "c").run()


def test_a_name_of_a_person_is_asked_about_and_another_one_taken(
    tmp_path: Path, talk: Callable[[Answers], Person]
) -> None:
    person = talk(
        [
            ("clinic or laboratory", "hans-mueller"),
            ("name a person", "yes"),
            ("clinic or laboratory", "north-clinic"),
            ("name a person", "no"),
        ]
    )
    assert "Topics will begin with leukoscope/v1/hans-mueller/scope-1/." in person.heard
    assert load_config(tmp_path / "agent.toml").device.site == "north-clinic"


def test_names_that_stay_are_not_asked_about_again(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    talk([("clinic or laboratory", "north-clinic"), ("name a person", "no")])
    assert not any("Topics will begin" in line for line in talk([]).heard)


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("scope-1")
    for name in ("authority", "device", "key"):
        (tmp_path / name).mkdir()
    authority.cert_pem.write_to_path(tmp_path / "authority" / "file.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "device" / "file.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key" / "file.pem")
    talk(
        [
            ("address of the MQTT broker", "broker.example"),
            ("authority", str(tmp_path / "authority" / "file.pem")),
            ("sign in", "certificate"),
            ("this device's certificate", str(tmp_path / "device" / "file.pem")),
            ("Its key", str(tmp_path / "key" / "file.pem")),
        ]
    )
    tls = load_config(tmp_path / "agent.toml").mqtt.tls
    assert tls is not None
    assert len({tls.ca_file, tls.certificate_file, tls.key_file}) == 3
    tls.context()
    assert tls.ca_file is not None
    assert tls.ca_file.read_bytes() == authority.cert_pem.bytes()
    # Answering with what is there keeps it all.
    before = (tmp_path / "agent.toml").read_text()
    talk([])
    assert (tmp_path / "agent.toml").read_text() == before


@pytest.mark.parametrize(
    ("asked", "content", "reason"),
    [
        ("authority", "-----BEGIN PRIVATE KEY-----", "contains no certificate"),
        ("Its key", "-----BEGIN CERTIFICATE-----", "contains no private key"),
        ("Its key", "-----BEGIN ENCRYPTED PRIVATE KEY-----", "is encrypted"),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused(
    tmp_path: Path, talk: Callable[[Answers], Person], asked: str, content: str, reason: str
) -> None:
    (tmp_path / "wrong.pem").write_text(content)
    authority = trustme.CA()
    issued = authority.issue_cert("scope-1")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "device.crt")
    issued.private_key_pem.write_to_path(tmp_path / "device.key")
    person = talk(
        [
            ("address of the MQTT broker", "broker.example"),
            (asked, str(tmp_path / "wrong.pem")),
            ("authority", str(tmp_path / "ca.crt")),
            ("sign in", "certificate"),
            ("this device's certificate", str(tmp_path / "device.crt")),
            ("Its key", str(tmp_path / "device.key")),
        ]
    )
    assert any(reason in line for line in person.heard)


@pytest.mark.parametrize("kind", ["folder", "pipe", "home"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, talk: Callable[[Answers], Person], kind: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    wrong = "~nobody-has-this-name/ca.crt" if kind == "home" else str(tmp_path / kind)
    person = talk([("address of the MQTT broker", "broker.example"), ("authority", wrong), ("authority", "")])
    assert any(wrong in line for line in person.heard)


def test_it_asks_for_the_bundle_and_checks_it(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    person = talk([("Which bundle", "exact"), ("Which bundle", "fast")])
    assert any("There is no bundle 'exact'" in line for line in person.heard)
    assert {"accurate", "demo", "fast"} <= {line.strip().partition(":")[0] for line in person.heard}
    assert load_config(tmp_path / "agent.toml").analysis.bundle == "fast"


def test_the_choice_of_the_bundle_can_be_left_to_the_agent(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    person = talk([("Which bundle", "auto")])
    assert any(line.strip().startswith("auto: accurate, or fast") for line in person.heard)
    analysis = load_config(tmp_path / "agent.toml").analysis
    assert (analysis.bundle, analysis.threads_count) == ("auto", "auto")


def test_it_asks_for_the_microscope_page_and_who_may_open_it(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    person = talk(
        [("microscope page", "yes"), ("Who can open it", "network"), ("Its port", "1883"), ("Its port", "8081")]
    )
    web = load_config(tmp_path / "agent.toml").web
    assert (web.enabled, web.host, web.port) == (True, "0.0.0.0", 8081)  # noqa: S104 - what was asked for
    assert web.access_file == tmp_path / "credentials" / "web-access.toml"
    assert stat.S_IMODE(web.access_file.stat().st_mode) == 0o600
    known = read_access(web.access_file).passwords
    assert set(known) == {"work", "administer"}
    shown = [line.split() for line in person.heard if "Write it down" in line]
    assert {words[3].strip("':"): role_of_password(words[4], known) for words in shown} == {
        "work": "work",
        "administer": "administer",
    }
    talk([])
    assert read_access(web.access_file).passwords == known, "what is kept is kept"
    talk([("microscope page", "no")])
    assert not load_config(tmp_path / "agent.toml").web.enabled


def test_typed_passwords_are_asked_twice_and_refused_with_their_reason(
    tmp_path: Path, talk: Callable[[Answers], Person]
) -> None:
    person = talk(
        [
            ("microscope page", "yes"),
            ("Who can open it", "network"),
            ("Password of 'work'", "none"),
            ("Password of 'administer'", "none"),
            ("Password of 'work'", "type"),
            ("Password (it is not shown)", "short"),
            ("Password (it is not shown)", "long enough"),
            ("The same again", "long enoogh"),
            ("Password (it is not shown)", "long enough"),
            ("The same again", "long enough"),
            ("Password of 'administer'", "type"),
            ("Password (it is not shown)", "long enough"),
            ("Password (it is not shown)", "long enough too"),
            ("The same again", "long enough too"),
        ]
    )
    for words in ("Give one to a role", "at least 8 characters", "not the same", "Another role has this password"):
        assert any(words in line for line in person.heard), words
    assert not any("long enough" in line for line in person.heard)
    known = read_access(tmp_path / "credentials" / "web-access.toml").passwords
    assert role_of_password("long enough", known) == "work"
    assert role_of_password("long enough too", known) == "administer"


def test_no_role_gets_the_password_that_another_one_keeps(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    (tmp_path / "credentials").mkdir()
    write_access(tmp_path / "credentials", ("administer",))
    person = talk(
        [
            ("microscope page", "yes"),
            ("Who can open it", "network"),
            ("Password of 'look'", "type"),
            ("Password (it is not shown)", PASSWORDS["administer"]),
            ("Password (it is not shown)", "only to look"),
            ("The same again", "only to lock"),
            ("Password (it is not shown)", "only to look"),
            ("The same again", "only to look"),
            ("Password of 'work'", "none"),
            ("Password of 'administer'", "keep"),
        ]
    )
    assert any("Another role has this password" in line for line in person.heard)
    known = read_access(tmp_path / "credentials" / "web-access.toml").passwords
    assert role_of_password("only to look", known) == "look"


HEAD = '# mine\n[device]\nsite = "a"\nid = "b"\n'

LAYOUTS = {
    "another order": '[mqtt.tls]\nca_file = "/absent"\n[camera]\nkind = "v4l2"\n' + HEAD + '[mqtt]\nhost = "h"\n',
    "tables apart": HEAD + '[mqtt]\nhost = "h"\n[camera]\nkind = "v4l2"\n[mqtt.tls]\nca_file = "/absent" # mine\n',
    "inline": 'mqtt = {host = "h", tls = {ca_file = "/absent"}}\n' + HEAD + '[camera]\nkind = "v4l2"\n',
    "inline, no TLS": 'mqtt = { host = "h" }\n' + HEAD + '[camera]\nkind = "v4l2"\n',
    "empty inline": "mqtt = {}\nweb = {}\n" + HEAD + '[camera]\nkind = "v4l2"\n',
    "inline in a table": HEAD + '[mqtt]\nhost = "h"\ntls = {ca_file = "/absent"}\n[camera]\nkind = "v4l2"\n',
    "dotted": 'mqtt.host = "h"\nmqtt.port = 8883\ncamera.kind = "v4l2" # mine\n' + HEAD,
    "dotted in a table": HEAD + '[mqtt]\nhost = "h"\ntls.ca_file = "/absent"\n[camera]\nkind = "v4l2"\n',
    "quoted": HEAD + '["mqtt"]\n"host" = "h"\n["camera"]\n\'kind\' = "v4l2"\n',
    "indented": HEAD + '[camera]\n  kind="v4l2"\n  [mqtt]\n    host = "h"\n    [mqtt.tls]\n',
    "no end of line": HEAD + '[camera]\nkind = "v4l2"',
    "all inline": 'device = {site = "a", id = "b"} # mine\ncamera = {kind = "v4l2", exposure_us = 8000}\n',
}


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sign_in", ["password", "certificate", "none"])
@pytest.mark.parametrize("camera", ["v4l2", "synthetic"])
def test_any_layout_of_the_file_can_be_changed(
    tmp_path: Path, talk: Callable[[Answers], Person], layout: str, sign_in: str, camera: str, *, windows: bool
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("scope-1")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "device.crt")
    issued.private_key_pem.write_to_path(tmp_path / "device.key")
    text = LAYOUTS[layout]
    if windows:
        text = "\ufeff" + text.replace("\n", "\r\n")
    file = tmp_path / "agent.toml"
    file.write_bytes(text.encode())
    secrets = {
        "password": [("User name", "me"), ("Password", "secret")],
        "certificate": [
            ("this device's certificate", str(tmp_path / "device.crt")),
            ("Its key", str(tmp_path / "device.key")),
        ],
        "none": [],
    }
    encrypted = sign_in != "none"
    talk(
        [
            ("clinic or laboratory", "c"),
            ("address of the MQTT broker", "broker.example"),
            ("Encrypt", "yes" if encrypted else "no"),
            *([("authority", str(tmp_path / "ca.crt"))] if encrypted else []),
            ("sign in", sign_in),
            *secrets[sign_in],
            ("Which camera", camera),
            ("Which bundle", "demo"),
            ("read?", "continuous"),
            ("Seconds", "3"),
            ("microscope page", "yes"),
            ("Its port", "1884"),
            ("Its port", "8081"),
        ]
    )
    config = load_config(file)
    assert (config.device.site, config.device.id) == ("c", "b")
    assert (config.mqtt.host, config.mqtt.port) == ("broker.example", 1884)
    assert (config.mqtt.tls is not None) is encrypted
    assert (config.mqtt.username is not None) is (sign_in == "password")
    assert config.camera.kind == camera
    assert (config.analysis.bundle, config.trigger.interval_s, config.web.port) == ("demo", 3, 8081)
    after = file.read_bytes()
    assert b"# mine" in after
    assert after.count(b"\n") == (after.count(b"\r\n") if windows else after.count(b"\n"))
    assert not after.startswith(b"\xef\xbb\xbf")


def test_nothing_is_written_before_the_last_answer(tmp_path: Path) -> None:
    class GivesUp(Person):
        def ask(self, question: str, default: str | None, *, secret: bool = False) -> str:
            if "port" in question and "8080" in str(default):
                raise KeyboardInterrupt
            return super().ask(question, default, secret=secret)

    person = GivesUp([("sign in", "password"), ("User name", "me"), ("Password", "x"), ("microscope page", "yes")])
    with pytest.raises(KeyboardInterrupt):
        Conversation(person.ask, person.heard.append, tmp_path / "agent.toml", tmp_path / "credentials").run()
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_followed_and_stays_one(tmp_path: Path, talk: Callable[[Answers], Person]) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.toml"
    real.write_text(LAYOUTS["quoted"])
    real.chmod(0o600)
    (tmp_path / "agent.toml").symlink_to(real)
    talk([("clinic or laboratory", "c")])
    assert (tmp_path / "agent.toml").is_symlink()
    assert load_config(real).device.site == "c"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
