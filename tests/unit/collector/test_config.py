from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.collector.cli.app import app
from edge_agent.collector.config import CollectorConfig, load_config
from edge_agent.collector.settings import PASSWORD_VARIABLE, DatabaseSettings
from edge_agent.errors import ConfigError

SECRET = "s3cr3t-P4ssw0rd"


def write(folder: Path, text: str) -> Path:
    path = folder / "collector.toml"
    path.write_text(text)
    return path


def test_without_a_file_every_setting_has_its_default() -> None:
    assert load_config(None, {}) == CollectorConfig()


def test_the_environment_replaces_values_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[mqtt]\nhost = 'one'\nport = 1883\n")
    config = load_config(
        path,
        {"LEUKOSCOPE_COLLECTOR_MQTT_PORT": "8883", "LEUKOSCOPE_COLLECTOR_DATABASE_URL": "postgresql://u@db/leukoscope"},
    )
    assert (config.mqtt.host, config.mqtt.port) == ("one", 8883)
    assert config.database.url == "postgresql://u@db/leukoscope"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[mqtt]\nhots = 'a'\n", ":2: mqtt.hots: there is no such key; did you mean 'host'?"),
        ("[mqqt]\nhost = 'a'\n", ":1: mqqt: there is no such key; did you mean 'mqtt'?"),
        ("[mqtt]\nport = 'x'\n", ":2: mqtt.port: should be a bare number; its unit is in the key's name, not 'x'"),
        ("[mqtt]\nhost = 'mqtt://a'\n", ":2: mqtt.host: should be a name or address alone"),
        ("[collector]\ninstance = 'A b'\n", ":2: collector.instance: may only have lower-case letters"),
        ("[batch]\n\nmax_count = 0\n", ":3: batch.max_count: input should be greater than or equal to 1"),
        ("[database]\nurl = 'mysql://a/b'\n", ":2: database.url: names another kind of database"),
        ("[database]\nurl = 'sqlite:///a.db'\n", ":2: database.url: needs the full path of the file"),
        ("[database]\nurl = 'here'\n", ":2: database.url: is no database's address"),
        ("[database]\nurl = 'postgresql://u@db'\n", ":2: database.url: names no database"),
        ("[database\n", ":1: not TOML"),
    ],
)
def test_an_error_names_file_line_and_what_to_do(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_config(path, {})
    assert f"{path}{expected}" in raised.value.message
    assert raised.value.remedy


def test_all_errors_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[mqtt]\nport = 0\n[retention]\nresults_days = -1\n")
    with pytest.raises(ConfigError, match=r"(?s)2 errors.*:2: mqtt.port.*:4: retention.results_days"):
        load_config(path, {})


@pytest.mark.parametrize(
    "url", [f"postgresql://u:{SECRET}@db/x", f"postgresql://u@db/x?password={SECRET}", f"mysql://u:{SECRET}@db/x"]
)
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    path = write(tmp_path, f"[database]\nurl = '{url}'\n")
    with pytest.raises(ConfigError) as raised:
        load_config(path, {})
    assert SECRET not in str(raised.value)
    with pytest.raises(ConfigError) as raised:
        load_config(None, {"LEUKOSCOPE_COLLECTOR_DATABASE_URL": url})
    assert SECRET not in str(raised.value)
    assert "LEUKOSCOPE_COLLECTOR_DATABASE_URL" in raised.value.message


def test_a_variable_that_is_no_setting_is_an_error() -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(None, {"LEUKOSCOPE_COLLECTOR_DATABSE_URL": "postgresql://u@db/x"})
    assert "LEUKOSCOPE_COLLECTOR_DATABASE_URL" in raised.value.remedy


def test_the_password_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    url = "postgresql://u@db/x"
    assert DatabaseSettings(url=url, password_file=file).sqlalchemy_url().password == SECRET
    assert SECRET not in repr(DatabaseSettings(url=url, password_file=file).sqlalchemy_url())
    monkeypatch.setenv(PASSWORD_VARIABLE, "another")
    assert DatabaseSettings(url=url).sqlalchemy_url().password == "another"


@pytest.mark.parametrize("content", [None, ""], ids=["missing", "empty"])
def test_a_password_file_that_does_not_help_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=rf"database\.password_file {file}"):
        DatabaseSettings(url="postgresql://u@db/x", password_file=file).sqlalchemy_url()


def test_each_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "migrate", "retention", "status"):
        app([command, "--help"], standalone_mode=False)
        assert "collector.toml" in capsys.readouterr().out
