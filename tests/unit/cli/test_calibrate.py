"""``edge-agent calibrate``: what it prints, writes, and leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edge_agent.calibration.record import last_calibration
from edge_agent.cli import app
from edge_agent.contracts import Calibration
from edge_agent.errors import CameraAbsent, ConfigError, ImageError
from tests.unit.calibration.drawings import draw_ruler

CONFIG = """\
# Ours
[device]
site = "clinic"  # where
id = "scope-1"

[camera]
kind = "folder"
path = "{pictures}"  # by hand
"""


def calibrate(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(app.app, ["calibrate", *map(str, arguments)])


@pytest.fixture(autouse=True)
def no_system_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.cli.calibrate.system_config", lambda: None)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(draw_ruler(40, 25, seed=number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def config(tmp_path: Path, pictures: Path) -> Path:
    path = tmp_path / "agent.toml"
    (tmp_path / "state").mkdir()
    path.write_text(CONFIG.format(pictures=pictures) + f'[state]\nfolder = "{tmp_path}/state"\n')
    return path


def test_files_give_a_table_and_the_line_to_add(pictures: Path) -> None:
    done = calibrate("--micrometer", pictures)
    assert done.exit_code == 0, done.output
    assert "um_per_pixel = 0.2" in done.stdout
    for word in ("scale", "exposure", "white balance", "evenness"):
        assert word in done.stdout


def test_json_is_one_object_of_the_contract(pictures: Path) -> None:
    done = calibrate("--micrometer", "--division-um", 100, "--json", pictures / "0.png")
    found = Calibration.model_validate_json(done.stdout)
    assert found.scale is not None
    assert found.scale.um_per_pixel == pytest.approx(2.5, rel=0.01)


def test_what_cannot_be_read_is_named_and_the_rest_is_measured(pictures: Path) -> None:
    (pictures / "1.png").write_bytes(b"broken")
    done = calibrate("--micrometer", "--json", pictures, pictures / "absent.png")
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    assert (found["frames_count"], found["frames_skipped_count"]) == (1, 1)
    assert found["scale"] is not None


def test_no_scale_exits_with_1_and_writes_nothing(config: Path, pictures: Path) -> None:
    for path in pictures.iterdir():
        Image.fromarray(np.full((200, 300, 3), 120, np.uint8)).save(path)
    before = config.read_bytes()
    done = calibrate("--config", config, "--write")
    assert done.exit_code == 1
    assert config.read_bytes() == before


def test_write_changes_one_line_and_keeps_comments_and_the_file_before(config: Path) -> None:
    before = config.read_text()
    done = calibrate("--config", config, "--micrometer", "--write")
    assert done.exit_code == 0, done.output
    lines = config.read_text().splitlines()
    added = [line for line in lines if line not in before.splitlines()]
    assert len(added) == 1
    assert added[0].startswith("um_per_pixel = 0.2")
    assert [line for line in lines if line != added[0]] == before.splitlines()
    assert config.with_name("agent.toml.before").read_text() == before
    again = calibrate("--config", config, "--micrometer", "--division-um", 20, "--write")
    assert "before: 0.2" in again.stdout.replace("\n", " ")
    assert config.read_text().count("um_per_pixel") == 1


def test_without_write_the_file_stays_and_the_calibration_is_kept_for_the_doctor(config: Path, tmp_path: Path) -> None:
    before = config.read_bytes()
    assert calibrate("--config", config, "--micrometer").exit_code == 0
    assert config.read_bytes() == before
    kept = last_calibration(tmp_path / "state")
    assert kept is not None
    assert kept.frames_count == 2


def test_a_size_that_the_configuration_does_not_allow_leaves_the_file_as_it_was(config: Path) -> None:
    before = config.read_bytes()
    done = calibrate("--config", config, "--micrometer", "--division-um", 9000, "--write")
    assert isinstance(done.exception, ConfigError)
    assert config.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((), ConfigError), (("--write", "x.png"), ConfigError), (("/nothing/here.png",), ImageError)],
)
def test_nothing_to_measure_is_one_clear_error(arguments: tuple[str, ...], error: type[Exception]) -> None:
    assert isinstance(calibrate(*arguments).exception, error)


def test_a_camera_that_is_not_there_is_named_and_the_agent_is_thought_of(config: Path, pictures: Path) -> None:
    config.write_text(config.read_text().replace(str(pictures), "/nothing/here"))
    error = calibrate("--config", config).exception
    assert isinstance(error, CameraAbsent)
    assert "systemctl stop leukoscope" in error.remedy
