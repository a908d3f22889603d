"""``model/desired`` and ``model/reported``: which model a device should run, and which it runs. Both retained."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from edge_agent.contracts.base import Contract, OpenContract, UtcTime
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.manifest import Sha256, Slug
from edge_agent.contracts.model_identity import ModelIdentity
from edge_agent.contracts.result import Percent

MAX_DESIRED_BYTES = 4096
"""Largest payload of ``model/desired`` that is read."""


class ModelKind(StrEnum):
    """What is rolled out."""

    BUNDLE = "bundle"
    HEAD = "head"


class RolloutState(StrEnum):
    """How far a device is with the model that it was told to run."""

    IDLE = "idle"
    """No model was asked for, the request was withdrawn, or another model was chosen on the device since."""
    WAITING = "waiting"
    """Not before its time, not in its wave yet, or between two attempts to download."""
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    """The archive's hash, its signature and every file in it are checked."""
    SELF_TEST = "self_test"
    """Its golden outputs are compared and its speed is measured on this machine."""
    SHADOW = "shadow"
    """It judges beside the model in use, and nothing of that is published as a result."""
    ACTIVE = "active"
    ROLLED_BACK = "rolled_back"
    """It was in use, failed, and the model from before is in use again."""
    REFUSED = "refused"
    """It is not used; ``error`` says why. Only a newer message changes that."""


def check_source(value: str) -> str:
    """``value``, if a model may be fetched from there; ``ValueError`` otherwise."""
    if not value.isprintable() or " " in value:
        raise ValueError("has characters that an address cannot have; encode them as %XX")
    parts = urlsplit(value)
    # Raises ValueError for a port that is none.
    _ = parts.port
    if parts.scheme == "https" and parts.hostname:
        if parts.username is not None or parts.password is not None:
            raise ValueError("may not contain a user or password: a retained message is no place for secrets")
        if not value.isascii():
            raise ValueError("has characters that an address cannot have; encode them as %XX")
    elif parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise ValueError("needs an absolute path on this device, such as file:///srv/models/NAME.zip")
    elif not value.startswith("/"):
        raise ValueError("needs an https:// address, a file:// address or an absolute path")
    return value


Source = Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(check_source)]
"""Where an archive is. Plain http is refused: it shows who runs which model, and can be stalled by anyone between."""

ModelVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$", max_length=32)]


class Wave(Contract):
    """Which devices take part. The same ``salt`` with a larger share includes the devices of the smaller one."""

    devices_pct: Percent = Field(description="Share of the devices that take part.")
    salt: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="Any text; another one makes another choice of devices."
    )

    def includes(self, site: str, device: str) -> bool:
        """Whether a device takes part: its share of SHA-256's range, from ``salt/site/device``, is below the wave's."""
        digest = hashlib.sha256(f"{self.salt}/{site}/{device}".encode()).digest()
        return int.from_bytes(digest[:8]) * 100 < self.devices_pct * 2**64


class ModelDesired(Contract):
    """Set by an operator. The archive itself comes over HTTPS or from a file, never over MQTT."""

    schema_: Literal["leukoscope/model-desired/v2"] = Field(default="leukoscope/model-desired/v2", alias="schema")
    kind: ModelKind
    name: Slug
    version: ModelVersion
    sha256: Sha256 = Field(description="SHA-256 of the zip archive.")
    source: Source = Field(description="https:// address of the archive, or its file:// address or path on the device.")
    issued_at: UtcTime = Field(
        description="When this was decided. A device refuses what is not newer than what it accepted last."
    )
    not_before: UtcTime | None = Field(default=None, description="The device begins no earlier.")
    wave: Wave | None = Field(default=None, description="Null: every device that gets the message takes part.")
    shadow_readings_count: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="So many readings are judged by both models before the new one is used; null: none.",
    )


class ModelReported(OpenContract):
    """Published by the device after each connect, and whenever it gets further with the desired model."""

    schema_: Literal["leukoscope/model-reported/v1"] = Field(default="leukoscope/model-reported/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID
    at: UtcTime
    model: ModelIdentity = Field(description="The model in use.")
    state: RolloutState = RolloutState.IDLE
    desired: ModelDesired | None = Field(default=None, description="What ``state`` is about; null if idle.")
    received_bytes: int | None = Field(default=None, ge=0, description="Of the archive; null if nothing is downloaded.")
    size_bytes: int | None = Field(default=None, ge=0, description="Of the whole archive; null while unknown.")
    shadow_readings_count: int | None = Field(
        default=None, ge=0, description="Readings that both models have judged; null outside the shadow."
    )
    takes_part: bool = Field(default=True, description="False: waiting, because the message's wave leaves it out.")
    failures_count: int = Field(default=0, ge=0, description="Attempts to follow ``desired`` that failed.")
    retry_at: UtcTime | None = Field(default=None, description="When the next attempt begins.")
    error: ErrorReport | None = Field(default=None, description="Why the desired model is not the one in use.")
    message_error: ErrorReport | None = Field(
        default=None, description="Why the newest message on model/desired was not followed; null if it was."
    )
    messages_refused_count: int = Field(
        default=0, ge=0, description="Messages on model/desired since the start that were not followed."
    )
