"""What leaves the device, and what a bundle says of itself, as pydantic models. Imports nothing of ours."""

from edge_agent.contracts.base import Contract
from edge_agent.contracts.capture import CaptureSettings
from edge_agent.contracts.device import Camera, Info, Software, Status, StatusState
from edge_agent.contracts.manifest import MANIFEST_SCHEMA, Label, Manifest
from edge_agent.contracts.result import (
    Clock,
    Decision,
    ErrorReport,
    ImageIdentity,
    ModelIdentity,
    Nuclei,
    Outcome,
    Quality,
    Reason,
    Result,
)
from edge_agent.contracts.topics import Topics, topic_segment

__all__ = [
    "MANIFEST_SCHEMA",
    "Camera",
    "CaptureSettings",
    "Clock",
    "Contract",
    "Decision",
    "ErrorReport",
    "ImageIdentity",
    "Info",
    "Label",
    "Manifest",
    "ModelIdentity",
    "Nuclei",
    "Outcome",
    "Quality",
    "Reason",
    "Result",
    "Software",
    "Status",
    "StatusState",
    "Topics",
    "topic_segment",
]
