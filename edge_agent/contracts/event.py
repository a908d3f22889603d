"""``event``: what happened to the device, spooled like results and kept in its audit log."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from edge_agent.contracts.base import OpenContract, UtcTime
from edge_agent.contracts.manifest import Sha256, Slug


class EventKind(StrEnum):
    """What happened."""

    STARTED = "started"
    STOPPED = "stopped"
    CONFIGURED = "configured"
    PAUSED = "paused"
    RESUMED = "resumed"
    SPECIMEN_SET = "specimen_set"
    SPECIMEN_FINISHED = "specimen_finished"
    COMMAND_DONE = "command_done"
    COMMAND_REFUSED = "command_refused"
    COMMAND_IGNORED = "command_ignored"
    MESSAGES_DROPPED = "messages_dropped"
    MESSAGE_QUARANTINED = "message_quarantined"
    SPOOL_SET_ASIDE = "spool_set_aside"
    AUDIT_REPAIRED = "audit_mended"
    AUDIT_SET_ASIDE = "audit_set_aside"
    AUDIT_TRIMMED = "audit_trimmed"
    STATE_IGNORED = "state_ignored"
    SHADOW_STARTED = "shadow_started"
    SHADOW_ENDED = "shadow_ended"
    MODEL_CONFIRMED = "model_confirmed"
    MODEL_ROLLED_BACK = "model_rolled_back"
    READING_SLOWED = "reading_slowed"
    READING_AT_FULL_RATE = "reading_at_full_rate"
    SCALE_DISAGREES = "scale_disagrees"
    COLLECTION_FAILED = "collection_failed"
    LOGINS_FAILED = "logins_failed"
    COLLECTION_RECOVERED = "collection_recovered"
    COLLECTION_EXPORTED = "collection_exported"
    COLLECTION_DELETED = "collection_deleted"
    MODEL_DESIRED = "model_desired"
    MODEL_REFUSED = "model_refused"
    MODEL_ACTIVATED = "model_activated"
    ACCELERATOR_READY = "accelerator_ready"
    ACCELERATOR_LOST = "accelerator_lost"
    ADAPTATION_STARTED = "adaptation_started"
    ADAPTATION_FINISHED = "adaptation_finished"
    ADAPTATION_FAILED = "adaptation_failed"
    ADAPTATION_CANCELLED = "adaptation_cancelled"


class AuditPosition(OpenContract):
    """The position of an event in the device's audit log. Keep these to prove later that the log was not rewritten."""

    seq: int = Field(ge=0)
    sha256: Sha256


class Event(OpenContract):
    """One thing that happened."""

    schema_: Literal["leukoscope/event/v1"] = Field(default="leukoscope/event/v1", alias="schema")
    use: Literal["research-only"] = "research-only"
    id: UUID = Field(description="UUIDv7; the same on every delivery of this message.")
    site: Slug | None = Field(default=None, description="Null only in a message of release 0.2.0 or older.")
    device: Slug
    session: UUID
    at: UtcTime
    replayed: bool = Field(default=False, description="True for backlog sent after live results.")
    kind: Annotated[EventKind | str, Field(union_mode="left_to_right")] = Field(
        description="The list may grow: show one that you do not know by its message."
    )
    code: str | None = Field(description="Code of the error that caused it, if any.")
    message: str
    details: dict[str, str | int | float | bool | None]
    audit: AuditPosition | None = Field(description="Null if the audit log could not be written.")
