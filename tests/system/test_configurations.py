"""The agent accepts the configurations of the boxes: a box that waits for a result would notice only after minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config import load_config
from tests.system.configurations import CONFIGURATION, PATIENT_CONFIGURATION, PICAMERA_CONFIGURATION

KINDS = {CONFIGURATION: "v4l2", PATIENT_CONFIGURATION: "v4l2", PICAMERA_CONFIGURATION: "picamera"}


@pytest.mark.parametrize(("text", "kind"), KINDS.items(), ids=["usual", "patient", "picamera"])
def test_the_agent_takes_the_configuration(text: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    assert load_config(file).camera.kind == kind
