"""What all tests share."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from edge_agent.cameras.smear import draw_smear
from edge_agent.cli.local_broker import find_mosquitto, free_port, run_mosquitto
from edge_agent.contracts import Camera, Info, ModelIdentity, Software, Topics
from edge_agent.inference.bundle import shipped_bundles
from tests.edge_tpu.stand_in import NO_COMPILER, build_library, coral_bundle
from tests.mqtt import Requester, Subscriber
from tests.node_tools import NodeTools, find_node, install

# The machines that run this are slow and shared: no deadline per example, the suite has its own time-outs.
settings.register_profile("leukoscope", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("leukoscope")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that runs in the test's own process sets up the log of the whole process."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where agents that a test starts keep their state, also in processes of their own."""
    folder = tmp_path / "state"
    monkeypatch.setenv("STATE_DIRECTORY", str(folder))
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real smears: beside the checkout, or where LEUKOSCOPE_DATA says."""
    folder = Path(os.environ.get("LEUKOSCOPE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "all4").is_dir():
        pytest.skip(f"no real smears in {folder} (set LEUKOSCOPE_DATA)")
    return folder


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """Path of the broker's program."""
    program = find_mosquitto()
    if program is None or shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto and mosquitto_sub are not installed (apt-get install mosquitto mosquitto-clients)")
    return program


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fake of the Edge TPU's library."""
    if shutil.which("cc") is None:
        pytest.skip(NO_COMPILER)
    return build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def bundle_for_coral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo bundle with a model for the fake Edge TPU."""
    return coral_bundle(tmp_path_factory.mktemp("bundles") / "demo")


@pytest.fixture(scope="session")
def node_tools() -> NodeTools:
    """Node, and the packages from npm that ``tests/tools`` pins."""
    found = find_node()
    if found is None:
        pytest.skip("Node 20 or newer and npm are not installed (apt-get install nodejs npm)")
    return install(*found)


@pytest.fixture
def broker_port(mosquitto: str) -> Iterator[int]:
    """A port of the loopback address on which a fresh mosquitto listens."""
    port = free_port()
    with run_mosquitto(mosquitto, port):
        yield port


@pytest.fixture(scope="session")
def smear() -> NDArray[np.uint8]:
    """A drawn field, uint8 RGB (224, 224, 3), with nuclei."""
    array, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=(224, 224))
    return array


@pytest.fixture
def demo_bundle(tmp_path: Path) -> Path:
    """A copy of the shipped demonstration bundle, to be spoilt by a test."""
    folder = tmp_path / "bundle"
    shutil.copytree(shipped_bundles()["demo"], folder)
    return folder


@pytest.fixture
def requester(broker_port: int) -> Iterator[Requester]:
    """Asks the device ``clinic/scope-1``."""
    found = Requester(broker_port, Topics("clinic", "scope-1"))
    yield found
    found.close()


@pytest.fixture
def subscriber(broker_port: int) -> Iterator[Subscriber]:
    found = Subscriber(broker_port)
    yield found
    found.close()


@pytest.fixture
def info() -> Info:
    session: UUID = uuid7()
    return Info(
        demonstration=True,
        device="scope-1",
        session=session,
        started_at=datetime.now(UTC),
        machine="test",
        software=Software(leukoscope="0", python="3", opencv="5", runtime="none"),
        cameras=(Camera(id="camera0", kind="synthetic"),),
        model=ModelIdentity(name="demo", version="0.1.0", sha256="0" * 64, preprocessing="rgb@1", runtime="none"),
        schemas=("leukoscope/result/v1",),
    )
