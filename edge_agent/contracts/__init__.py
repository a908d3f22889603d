"""What leaves the device, and a bundle's manifest, as pydantic models. Imports nothing of ours."""

from edge_agent.contracts.answer import Answer, AnswerState
from edge_agent.contracts.appearance import Aspect, Direction, Measure
from edge_agent.contracts.base import Contract, OpenContract
from edge_agent.contracts.calibration import (
    MAX_CALIBRATION_FRAMES,
    Calibration,
    CalibrationCheck,
    CalibrationMethod,
    MeasuredLight,
    MeasuredScale,
    Verdict,
)
from edge_agent.contracts.capture import CaptureSettings
from edge_agent.contracts.cell import Cell, Differential
from edge_agent.contracts.command import (
    MAX_REQUEST_BYTES,
    REQUESTS,
    Adapt,
    Calibrate,
    Command,
    CommandName,
    SelectModel,
    SetSpecimen,
    ShadowModel,
    request_message,
)
from edge_agent.contracts.difference import (
    MAX_DIFFERENCES,
    NOTHING_DIFFERS,
    ColourDifference,
    Difference,
    ScaleDifference,
    TextureDifference,
    difference_sentence,
)
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.event import AuditPosition, Event, EventKind
from edge_agent.contracts.head import HEAD_SCHEMA, HeadManifest
from edge_agent.contracts.health import Check, CheckState, Health
from edge_agent.contracts.info import Camera, Info, Software, Speed, SpeedTiming
from edge_agent.contracts.manifest import MANIFEST_SCHEMA, MAX_CELLS, BundleKind, Label, Manifest
from edge_agent.contracts.messages import MESSAGES, schema_ids
from edge_agent.contracts.metrics import CaptureMetrics, MachineMetrics, Metrics, SpoolMetrics
from edge_agent.contracts.model_identity import HeadIdentity, ModelIdentity, Signature
from edge_agent.contracts.open_specimen import OpenSpecimen
from edge_agent.contracts.percentiles import Percentiles
from edge_agent.contracts.reasons import Reason, explain_reason
from edge_agent.contracts.report import (
    CellsShare,
    CellTypeShare,
    LabelShare,
    Report,
    Share,
    SlideDifferential,
    SlideScale,
)
from edge_agent.contracts.result import (
    Clock,
    Decision,
    ImageIdentity,
    Nuclei,
    Outcome,
    Quality,
    Result,
)
from edge_agent.contracts.rollout import ModelDesired, ModelKind, ModelReported, RolloutState, Wave
from edge_agent.contracts.scale import Scale, ScaleSource
from edge_agent.contracts.shadow import AgreementFigures, ShadowMetrics
from edge_agent.contracts.specimen import Specimen, SpecimenField, SpecimenId, opaque_id
from edge_agent.contracts.status import Status, StatusState
from edge_agent.contracts.topics import Topics, topic_segment

__all__ = [
    "HEAD_SCHEMA",
    "MANIFEST_SCHEMA",
    "MAX_CALIBRATION_FRAMES",
    "MAX_CELLS",
    "MAX_DIFFERENCES",
    "MAX_REQUEST_BYTES",
    "MESSAGES",
    "NOTHING_DIFFERS",
    "REQUESTS",
    "Adapt",
    "AgreementFigures",
    "Answer",
    "AnswerState",
    "Aspect",
    "AuditPosition",
    "BundleKind",
    "Calibrate",
    "Calibration",
    "CalibrationCheck",
    "CalibrationMethod",
    "Camera",
    "CaptureMetrics",
    "CaptureSettings",
    "Cell",
    "CellTypeShare",
    "CellsShare",
    "Check",
    "CheckState",
    "Clock",
    "ColourDifference",
    "Command",
    "CommandName",
    "Contract",
    "Decision",
    "Difference",
    "Differential",
    "Direction",
    "ErrorReport",
    "Event",
    "EventKind",
    "HeadIdentity",
    "HeadManifest",
    "Health",
    "ImageIdentity",
    "Info",
    "Label",
    "LabelShare",
    "MachineMetrics",
    "Manifest",
    "Measure",
    "MeasuredLight",
    "MeasuredScale",
    "Metrics",
    "ModelDesired",
    "ModelIdentity",
    "ModelKind",
    "ModelReported",
    "Nuclei",
    "OpenContract",
    "OpenSpecimen",
    "Outcome",
    "Percentiles",
    "Quality",
    "Reason",
    "Report",
    "Result",
    "RolloutState",
    "Scale",
    "ScaleDifference",
    "ScaleSource",
    "SelectModel",
    "SetSpecimen",
    "ShadowMetrics",
    "ShadowModel",
    "Share",
    "Signature",
    "SlideDifferential",
    "SlideScale",
    "Software",
    "Specimen",
    "SpecimenField",
    "SpecimenId",
    "Speed",
    "SpeedTiming",
    "SpoolMetrics",
    "Status",
    "StatusState",
    "TextureDifference",
    "Topics",
    "Verdict",
    "Wave",
    "difference_sentence",
    "explain_reason",
    "opaque_id",
    "request_message",
    "schema_ids",
    "topic_segment",
]
