from __future__ import annotations

import copy
import logging
import string
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent.cameras.secret_url import SecretUrl, without_secrets
from edge_agent.cameras.settings import StreamSettings
from edge_agent.cameras.stream import StreamCamera
from edge_agent.config import Config, load_config
from edge_agent.errors import ConfigError

SHOWN = "rtsp://scope.example:8554"
SECRET = st.text(string.ascii_letters + string.digits + "/?#@:%[]&=+ ü", min_size=6, max_size=20).map(
    lambda text: f"Zq7{text}Xw9"
)
"""Never part of anything else that is shown: it begins and ends with characters that none of our messages contains."""


FEW = hypothesis_settings(max_examples=40)


def parts_of(secret: str) -> set[str]:
    """Parts of a secret that must not appear: it and its form in an address, whole and cut where a password may end."""
    return {secret, quote(secret, safe=""), "Zq7", "Xw9"}


def renderings(settings: StreamSettings) -> str:
    config = Config.model_validate({"device": {"site": "a", "id": "b"}, "camera": settings})
    url = settings.url
    return "\n".join(
        (
            *(str(each) + repr(each) + f"{each!s:>5}{each}" for each in (url, settings, config)),
            str(settings.model_dump()),
            str(config.model_dump(mode="json", exclude={"mqtt": {"username"}})),
            settings.model_dump_json(),
            logging.LogRecord("x", 20, "x", 1, "%s %r", (settings, url), None).getMessage(),
            StreamCamera(settings)._capture.name,
        )
    )


@FEW
@given(secret=SECRET)
@pytest.mark.parametrize(
    "template",
    [
        "rtsp://nurse:{}@scope.example:8554/live",
        "rtsp://{}@scope.example:8554/live",
        "rtsp://scope.example:8554/live?user=nurse&password={}",
        "RTSP://scope.example:8554/live?token={}&channel=1",
        "rtsp://scope.example:8554/{}/live",
        "rtsp://scope.example:8554?auth={}",
    ],
)
def test_no_rendering_of_an_address_holds_its_secret(template: str, secret: str) -> None:
    address = template.format(quote(secret, safe=""))
    settings = StreamSettings.model_validate({"kind": "stream", "url": address})
    assert settings.url.get_secret_value() == address
    assert str(settings.url) == SHOWN
    said = renderings(settings)
    assert not [part for part in parts_of(secret) if part in said]
    assert copy.deepcopy(settings) == settings


@FEW
@given(secret=SECRET.filter(lambda secret: set(secret) & set("/?#@%[] ü")))
@pytest.mark.parametrize("template", ["rtsp://nurse:{}@scope.example:8554/live", "rtsp://{}@scope.example/live"])
def test_a_password_that_is_not_escaped_is_refused_and_not_repeated(template: str, secret: str) -> None:
    address = template.format(secret)
    try:
        settings = StreamSettings.model_validate({"kind": "stream", "url": address})
    except ValidationError as error:
        said = f"{error}{error!r}{error.errors()}{error.json()}" + "".join(traceback.format_exception(error))
        assert "escape" in said or "write %40" in said
    else:
        # A lone % followed by two hexadecimal digits is an escape, whatever was meant.
        assert not set(secret) & set("/?#@[] ü")
        said = renderings(settings)
    assert not [part for part in parts_of(secret) if part in said]


@FEW
@given(secret=SECRET)
@pytest.mark.parametrize(
    "line",
    [
        'kind = "stream"\nurl = "{}"',
        'kind = "stream"\nurl = "ftp://nurse:{}@scope.example/"',
        'kind = "stream"\nurl = "nurse:{}@scope.example/"',
        'kind = "stream"\naddress = "rtsp://nurse:{}@scope.example/"',
        'kind = "straem"\nurl = "rtsp://nurse:{}@scope.example/"',
        'kind = "stream"\nurl = ["rtsp://nurse:{}@scope.example/"]',
        'kind = "v4l2"\ndevice = "rtsp://nurse:{}@scope.example/"',
        'kind = "v4l2"\nwidth_px = "rtsp://nurse:{}@scope.example/"',
        'kind = "v4l2"\ndevice = "scope.example/?password={}"',
        'kind = "folder"\npath = "rtsp://nurse:{}@scope.example/"',
        'kind = "rtsp://nurse:{}@scope.example/"',
        '[mqtt]\nport = "mqtt://nurse:{}@scope.example"',
    ],
)
def test_no_error_of_a_configuration_repeats_a_password(
    line: str, secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("config", numbered=True) / "agent.toml"
    write_config(file, line.format(secret))
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    said = str(caught.value) + "".join(traceback.format_exception(caught.value))
    assert not [part for part in parts_of(secret) if part in said]


@pytest.mark.parametrize(
    "camera",
    [
        {"kind": "v4l2", "device": "rtsp://nurse:hush@scope.example"},
        {"kind": "stream", "url": "rtsp://nurse:hu/sh@scope.example"},
        {"kind": "stream", "url": "rtsp://nurse:hush@scope.example", "read_timeout_s": -1, "colour": "rtsp://a:hush@b"},
        {"kind": "stream", "url": "rtsp://nurse:hush@scope.example", "id": None},
        {"url": "rtsp://nurse:hush@scope.example"},
    ],
)
def test_no_validation_error_shows_what_was_given(camera: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"device": {"site": "a", "id": "b"}, "camera": camera})
    said = f"{caught.value}{caught.value!r}" + "".join(traceback.format_exception(caught.value))
    assert "hush" not in said
    assert "nurse" not in said


def write_config(file: Path, camera: str) -> None:
    file.write_text(f'[device]\nsite = "a"\nid = "b"\n[camera]\n{camera}\n', encoding="utf-8")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://nurse:sw0rdf%40sh@scope.example:8554/live?token=hush", SHOWN),
        ("http://127.0.0.1:8080/a?pwd=1", "http://127.0.0.1:8080"),
        ("RTSPS://a:b@[::1]:554/x", "rtsps://[::1]:554"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("http://scope_1.local/cgi-bin/mjpg?channel=1&subtype=0", "http://scope_1.local"),
    ],
)
def test_scheme_host_and_port_of_an_address_are_shown(url: str, shown: str) -> None:
    assert str(SecretUrl(url)) == shown
    assert SecretUrl(url).get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rtsp://",
        "rtsp:///live",
        "//scope.example/live",
        "scope.example/live",
        "rtsp://scope.example:0/",
        "rtsp://scope.example:70000/",
        "rtsp://scope.example:port/",
        "rtsp://nurse:a@b@scope.example/",
        "rtsp://nurse:1/2@scope.example/",
        "rtsp://nurse:1?2@scope.example/",
        "rtsp://nurse:1#2@scope.example/",
        "rtsp://nurse:1\\2@scope.example/",
        "rtsp://nurse:100%@scope.example/",
        "rtsp://nurse:a b@scope.example/",
        "rtsp://scope.example/live\n",
        "rtsp://scope.example/\u2100",
        "rtsp://[::1/live",
        "rtsp://[::zz]/live",
    ],
)
def test_what_is_no_address_or_not_escaped_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"needs an? |contains ") as caught:
        SecretUrl(url)
    assert not [part for part in ("nurse", "scope", url[7:] or "\0") if part in str(caught.value)]


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("rtsp://nurse:hush@scope.example/live", True),
        ("rtsp://hush@scope.example/live", True),
        ("http://scope.example/live?pwd=hush", True),
        ("http://scope.example/live", False),
        ("udp://@239.0.0.1:1234", False),
    ],
)
def test_an_address_knows_whether_it_may_hold_a_secret(url: str, may: bool) -> None:
    assert SecretUrl(url).may_hold_secret is may


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("slides/2024", "slides/2024"),
        ("/dev/video0", "/dev/video0"),
        ("C:/slides", "C:/slides"),
        ("rtsp://nurse:hush@scope/", "rtsp://..."),
        ("rtsp:/nurse:hush@scope/", "rtsp://..."),
        ("nurse:hush@scope", "..."),
        ("scope/?pwd=hush", "..."),
        ("see http://nurse:hush@scope", "..."),
    ],
)
def test_of_other_texts_only_those_without_a_secret_are_repeated(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
