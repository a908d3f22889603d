"""Section ``[models]``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edge_agent.inference.signature import Trust, decode_public_key
from edge_agent.settings import Settings


class Origin(StrEnum):
    """How a bundle or head comes to the device."""

    LOCAL = "local"
    """By hand: it is named in the configuration, or a person installs it on the device."""
    REMOTE = "remote"
    """Over MQTT."""


def _require_key(text: str) -> str:
    decode_public_key(text)
    return text


class ModelSettings(Settings):
    """Which bundles and heads this device accepts, and when it goes back to the one before."""

    trusted_keys: list[Annotated[str, AfterValidator(_require_key)]] = Field(
        default=[], max_length=16, description="Public keys, in base64, whose signatures count; see 'trainer keygen'."
    )
    unsigned: Literal["never", "local", "always"] = Field(
        default="local",
        description="Which bundles and heads may have no signature. never: only those that come with the agent; local: "
        "also those that the configuration names or that are installed on the device by hand; always: also those that "
        "come over MQTT.",
    )
    max_archive_mib: float = Field(default=64, gt=0, le=1024, description="Largest zip file that is installed.")
    max_store_mib: float = Field(
        default=512, gt=0, le=65536, description="Size of all installed bundles and heads at most."
    )
    trial_minutes: float = Field(
        default=10, gt=0, le=1440, description="For so long a newly activated model is on trial while the agent runs."
    )
    max_failures_count: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="After so many frames on which it fails, a model on trial is replaced by the one before.",
    )

    def trust(self, origin: Origin = Origin.LOCAL) -> Trust:
        """Whose signatures count for models of this origin, and whether they need one."""
        allowed = {"never": (), "local": (Origin.LOCAL,), "always": tuple(Origin)}
        return Trust.of(self.trusted_keys, unsigned_allowed=origin in allowed[self.unsigned])
