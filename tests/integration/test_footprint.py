"""The modules that the device's process loads, and the memory that it uses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cli.local_broker import free_port
from tests.integration.test_cli import running_agent, write_config
from tests.mqtt import Subscriber

MAX_RESIDENT_MB = {False: 153, True: 172}
"""With the synthetic camera, whose drawing of fields takes ten of them; without the page, and with it."""

MAX_PEAK_MB = {False: 160, True: 185}
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
    """The environment that systemd gives the agent: its memory depends on the allocator's settings."""
    lines = re.findall(r"^Environment=(.*)$", UNIT.read_text(), re.MULTILINE)
    return dict(setting.split("=", 1) for line in lines for setting in line.split())


@pytest.mark.parametrize("page", [False, True], ids=["alone", "with-the-page"])
def test_the_agent_stays_within_its_memory(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch, page: bool
) -> None:
    environment = service_environment()
    assert "MALLOC_ARENA_MAX" in environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = write_config(tmp_path, broker_port, trigger="interval_s = 0")
    web = f"[web]\nenabled = true\nport = {free_port()}\n" if page else ""
    config.write_text(config.read_text().replace('"demo"', '"accurate"') + web)
    with running_agent(config) as process:
        while subscriber.next("result").body().seq < 60:
            pass
        status = Path(f"/proc/{process.pid}/status").read_text()
    held = {
        name: int(kib) * 1024 / 1e6 for name, kib in re.findall(r"^(VmHWM|VmRSS):\s+(\d+) kB$", status, re.MULTILINE)
    }
    assert held["VmRSS"] < MAX_RESIDENT_MB[page]
    assert held["VmHWM"] < MAX_PEAK_MB[page]


def test_a_page_for_this_device_alone_does_not_load_what_makes_certificates() -> None:
    code = "import sys, edge_agent.web.server; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
