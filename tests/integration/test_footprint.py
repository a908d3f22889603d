"""What the device's process loads and how much of the memory it holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_cli import running_agent, write_config
from tests.mqtt import Subscriber

MAX_RESIDENT_MB = 160
UNIT = Path(__file__).parents[2] / "deploy/systemd/leukoscope.service"
TRAINERS_WORLD = {"sklearn", "scipy", "tensorflow", "keras", "trainer"}

LOAD_EVERYTHING = """
import pkgutil, sys, importlib, edge_agent, numpy
for module in pkgutil.walk_packages(edge_agent.__path__, "edge_agent."):
    # Alembic runs its environment and its steps, and nobody imports them.
    if ".collector.migrations." not in module.name:
        importlib.import_module(module.name)
from edge_agent.inference import Classifier, load_bundle
Classifier(load_bundle("demo")).classify(numpy.zeros((224, 224, 3), numpy.uint8))
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_nothing_in_the_agent_loads_scikit_learn_or_tensorflow() -> None:
    done = subprocess.run([sys.executable, "-c", LOAD_EVERYTHING], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"cv2", "numpy", "paho", "ai_edge_litert"} <= loaded
    assert not loaded & TRAINERS_WORLD


def service_environment() -> dict[str, str]:
    """What systemd puts into the agent's environment: how much it holds depends on the allocator's settings."""
    lines = re.findall(r"^Environment=(.*)$", UNIT.read_text(), re.MULTILINE)
    return dict(setting.split("=", 1) for line in lines for setting in line.split())


def test_the_agent_fits_into_160_mb_with_the_synthetic_camera(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = service_environment()
    assert "MALLOC_ARENA_MAX" in environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = write_config(tmp_path, broker_port, trigger="interval_s = 0")
    config.write_text(config.read_text().replace('"demo"', '"accurate"'))
    with running_agent(config) as process:
        while subscriber.next("result").body().seq < 100:
            pass
        status = Path(f"/proc/{process.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    assert int(peak.group(1)) * 1024 < MAX_RESIDENT_MB * 1e6
