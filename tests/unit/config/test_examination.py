"""The findings of 'check-config', which starts nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trustme

from edge_agent.config.examination import examine_config
from tests.cells import make_cells_bundle

GOOD = '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n[analysis]\nbundle = "demo"\n'


def examine(tmp_path: Path, text: str) -> list[str]:
    """Every problem as ``error`` or ``warning``, line and explanation."""
    file = tmp_path / "agent.toml"
    file.write_text(text)
    return [
        f"{'warning' if each.is_warning else 'error'} {each.line}: {each.explanation}" for each in examine_config(file)
    ]


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def test_a_configuration_that_is_right_has_no_problem(tmp_path: Path) -> None:
    assert examine(tmp_path, GOOD) == []


def test_a_bundle_that_is_unknown_is_named_with_its_line(tmp_path: Path) -> None:
    found = only(examine(tmp_path, GOOD.replace('"demo"', '"exact"')))
    shipped = "accurate, cells, demo, fast"
    assert found.startswith(f"error 7: analysis.bundle: there is no bundle 'exact' (shipped: {shipped}); ")


def test_a_bundle_that_does_not_verify_is_an_error(tmp_path: Path, demo_bundle: Path) -> None:
    (demo_bundle / "model.tflite").write_bytes(b"another")
    found = only(examine(tmp_path, GOOD.replace('"demo"', f'"{demo_bundle}"')))
    assert "model.tflite is not the file it was made with" in found


@pytest.mark.parametrize(
    ("key", "section"),
    [
        ("password_file", "[mqtt]\nusername = 'me'\n"),
        ("ca_file", "[mqtt]\nport = 8883\n[mqtt.tls]\n"),
    ],
)
@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "text"])
def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, key: str, section: str, kind: str) -> None:
    path = tmp_path / "secret"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "text":
            # Not a certificate; as a password file, its first line is empty.
            path.write_text("\nhello\n")
            path.chmod(0o600)
    text = GOOD + section + f'{key} = "{path}"\n'
    found = only(examine(tmp_path, text))
    assert found.startswith(f"error {text.count(chr(10))}: mqtt.{'tls.' if key == 'ca_file' else ''}{key}: ")
    assert "; " in found


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace('"demo"', '"exact"').replace('"clinic"', '"The Clinic"')
        + f'[mqtt]\nport = 8883\npassword_file = "{tmp_path}/absent"\n[trigger]\ninterval = 3\n'
    )
    found = examine(tmp_path, text)
    assert [each.split(":")[0] for each in found] == ["error 2", "error 7", "warning 9", "error 10", "error 12"]


def test_a_certificate_and_a_key_that_do_not_belong_together_are_an_error(tmp_path: Path) -> None:
    authority = trustme.CA()
    one, other = authority.issue_cert("scope-1"), authority.issue_cert("scope-2")
    one.cert_chain_pems[0].write_to_path(tmp_path / "device.crt")
    other.private_key_pem.write_to_path(tmp_path / "device.key")
    (tmp_path / "device.key").chmod(0o600)
    text = (
        GOOD
        + f'[mqtt]\nport = 8883\n[mqtt.tls]\ncertificate_file = "{tmp_path}/device.crt"\n'
        + f'key_file = "{tmp_path}/device.key"\n'
    )
    assert only(examine(tmp_path, text)).startswith("error 11: mqtt.tls.certificate_file: ")


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        ("[mqtt]\nport = 8883\n", "warning 9: mqtt.port: 8883 is the port for encrypted connections"),
        ("[mqtt]\ntls = {}\n", "warning 8: mqtt.port: 1883 is the port for connections without encryption"),
        ("[mqtt]\nhost = 'b.example'\nusername = 'x'\n", "warning 10: mqtt.username: the password crosses"),
        ("[mqtt]\nheartbeat_s = 60\nstatus_expiry_s = 60\n", "warning 10: mqtt.status_expiry_s: the status expires"),
        ("[state]\nfolder = 'state'\n", "warning 9: state.folder: state is relative to the folder"),
        ("[trigger]\nmode = 'settled'\nnew_field_change_pct = 1\n", "warning 10: trigger.new_field_change_pct"),
    ],
)
def test_what_is_doubtful_is_a_warning(tmp_path: Path, addition: str, words: str) -> None:
    assert only(examine(tmp_path, GOOD + addition)).startswith(words)


def test_a_secret_that_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(0o644)
    found = only(examine(tmp_path, GOOD + f'[mqtt]\nusername = "me"\npassword_file = "{path}"\n'))
    assert found == (
        f"warning 10: mqtt.password_file: every user of this machine can read {path}; run chmod 600 {path}"
    )


def test_a_file_with_a_streams_password_that_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    text = GOOD.replace('"synthetic"', '"stream"\nurl = "rtsp://me:s3cret@10.0.0.1/"')
    found = only(examine(tmp_path, text))
    assert found.startswith("warning 6: camera.url: every user of this machine can read the password")
    assert "s3cret" not in found


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        ('"folder"\npath = "/absent"', "warning 6: camera.path: there is no /absent now"),
        ('"v4l2"\ndevice = "/dev/video-absent"', "warning 6: camera.device: there is no /dev/video-absent now"),
        ('"picamera"\nwait_timeout_s = 9', "warning 6: camera.wait_timeout_s: the agent gives up on the camera after"),
    ],
)
def test_a_camera_that_is_not_there_is_a_warning(tmp_path: Path, camera: str, words: str) -> None:
    assert only(examine(tmp_path, GOOD.replace('"synthetic"', camera))).startswith(words)


def test_a_state_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = only(examine(tmp_path, GOOD + f'[state]\nfolder = "{tmp_path}/file/state"\n'))
    assert found.startswith(f"error 9: state.folder: {tmp_path}/file is not a folder")


@pytest.mark.parametrize("mode", ["continuous", "settled", "triggered"])
def test_waiting_for_rest_in_a_folder_of_images_is_doubtful(tmp_path: Path, mode: str) -> None:
    text = GOOD.replace('"synthetic"', f'"folder"\npath = "{tmp_path}"') + f'[trigger]\nmode = "{mode}"\n'
    found = examine(tmp_path, text)
    assert [each.partition(": ")[2].startswith("trigger.mode: ") for each in found] == [True] * (mode == "settled")


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("[work]\npassword = 's3cret'\n", 0o600, "error 11: web.access_file: "),
        ("[work]\ntoken = 'sha256:" + 64 * "0" + "'\n", 0o644, "warning 11: web.access_file: every user"),
        (None, 0o600, "error 11: web.access_file: there is no file"),
    ],
)
def test_the_access_file_is_checked(tmp_path: Path, content: str | None, mode: int, words: str) -> None:
    path = tmp_path / "access.toml"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    text = GOOD + f'[web]\nenabled = true\nhost = "0.0.0.0"\naccess_file = "{path}"\n'
    found = only(examine(tmp_path, text))
    assert found.startswith(words)
    assert "s3cret" not in found


def test_a_page_on_the_network_without_passwords_is_an_error(tmp_path: Path) -> None:
    found = only(examine(tmp_path, GOOD + '[web]\nenabled = true\nhost = "0.0.0.0"\n'))
    assert found.startswith("error 10: web.host: on the network the page needs passwords; run 'edge-agent web password")


def test_a_cells_bundle_beside_the_bundle_must_be_there_and_of_its_kind(tmp_path: Path) -> None:
    cells = make_cells_bundle(tmp_path / "cells")
    beside = GOOD + f'cells_bundle = "{cells}"\n'
    assert examine(tmp_path, beside) == []
    found = only(examine(tmp_path, GOOD + 'cells_bundle = "none"\n'))
    assert found.startswith("error 8: analysis.cells_bundle: there is no bundle 'none'")
    found = only(examine(tmp_path, GOOD + 'cells_bundle = "demo"\n'))
    assert found.startswith("error 8: analysis.cells_bundle: bundle 'demo' judges whole fields, and no single cells; ")
    found = only(examine(tmp_path, beside.replace('"demo"', f'"{cells}"')))
    assert found.startswith("error 8: analysis.cells_bundle: bundle 'test-cells' judges cells itself")
    assert examine(tmp_path, GOOD.replace('"demo"', f'"{cells}"')) == []
