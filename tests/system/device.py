"""The device: a box with the package under test, the simulated camera on its USB, and a subscriber outside."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import numpy as np

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from tests.system.box import Box
from tests.system.configurations import CONFIGURATION
from tests.system.image import Image, Tell, cache_folder
from tests.system.watch import PATIENCE_S, Seen, Watch

PACKAGE_VARIABLE = "LEUKOSCOPE_DEB"
REPOSITORY = Path(__file__).resolve().parents[2]
INSTALL_PATIENCE_S = 1800.0

CONFIGURATION_FILE = "/etc/leukoscope/agent.toml"
STATE_FOLDER = "/var/lib/leukoscope"

_CAMERA_UNIT = """\
[Unit]
Description=Simulated microscope camera
[Service]
ExecStart=/usr/bin/python3 /opt/camera/uvc.py --rate-hz 5 /opt/camera/0.jpg /opt/camera/1.jpg /opt/camera/2.jpg \
/opt/camera/3.jpg
[Install]
WantedBy=multi-user.target
"""

_SPOOL = """\
import json, sqlite3, sys, uuid
spool = sqlite3.connect("file:/var/lib/leukoscope/spool.db?mode=ro", uri=True)
print(json.dumps({
    "waiting": [str(uuid.UUID(bytes=row[0])) for row in spool.execute("SELECT id FROM messages")],
    "counters": dict(spool.execute("SELECT * FROM counters")),
}))
"""


@dataclass(frozen=True, slots=True)
class Spool:
    """The committed contents of the agent's spool."""

    waiting: frozenset[UUID]
    accepted_count: int
    refused_count: int
    dropped_count: int


def find_package(architecture: str = "amd64") -> Path | None:
    """The package under test: the one that the environment names, or the newest that was built here."""
    named = os.environ.get(PACKAGE_VARIABLE)
    if named and architecture == "amd64":
        return Path(named)
    built = sorted(
        (REPOSITORY / "build" / "deb").rglob(f"leukoscope_*_{architecture}.deb"), key=lambda path: path.stat().st_mtime
    )
    return built[-1] if built else None


def draw_pictures(folder: Path) -> list[Path]:
    """One drawn smear of each label as JPEG, 1280 x 960."""
    rng = np.random.default_rng(1)
    paths = []
    for number, label in enumerate(SMEAR_LABELS):
        picture, _ = draw_smear(rng, label, size_px=(960, 1280))
        path = folder / f"{number}.jpg"
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
        paths.append(path)
    return paths


def install_camera(box: Box) -> None:
    """Install the simulated camera in the box; from now on it is plugged in at every boot."""
    box.copy(Path(__file__).with_name("uvc.py"))
    for path in draw_pictures(box.share):
        box.ssh(f"install -D /host/{path.name} /opt/camera/{path.name}")
    box.copy_text(_CAMERA_UNIT, "camera.service")
    box.ssh("install /host/uvc.py /opt/camera/ && install -m 644 /host/camera.service /etc/systemd/system/")
    box.ssh("systemctl daemon-reload && systemctl enable --now camera")


class Device:
    """A box, a subscriber on the host, and the facts about the agent that tests need."""

    def __init__(self, box: Box, watch: Watch) -> None:
        self.box = box
        self.watch = watch

    def unit(self, *names: str) -> dict[str, str]:
        """Properties of the agent's unit."""
        shown = self.box.ssh(f"systemctl show leukoscope {' '.join(f'-p {name}' for name in names)}")
        return dict(line.partition("=")[::2] for line in shown.splitlines())

    def main_pid(self) -> int:
        """Process id of the agent."""
        return int(self.unit("MainPID")["MainPID"])

    def spool(self) -> Spool:
        """The spool read from its file, while the agent may continue to write it."""
        found: dict[str, Any] = self.box.python(_SPOOL)
        counters = {name: int(value) for name, value in found["counters"].items()}
        return Spool(
            frozenset(map(UUID, found["waiting"])),
            counters.get("accepted", 0),
            counters.get("refused", 0),
            counters.get("dropped", 0),
        )

    def configure(self, text: str) -> None:
        """Replace the agent's configuration; the test must make the agent read it."""
        path = self.box.copy_text(text, "agent.toml")
        self.box.ssh(f"cat {path} > {CONFIGURATION_FILE}")

    def health(self, *, since_s: float, timeout_s: float = PATIENCE_S, **well: bool) -> dict[str, dict[str, Any]]:
        """Wait until one ``health`` says of each named check whether it is well; returns the checks by name."""

        def checks(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
            return {check["name"]: check for check in body["checks"]}

        def as_wanted(seen: Seen) -> bool:
            if seen.kind != "health":
                return False
            found = checks(seen.body)
            return all(name in found and (found[name]["state"] != "degraded") is wish for name, wish in well.items())

        seen = self.watch.wait(f"health with {well}", as_wanted, since_s=since_s, timeout_s=timeout_s)
        return checks(seen.body)

    def settle(self) -> Spool:
        """Stop the agent, so that it delivers all it can, and read its spool."""
        self.box.ssh("systemctl stop leukoscope")
        spool = self.spool()
        deadline_s = time.monotonic() + 120
        # Messages that the broker has taken may still be on their way through the emulated network.
        while len(self.watch.ids()) < spool.accepted_count - len(spool.waiting) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return spool

    def assert_nothing_lost(self) -> Spool:
        """Stop the agent and compare what it accepted with what arrived. Raises ``AssertionError``."""
        spool = self.settle()
        delivered = len(self.watch.ids() - spool.waiting)
        assert self.watch.forgotten_count == 0, "the broker forgot the subscriber, so nothing can be said of messages"
        assert not self.watch.holes(), f"sequence numbers are missing: {self.watch.holes()}"
        assert delivered >= spool.accepted_count - len(spool.waiting), (
            f"{spool.accepted_count} messages were accepted, {len(spool.waiting)} wait, {delivered} arrived"
        )
        return spool


def prepare_disk(image: Image, package: Path, tell: Tell) -> Path:
    """A disk with the package installed on a running system, from the cache or made anew.

    The broker knows the subscriber's session, so that not even the first message of a boot is missed.
    """
    recipe = hashlib.sha256(image.folder.name.encode())
    for path in (package, Path(__file__), Path(__file__).with_name("uvc.py")):
        recipe.update(path.read_bytes())
    disk = cache_folder() / f"device-{recipe.hexdigest()[:16]}.qcow2"
    if disk.exists():
        return disk
    tell(f"installing {package.name} in a box (a few minutes, once for each package)")
    with tempfile.TemporaryDirectory(prefix=".device-", dir=cache_folder()) as work, Box(image, Path(work)) as box:
        box.boot()
        install_camera(box)
        began_s = time.monotonic()
        install_package(box, package)
        tell(f"installed in {time.monotonic() - began_s:.0f} s")
        box.copy_text(CONFIGURATION, "agent.toml")
        box.ssh(f"systemctl stop leukoscope; cat /host/agent.toml > {CONFIGURATION_FILE}")
        box.ssh(f"find {STATE_FOLDER} -mindepth 1 -delete; systemctl enable leukoscope")
        # Retained messages of this run would be mistaken for those of the next.
        box.ssh("mosquitto_sub -t 'leukoscope/#' --remove-retained --retained-only -W 3", check=False)
        # This comes last, so that nothing of this run is kept for the subscriber.
        with Watch(box.broker_port) as watch:
            assert watch.connected.wait(PATIENCE_S), "the broker in the box is not reachable from here"
        box.shut_down()
        for old in cache_folder().glob("device-*.qcow2"):
            old.unlink()
        shutil.move(box.disk, disk)
    return disk


def install_package(box: Box, package: Path) -> None:
    """Install as somebody at the device would, without questions. Raises ``BoxError`` if dpkg refuses the package."""
    path = box.copy(package)
    box.ssh(f"DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i {path}", patience_s=INSTALL_PATIENCE_S)
