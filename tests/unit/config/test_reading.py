from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config import load_config
from edge_agent.config.examination import examine_config
from edge_agent.errors import ConfigError
from edge_agent.mqtt.settings import PASSWORD_VARIABLE, MqttSettings

GOOD = """
[device]
site = "clinic"
id = "scope-1"

[camera]
kind = "synthetic"
"""


def problems(tmp_path: Path, text: str) -> str:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    return caught.value.message


def test_the_shortest_configuration_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD)
    config = load_config(file)
    assert config.device.site == "clinic"
    assert config.analysis.bundle == "accurate"
    assert config.mqtt.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("addition", "line", "words"),
    [
        ("frame_rate = 3", 8, "camera.frame_rate: there is no such key; did you mean 'frame_rate_hz'?"),
        ("[trigger]\ninterval_ms = 3", 9, "trigger.interval_ms: there is no such key; did you mean 'interval_s'?"),
        ("[trigger]\n\ninterval_s = '3 s'", 10, "trigger.interval_s: should be a bare number; its unit is in"),
        ("[qality]\nx = 1", 8, "qality: there is no such key; did you mean 'quality'?"),
        ("[mqtt]\nport = 70000", 9, "mqtt.port: input should be less than or equal to 65535, not 70000"),
        ("[trigger]\nmode = 'sometimes'", 9, "trigger.mode: input should be 'continuous', 'settled' or 'triggered'"),
    ],
)
def test_an_error_names_line_key_and_remedy(tmp_path: Path, addition: str, line: int, words: str) -> None:
    message = problems(tmp_path, GOOD + addition + "\n")
    assert f"agent.toml:{line}: {words}" in message


def test_every_error_is_named_at_once_in_the_files_order(tmp_path: Path) -> None:
    message = problems(tmp_path, '[camera]\nkind = "lens"\n[device]\nsite = "A"\n[mqtt]\nport = 0\n')
    lines = [line for line in message.splitlines() if "agent.toml:" in line]
    assert [line.split(":")[1] for line in lines] == ["2", "3", "4", "6"]
    assert "one of 'synthetic', 'folder'" in message
    assert "device.id: is missing" in message


def test_what_is_no_toml_and_what_is_no_file_are_one_error_each(tmp_path: Path) -> None:
    assert "not TOML" in problems(tmp_path, "[device\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "binary.toml")


def test_a_streams_password_is_never_shown(tmp_path: Path) -> None:
    message = problems(
        tmp_path, '[device]\nsite = "a"\nid = "b"\n[camera]\nkind = "stream"\nurl = "htp://me:s3cret@host/"\n'
    )
    assert "camera.url" in message
    assert "s3cret" not in message


@given(st.text(max_size=200))
def test_no_text_makes_anything_but_a_configuration_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("config") / "agent.toml"
    file.write_bytes(text.encode("utf-8", errors="replace"))
    with pytest.raises(ConfigError):
        load_config(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "1" * 5000, "agent.toml:1: not TOML"),
        ("\n\n[device", "agent.toml:3: not TOML"),
        ("[device]\nsite =\n", "agent.toml:2: not TOML"),
        ('x = """\n\n', "agent.toml:3: not TOML"),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    assert words in problems(tmp_path, content)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_byte_order_mark_and_the_line_ends_of_windows_are_accepted(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", ending).encode())
    assert load_config(file).device.id == "scope-1"
    file.write_bytes(b"\xef\xbb\xbf" + (GOOD + "[mqtt]\nport = 0\n").replace("\n", ending).encode())
    with pytest.raises(ConfigError, match=r"agent\.toml:9: mqtt\.port"):
        load_config(file)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        load_config(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("addition", "key"),
    [
        ("[quality]\nmin_brightness_pct = 90\nmax_brightness_pct = 30\n", "quality.min_brightness_pct"),
        ("[capture]\nreopen_initial_s = 60\n", "capture.reopen_initial_s"),
    ],
)
def test_a_lower_bound_above_its_upper_one_is_refused(tmp_path: Path, addition: str, key: str) -> None:
    message = problems(tmp_path, GOOD + addition)
    assert f"agent.toml:9: {key}: " in message
    assert "is above" in message


@pytest.mark.parametrize(
    ("addition", "line", "key"),
    [
        ("[web]\nenabled = true\nport = 9464\n[prometheus]\nenabled = true\n", 11, "prometheus.port"),
        (
            '[web]\nenabled = true\nhost = "0.0.0.0"\naccess_file = "/a"\nport = 9464\n[prometheus]\nenabled = true\n',
            13,
            "prometheus.port",
        ),
        ("[web]\nenabled = true\nport = 1883\n", 10, "web.port"),
        ('[mqtt]\nhost = "localhost"\nport = 9464\n[prometheus]\nenabled = true\n', 11, "prometheus.port"),
    ],
)
def test_two_servers_on_one_port_are_refused(tmp_path: Path, addition: str, line: int, key: str) -> None:
    message = problems(tmp_path, GOOD + addition + "[spool]\nmax_mib = 0\n")
    assert f"agent.toml:{line}: {key}: " in message
    # In addition to any other problems.
    assert "spool.max_mib" in message
    assert "2 errors" in message


def test_servers_on_one_port_of_different_addresses_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        GOOD + '[web]\nenabled = true\nport = 9464\nhost = "127.0.0.2"\n[prometheus]\nenabled = true\n'
        '[mqtt]\nhost = "broker.example"\nport = 9464\n'
    )
    assert load_config(file).web.port == 9464


@pytest.mark.parametrize(
    "addition",
    [
        '[state]\nfolder = "~/state"\n',
        '[mqtt]\npassword_file = "~nobody-has-this-name/password"\n',
        '[mqtt.tls]\nca_file = "~/ca.crt"\n',
        '[analysis]\nbundle = "~/bundle"\n',
    ],
)
def test_a_path_below_somebodys_home_is_refused(tmp_path: Path, addition: str) -> None:
    message = problems(tmp_path, GOOD + addition)
    assert "agent.toml:9: " in message
    assert "write the path in full" in message


@pytest.mark.parametrize(
    "addition",
    [
        '[state]\nfolder = "/state\\u0000"\n',
        '[mqtt]\npassword_file = "/password\\u0000"\n',
        '[mqtt.tls]\nca_file = "/ca\\u0000.crt"\n',
        '[web]\naccess_file = "/\\u0000"\n',
    ],
)
def test_a_path_that_no_file_can_have_is_one_error(tmp_path: Path, addition: str) -> None:
    message = problems(tmp_path, GOOD + addition)
    assert "agent.toml:9: " in message
    assert "null character" in message
    # 'check-config' looks at the files as well.
    assert [each.is_warning for each in examine_config(tmp_path / "agent.toml")] == [False]


def test_a_value_that_may_hold_a_password_is_not_shown(tmp_path: Path) -> None:
    assert "s3cret" not in problems(tmp_path, GOOD + '[mqtt]\nport = "me:s3cret@host"\n')


values = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(st.sampled_from(["device", "camera", "mqtt", "trigger", "quality"]), st.sampled_from("abi_"), values)
def test_no_value_makes_anything_but_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, section: str, key: str, value: object
) -> None:
    file = tmp_path_factory.mktemp("config") / "agent.toml"
    file.write_text(f"[{section}]\n{key} = {value!r}\n".replace("True", "true").replace("False", "false"))
    with pytest.raises(ConfigError):
        load_config(file)


def test_the_password_comes_from_its_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("from-file\n")
    monkeypatch.setenv(PASSWORD_VARIABLE, "from-environment")
    of_file = MqttSettings(password_file=file).password()
    of_environment = MqttSettings().password()
    assert of_file is not None
    assert of_environment is not None
    assert of_file.get_secret_value() == "from-file"
    assert of_environment.get_secret_value() == "from-environment"
    assert "from-file" not in repr(of_file)
    monkeypatch.delenv(PASSWORD_VARIABLE)
    assert MqttSettings().password() is None


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_password_file_that_has_none_is_an_error(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="password_file"):
        MqttSettings(password_file=file).password()
