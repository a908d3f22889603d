"""Archives to roll out, and the messages that ask for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt import publish

from edge_agent.contracts import ModelDesired, ModelReported, Topics
from edge_agent.inference.bundle import MANIFEST, shipped_bundles
from edge_agent.rollout.archive import pack
from tests.file_server import sha256
from tests.mqtt import Subscriber

ISSUED_AT = datetime(2026, 11, 1, tzinfo=UTC)
TOPICS = Topics("clinic", "scope-1")


def make_bundle(folder: Path, name: str, version: str, **changes: Any) -> Path:
    """A copy of the shipped demonstration bundle under another name and version, without a signature."""
    target = folder / f"{name}-{version}"
    shutil.copytree(shipped_bundles()["demo"], target)
    manifest = json.loads((target / MANIFEST).read_bytes())
    (target / MANIFEST).write_text(json.dumps({**manifest, "name": name, "version": version, **changes}))
    return target


def make_archive(folder: Path, name: str = "site", version: str = "1.0.0", **changes: Any) -> Path:
    """That bundle as a zip archive."""
    return pack_folder(make_bundle(folder, name, version, **changes))


def pack_folder(model: Path) -> Path:
    """The zip archive of a folder NAME-VERSION, beside it."""
    archive = model.with_name(f"{model.name}.zip")
    archive.write_bytes(pack(model, tuple(path.name for path in model.iterdir() if path.is_file())))
    return archive


def asks_for(archive: Path, **changes: Any) -> ModelDesired:
    """The message that asks for an archive of ``make_archive``."""
    name, _, version = archive.stem.rpartition("-")
    values = {
        "kind": "bundle",
        "name": name,
        "version": version,
        "sha256": sha256(archive.read_bytes()),
        "source": str(archive),
        "issued_at": ISSUED_AT,
    }
    return ModelDesired.model_validate({**values, **changes})


def publish_desired(port: int, desired: ModelDesired | bytes, *, topics: Topics = TOPICS) -> None:
    """Retain it at the broker, as an operator does."""
    payload = desired if isinstance(desired, bytes) else desired.to_json()
    publish.single(topics.model_desired, payload, qos=1, retain=True, hostname="127.0.0.1", port=port)


def next_reported(subscriber: Subscriber, wanted: Callable[[ModelReported], bool]) -> ModelReported:
    """The next report that is so."""
    while True:
        reported = subscriber.next("model-reported").body()
        assert isinstance(reported, ModelReported)
        if wanted(reported):
            return reported
