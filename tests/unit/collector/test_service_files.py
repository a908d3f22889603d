"""systemd and the collector accept the shipped unit and configuration."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.collector.config import CollectorConfig, load_config

DEPLOY = Path(__file__).parents[3] / "deploy"
UNIT = DEPLOY / "systemd" / "leukoscope-collector.service"
EXAMPLE = DEPLOY / "collector" / "collector.toml"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "edge-agent-collector"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/leukoscope/bin/edge-agent-collector", str(program)))
    # An older systemd does not know the growing pauses between restarts, and reports that.
    said = [line for line in analyze("verify", "--man=no", str(unit)).stderr.splitlines() if "'Restart" not in line]
    assert said == []


def test_the_unit_leaves_little_open() -> None:
    checked = analyze("security", "--offline=true", "--threshold=15", str(UNIT))
    assert checked.returncode == 0, checked.stdout[-500:]


def test_the_example_names_every_key_with_its_default(tmp_path: Path) -> None:
    assert load_config(EXAMPLE, {}) == CollectorConfig()
    # The commented-out settings are valid, too.
    text = re.sub(r"^# (?=\[|[a-z_]+ =)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    everything = tmp_path / "collector.toml"
    everything.write_text(text)
    values = load_config(everything, {}).model_dump()
    assert values["mqtt"]["tls"] is not None
    written = set(re.findall(r"^([a-z_]+) =", text, re.MULTILINE))
    known = {key for section in values.values() for key in section} | set(values["mqtt"]["tls"])
    assert written | {"tls"} == known
