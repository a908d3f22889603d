"""Which model judged, and who vouches for it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from edge_agent.contracts.base import OpenContract
from edge_agent.contracts.manifest import Sha256, Slug


class Signature(StrEnum):
    """Who vouches for a bundle or head."""

    SHIPPED = "shipped"
    """It came with the agent."""
    VERIFIED = "verified"
    """It is signed with a key that the configuration trusts."""
    UNSIGNED = "unsigned"
    """Nobody does."""


class HeadIdentity(OpenContract):
    """The head that judged on the bundle's features."""

    name: Slug
    version: str
    sha256: Sha256 = Field(description="SHA-256 of head.json, which names the hash of every other file.")
    signature: Signature


class ModelIdentity(OpenContract):
    """The model that was used."""

    name: Slug
    version: str
    sha256: Sha256 = Field(description="SHA-256 of the bundle's model.tflite.")
    preprocessing: str
    runtime: str = Field(description="Name and version of the TFLite runtime.")
    signature: Signature = Field(default=Signature.SHIPPED, description="Of the bundle.")
    head: HeadIdentity | None = Field(default=None, description="Null if the bundle's own classes are used.")
